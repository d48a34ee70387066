//! The role `sweep`: the loop of `workers`, with the configured pace.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use veilcloud_domain::storage::Storage;
use veilcloud_workers::sweep::{Error, Handle, Options, Service};

use crate::config::Sweep;

/// Starts the role; it ends after `stop`, with the step in hand finished.
pub fn start(storage: Arc<Storage>, config: &Sweep, stop: CancellationToken) -> Result<Handle, Error> {
    let options = Options { interval: Duration::from_secs(config.interval_s), batch: config.batch };
    Ok(Service::new(storage, options)?.start(stop))
}
