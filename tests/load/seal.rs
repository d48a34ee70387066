//! Sealing and opening a large file, beside the stock `age` program on the same disk.

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;
use veilcloud_sdk::pipeline;
use veilcore::id::{AccountId, EnvironmentId, ProjectId};
use veilvault::{
    account::AccountRootKey,
    envelope::{self, SealWriter, Subject},
    epoch::EpochKey,
    identity::Identity,
    seal::Expected,
};

/// Size of the file.
const LEN: u64 = 256 << 20;
/// Rounds; the best of each is compared, because the disk's mood is in all of them.
const ROUNDS: usize = 3;

/// Seals and opens by turns with `age`, and gives seconds and ratios.
pub fn measure() -> Result<Value> {
    let folder = TempDir::new()?;
    let plain = folder.path().join("plain");
    veilcloud_tests::files::write_binary(&plain, LEN);
    let mut best = [f64::INFINITY; 4];
    for _ in 0..ROUNDS {
        let round = [
            ours_seal(folder.path(), &plain)?,
            age(folder.path(), true)?,
            ours_open(folder.path())?,
            age(folder.path(), false)?,
        ];
        for (best, now) in best.iter_mut().zip(round) {
            *best = best.min(now);
        }
    }
    let round = |x: f64| (x * 1000.0).round() / 1000.0;
    Ok(json!({
        "mib": LEN >> 20,
        "seal_s": {"ours": round(best[0]), "age": round(best[1]), "ratio": round(best[0] / best[1])},
        "open_s": {"ours": round(best[2]), "age": round(best[3]), "ratio": round(best[2] / best[3])},
    }))
}

/// The same keys in every call: what is measured is the file, not the key generation.
struct Keys {
    author: Identity,
    epoch: EpochKey,
    subject: Subject,
}

fn keys() -> Keys {
    let account = AccountId::from_bytes([1; 16]);
    let root = AccountRootKey::from_secret(veilcore::secret::Secret::new([7; 32]));
    Keys {
        author: Identity::derive(&root, account, 1),
        epoch: EpochKey::from_secret(veilcore::secret::Secret::new([9; 32])),
        subject: Subject {
            project: ProjectId::from_bytes([2; 16]),
            environment: EnvironmentId::from_bytes([3; 16]),
            version: 1,
            parent: None,
            epoch: 1,
            created_at_ms: 0,
        },
    }
}

/// `io::copy` with the SDK's length of a piece.
fn copy(from: &mut impl Read, to: &mut impl Write) -> Result<()> {
    let mut piece = vec![0; 256 * 1024];
    loop {
        match from.read(&mut piece)? {
            0 => return Ok(()),
            len => to.write_all(&piece[..len])?,
        }
    }
}

fn ours_seal(folder: &Path, plain: &Path) -> Result<f64> {
    let keys = keys();
    let start = Instant::now();
    let mut input = File::open(plain)?;
    // As the SDK does it: one thread encrypts, one hashes and writes.
    let (sink, digest) = pipeline::sink(File::create(folder.join("ours.age"))?);
    let content = (veilvault::kind::Kind::Binary, LEN);
    let mut writer =
        SealWriter::with_digester(sink, &keys.subject, content, &keys.epoch, &keys.author, Box::new(digest))?;
    copy(&mut input, &mut writer)?;
    let (sink, sealed) = writer.finish()?;
    sink.close()?;
    let seconds = start.elapsed().as_secs_f64();
    std::fs::write(folder.join("ours.seal"), sealed.seal)?;
    Ok(seconds)
}

fn ours_open(folder: &Path) -> Result<f64> {
    let keys = keys();
    let seal = std::fs::read(folder.join("ours.seal"))?;
    let public = keys.author.public_key();
    let expected = Expected {
        project: keys.subject.project,
        environment: keys.subject.environment,
        version: Some(1),
        parent: None,
        epoch: 1,
        author: keys.author.account(),
        author_key: &public,
        digest: None,
    };
    let start = Instant::now();
    let (source, digest) = pipeline::source(File::open(folder.join("ours.age"))?);
    let mut reader = envelope::open_with_digester(source, &seal, &expected, &keys.epoch, Box::new(digest))?;
    let mut output = File::create(folder.join("ours.out"))?;
    copy(&mut reader, &mut output)?;
    reader.finish()?;
    Ok(start.elapsed().as_secs_f64())
}

fn age(folder: &Path, seal: bool) -> Result<f64> {
    let keys = keys();
    let key = folder.join("age.key");
    std::fs::write(&key, format!("{}\n", keys.epoch.secret_text().as_str()))?;
    let recipient = keys.epoch.recipient().to_string();
    let mut command = Command::new("age");
    if seal {
        command.args(["-r", &recipient, "-o", "stock.age", "plain"]);
    } else {
        command.args(["-d", "-i", "age.key", "-o", "stock.out", "stock.age"]);
    }
    let start = Instant::now();
    let out = command.current_dir(folder).output().context("the age program")?;
    if !out.status.success() {
        bail!("age: {}", String::from_utf8_lossy(&out.stderr));
    }
    Ok(start.elapsed().as_secs_f64())
}
