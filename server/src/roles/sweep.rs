//! The role `sweep`: the loop of `workers`, with the configured pace.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use veilcloud_workers::sweep::{Error, Handle, Options, Service, Swept};

use crate::config::Sweep;

/// Starts the role; it ends after `stop`, with the step in hand finished.
pub fn start(swept: Swept, config: &Sweep, stop: CancellationToken) -> Result<Handle, Error> {
    let options = Options { interval: Duration::from_secs(config.interval_s), batch: config.batch };
    Ok(Service::new(Arc::new(swept), options)?.start(stop))
}
