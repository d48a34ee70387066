//! Events.

use veilcloud_domain::audit::model::Event;
use veilcloud_proto::audit::v1 as pb;

use super::timestamp;

/// An event with its canonical bytes.
pub fn event(event: &Event) -> pb::Event {
    let line = &event.line;
    pb::Event {
        index: event.index,
        kind: line.kind.as_str().to_owned(),
        actor_id: line.actor.to_string(),
        at: timestamp(line.at_ms),
        environment_id: line.environment.map_or_else(String::new, |id| id.to_string()),
        version: line.version,
        digest: line.digest.map_or_else(Vec::new, |digest| digest.to_vec()),
        entry: line.entry(),
    }
}
