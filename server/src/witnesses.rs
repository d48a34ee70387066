//! The witnesses that a server's checkpoints go to before they are shown: the policy file, a way to each of them, and
//! the publisher between.

use std::{fs::File, io::Read, path::Path, sync::Arc};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use veilcloud_domain::{
    audit::{
        Policy,
        heads::Heads,
        model::Trail,
        port::LogStore,
        publish::{Cosigner, Outcome, PublishWatch, Publisher},
        signer::LogKeys,
    },
    clock::Clock,
};
use veilcloud_http::{HttpCosigner, Options};

use crate::{config::Chain, start::StartError};

/// Longest policy file, in bytes.
const POLICY_LEN_MAX: u64 = 64 * 1024;

/// The policy, and the way to its witnesses.
pub struct Witnesses {
    /// Heads on their way to them.
    pub heads: Arc<Heads>,
    policy: Policy,
    text: String,
    cosigners: Vec<Arc<dyn Cosigner>>,
}

impl Witnesses {
    /// Reads the policy file and sets up a way to each witness that has a URL; `None` without a file or without a quorum.
    /// Blocks: root certificates are read.
    pub fn load(config: &Chain, keys: &LogKeys) -> Result<Option<Self>, StartError> {
        let Some(path) = &config.witness_policy else { return Ok(None) };
        let refused =
            |cause: String| StartError::Wire(format!("chain.witness_policy {}: {cause}", path.display()));
        let text = read(path).map_err(|error| refused(error.to_string()))?;
        // A policy names its log; which of ours it is makes no difference to who cosigns.
        let log = keys.verifiers(Trail::Directory).first().map(|key| format!("log {}\n", key.encode()));
        let policy = Policy::parse(format!("{}{text}", log.unwrap_or_default()))
            .map_err(|error| refused(format!("{error} (the first line is the log's own)")))?;
        if !policy.asks_for_witnesses() {
            return Ok(None);
        }
        let mut cosigners: Vec<Arc<dyn Cosigner>> = Vec::new();
        for witness in policy.witnesses() {
            let Some(url) = &witness.url else { continue };
            let options = Options {
                url: url.to_string(),
                vkey: witness.key.encode(),
                ca_file: config.witness_ca.clone(),
                allow_plaintext: config.witness_allow_plaintext,
            };
            let cosigner = HttpCosigner::new(&options).map_err(|error| refused(error.to_string()))?;
            cosigners.push(Arc::new(cosigner));
        }
        Ok(Some(Self { heads: Heads::new(), policy, text, cosigners }))
    }

    /// The policy's lines after its log lines.
    pub fn policy_text(&self) -> String {
        if self.text.ends_with('\n') { self.text.clone() } else { format!("{}\n", self.text) }
    }

    /// Starts the publisher; it ends after `stop`.
    pub fn start(
        self,
        logs: Arc<dyn LogStore>,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Result<JoinHandle<()>, StartError> {
        describe();
        let publisher =
            Publisher::new(self.heads, logs, clock, self.policy, self.cosigners, Arc::new(Metrics))
                .map_err(|error| StartError::Wire(format!("chain.witness_policy: {error}")))?;
        Ok(tokio::spawn(async move {
            // What was not published stays signed and committed; the next start goes on.
            let _ = stop.run_until_cancelled(publisher.run()).await;
        }))
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(POLICY_LEN_MAX + 1).read_to_string(&mut text)?;
    Ok(text)
}

fn describe() {
    metrics::describe_counter!(
        "veilcloud_log_published_total",
        "Checkpoints that the witnesses let be shown."
    );
    metrics::describe_counter!(
        "veilcloud_log_publish_failures_total",
        "Tries to publish that failed, by cause."
    );
    metrics::describe_counter!(
        "veilcloud_witness_answers_total",
        "Answers of witnesses, by witness and kind."
    );
}

/// Counts.
struct Metrics;

impl PublishWatch for Metrics {
    fn pursued(&self, outcome: &Outcome) {
        let failed = |cause: &'static str| {
            metrics::counter!("veilcloud_log_publish_failures_total", "cause" => cause).increment(1);
        };
        // The publisher itself says aloud what an operator must see.
        match outcome {
            Outcome::Published { .. } => metrics::counter!("veilcloud_log_published_total").increment(1),
            Outcome::BelowQuorum { .. } => failed("quorum"),
            Outcome::Ahead { .. } => failed("ahead"),
            Outcome::Failed { .. } => failed("store"),
            Outcome::Stale { .. } => {}
        }
    }

    fn answered(&self, witness: &str, answer: &'static str) {
        let labels = [("witness", witness.to_owned()), ("answer", answer.to_owned())];
        metrics::counter!("veilcloud_witness_answers_total", &labels).increment(1);
    }
}
