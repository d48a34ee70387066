//! Networks that an API key may be used from: an address and how many of its leading bits count.

use std::{fmt, net::IpAddr, str::FromStr};

/// An IPv4 or IPv6 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// The text is not a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a network is an address, a slash and how many bits count, the others zero: 192.0.2.0/24, 2001:db8::/32"
)]
pub struct NetworkInvalid;

impl Network {
    /// Whether an address lies in it. An IPv4 address that came as IPv6 is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                same_head(own.to_bits().into(), other.to_bits().into(), 32, self.bits)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => same_head(own.to_bits(), other.to_bits(), 128, self.bits),
            _ => false,
        }
    }
}

fn same_head(a: u128, b: u128, width: u8, bits: u8) -> bool {
    let rest = u32::from(width - bits);
    a.checked_shr(rest).unwrap_or(0) == b.checked_shr(rest).unwrap_or(0)
}

impl FromStr for Network {
    type Err = NetworkInvalid;

    fn from_str(text: &str) -> Result<Self, NetworkInvalid> {
        let (address, bits) = text.split_once('/').ok_or(NetworkInvalid)?;
        let address: IpAddr = address.parse().map_err(|_| NetworkInvalid)?;
        let plain = !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
        let bits: u8 = bits.parse().ok().filter(|_| plain).ok_or(NetworkInvalid)?;
        let (whole, width) = match address {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
            IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => return Err(NetworkInvalid),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        if bits > width {
            return Err(NetworkInvalid);
        }
        let rest = u32::from(width - bits);
        // Bits beyond the prefix would be a typing error that nobody notices.
        let tidy = whole.checked_shr(rest).unwrap_or(0).checked_shl(rest).unwrap_or(0) == whole;
        let network = Self { address, bits };
        if tidy && network.to_string() == text { Ok(network) } else { Err(NetworkInvalid) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn an_address_is_inside_by_its_leading_bits() {
        assert!(contains("192.0.2.0/24", "192.0.2.255") && !contains("192.0.2.0/24", "192.0.3.0"));
        assert!(contains("192.0.2.7/32", "192.0.2.7") && !contains("192.0.2.7/32", "192.0.2.6"));
        assert!(contains("0.0.0.0/0", "203.0.113.9") && !contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1") && !contains("2001:db8::/32", "2001:db9::1"));
        assert!(contains("::/0", "2001:db8::1") && !contains("::/0", "192.0.2.1"));
        assert!(contains("192.0.2.0/24", "::ffff:192.0.2.9"));
    }

    #[test]
    fn only_one_spelling_of_a_network_is_taken() {
        for text in ["192.0.2.0/24", "0.0.0.0/0", "2001:db8::/32", "::/0", "::1/128"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "/",
            "192.0.2.0",
            "192.0.2.1/24",
            "192.0.2.0/33",
            "192.0.2.0/",
            "192.0.2.0/024",
            "192.0.2.0/+24",
            "2001:DB8::/32",
            "2001:db8::/129",
            "::ffff:192.0.2.0/120",
            "host/8",
            "192.0.2.0/24 ",
            "192.0.2.0/-1",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text:?}");
        }
    }
}
