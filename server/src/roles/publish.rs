//! The role `publish`: the sequencer's loop of `workers`, with the configured batch.

use tokio_util::sync::CancellationToken;
use veilcloud_domain::audit::sequence::Parts;
use veilcloud_workers::publish::{Handle, Options, Service};

use crate::{config::Chain, start::StartError};

/// Takes the logs and starts the role; it ends after `stop`, when everything that waited is in the logs.
pub async fn start(parts: Parts, config: &Chain, stop: CancellationToken) -> Result<Handle, StartError> {
    let options = Options { batch_leaves: config.batch_leaves, ..Options::default() };
    let refused =
        |error: &dyn std::fmt::Display| StartError::Wire(format!("the logs cannot be taken: {error}"));
    let service = Service::new(parts, options).map_err(|error| refused(&error))?;
    service.start(stop).await.map_err(|error| refused(&error))
}
