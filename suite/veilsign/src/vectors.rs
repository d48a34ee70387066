//! Pinned bytes of tests/vectors/sign.json. The capability, proof and binding were computed by an independent
//! program; the OPAQUE values are those of RFC 9807, appendix C.

use data_encoding::HEXLOWER;
use rand_core::{CryptoRng, RngCore};
use serde_json::Value;
use veilcore::id::AccountId;
use veilcore::secret::Secret;

use crate::capability::{Actions, Grant, IssuerKey, attenuate, cap_hash, issue, prove_holder, verify};
use crate::fixture::*;
use crate::login::{bind, login_digest};
use crate::nullifier::Nullifier;
use crate::service_token::ServiceToken;
use crate::{login, proof};

const FILE: &str = include_str!("../../../tests/vectors/sign.json");

fn file() -> Value {
    serde_json::from_str(FILE).expect("the vector file is JSON")
}

fn bytes(value: &Value, field: &str) -> Vec<u8> {
    let text = value[field].as_str().unwrap_or_else(|| panic!("{field} is missing"));
    HEXLOWER.decode(text.as_bytes()).unwrap_or_else(|_| panic!("{field} is not hex"))
}

#[track_caller]
fn same(ours: &[u8], value: &Value, field: &str) {
    assert_eq!(HEXLOWER.encode(ours), HEXLOWER.encode(&bytes(value, field)), "{field}");
}

#[test]
fn capability_bytes_are_the_pinned_ones() {
    let file = file();
    let case = &file["capability"];
    let mut body = body();
    body.grants[1] = Grant {
        read_only_names: true,
        needs_threshold: true,
        max_uses: 5,
        ..grant("p/beta", Actions::PROJECT_READ)
    };
    let issued = issue(&key(ISSUER), &body).expect("issues");
    same(&body.encode().expect("encodes"), case, "body");
    same(&issued.encode(), case, "issued");
    same(&cap_hash(&issued.encode()), case, "issued_hash");
    let narrowed = attenuate(&issued, &key(NEXT), &block()).expect("narrows");
    same(&narrowed.encode(), case, "attenuated");
    let verified = verify(&bytes(case, "attenuated"), &issuers(), NOW_MS, AUDIENCE).expect("valid");
    same(verified.cap_hash(), case, "attenuated_hash");
}

#[test]
fn proof_bytes_are_the_pinned_ones() {
    let file = file();
    let case = &file["proof"];
    let capability = bytes(&file["capability"], "attenuated");
    let target = case["target"].as_str().expect("text");
    let body = bytes(case, "body");
    let nonce: [u8; 16] = bytes(case, "nonce").try_into().expect("16 bytes");
    let proof = proof::prove(&key(DELEGATE), &capability, target, &body, NOW_MS, nonce).expect("proves");
    same(&proof::body_hash(&body), case, "body_hash");
    same(&proof, case, "proof");
    let verified = verify(&capability, &issuers(), NOW_MS, AUDIENCE).expect("valid");
    let nullifier =
        proof::verify(&proof, &verified, target, &proof::body_hash(&body), NOW_MS).expect("valid");
    assert_eq!(nullifier, Nullifier::for_proof(&cap_hash(&capability), &nonce));
    same(nullifier.as_bytes(), case, "nullifier");
}

#[test]
fn the_record_of_an_issuer_key_is_the_pinned_one() {
    let file = file();
    let case = &file["issuer_key"];
    let ms = |field: &str| case[field].as_u64().expect("a time");
    let key = IssuerKey {
        key: key(ISSUER).verifying_key(),
        not_before_ms: ms("not_before_ms"),
        not_after_ms: ms("not_after_ms"),
    };
    same(&key.record(), case, "record");
    same(&key.digest(), case, "digest");
}

#[test]
fn the_possession_of_a_holder_key_is_the_pinned_one() {
    let file = file();
    let case = &file["possession"];
    let account = AccountId::from_bytes(bytes(case, "account").try_into().expect("16 bytes"));
    let request_id: [u8; 16] = bytes(case, "request_id").try_into().expect("16 bytes");
    same(&prove_holder(&key(HOLDER), account, &request_id), case, "signature");
}

#[test]
fn login_bindings_are_the_pinned_ones() {
    let file = file();
    let case = &file["login_binding"];
    let (ke1, ke2, ke3) = (bytes(case, "ke1"), bytes(case, "ke2"), bytes(case, "ke3"));
    let session_key = Secret::from_slice(&bytes(case, "session_key")).expect("64 bytes");
    let binding = bind(&key(HOLDER), &session_key, &ke1, &ke2, &ke3);
    same(&login_digest(&ke1, &ke2, &ke3, &binding.holder_pk), case, "digest");
    same(&binding.holder_signature, case, "holder_signature");
    same(&binding.session_mac, case, "session_mac");
}

/// The suite of [`login::Suite`] with the RFC's key stretching of the vectors: none.
struct VectorSuite;

impl opaque_ke::CipherSuite for VectorSuite {
    type OprfCs = login::OprfCs;
    type KeyExchange = login::KeyExchange;
    type Ksf = opaque_ke::ksf::Identity;
}

/// Hands out the bytes of a vector where the protocol draws randomness.
struct Script(std::collections::VecDeque<u8>);

impl Script {
    fn new(case: &Value, fields: &[&str]) -> Self {
        let mut script = Self(Default::default());
        for field in fields {
            match *field {
                // A blind is drawn as 64 bytes and reduced; a reduced scalar followed by zeros reduces to
                // itself.
                "zeros" => script.0.extend([0; 32]),
                "unused" => script.0.extend([0; 64]),
                field => script.0.extend(bytes(case, field)),
            }
        }
        script
    }
}

impl RngCore for Script {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, room: &mut [u8]) {
        room.iter_mut().for_each(|byte| *byte = self.0.pop_front().expect("the vector has the bytes"));
    }

    fn try_fill_bytes(&mut self, room: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(room);
        Ok(())
    }
}

impl CryptoRng for Script {}

struct Names(Option<Vec<u8>>, Option<Vec<u8>>);

impl Names {
    fn of(case: &Value) -> Self {
        let name = |field| case.get(field).map(|_| bytes(case, field));
        Self(name("client_identity"), name("server_identity"))
    }

    fn identifiers(&self) -> opaque_ke::Identifiers<'_> {
        opaque_ke::Identifiers { client: self.0.as_deref(), server: self.1.as_deref() }
    }
}

fn setup(case: &Value) -> opaque_ke::ServerSetup<VectorSuite> {
    // The decoy public key is the vector's client key for a fake account; a real one does not use it.
    let parts =
        [bytes(case, "oprf_seed"), bytes(case, "server_private_key"), bytes(case, "client_public_key")];
    opaque_ke::ServerSetup::deserialize(&parts.concat()).expect("valid")
}

#[test]
fn real_logins_of_rfc_9807_match() {
    let file = file();
    let cases = file["opaque"]["real"].as_array().expect("list");
    assert_eq!(cases.len(), 2);
    for case in cases {
        registration_matches(case);
        login_matches(case);
    }
}

fn registration_matches(case: &Value) {
    let (names, password) = (Names::of(case), bytes(case, "password"));
    let mut script = Script::new(case, &["blind_registration", "zeros", "envelope_nonce"]);
    let started =
        opaque_ke::ClientRegistration::<VectorSuite>::start(&mut script, &password).expect("starts");
    same(&started.message.serialize(), case, "registration_request");
    let answered = opaque_ke::ServerRegistration::start(
        &setup(case),
        started.message,
        &bytes(case, "credential_identifier"),
    )
    .expect("answers");
    same(&answered.message.serialize(), case, "registration_response");
    let params = opaque_ke::ClientRegistrationFinishParameters::new(names.identifiers(), None);
    let finished = started.state.finish(&mut script, &password, answered.message, params).expect("finishes");
    same(&finished.message.serialize(), case, "registration_upload");
    same(&finished.export_key, case, "export_key");
}

fn login_matches(case: &Value) {
    let (names, password, context) = (Names::of(case), bytes(case, "password"), bytes(case, "context"));
    let mut script = Script::new(case, &["blind_login", "zeros", "client_keyshare_seed", "client_nonce"]);
    let started = opaque_ke::ClientLogin::<VectorSuite>::start(&mut script, &password).expect("starts");
    same(&started.message.serialize(), case, "KE1");
    let record =
        opaque_ke::ServerRegistration::deserialize(&bytes(case, "registration_upload")).expect("valid");
    let draws = ["unused", "masking_nonce", "server_keyshare_seed", "server_nonce"];
    let answered = answer(case, &draws, Some(record), started.message);
    same(&answered.message.serialize(), case, "KE2");
    let params = opaque_ke::ClientLoginFinishParameters::new(Some(&context), names.identifiers(), None);
    let finished = started.state.finish(&mut script, &password, answered.message, params).expect("finishes");
    same(&finished.message.serialize(), case, "KE3");
    same(&finished.session_key, case, "session_key");
    same(&finished.export_key, case, "export_key");
    let parameters = opaque_ke::ServerLoginParameters::default();
    let admitted = answered.state.finish(finished.message, parameters).expect("admits");
    same(&admitted.session_key, case, "session_key");
}

#[test]
fn fake_answers_of_rfc_9807_match() {
    let file = file();
    let cases = file["opaque"]["fake"].as_array().expect("list");
    assert_eq!(cases.len(), 1);
    for case in cases {
        let ke1 = opaque_ke::CredentialRequest::deserialize(&bytes(case, "KE1")).expect("valid");
        let draws = ["masking_key", "masking_nonce", "server_keyshare_seed", "server_nonce"];
        same(&answer(case, &draws, None, ke1).message.serialize(), case, "KE2");
    }
}

fn answer(
    case: &Value,
    draws: &[&str],
    record: Option<opaque_ke::ServerRegistration<VectorSuite>>,
    ke1: opaque_ke::CredentialRequest<VectorSuite>,
) -> opaque_ke::ServerLoginStartResult<VectorSuite> {
    let (names, context) = (Names::of(case), bytes(case, "context"));
    let parameters =
        opaque_ke::ServerLoginParameters { context: Some(&context), identifiers: names.identifiers() };
    opaque_ke::ServerLogin::start(
        &mut Script::new(case, draws),
        &setup(case),
        record,
        ke1,
        &bytes(case, "credential_identifier"),
        parameters,
    )
    .expect("answers")
}

#[test]
fn the_service_tokens_text_is_the_pinned_one() {
    let file = file();
    let case = &file["service_token"];
    let text = case["text"].as_str().expect("text");
    let token = ServiceToken::parse(text).expect("pinned");
    same(token.id().as_bytes(), case, "id");
    same(token.bearer().secret().expose(), case, "secret");
    same(token.share().expose(), case, "share");
    assert_eq!(*token.to_text(), text);
    assert_eq!(Some(token.bearer().to_text().as_str()), case["bearer"].as_str());
}
