//! A service token and its server, one share each (docs/spec/key.md, section 10): either alone opens nothing, and when
//! the server's share is gone the token is waste paper.

use rand_core::OsRng;
use veilcore::id::ApiKeyId;
use veilkey::ciphertext::{Ciphertext, CiphertextError};
use veilkey::combine::{CombineError, Combiner};
use veilkey::context::{Context, Holder};
use veilkey::key::{GroupKey, KeyRecord};
use veilkey::partial::{PartialDecryption, PartialError, Request};
use veilkey::share::{Dealing, GroupSecret, SecretShare};

const KEY_OF_THE_ENVIRONMENT: &[u8] = b"the key of an environment, epoch 4";
const LABEL: &[u8] = b"keyring of production, epoch 4";
const REQUEST: Request = Request { id: [1; 32], requester: [2; 32] };

fn dealing(id: u8) -> Dealing {
    let context = Context { holder: Holder::ApiKey(ApiKeyId::from_bytes([id; 16])), epoch: 1 };
    GroupSecret::generate(&mut OsRng).split(context, 2, 2, &mut OsRng).expect("2 of 2")
}

/// What the server does: it has the record, its share, the ciphertext's bytes and the label it made itself.
fn serve(
    record: &[u8],
    share: &[u8],
    ciphertext: &[u8],
    request: &Request,
) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let (record, share) = (KeyRecord::parse(record)?, SecretShare::import(share)?);
    let ciphertext = Ciphertext::parse(ciphertext)?;
    let verified = ciphertext.verify(record.key(), LABEL)?;
    Ok(share.decrypt(&verified, &record, request, &mut OsRng)?.encode().to_vec())
}

#[test]
fn token_and_server_together_open_what_a_member_wrapped() {
    let dealing = dealing(7);
    let (record, key) = (dealing.record.encode(), dealing.record.key().encode());
    let (token, server) = (dealing.shares[0].export(), dealing.shares[1].export());

    // A member, who knows the public key alone.
    let key = GroupKey::parse(&key).expect("encoded");
    let wrapped =
        Ciphertext::encrypt(&key, LABEL, KEY_OF_THE_ENVIRONMENT, &mut OsRng).expect("short").encode();

    // The token's machine.
    let record_read = KeyRecord::parse(&record).expect("encoded");
    let token = SecretShare::import(token.expose()).expect("exported");
    let ciphertext = Ciphertext::parse(&wrapped).expect("encoded");
    let verified = ciphertext.verify(record_read.key(), LABEL).expect("honest");
    let mut combiner = Combiner::new(verified, &record_read, REQUEST).expect("one key");
    combiner
        .add(token.decrypt(&verified, &record_read, &REQUEST, &mut OsRng).expect("own share"))
        .expect("honest");
    assert_eq!(combiner.open().err(), Some(CombineError::TooFew { have: 1, need: 2 }), "the token alone");

    let server_alone = serve(&record, server.expose(), &wrapped, &REQUEST).expect("honest");
    let mut other = Combiner::new(verified, &record_read, REQUEST).expect("one key");
    other.add(PartialDecryption::parse(&server_alone).expect("canonical")).expect("honest");
    assert_eq!(other.open().err(), Some(CombineError::TooFew { have: 1, need: 2 }), "the server alone");

    let answer = serve(&record, server.expose(), &wrapped, &REQUEST).expect("honest");
    combiner.add(PartialDecryption::parse(&answer).expect("canonical")).expect("honest");
    assert_eq!(combiner.open().expect("both").as_slice(), KEY_OF_THE_ENVIRONMENT);
}

#[test]
fn the_servers_answer_to_one_unlock_is_no_answer_to_the_next() {
    let dealing = dealing(7);
    let wrapped =
        Ciphertext::encrypt(dealing.record.key(), LABEL, KEY_OF_THE_ENVIRONMENT, &mut OsRng).expect("short");
    let server = dealing.shares[1].export();
    let kept = serve(&dealing.record.encode(), server.expose(), &wrapped.encode(), &REQUEST).expect("honest");
    let verified = wrapped.verify(dealing.record.key(), LABEL).expect("honest");
    let next = Request { id: [3; 32], ..REQUEST };
    let mut combiner = Combiner::new(verified, &dealing.record, next).expect("one key");
    let refused = combiner.add(PartialDecryption::parse(&kept).expect("canonical"));
    let index = dealing.shares[1].index();
    assert_eq!(refused, Err(PartialError::BadProof { index }.into()));
}

#[test]
fn a_server_answers_no_other_tokens_ciphertext_and_none_under_another_label() {
    let (ours, theirs) = (dealing(7), dealing(8));
    let server = ours.shares[1].export();
    let refused = |ciphertext: Ciphertext| {
        serve(&ours.record.encode(), server.expose(), &ciphertext.encode(), &REQUEST)
            .expect_err("refused")
            .downcast::<CiphertextError>()
            .map(|reason| *reason)
            .expect("the ciphertext is to blame")
    };
    let other = Ciphertext::encrypt(theirs.record.key(), LABEL, b"x", &mut OsRng).expect("short");
    assert!(matches!(refused(other), CiphertextError::OtherKey { .. }));
    let other =
        Ciphertext::encrypt(ours.record.key(), b"keyring of staging", b"x", &mut OsRng).expect("short");
    assert_eq!(refused(other), CiphertextError::Invalid);
}
