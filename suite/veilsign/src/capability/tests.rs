//! Negative space of the capability: each accepted chain has neighbours that must be refused
//! (docs/spec/sign.md, section 4; the list of access-token pitfalls, 28 and 30).

use proptest::prelude::*;
use veilcore::canon::{DecodeError, Writer};

use super::chain::{Signed, block_digest, body_digest};
use super::*;
use crate::fixture::*;
use crate::key::{KeyError, SigningKey};

fn judged(capability: &Capability) -> Result<Verified, CapabilityError> {
    verify(&capability.encode(), &issuers(), NOW_MS, AUDIENCE)
}

fn narrowed() -> Capability {
    attenuate(&capability(), &key(NEXT), &block()).expect("narrows")
}

/// A block as a dishonest holder makes it: correctly signed, not checked.
fn forced(capability: &Capability, next: &SigningKey, block: &Block) -> Capability {
    let bytes = block.encode().expect("encodes");
    let signature = next.sign(&block_digest(capability.last_signature(), &bytes));
    let mut longer = capability.clone();
    longer.blocks.push(Signed { bytes, signature });
    longer
}

/// A body as a careless issuer makes it: correctly signed, keys not checked.
fn signed(body: &Body) -> Capability {
    let bytes = body.encode().expect("encodes");
    let signature = key(ISSUER).sign(&body_digest(&bytes));
    Capability { body: Signed { bytes, signature }, blocks: Vec::new() }
}

#[test]
fn an_issued_capability_says_what_the_issuer_said() {
    let verified = judged(&capability()).expect("valid");
    let body = body();
    assert_eq!(
        (verified.account(), verified.session(), verified.tenant()),
        (body.account, body.session, body.tenant)
    );
    assert_eq!((verified.tier(), verified.revocation_epoch()), (2, 7));
    assert_eq!(verified.holder().as_bytes(), &body.holder_pk);
    assert_eq!(verified.grants(), body.grants);
    assert_eq!(verified.expires_at_ms(), body.expires_at_ms);
    assert_eq!(verified.cap_hash(), &cap_hash(&capability().encode()));
    assert_eq!(capability().body_unverified(), Ok(body));
}

#[test]
fn what_is_granted_is_allowed_and_nothing_beside_it() {
    let verified = judged(&capability()).expect("valid");
    let allows = |actions, path: &str| verified.allows(actions, &path.parse().expect("valid"));
    assert!(allows(Actions::PROJECT_WRITE, "p/alpha/e/production"));
    assert!(allows(Actions::PROJECT_READ, "p/beta"));
    assert!(!allows(Actions::PROJECT_WRITE, "p/beta"));
    assert!(!allows(Actions::PROJECT_READ | Actions::PROJECT_DELETE, "p/alpha"));
    assert!(!allows(Actions::PROJECT_READ, "p/alphabet"));
    assert!(!allows(Actions::PROJECT_READ, "p"));
    assert!(!allows(Actions::PROJECT_READ, ""));
}

#[test]
fn a_conditional_grant_allows_nothing_by_itself() {
    let plain = grant("p/alpha", Actions::PROJECT_READ);
    for conditional in [
        Grant { read_only_names: true, ..plain.clone() },
        Grant { needs_threshold: true, ..plain.clone() },
        Grant { max_uses: 1, ..plain.clone() },
    ] {
        let verified = judged(&signed(&Body { grants: vec![conditional.clone()], ..body() })).expect("valid");
        let place = "p/alpha".parse().expect("valid");
        assert!(!verified.allows(Actions::PROJECT_READ, &place));
        assert_eq!(verified.conditional(Actions::PROJECT_READ, &place).collect::<Vec<_>>(), [&conditional]);
        assert_eq!(verified.conditional(Actions::PROJECT_WRITE, &place).count(), 0);
    }
}

#[test]
fn a_block_narrows_holder_time_and_grants() {
    let verified = judged(&narrowed()).expect("valid");
    assert_eq!(verified.holder().as_bytes(), &public(DELEGATE));
    assert_eq!(verified.expires_at_ms(), block().expires_at_ms);
    assert_eq!(verified.grants(), block().grants);
    assert!(!verified.allows(Actions::PROJECT_READ, &"p/alpha/e/staging".parse().expect("valid")));
    assert_eq!(verified.depth(), 1);
}

#[test]
fn a_block_that_widens_is_refused_on_both_sides() {
    let place = |path: &str, actions| Block { grants: vec![grant(path, actions)], ..block() };
    let widened = [
        place("p/alpha", Actions::PROJECT_READ | Actions::PROJECT_DELETE),
        place("p/beta", Actions::PROJECT_WRITE),
        place("p/alphabet", Actions::PROJECT_READ),
        place("p", Actions::PROJECT_READ),
        place("", Actions::PROJECT_READ),
        Block { grants: vec![block().grants[0].clone(), grant("p/gamma", Actions::PROJECT_READ)], ..block() },
        Block { expires_at_ms: body().expires_at_ms + 1, ..block() },
    ];
    for block in widened {
        let refused = Some(CapabilityError::Widened { block: 1 });
        assert_eq!(attenuate(&capability(), &key(NEXT), &block).err(), refused, "{block:?}");
        assert_eq!(judged(&forced(&capability(), &key(NEXT), &block)).err(), refused, "{block:?}");
    }
    let same_end = Block { expires_at_ms: body().expires_at_ms, ..block() };
    assert!(attenuate(&capability(), &key(NEXT), &same_end).is_ok());
}

#[test]
fn path_tricks_in_received_grants_are_refused() {
    for path in ["p/alpha/../beta", "p//alpha", "P/alpha", "p/alpha/", "/p/alpha", "p/al\0pha", "p/alpha/."] {
        let encoded = block().encode().expect("encodes");
        let honest = b"p/alpha/e/production";
        let at = encoded.windows(honest.len()).position(|window| window == honest).expect("there");
        let mut bytes = encoded[..at - 4].to_vec();
        bytes.extend(Writer::new().bytes(path.as_bytes()).finish());
        bytes.extend(&encoded[at + honest.len()..]);
        let signature = key(NEXT).sign(&block_digest(capability().last_signature(), &bytes));
        let mut forged = capability();
        forged.blocks.push(Signed { bytes, signature });
        let refused = CapabilityError::Malformed(DecodeError::Value { field: "resource" });
        assert_eq!(judged(&forged).err(), Some(refused), "{path:?}");
    }
}

#[test]
fn a_chain_that_is_too_deep_is_refused() {
    let mut chain = capability();
    for depth in 0..BLOCKS_MAX {
        let next = if depth == 0 { NEXT } else { NEXT_2 };
        chain = attenuate(&chain, &key(next), &block()).expect("narrows");
    }
    assert_eq!(judged(&chain).map(|verified| verified.depth()), Ok(3));
    assert_eq!(attenuate(&chain, &key(NEXT_2), &block()), Err(CapabilityError::TooDeep { found: 4 }));
    let four = forced(&chain, &key(NEXT_2), &block());
    assert_eq!(judged(&four), Err(CapabilityError::TooDeep { found: 4 }));
}

#[test]
fn a_sealed_chain_cannot_grow() {
    let sealed = seal(&capability(), &key(NEXT)).expect("seals");
    let verified = judged(&sealed).expect("valid");
    assert_eq!(verified.grants(), body().grants);
    assert_eq!(verified.holder().as_bytes(), &body().holder_pk);
    assert_eq!(attenuate(&sealed, &key(NEXT), &block()), Err(CapabilityError::Sealed { block: 2 }));
    assert_eq!(judged(&forced(&sealed, &key(NEXT), &block())), Err(CapabilityError::Sealed { block: 2 }));
    assert_eq!(seal(&sealed, &key(NEXT)), Ok(sealed.clone()), "sealing twice changes nothing");
    let born_sealed = signed(&Body { next_pk: NEXT_NOBODY, ..body() });
    assert!(judged(&born_sealed).is_ok());
    assert_eq!(
        judged(&forced(&born_sealed, &key(NEXT), &block())),
        Err(CapabilityError::Sealed { block: 1 })
    );
}

#[test]
fn a_removed_moved_or_spliced_block_is_refused() {
    let two = attenuate(&narrowed(), &key(NEXT_2), &block()).expect("narrows");
    let mut removed = two.clone();
    removed.blocks.remove(0);
    assert_eq!(judged(&removed), Err(CapabilityError::Signature { link: 1 }));
    let mut swapped = two.clone();
    swapped.blocks.swap(0, 1);
    assert_eq!(judged(&swapped), Err(CapabilityError::Signature { link: 1 }));
    // Another capability that names the same next key: only the parent's signature tells them apart.
    let mut spliced = issue(&key(ISSUER), &Body { tier: 9, ..body() }).expect("issues");
    spliced.blocks.push(two.blocks[0].clone());
    assert_eq!(judged(&spliced), Err(CapabilityError::Signature { link: 1 }));
    // Cutting the end off gives back the parent, which obeys the parent's holder and not the delegate.
    let mut cut = two;
    cut.blocks.clear();
    assert_eq!(judged(&cut).expect("the parent").holder().as_bytes(), &public(HOLDER));
}

#[test]
fn only_the_named_key_signs_the_next_link() {
    assert_eq!(attenuate(&capability(), &key(HOLDER), &block()), Err(CapabilityError::WrongKey));
    let forged = forced(&capability(), &key(HOLDER), &block());
    assert_eq!(judged(&forged), Err(CapabilityError::Signature { link: 1 }));
    assert_eq!(issue(&key(HOLDER), &body()), Err(CapabilityError::WrongKey));
    let mut foreign = capability();
    foreign.body.signature = key(HOLDER).sign(&body_digest(&foreign.body.bytes));
    assert_eq!(judged(&foreign), Err(CapabilityError::Signature { link: 0 }));
    // The issuer's signature under another tag is no signature of a body.
    foreign.body.signature = key(ISSUER).sign(&block_digest(&[0; 64], &foreign.body.bytes));
    assert_eq!(judged(&foreign), Err(CapabilityError::Signature { link: 0 }));
}

#[test]
fn an_issuer_key_counts_in_its_time_only() {
    let key = key(ISSUER).verifying_key();
    let kid = key.key_id();
    let window = |not_before_ms, not_after_ms| IssuerKey { key, not_before_ms, not_after_ms };
    for (issuer, trusted) in [
        (window(NOW_MS, NOW_MS + 1), true),
        (window(0, NOW_MS), false),
        (window(NOW_MS + 1, NOW_MS + 2), false),
    ] {
        let keys = IssuerKeys::new(&[issuer]).expect("valid");
        let judged = verify(&capability().encode(), &keys, NOW_MS, AUDIENCE);
        assert_eq!(judged.is_ok(), trusted, "{issuer:?}");
        assert!(trusted || judged == Err(CapabilityError::UnknownIssuer { kid }));
    }
}

#[test]
fn a_kept_verdict_ends_with_the_issuer_key() {
    let key = IssuerKey { key: key(ISSUER).verifying_key(), not_before_ms: 0, not_after_ms: NOW_MS + 10 };
    let keys = IssuerKeys::new(&[key]).expect("valid");
    let verified = verify(&capability().encode(), &keys, NOW_MS, AUDIENCE).expect("valid");
    assert_eq!(verified.expires_at_ms(), NOW_MS + 10);
    assert_eq!(verified.check_time(NOW_MS + 9), Ok(()));
    assert_eq!(verified.check_time(NOW_MS + 10), Err(CapabilityError::Expired { late_ms: 0 }));
}

#[test]
fn time_and_audience_are_judged_to_the_millisecond() {
    let bytes = capability().encode();
    let at = |now_ms| verify(&bytes, &issuers(), now_ms, AUDIENCE).map(|_| ());
    assert_eq!(at(NOW_MS - CLOCK_SKEW_MS), Ok(()));
    assert_eq!(at(NOW_MS - CLOCK_SKEW_MS - 1), Err(CapabilityError::NotYet { early_ms: CLOCK_SKEW_MS + 1 }));
    assert_eq!(at(body().expires_at_ms - 1), Ok(()));
    assert_eq!(at(body().expires_at_ms), Err(CapabilityError::Expired { late_ms: 0 }));
    assert_eq!(at(0), Err(CapabilityError::NotYet { early_ms: NOW_MS }));
    for audience in ["", "veilcloud2", "Veilcloud"] {
        assert_eq!(verify(&bytes, &issuers(), NOW_MS, audience), Err(CapabilityError::Audience));
    }
}

#[test]
fn keys_of_small_order_or_odd_encoding_are_refused_in_every_place() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let non_canonical = [0xff; 32];
    for (bytes, reason) in [(identity, KeyError::SmallOrder), (non_canonical, KeyError::NonCanonical)] {
        let refused = |link| Err(CapabilityError::Key { link, reason });
        assert_eq!(judged(&signed(&Body { holder_pk: bytes, ..body() })), refused(0));
        assert_eq!(judged(&signed(&Body { next_pk: bytes, ..body() })), refused(0));
        assert_eq!(
            issue(&key(ISSUER), &Body { holder_pk: bytes, ..body() }),
            Err(CapabilityError::Key { link: 0, reason })
        );
        for block in [Block { holder_pk: bytes, ..block() }, Block { next_pk: bytes, ..block() }] {
            assert_eq!(judged(&forced(&capability(), &key(NEXT), &block)), refused(1));
        }
    }
    // Zeros stand for nobody as a next key and are a point of small order as a holder.
    let nobody = judged(&signed(&Body { holder_pk: NEXT_NOBODY, ..body() }));
    assert_eq!(nobody, Err(CapabilityError::Key { link: 0, reason: KeyError::SmallOrder }));
}

#[test]
fn sizes_and_counts_have_limits() {
    let wide = "p/".to_owned() + &"x".repeat(60) + "/e/" + &"y".repeat(60);
    let many = |count| Body { grants: vec![grant(&wide, Actions::PROJECT_READ); count], ..body() };
    assert!(issue(&key(ISSUER), &many(GRANTS_MAX)).is_ok());
    let refused = CapabilityError::Malformed(DecodeError::Value { field: "grants" });
    assert_eq!(issue(&key(ISSUER), &many(GRANTS_MAX + 1)), Err(refused));
    assert_eq!(issue(&key(ISSUER), &many(0)), Err(refused));
    let full = issue(&key(ISSUER), &many(GRANTS_MAX)).expect("issues");
    let block = Block { grants: many(GRANTS_MAX).grants, ..block() };
    assert!(matches!(attenuate(&full, &key(NEXT), &block), Err(CapabilityError::TooLarge { .. })));
    let oversized = forced(&full, &key(NEXT), &block).encode();
    assert_eq!(
        verify(&oversized, &issuers(), NOW_MS, AUDIENCE),
        Err(CapabilityError::TooLarge { len: oversized.len() })
    );
}

#[test]
fn values_that_no_honest_issuer_writes_are_refused() {
    let refused = |field| Err(DecodeError::Value { field });
    let encoded = |change: fn(&mut Body)| {
        let mut body = body();
        change(&mut body);
        body.encode().map(|_| ())
    };
    assert_eq!(encoded(|body| body.audience = String::new()), refused("audience"));
    assert_eq!(encoded(|body| body.audience = "veil cloud".to_owned()), refused("audience"));
    assert_eq!(encoded(|body| body.audience = "v".repeat(129)), refused("audience"));
    assert_eq!(encoded(|body| body.expires_at_ms = body.not_before_ms), refused("expires_at_ms"));
    assert_eq!(encoded(|body| body.expires_at_ms = NOW_MS + LIFETIME_MS_MAX + 1), refused("expires_at_ms"));
    assert_eq!(encoded(|body| body.expires_at_ms = NOW_MS + LIFETIME_MS_MAX), Ok(()));
    assert_eq!(encoded(|body| body.grants[0].actions = Actions::NONE), refused("actions"));
    let mut bytes = body().encode().expect("encodes");
    bytes[0] = 2;
    assert_eq!(Body::decode(&bytes), Err(DecodeError::Version { found: 2 }));
    bytes[0] = 1;
    bytes.push(0);
    assert_eq!(Body::decode(&bytes), Err(DecodeError::Trailing { left: 1 }));
}

fn any_grant() -> impl Strategy<Value = Grant> {
    (
        "([a-z0-9]([._-]?[a-z0-9]){0,4}/){0,3}[a-z0-9]{1,6}",
        1..=Actions::ALL.bits(),
        any::<[bool; 2]>(),
        any::<u32>(),
    )
        .prop_map(|(path, bits, [read_only_names, needs_threshold], max_uses)| Grant {
            read_only_names,
            needs_threshold,
            max_uses,
            ..grant(&path, Actions::from_bits(bits).expect("named"))
        })
}

fn any_body() -> impl Strategy<Value = Body> {
    let grants = proptest::collection::vec(any_grant(), 1..=GRANTS_MAX);
    let times = (any::<u32>(), 1..LIFETIME_MS_MAX);
    (any::<[u8; 16]>(), any::<(u8, u32)>(), times, any::<[u8; 32]>(), grants, "[!-~]{1,128}").prop_map(
        |(id, (tier, revocation_epoch), (start, life), key, grants, audience)| Body {
            session: veilcore::id::SessionId::from_bytes(id),
            account: veilcore::id::AccountId::from_bytes(id),
            tier,
            revocation_epoch,
            issued_at_ms: u64::from(start),
            not_before_ms: u64::from(start),
            expires_at_ms: u64::from(start) + life,
            holder_pk: key,
            next_pk: key,
            grants,
            audience,
            ..body()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_body_and_block_survive_the_round_trip(body in any_body()) {
        let bytes = body.encode().expect("encodes");
        prop_assert_eq!(Body::decode(&bytes), Ok(body.clone()));
        let block = Block {
            expires_at_ms: body.expires_at_ms,
            holder_pk: body.holder_pk,
            next_pk: body.next_pk,
            grants: body.grants,
        };
        prop_assert_eq!(Block::decode(&block.encode().expect("encodes")), Ok(block));
    }

    #[test]
    fn bytes_that_decode_encode_to_themselves(at in any::<proptest::sample::Index>(), byte: u8) {
        let mut bytes = body().encode().expect("encodes");
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(body) = Body::decode(&bytes) {
            prop_assert_eq!(body.encode(), Ok(bytes));
        }
    }

    #[test]
    fn any_flipped_bit_of_a_chain_is_refused(at in any::<proptest::sample::Index>()) {
        let mut bytes = narrowed().encode();
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verify(&bytes, &issuers(), NOW_MS, AUDIENCE).is_err());
    }

    #[test]
    fn no_bytes_make_the_verifier_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(verify(&bytes, &issuers(), NOW_MS, AUDIENCE).is_err());
    }
}

#[test]
fn every_cut_of_a_chain_is_refused() {
    let bytes = narrowed().encode();
    for len in 0..bytes.len() {
        assert!(Capability::decode(&bytes[..len]).is_err(), "{len}");
    }
    assert_eq!(Capability::decode(&bytes), Ok(narrowed()));
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(Capability::decode(&longer), Err(DecodeError::Trailing { left: 1 }.into()));
}
