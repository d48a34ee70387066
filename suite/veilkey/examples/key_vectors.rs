//! Writes a new tests/vectors/key.json to standard output. Only for a new format version: the committed file pins what
//! older builds encrypted, and is not written again for any other reason.
//!
//! `cargo run -p veilkey --example key_vectors > tests/vectors/key.json`

use std::error::Error;
use std::io::Write;

use data_encoding::HEXLOWER;
use rand_core::{CryptoRng, RngCore};
use serde_json::{Value, json};
use veilcore::id::{ApiKeyId, TeamId};
use veilcore::secret::Secret;
use veilkey::ciphertext::Ciphertext;
use veilkey::combine::Combiner;
use veilkey::context::{Context, Holder};
use veilkey::partial::Request;
use veilkey::share::GroupSecret;

const TEAM: [u8; 16] = *b"\x01\x92\x00\x00\x00\x00\x70\x00\x80\x00\x00\x00\x00\x00\x00\x0c";
const API_KEY: [u8; 16] = *b"\xac\xc0\x00\x00\x00\x00\x40\x00\x80\x00\x00\x00\x00\x00\x00\x0d";

/// Counts, and remembers what it gave since it was last asked.
struct Counting {
    next: u8,
    given: Vec<u8>,
}

impl Counting {
    fn taken(&mut self) -> String {
        HEXLOWER.encode(&std::mem::take(&mut self.given))
    }
}

impl RngCore for Counting {
    fn next_u32(&mut self) -> u32 {
        unreachable!("only bytes are drawn")
    }
    fn next_u64(&mut self) -> u64 {
        unreachable!("only bytes are drawn")
    }
    fn fill_bytes(&mut self, room: &mut [u8]) {
        for byte in room {
            *byte = self.next;
            self.given.push(self.next);
            self.next = self.next.wrapping_add(1);
        }
    }
    fn try_fill_bytes(&mut self, room: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(room);
        Ok(())
    }
}

impl CryptoRng for Counting {}

struct Case {
    context: Context,
    secret: u8,
    threshold: usize,
    count: usize,
    label: &'static [u8],
    message: &'static [u8],
    /// Which shares answer, from 0.
    answering: &'static [usize],
}

fn main() -> Result<(), Box<dyn Error>> {
    let team = Case {
        context: Context { holder: Holder::Team(TeamId::from_bytes(TEAM)), epoch: 3 },
        secret: 0x40,
        threshold: 3,
        count: 5,
        label: b"project/production, version 7",
        message: b"sixteen byte key",
        answering: &[4, 0, 2],
    };
    let token = Case {
        context: Context { holder: Holder::ApiKey(ApiKeyId::from_bytes(API_KEY)), epoch: 1 },
        secret: 0x80,
        threshold: 2,
        count: 2,
        label: b"",
        message: b"AGE-SECRET-KEY-1SZQC9QUYSKRG0ZYF329CERVW37GFRY5NJJ2ED9UCNXDFH8YAN60SS4NW9U",
        answering: &[0, 1],
    };
    let file = json!({
        "about": "Pinned bytes of docs/spec/key.md, hex. random: what was drawn, in the order it was drawn.",
        "second_base": HEXLOWER.encode(veilkey::second_base_bytes()),
        "cases": [case(&team)?, case(&token)?],
    });
    serde_json::to_writer_pretty(std::io::stdout().lock(), &file)?;
    writeln!(std::io::stdout())?;
    Ok(())
}

fn case(case: &Case) -> Result<Value, Box<dyn Error>> {
    let rng = &mut Counting { next: case.secret, given: Vec::new() };
    let mut secret: [u8; 32] = std::array::from_fn(|i| case.secret.wrapping_add(i as u8));
    secret[31] = 0x0f;
    let dealing = GroupSecret::from_bytes(&Secret::new(secret))?.split(
        case.context,
        case.threshold,
        case.count,
        rng,
    )?;
    let split_random = rng.taken();
    let record = &dealing.record;
    let shares: Vec<_> =
        dealing.shares.iter().map(|share| HEXLOWER.encode(share.export().expose())).collect();

    let ciphertext = Ciphertext::encrypt(record.key(), case.label, case.message, rng)?;
    let encrypt_random = rng.taken();
    let verified = ciphertext.verify(record.key(), case.label)?;
    let request = Request { id: [0x11; 32], requester: [0x22; 32] };
    let mut combiner = Combiner::new(verified, record, request)?;
    let mut answers = Vec::new();
    for at in case.answering {
        let part = dealing.shares[*at].decrypt(&verified, record, &request, rng)?;
        answers.push(json!({
            "index": part.index().get(),
            "random": rng.taken(),
            "partial": HEXLOWER.encode(&part.encode()[..]),
        }));
        combiner.add(part)?;
    }
    if *combiner.open()? != case.message {
        return Err("the message does not come back".into());
    }
    Ok(json!({
        "context": HEXLOWER.encode(&case.context.encode()),
        "epoch": case.context.epoch,
        "secret": HEXLOWER.encode(&secret),
        "threshold": case.threshold,
        "split_random": split_random,
        "shares": shares,
        "group_key": HEXLOWER.encode(&record.key().encode()),
        "record": HEXLOWER.encode(&record.encode()),
        "fingerprint": HEXLOWER.encode(&record.fingerprint()),
        "label": HEXLOWER.encode(case.label),
        "message": HEXLOWER.encode(case.message),
        "encrypt_random": encrypt_random,
        "ciphertext": HEXLOWER.encode(&ciphertext.encode()),
        "request": HEXLOWER.encode(&request.id),
        "requester": HEXLOWER.encode(&request.requester),
        "partials": answers,
    }))
}
