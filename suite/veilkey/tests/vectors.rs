//! Pinned bytes of tests/vectors/key.json, made twice: by the crate, and from the page by the plain implementation
//! beside this file. What older builds encrypted must open for ever.

mod plain;

use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT as B;
use curve25519_dalek::scalar::Scalar;
use data_encoding::HEXLOWER;
use rand_core::{CryptoRng, RngCore};
use serde_json::Value;
use veilcore::secret::Secret;
use veilkey::ciphertext::Ciphertext;
use veilkey::combine::Combiner;
use veilkey::key::{GroupKey, KeyRecord};
use veilkey::partial::{PartialDecryption, Request};
use veilkey::share::{GroupSecret, SecretShare};

use plain::{Asked, Part, Sealed, To};

const FILE: &str = include_str!("../../../tests/vectors/key.json");

fn cases() -> Vec<Value> {
    let file: Value = serde_json::from_str(FILE).expect("the vector file is JSON");
    let cases = file["cases"].as_array().expect("a list").clone();
    assert_eq!(cases.len(), 2);
    cases
}

fn hex(value: &Value, field: &str) -> Vec<u8> {
    let text = value[field].as_str().unwrap_or_else(|| panic!("{field} is missing"));
    HEXLOWER.decode(text.as_bytes()).expect("hex")
}

fn array<const N: usize>(value: &Value, field: &str) -> [u8; N] {
    hex(value, field).try_into().unwrap_or_else(|_| panic!("{field} has another length"))
}

fn number(value: &Value, field: &str) -> usize {
    value[field].as_u64().unwrap_or_else(|| panic!("{field} is missing")) as usize
}

fn shares(case: &Value) -> Vec<Vec<u8>> {
    let shares = case["shares"].as_array().expect("a list");
    let bytes = |share: &Value| HEXLOWER.decode(share.as_str().expect("text").as_bytes()).expect("hex");
    shares.iter().map(bytes).collect()
}

fn request(case: &Value) -> Request {
    Request { id: array(case, "request"), requester: array(case, "requester") }
}

/// Draws pinned bytes, and all of them.
struct Pinned(Vec<u8>);

impl RngCore for Pinned {
    fn next_u32(&mut self) -> u32 {
        unreachable!("only bytes are drawn")
    }
    fn next_u64(&mut self) -> u64 {
        unreachable!("only bytes are drawn")
    }
    fn fill_bytes(&mut self, room: &mut [u8]) {
        let rest = self.0.split_off(room.len());
        room.copy_from_slice(&std::mem::replace(&mut self.0, rest));
    }
    fn try_fill_bytes(&mut self, room: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(room);
        Ok(())
    }
}

impl CryptoRng for Pinned {}

impl Drop for Pinned {
    fn drop(&mut self) {
        assert!(std::thread::panicking() || self.0.is_empty(), "{} bytes were not drawn", self.0.len());
    }
}

#[test]
fn the_second_base_is_the_hash_of_its_name_and_nothing_else() {
    let file: Value = serde_json::from_str(FILE).expect("the vector file is JSON");
    assert_eq!(plain::enc(&plain::second_base())[..], hex(&file, "second_base"));
    assert_eq!(veilkey::second_base_bytes()[..], hex(&file, "second_base"));
    // SHA-512 of 0010 and the tag, as any other program computes it.
    let hash = "df83a05b9d5d3c8731916073043d4d88c000e08d22588069a141df063df96f74\
                a1a9529778278ade40d2b94bf67cc54f81eccc5a1aeaac04d0663a340ad3737d";
    assert_eq!(HEXLOWER.encode(&plain::wide("Veil/tdh2-gen/v1", &[])), hash);
}

#[test]
fn the_crate_splits_as_pinned() {
    for case in cases() {
        let record = KeyRecord::parse(&hex(&case, "record")).expect("pinned");
        assert_eq!(record.key().encode(), hex(&case, "group_key"));
        assert_eq!(GroupKey::parse(&hex(&case, "group_key")), Ok(*record.key()));
        assert_eq!(record.fingerprint()[..], hex(&case, "fingerprint"));
        let secret = GroupSecret::from_bytes(&Secret::new(array(&case, "secret"))).expect("pinned");
        let rng = &mut Pinned(hex(&case, "split_random"));
        let count = shares(&case).len();
        let dealing =
            secret.split(*record.key().context(), number(&case, "threshold"), count, rng).expect("possible");
        assert_eq!(dealing.record, record);
        for (share, pinned) in dealing.shares.iter().zip(shares(&case)) {
            assert_eq!(share.export().expose()[..], pinned);
        }
    }
}

#[test]
fn the_crate_encrypts_answers_and_opens_as_pinned() {
    for case in cases() {
        let record = KeyRecord::parse(&hex(&case, "record")).expect("pinned");
        let (label, message) = (hex(&case, "label"), hex(&case, "message"));
        let rng = &mut Pinned(hex(&case, "encrypt_random"));
        let made = Ciphertext::encrypt(record.key(), &label, &message, rng).expect("within limits");
        assert_eq!(made.encode(), hex(&case, "ciphertext"));

        let ciphertext = Ciphertext::parse(&hex(&case, "ciphertext")).expect("pinned");
        let verified = ciphertext.verify(record.key(), &label).expect("pinned");
        let request = request(&case);
        let mut combiner = Combiner::new(verified, &record, request).expect("one key");
        for pinned in case["partials"].as_array().expect("a list") {
            let bytes = &shares(&case)[number(pinned, "index") - 1];
            let share = SecretShare::import(bytes).expect("pinned");
            let rng = &mut Pinned(hex(pinned, "random"));
            let made = share.decrypt(&verified, &record, &request, rng).expect("own share");
            assert_eq!(made.encode()[..], hex(pinned, "partial"));
            combiner.add(PartialDecryption::parse(&hex(pinned, "partial")).expect("pinned")).expect("pinned");
        }
        assert_eq!(*combiner.open().expect("enough"), message);
    }
}

/// The key of a case and its label, without the crate.
fn to<'a>(case: &Value, label: &'a [u8]) -> To<'a> {
    To { context: array(case, "context"), key: plain::scalar(&hex(case, "secret")) * B, label }
}

/// The coefficients of the split, the constant one first.
fn polynomial(case: &Value) -> Vec<Scalar> {
    let (secret, context) = (hex(case, "secret"), hex(case, "context"));
    let random = hex(case, "split_random");
    let drawn = (1u8..).zip(random.chunks(64)).map(|(power, random)| {
        plain::nonce("split", random, &secret, &[("context", &context), ("power", &[power])])
    });
    std::iter::once(plain::scalar(&secret)).chain(drawn).collect()
}

#[test]
fn the_split_is_the_one_of_the_page() {
    for case in cases() {
        let polynomial = polynomial(&case);
        assert_eq!(polynomial.len(), number(&case, "threshold"));
        let context = hex(&case, "context");
        let mut record = [&[1][..], &context, &plain::enc(&(polynomial[0] * B))].concat();
        assert_eq!(record, hex(&case, "group_key"));
        record.extend([1, number(&case, "threshold") as u8, shares(&case).len() as u8]);
        for (index, pinned) in (1u16..).zip(shares(&case)) {
            let at = Scalar::from(index);
            let value = polynomial.iter().rev().fold(Scalar::ZERO, |sum, a| sum * at + a);
            let share = [&[1][..], &context, &index.to_be_bytes(), value.as_bytes()].concat();
            assert_eq!(share, pinned);
            record.extend(index.to_be_bytes());
            record.extend(plain::enc(&(value * B)));
        }
        assert_eq!(record, hex(&case, "record"));
        let fingerprint = plain::hb("Veil/key-record/v1", &[("record", &record)]);
        assert_eq!(fingerprint[..], hex(&case, "fingerprint"));
    }
}

#[test]
fn the_ciphertext_is_the_one_of_the_page() {
    for case in cases() {
        let (label, message) = (hex(&case, "label"), hex(&case, "message"));
        let to = to(&case, &label);
        let (r, s) = plain::encryption_nonces(&to, &message, &hex(&case, "encrypt_random"));
        let sealed = plain::encrypt(&to, &message, &r, &s);
        assert_eq!(sealed.encode(), hex(&case, "ciphertext"));
        let pinned = Sealed::parse(&hex(&case, "ciphertext"));
        assert!(pinned.verifies(&to));
        assert_eq!(pinned.open(&to, &(plain::scalar(&hex(&case, "secret")) * pinned.r)), Some(message));
    }
}

#[test]
fn the_partial_decryptions_are_the_ones_of_the_page() {
    for case in cases() {
        let (label, ciphertext) = (hex(&case, "label"), hex(&case, "ciphertext"));
        let to = to(&case, &label);
        let mut parts = Vec::new();
        for pinned in case["partials"].as_array().expect("a list") {
            let index = number(pinned, "index");
            let x = plain::scalar(&shares(&case)[index - 1][24..]);
            let asked = Asked {
                to,
                index: index as u16,
                share_key: x * B,
                ciphertext: &ciphertext,
                request: array(&case, "request"),
                requester: array(&case, "requester"),
            };
            let sealed = Sealed::parse(&ciphertext);
            let s = asked.nonce(&(x * sealed.r), &hex(pinned, "random"), &x);
            assert_eq!(asked.answer(&x, &s).encode(), hex(pinned, "partial"));
            let part = Part::parse(&hex(pinned, "partial"));
            assert!(asked.verifies(&part));
            parts.push(part);
        }
        let sealed = Sealed::parse(&ciphertext);
        assert_eq!(sealed.open(&to, &plain::combine(&parts)), Some(hex(&case, "message")));
    }
}
