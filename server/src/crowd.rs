//! How many connections each address has. Who asks: the accept loop of a port. What must never happen: one address with
//! all of a port's connections.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// The connections of a port by address.
pub struct Crowd {
    most: usize,
    uncounted: Vec<IpAddr>,
    here: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's place; given back when it is dropped.
pub struct Seat(Option<(Arc<Crowd>, IpAddr)>);

impl Crowd {
    /// At most this many from one address; those of `uncounted` as many as there is room for.
    pub fn new(most: usize, uncounted: Vec<IpAddr>) -> Arc<Self> {
        Arc::new(Self { most, uncounted, here: Mutex::default() })
    }

    /// A place for a connection from this address; `None` when it has all it may have.
    pub fn enter(self: &Arc<Self>, from: IpAddr) -> Option<Seat> {
        if self.uncounted.contains(&from.to_canonical()) {
            return Some(Seat(None));
        }
        let from = host(from);
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        let count = here.entry(from).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Seat(Some((self.clone(), from))))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((crowd, from)) = &self.0 else { return };
        let mut here = crowd.here.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = here.get_mut(from) {
            *count -= 1;
            if *count == 0 {
                here.remove(from);
            }
        }
    }
}

/// What counts as one address: an IPv6 host owns its /64.
fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_places_and_gets_them_back() {
        let crowd = Crowd::new(2, Vec::new());
        let first = crowd.enter(ip("192.0.2.1")).unwrap();
        let _second = crowd.enter(ip("::ffff:192.0.2.1")).unwrap();
        assert!(crowd.enter(ip("192.0.2.1")).is_none());
        let other = crowd.enter(ip("192.0.2.2"));
        assert!(other.is_some());
        drop((first, other));
        assert!(crowd.enter(ip("192.0.2.1")).is_some());
        assert_eq!(crowd.here.lock().unwrap().len(), 1);
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let crowd = Crowd::new(1, Vec::new());
        let _first = crowd.enter(ip("2001:db8:1:2::1")).unwrap();
        assert!(crowd.enter(ip("2001:db8:1:2:ffff::9")).is_none());
        assert!(crowd.enter(ip("2001:db8:1:3::1")).is_some());
    }

    #[test]
    fn a_trusted_proxy_speaks_for_many() {
        let crowd = Crowd::new(1, vec![ip("10.0.0.1")]);
        let seats: Vec<_> = (0..5).map(|_| crowd.enter(ip("::ffff:10.0.0.1"))).collect();
        assert!(seats.iter().all(Option::is_some));
    }
}
