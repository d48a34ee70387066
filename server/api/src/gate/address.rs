//! Which address a request comes from. A proxy is believed only when the operator named it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{Extensions, HeaderMap};

use crate::PeerAddr;

/// The caller's address: the connection's, or behind trusted proxies the last address of `x-forwarded-for` that is none
/// of them.
pub(super) fn of(headers: &HeaderMap, extensions: &Extensions, proxies: &[IpAddr]) -> IpAddr {
    let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let mut address = extensions.get::<PeerAddr>().map_or(unknown, |peer| peer.0.ip().to_canonical());
    let lists: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().filter_map(|v| v.to_str().ok()).collect();
    for hop in lists.iter().rev().flat_map(|list| list.rsplit(',')) {
        if !proxies.contains(&address) {
            break;
        }
        let Ok(next) = hop.trim().parse::<IpAddr>() else { break };
        address = next.to_canonical();
    }
    address
}

/// The key an address is metered by: an IPv6 host owns its /64.
pub(super) fn meter_key(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// The key of the network that one customer of a provider may have whole: an IPv6 /48.
pub(super) fn network_key(address: IpAddr) -> Option<String> {
    let IpAddr::V6(address) = address else { return None };
    let [a, b, c, ..] = address.segments();
    Some(format!("{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&str], proxies: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for list in forwarded {
            headers.append("x-forwarded-for", list.parse().unwrap());
        }
        let mut extensions = Extensions::new();
        extensions.insert(PeerAddr(peer.parse().unwrap()));
        let proxies: Vec<IpAddr> = proxies.iter().map(|p| p.parse().unwrap()).collect();
        of(&headers, &extensions, &proxies).to_string()
    }

    #[test]
    fn nobody_is_believed_by_default() {
        assert_eq!(seen("192.0.2.1:1", &["198.51.100.7"], &[]), "192.0.2.1");
        assert_eq!(seen("[::ffff:192.0.2.1]:1", &[], &[]), "192.0.2.1");
    }

    #[test]
    fn a_trusted_proxy_names_the_hop_before_it() {
        let trusted = ["10.0.0.1", "10.0.0.2"];
        assert_eq!(seen("10.0.0.1:1", &["198.51.100.7"], &trusted), "198.51.100.7");
        assert_eq!(seen("10.0.0.1:1", &["203.0.113.9, 198.51.100.7, 10.0.0.2"], &trusted), "198.51.100.7");
        assert_eq!(seen("10.0.0.1:1", &["203.0.113.9", "198.51.100.7"], &trusted), "198.51.100.7");
        assert_eq!(seen("192.0.2.1:1", &["198.51.100.7"], &trusted), "192.0.2.1");
        assert_eq!(seen("10.0.0.1:1", &["garbage"], &trusted), "10.0.0.1");
    }

    #[test]
    fn an_ipv6_network_is_one_key() {
        assert_eq!(meter_key("2001:db8:1:2:3:4:5:6".parse().unwrap()), "2001:db8:1:2::/64");
        assert_eq!(meter_key("192.0.2.1".parse().unwrap()), "192.0.2.1");
        assert_eq!(network_key("2001:db8:1:2:3:4:5:6".parse().unwrap()).unwrap(), "2001:db8:1::/48");
        assert_eq!(network_key("192.0.2.1".parse().unwrap()), None);
    }
}
