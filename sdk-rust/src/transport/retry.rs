//! When a call is tried again (docs: AIP-194): only when the server was not there, or when it says when to come back.
//! Every try is made with a new proof and the same request id, so a call that did arrive is not done twice.

use std::sync::Mutex;
use std::time::Duration;

use rand_core::RngCore;

use super::Failure;

/// Most tries of one call.
pub(crate) const TRIES_MAX: u32 = 4;
/// Longest wait before the first retry; doubles with each.
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
/// Longest wait that a retry chooses by itself.
const BACKOFF_MAX: Duration = Duration::from_secs(3);
/// Longest wait that a server can impose; beyond it the caller is told.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(15);
/// Retries a client may owe, in tenths. Each retry costs 10, each success brings 1 back: a server in trouble sees at
/// most a tenth of its load again.
const BUDGET_MAX: u32 = 200;
const BUDGET_RETRY: u32 = 10;

/// What the client as a whole may still retry.
pub(crate) struct Budget(Mutex<u32>);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(BUDGET_MAX))
    }

    pub(crate) fn succeed(&self) {
        let mut left = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *left = (*left + 1).min(BUDGET_MAX);
    }

    fn spend(&self) -> bool {
        let mut left = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match left.checked_sub(BUDGET_RETRY) {
            Some(rest) => {
                *left = rest;
                true
            }
            None => false,
        }
    }
}

/// The tries of one call.
pub(crate) struct Retry {
    tries: u32,
}

impl Retry {
    /// The first try is about to be made.
    pub(crate) fn new() -> Self {
        Self { tries: 1 }
    }

    /// The only try is about to be made.
    pub(crate) fn never() -> Self {
        Self { tries: TRIES_MAX }
    }

    /// How long to wait before the next try; None: do not try again. `left` is the time until the deadline.
    pub(crate) fn next(
        &mut self,
        failure: &Failure,
        left: Duration,
        budget: &Budget,
        rng: &mut impl RngCore,
    ) -> Option<Duration> {
        let demanded = demanded(failure)?;
        if self.tries >= TRIES_MAX || demanded > RETRY_AFTER_MAX {
            return None;
        }
        let ceiling = BACKOFF_FIRST.saturating_mul(1 << (self.tries - 1)).min(BACKOFF_MAX);
        // Full jitter: clients that failed together do not come back together.
        let jitter = ceiling.mul_f64(f64::from(rng.next_u32()) / f64::from(u32::MAX));
        let wait = demanded + jitter;
        if wait >= left || !budget.spend() {
            return None;
        }
        self.tries += 1;
        Some(wait)
    }
}

/// Least wait before another try, if the failure allows one at all.
fn demanded(failure: &Failure) -> Option<Duration> {
    match failure {
        Failure::Network(e) => e.is_transient().then_some(Duration::ZERO),
        Failure::Api(e) => match e.code {
            "UNAVAILABLE" => Some(e.retry_after.unwrap_or_default()),
            "RESOURCE_EXHAUSTED" => e.retry_after,
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_core::OsRng;

    use super::*;
    use crate::error::{NetworkError, TlsFailure};
    use crate::transport::fake::refusal;

    const LEFT: Duration = Duration::from_secs(60);

    fn refused() -> Failure {
        Failure::Network(NetworkError::Refused { address: "host:1".into() })
    }

    fn retried(failure: &Failure) -> bool {
        Retry::new().next(failure, LEFT, &Budget::new(), &mut OsRng).is_some()
    }

    #[test]
    fn only_an_absent_server_and_a_named_time_are_tried_again() {
        assert!(retried(&refused()));
        assert!(retried(&Failure::Network(NetworkError::Lost { detail: String::new() })));
        assert!(retried(&Failure::Network(NetworkError::Proxy { status: 503 })));
        assert!(retried(&refusal("UNAVAILABLE", "DRAINING", None)));
        assert!(retried(&refusal("RESOURCE_EXHAUSTED", "RATE_LIMITED", Some(1))));
        for failure in [
            Failure::Network(NetworkError::Dns { host: "host".into() }),
            Failure::Network(NetworkError::Alpn),
            Failure::Network(NetworkError::Tls(TlsFailure::Expired)),
            Failure::Network(NetworkError::Timeout { after: LEFT }),
            Failure::Network(NetworkError::Proxy { status: 403 }),
            refusal("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", None),
            refusal("RESOURCE_EXHAUSTED", "RATE_LIMITED", Some(3600)),
            refusal("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", None),
            refusal("INTERNAL", "INTERNAL", None),
            refusal("ABORTED", "ETAG_MISMATCH", None),
            refusal("UNAUTHENTICATED", "PROOF_REPLAYED", None),
        ] {
            assert!(!retried(&failure), "{failure:?}");
        }
    }

    #[test]
    fn tries_end_and_never_pass_the_deadline() {
        let budget = Budget::new();
        let mut retry = Retry::new();
        let mut tries = 1;
        while retry.next(&refused(), LEFT, &budget, &mut OsRng).is_some() {
            tries += 1;
        }
        assert_eq!(tries, TRIES_MAX);
        let demanding = refusal("UNAVAILABLE", "DRAINING", Some(10));
        assert!(Retry::new().next(&demanding, Duration::from_secs(9), &budget, &mut OsRng).is_none());
    }

    #[test]
    fn a_client_that_only_fails_stops_retrying() {
        let budget = Budget::new();
        let spent =
            (0..100).filter(|_| Retry::new().next(&refused(), LEFT, &budget, &mut OsRng).is_some()).count();
        assert_eq!(spent, (BUDGET_MAX / BUDGET_RETRY) as usize);
        (0..BUDGET_RETRY).for_each(|_| budget.succeed());
        assert!(Retry::new().next(&refused(), LEFT, &budget, &mut OsRng).is_some());
    }

    proptest! {
        #[test]
        fn a_wait_is_never_shorter_than_demanded_nor_longer_than_its_ceiling(seconds in 0u64..=15, tries in 1u32..4) {
            let failure = refusal("UNAVAILABLE", "DRAINING", Some(seconds));
            let wait = Retry { tries }.next(&failure, LEFT, &Budget::new(), &mut OsRng).expect("tried again");
            let demanded = Duration::from_secs(seconds);
            prop_assert!(wait >= demanded && wait <= demanded + BACKOFF_MAX);
        }
    }
}
