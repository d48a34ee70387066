//! Events and proofs.

use veilchain::proof_file::ProofFile;
use veilcloud_domain::audit::{Proof, model::Event};
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
        by_number: line.by_number,
        api_key_id: line.key.map_or_else(String::new, |id| id.to_string()),
    }
}

/// A proof, hash by hash.
pub fn proof(proof: Proof) -> pb::LogProof {
    pb::LogProof {
        index: proof.index,
        entry: proof.entry.to_vec(),
        inclusion: proof.inclusion.iter().map(|hash| hash.to_vec()).collect(),
        checkpoint: proof.checkpoint.to_vec(),
        consistency: proof.consistency.iter().map(|hash| hash.to_vec()).collect(),
    }
}

/// A proof as the file that offline verifiers read, with the entry in its extra line.
pub fn proof_file(proof: &Proof) -> String {
    let file = ProofFile {
        extra: Some(proof.entry.to_vec()),
        index: proof.index,
        path: proof.inclusion.clone(),
        checkpoint: proof.checkpoint.to_vec(),
    };
    // Base64, digits and a note: all of it is text.
    String::from_utf8_lossy(&file.encode()).into_owned()
}

/// An event as one line of JSON, as exports have it.
pub fn json(event: &Event) -> String {
    let line = &event.line;
    let at = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(line.at_ms) * 1_000_000)
        .ok()
        .and_then(|at| at.format(&time::format_description::well_known::Rfc3339).ok());
    let value = serde_json::json!({
        "index": event.index,
        "kind": line.kind.as_str(),
        "actorId": line.actor.to_string(),
        "at": at,
        "environmentId": line.environment.map(|id| id.to_string()),
        "version": (line.version > 0).then_some(line.version),
        "digest": line.digest.map(|digest| data_encoding::HEXLOWER.encode(&digest)),
        "byNumber": line.by_number,
        "entry": data_encoding::BASE64.encode(&line.entry()),
    });
    value.to_string()
}
