//! Pitfalls 27 to 31 of access tokens, at the whole port: what each of them would let through if one check were missing.
//! docs/security-model.md lists which test shows which line, and [`the_table_of_pitfalls_names_tests_that_exist`] keeps that
//! list true. A forger here holds a good session and every key of it, and signs by hand what no client of ours would.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use veilcore::{
    canon::{Reader, Writer},
    hash::hb,
    tag,
};
use veilsign::{
    capability::{Actions, Block, Capability, Grant, NEXT_NOBODY, Resource, attenuate},
    key::SigningKey,
    proof::prove,
};

use super::*;

/// A capability taken apart: the body, then each block, with their signatures.
#[derive(Clone)]
struct Chain {
    links: Vec<(Vec<u8>, [u8; 64])>,
}

impl Chain {
    fn of(capability: &[u8]) -> Self {
        let mut input = Reader::new(capability);
        let read = |input: &mut Reader<'_>| (input.bytes(4096).unwrap().to_vec(), input.array().unwrap());
        let mut links = vec![read(&mut input)];
        for _ in 0..input.u8().unwrap() {
            links.push(read(&mut input));
        }
        input.finish().unwrap();
        Self { links }
    }

    /// Adds a block as a dishonest holder would: signed rightly, whatever is in it.
    fn forced(mut self, by: &SigningKey, block: &[u8]) -> Self {
        let parent = self.links.last().unwrap().1;
        let signature = by.sign(&hb(tag::VAC_BLOCK, &[("parent", &parent), ("block", block)]));
        self.links.push((block.to_vec(), signature));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(1024);
        for (n, (bytes, signature)) in self.links.iter().enumerate() {
            if n == 1 {
                out.u8(u8::try_from(self.links.len() - 1).unwrap());
            }
            out.bytes(bytes).fixed(signature);
        }
        if self.links.len() == 1 {
            out.u8(0);
        }
        out.finish()
    }
}

/// Ada with a project of hers.
struct Stage {
    port: Port,
    ada: Person,
    id: String,
}

impl Stage {
    async fn new() -> Self {
        let port = Port::new();
        let ada = port.world.person("ada@example.org").await;
        let id = port.project(&ada, "app").await;
        Self { port, ada, id }
    }

    fn now_ms(&self) -> u64 {
        self.port.world.clock.now_ms()
    }

    /// A block that keeps everything of the session.
    fn block(&self) -> Block {
        let holder_pk = *self.ada.holder.verifying_key().as_bytes();
        Block {
            expires_at_ms: self.ada.session().expires_at_ms,
            holder_pk,
            next_pk: holder_pk,
            grants: vec![Grant::new(Resource::account(), Actions::ALL)],
        }
    }

    fn chain(&self) -> Chain {
        Chain::of(&self.ada.session().capability)
    }

    /// What is answered to whoever asks for ada's project with this capability and this proof.
    async fn told(&self, capability: &[u8], proof: &[u8]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert("veil-cap", BASE64URL_NOPAD.encode(capability).parse().unwrap());
        headers.insert("veil-pop", BASE64URL_NOPAD.encode(proof).parse().unwrap());
        let body = get_project(&self.id).encode_to_vec();
        outcome(&self.port.raw(GET_PROJECT, headers, frame(&body)).await)
    }

    /// The same with a proof by this key that is right.
    async fn told_by(&self, capability: &[u8], holder: &SigningKey, n: u8) -> String {
        let body = get_project(&self.id).encode_to_vec();
        let proof = prove(holder, capability, GET_PROJECT, &body, self.now_ms(), [n; 16]).unwrap();
        self.told(capability, &proof).await
    }

    /// A capability that ada narrowed rightly to what this block says, then `forge` on top of it.
    fn narrowed(&self, path: &str, actions: Actions) -> Chain {
        let grants = vec![Grant::new(path.parse().unwrap(), actions)];
        let capability = Capability::decode(&self.ada.session().capability).unwrap();
        let block = Block { grants, ..self.block() };
        Chain::of(&attenuate(&capability, &self.ada.holder, &block).unwrap().encode())
    }
}

fn outcome(answer: &Answer) -> String {
    if answer.status.code() == Code::Ok { "OK".to_owned() } else { answer.reason() }
}

/// The encoded block with this path in place of another one that encodes: a parser of paths never made it.
fn with_path(block: &Block, path: &str) -> Vec<u8> {
    let stand_in = "p/stand-in";
    let grants = vec![Grant::new(stand_in.parse().unwrap(), Actions::PROJECT_READ)];
    let bytes = Block { grants, ..block.clone() }.encode().unwrap();
    let at = bytes.windows(stand_in.len()).position(|part| part == stand_in.as_bytes()).unwrap();
    let written = Writer::new().bytes(path.as_bytes()).finish();
    [&bytes[..at - 4], &written, &bytes[at + stand_in.len()..]].concat()
}

#[tokio::test]
async fn a_proof_sent_again_is_a_replay() {
    let stage = Stage::new().await;
    let capability = stage.ada.session().capability.clone();
    assert_eq!(stage.told_by(&capability, &stage.ada.holder, 1).await, "OK");
    assert_eq!(stage.told_by(&capability, &stage.ada.holder, 1).await, "PROOF_REPLAYED");
    // Its time does not make another of it: the nonce is spent, whatever else is signed with it.
    stage.port.world.clock.advance(10);
    assert_eq!(stage.told_by(&capability, &stage.ada.holder, 1).await, "PROOF_REPLAYED");
    assert_eq!(stage.told_by(&capability, &stage.ada.holder, 2).await, "OK");
}

#[tokio::test]
async fn a_nonce_is_spent_for_every_body_and_method() {
    let stage = Stage::new().await;
    let capability = stage.ada.session().capability.clone();
    assert_eq!(stage.told_by(&capability, &stage.ada.holder, 1).await, "OK");
    let list = projects::ListProjectsRequest::default().encode_to_vec();
    let proof = prove(&stage.ada.holder, &capability, LIST_PROJECTS, &list, stage.now_ms(), [1; 16]).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("veil-cap", BASE64URL_NOPAD.encode(&capability).parse().unwrap());
    headers.insert("veil-pop", BASE64URL_NOPAD.encode(&proof).parse().unwrap());
    assert_eq!(outcome(&stage.port.raw(LIST_PROJECTS, headers, frame(&list)).await), "PROOF_REPLAYED");
}

#[tokio::test]
async fn a_proof_is_good_for_its_method_and_body_only() {
    let stage = Stage::new().await;
    let capability = stage.ada.session().capability.clone();
    let body = get_project(&stage.id).encode_to_vec();
    let other = get_project(ABSENT).encode_to_vec();
    let now_ms = stage.now_ms();
    let rest = format!("GET /v1/projects/{}", stage.id);
    for (target, body) in [
        (DELETE_PROJECT, &body),
        (&GET_PROJECT[1..], &body),
        (&*GET_PROJECT.to_lowercase(), &body),
        (&*rest, &body),
        (GET_PROJECT, &other),
        (GET_PROJECT, &Vec::new()),
    ] {
        let proof = prove(&stage.ada.holder, &capability, target, body, now_ms, [3; 16]).unwrap();
        assert_eq!(stage.told(&capability, &proof).await, "PROOF_INVALID", "{target}");
    }
    // A refused proof spent nothing.
    assert_eq!(stage.told_by(&capability, &stage.ada.holder, 3).await, "OK");
}

#[tokio::test]
async fn a_proof_from_61_seconds_ago_or_ahead_is_stale() {
    let stage = Stage::new().await;
    let capability = stage.ada.session().capability.clone();
    let body = get_project(&stage.id).encode_to_vec();
    for (n, skew_ms, told) in [
        (1, -61_000_i64, "PROOF_STALE"),
        (2, 61_000, "PROOF_STALE"),
        (3, -60_001, "PROOF_STALE"),
        (4, 60_001, "PROOF_STALE"),
        (5, -60_000, "OK"),
        (6, 60_000, "OK"),
    ] {
        let made_ms = stage.now_ms().checked_add_signed(skew_ms).unwrap();
        let proof = prove(&stage.ada.holder, &capability, GET_PROJECT, &body, made_ms, [n; 16]).unwrap();
        assert_eq!(stage.told(&capability, &proof).await, told, "{skew_ms}");
    }
}

#[tokio::test]
async fn a_proof_by_another_holder_key_or_for_another_capability_is_refused() {
    let stage = Stage::new().await;
    let bob = stage.port.world.person("bob@example.org").await;
    let (hers, his) = (stage.ada.session().capability.clone(), bob.session().capability.clone());
    assert_eq!(stage.told_by(&hers, &bob.holder, 1).await, "PROOF_INVALID");
    let body = get_project(&stage.id).encode_to_vec();
    let for_his = prove(&stage.ada.holder, &his, GET_PROJECT, &body, stage.now_ms(), [2; 16]).unwrap();
    assert_eq!(stage.told(&hers, &for_his).await, "PROOF_INVALID");
    assert_eq!(stage.told(&his, &for_his).await, "PROOF_INVALID");
    // A capability that was passed on obeys its new holder, and no longer who passed it on.
    let delegate = bob.holder.clone();
    let block =
        Block { holder_pk: *delegate.verifying_key().as_bytes(), next_pk: NEXT_NOBODY, ..stage.block() };
    let passed = stage.chain().forced(&stage.ada.holder, &block.encode().unwrap()).bytes();
    assert_eq!(stage.told_by(&passed, &stage.ada.holder, 3).await, "PROOF_INVALID");
    assert_eq!(stage.told_by(&passed, &delegate, 4).await, "OK");
}

#[tokio::test]
async fn a_capability_without_a_proof_is_worth_nothing() {
    let stage = Stage::new().await;
    let body = get_project(&stage.id).encode_to_vec();
    let both = stage.port.credentials(&stage.ada, GET_PROJECT, &body);
    for without in ["veil-pop", "veil-cap"] {
        let mut headers = both.clone();
        headers.remove(without);
        let answer = stage.port.raw(GET_PROJECT, headers, frame(&body)).await;
        assert_eq!(
            (answer.status.code(), outcome(&answer).as_str()),
            (Code::Unauthenticated, "CREDENTIAL_MISSING")
        );
    }
    let mut both = both.clone();
    let capability = both["veil-cap"].to_str().unwrap().to_owned();
    both.remove("veil-pop");
    let line = format!("GET /v1/projects/{}", stage.id);
    let reply = stage.port.rest(None, &line, &[("veil-cap", &capability)], b"").await;
    assert_eq!((reply.status.as_u16(), reply.reason().as_str()), (401, "CREDENTIAL_MISSING"));
}

#[tokio::test]
async fn a_block_that_adds_an_action_is_refused() {
    let stage = Stage::new().await;
    let read = stage.narrowed(&format!("p/{}", stage.id), Actions::PROJECT_READ);
    assert_eq!(stage.told_by(&read.bytes(), &stage.ada.holder, 1).await, "OK");
    for actions in [Actions::PROJECT_READ | Actions::PROJECT_WRITE, Actions::PROJECT_DELETE, Actions::ALL] {
        let path = format!("p/{}", stage.id).parse().unwrap();
        let wider = Block { grants: vec![Grant::new(path, actions)], ..stage.block() };
        let forged = read.clone().forced(&stage.ada.holder, &wider.encode().unwrap()).bytes();
        assert_eq!(stage.told_by(&forged, &stage.ada.holder, 2).await, "CREDENTIAL_INVALID", "{actions:?}");
    }
}

#[tokio::test]
async fn a_block_that_widens_its_path_is_refused_whatever_its_spelling() {
    let stage = Stage::new().await;
    let own = format!("p/{}", stage.id);
    let inside = stage.narrowed(&format!("{own}/e/a"), Actions::PROJECT_READ);
    // What is beside it, above it, or spelt so that a careless parser would take it for what is inside.
    for path in [
        format!("{own}/e/ab"),
        own.clone(),
        "p".to_owned(),
        String::new(),
        format!("{own}/e/a/.."),
        format!("{own}/e/a/../b"),
        format!("{own}/e/a/."),
        format!("{own}/E/a"),
        format!("{own}/e/A"),
        format!("{}/e/a", own.to_uppercase()),
        format!("{own}//e/a"),
        format!("{own}/e//a"),
        format!("{own}/e/a/"),
        format!("/{own}/e/a"),
        format!("{own}/e/a\0"),
        format!("{own}/e/%61"),
    ] {
        let forged = inside.clone().forced(&stage.ada.holder, &with_path(&stage.block(), &path)).bytes();
        assert_eq!(stage.told_by(&forged, &stage.ada.holder, 1).await, "CREDENTIAL_INVALID", "{path:?}");
    }
    let same = inside.forced(&stage.ada.holder, &with_path(&stage.block(), &format!("{own}/e/a/b"))).bytes();
    assert_eq!(
        stage.told_by(&same, &stage.ada.holder, 2).await,
        "PERMISSION_DENIED",
        "narrower is good, and too narrow"
    );
}

#[tokio::test]
async fn a_project_whose_id_begins_like_another_is_another() {
    let stage = Stage::new().await;
    let shorter = &stage.id[..stage.id.len() - 1];
    for path in [format!("p/{shorter}"), format!("p/{}0", stage.id), "p/a".to_owned()] {
        let narrowed = stage.narrowed(&path, Actions::ALL).bytes();
        assert_eq!(stage.told_by(&narrowed, &stage.ada.holder, 1).await, "PERMISSION_DENIED", "{path}");
    }
}

#[tokio::test]
async fn a_block_that_ends_later_is_refused() {
    let stage = Stage::new().await;
    let end_ms = stage.ada.session().expires_at_ms;
    for (later_ms, told) in [(0, "OK"), (1, "CREDENTIAL_INVALID"), (3_600_000, "CREDENTIAL_INVALID")] {
        let block = Block { expires_at_ms: end_ms + later_ms, ..stage.block() };
        let forged = stage.chain().forced(&stage.ada.holder, &block.encode().unwrap()).bytes();
        assert_eq!(stage.told_by(&forged, &stage.ada.holder, 1).await, told, "{later_ms}");
    }
}

#[tokio::test]
async fn a_removed_moved_or_spliced_block_is_refused() {
    let stage = Stage::new().await;
    let holder = &stage.ada.holder;
    let read = stage.narrowed(&format!("p/{}", stage.id), Actions::PROJECT_READ);
    let environment = with_path(&stage.block(), &format!("p/{}/e/a", stage.id));
    let two = read.clone().forced(holder, &environment);
    let mut removed = two.clone();
    removed.links.remove(1);
    let mut moved = two.clone();
    moved.links.swap(1, 2);
    // A block of another chain of the same holder, which names the same next key.
    let other = stage.narrowed(&format!("p/{}", stage.id), Actions::ALL);
    let mut spliced = read.clone();
    spliced.links.push(other.clone().forced(holder, &environment).links[2].clone());
    // A block of another session, under this body.
    let bob = stage.port.world.person("bob@example.org").await;
    let his = Chain::of(&bob.session().capability).forced(&bob.holder, &stage.block().encode().unwrap());
    let mut foreign = stage.chain();
    foreign.links.push(his.links[1].clone());
    for (n, forged) in [removed, moved, spliced, foreign].iter().enumerate() {
        assert_eq!(stage.told_by(&forged.bytes(), holder, 1).await, "CREDENTIAL_INVALID", "{n}");
    }
}

#[tokio::test]
async fn a_fourth_block_and_a_block_after_a_seal_are_refused() {
    let stage = Stage::new().await;
    let (holder, block) = (&stage.ada.holder, stage.block().encode().unwrap());
    let mut chain = stage.chain();
    for depth in 1..=3 {
        chain = chain.forced(holder, &block);
        assert_eq!(stage.told_by(&chain.bytes(), holder, depth).await, "OK", "{depth}");
    }
    assert_eq!(stage.told_by(&chain.forced(holder, &block).bytes(), holder, 4).await, "CREDENTIAL_INVALID");
    let sealed = Block { next_pk: NEXT_NOBODY, ..stage.block() }.encode().unwrap();
    let grown = stage.chain().forced(holder, &sealed).forced(holder, &block);
    assert_eq!(stage.told_by(&grown.bytes(), holder, 5).await, "CREDENTIAL_INVALID");
}

#[tokio::test]
async fn an_ended_session_and_a_raised_epoch_end_every_capability_at_once() {
    let stage = Stage::new().await;
    let path = "/veilcloud.auth.v1.AuthService/Logout";
    let narrowed = stage.narrowed(&format!("p/{}", stage.id), Actions::PROJECT_READ).bytes();
    assert_eq!(stage.told_by(&narrowed, &stage.ada.holder, 1).await, "OK");
    let one = veilcloud_proto::auth::v1::LogoutRequest { everywhere: false };
    assert_eq!(outcome(&stage.port.call(&stage.ada, path, &one).await), "OK");
    for capability in [&narrowed, &stage.ada.session().capability] {
        assert_eq!(stage.told_by(capability, &stage.ada.holder, 2).await, "CREDENTIAL_REVOKED");
    }
    let stage = Stage::new().await;
    let all = veilcloud_proto::auth::v1::LogoutRequest { everywhere: true };
    assert_eq!(outcome(&stage.port.call(&stage.ada, path, &all).await), "OK");
    assert_eq!(
        stage.told_by(&stage.ada.session().capability, &stage.ada.holder, 3).await,
        "CREDENTIAL_REVOKED"
    );
}

#[tokio::test]
async fn a_refresh_token_used_again_ends_its_whole_family() {
    let stage = Stage::new().await;
    let path = "/veilcloud.auth.v1.AuthService/Refresh";
    let (old, next, third) = (stage.ada.refresh_token(), [2; 32], [3; 32]);
    let trade = |from: &[u8; 32], to: &[u8; 32]| {
        let next_hash = veilcore::hash::sha256(to);
        veilcloud_proto::auth::v1::RefreshRequest {
            refresh_token: from.to_vec(),
            holder_signature: stage.ada.refresh_signature(from, &next_hash).to_vec(),
            next_refresh_hash: next_hash.to_vec(),
        }
    };
    let (first, thief, heir) = (trade(&old, &next), trade(&old, &third), trade(&next, &third));
    assert_eq!(outcome(&stage.port.anonymous(path, &first).await), "OK");
    // The same trade again is an answer that was lost; another one with the same token is a thief.
    assert_eq!(outcome(&stage.port.anonymous(path, &first).await), "OK");
    assert_eq!(outcome(&stage.port.anonymous(path, &thief).await), "REFRESH_REUSED");
    assert_eq!(outcome(&stage.port.anonymous(path, &heir).await), "REFRESH_INVALID");
    let capability = stage.ada.session().capability.clone();
    assert_eq!(stage.told_by(&capability, &stage.ada.holder, 1).await, "CREDENTIAL_REVOKED");
}

#[tokio::test]
async fn keys_of_small_order_and_odd_encodings_are_nobodys() {
    let stage = Stage::new().await;
    let holder = &stage.ada.holder;
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut not_canonical = [0xff; 32];
    not_canonical[31] = 0x7f;
    for (n, odd) in [[0; 32], identity, not_canonical, [0xff; 32]].into_iter().enumerate() {
        let as_holder = Block { holder_pk: odd, ..stage.block() };
        let as_next = Block { next_pk: odd, ..stage.block() };
        for block in [as_holder, as_next] {
            if block.next_pk == NEXT_NOBODY {
                continue;
            }
            let forged = stage.chain().forced(holder, &block.encode().unwrap()).bytes();
            assert_eq!(stage.told_by(&forged, holder, 1).await, "CREDENTIAL_INVALID", "{n}");
            // A signature of zeros holds under a key of small order, for whoever does not look.
            let body = get_project(&stage.id).encode_to_vec();
            let mut proof = prove(holder, &forged, GET_PROJECT, &body, stage.now_ms(), [2; 16]).unwrap();
            let at = proof.len() - 64;
            proof[at..].fill(0);
            proof[at] = 1;
            assert_eq!(stage.told(&forged, &proof).await, "CREDENTIAL_INVALID", "{n}");
        }
    }
}

#[tokio::test]
async fn a_signature_whose_scalar_is_the_order_or_more_is_refused() {
    // The order of the group, little-endian (RFC 8032, 5.1).
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    fn raised(signature: &mut [u8]) {
        let mut carry = 0u16;
        for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
            carry += u16::from(*byte) + u16::from(order);
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
    }
    let stage = Stage::new().await;
    let capability = stage.ada.session().capability.clone();
    let body = get_project(&stage.id).encode_to_vec();
    let mut proof =
        prove(&stage.ada.holder, &capability, GET_PROJECT, &body, stage.now_ms(), [1; 16]).unwrap();
    let at = proof.len() - 64;
    raised(&mut proof[at..]);
    assert_eq!(stage.told(&capability, &proof).await, "PROOF_INVALID");
    let mut chain = stage.chain();
    raised(&mut chain.links[0].1);
    assert_eq!(stage.told_by(&chain.bytes(), &stage.ada.holder, 2).await, "CREDENTIAL_INVALID");
    let mut chain = stage.chain().forced(&stage.ada.holder, &stage.block().encode().unwrap());
    raised(&mut chain.links[1].1);
    assert_eq!(stage.told_by(&chain.bytes(), &stage.ada.holder, 3).await, "CREDENTIAL_INVALID");
}

#[tokio::test]
async fn a_clock_that_is_off_opens_nothing() {
    let stage = Stage::new().await;
    let capability = stage.ada.session().capability.clone();
    let holder = &stage.ada.holder;
    // A server behind the one that issued it, by more than a few seconds: not valid yet, and cached by nobody.
    let now_ms = stage.now_ms();
    stage.port.world.clock.set(now_ms - 10_000);
    let fresh = stage.narrowed(&format!("p/{}", stage.id), Actions::PROJECT_READ).bytes();
    assert_eq!(stage.told_by(&fresh, holder, 1).await, "CREDENTIAL_INVALID");
    // A server ahead: over to the millisecond, although a moment ago it was verified and kept.
    let end_ms = stage.ada.session().expires_at_ms;
    stage.port.world.clock.set(end_ms - 1);
    assert_eq!(stage.told_by(&capability, holder, 2).await, "OK");
    stage.port.world.clock.set(end_ms);
    assert_eq!(stage.told_by(&capability, holder, 3).await, "CREDENTIAL_EXPIRED");
}

/// A store of spent proofs that is away.
struct Away;

#[async_trait::async_trait]
impl Nullifiers for Away {
    async fn spend(
        &self,
        _: veilsign::nullifier::Nullifier,
        _: u64,
        _: u64,
    ) -> Result<bool, veilcloud_domain::store::StoreError> {
        let cause = "asked to fail".to_owned();
        Err(veilcloud_domain::store::StoreError::Unavailable { store: "nullifiers", cause })
    }
}

#[tokio::test]
async fn without_the_store_of_spent_proofs_every_change_is_refused() {
    let world = World::default();
    let meter = world.ports.meter.clone();
    let port = Port::over(world, settings(), meter, Arc::new(Away));
    let ada = port.world.person("ada@example.org").await;
    let before = port.world.store.picture();
    let create = projects::CreateProjectRequest { name: "app".into(), request_id: String::new() };
    for _ in 0..2 {
        assert_eq!(outcome(&port.call(&ada, CREATE_PROJECT, &create).await), "STORE_UNAVAILABLE");
    }
    let reply = port
        .rest(Some(&ada), "POST /v1/projects", &[("content-type", "application/json")], b"{\"name\":\"app\"}")
        .await;
    assert_eq!((reply.status.as_u16(), reply.reason().as_str()), (503, "STORE_UNAVAILABLE"));
    assert_eq!(before, port.world.store.picture());
}

/// Every test that docs/security-model.md names for a pitfall is a test of this repository.
#[test]
fn the_table_of_pitfalls_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/security-model.md")).unwrap();
    let table = page.split("## Access tokens: pitfalls and tests").nth(1).expect("the chapter is there");
    let table = table.split("\n## ").next().unwrap();
    let mut lines = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| pitfall")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [pitfall, tests] = cells[..] else { panic!("two cells: {row}") };
        lines.insert(pitfall.split('.').next().unwrap().to_owned());
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{row}");
        for test in named {
            let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("{test}: file::test"));
            let text = std::fs::read_to_string(root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert!(text.contains(&format!("fn {name}(")), "{test} is not there");
        }
    }
    let groups: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(groups, ["27", "28", "29", "30", "31"]);
}
