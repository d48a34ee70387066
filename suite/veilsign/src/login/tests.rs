//! The login as both sides run it, with the real key stretching. Argon2id is the slow part, so the
//! registration is made once and shared, and few tests finish a login.

use std::sync::OnceLock;

use data_encoding::HEXLOWER;
use rand_core::OsRng;

use super::*;

const ALICE: &str = "alice@example.com";
const PASSWORD: &[u8] = b"correct horse battery staple";

struct Account {
    keys: ServerKeys,
    record: Vec<u8>,
    export_key: [u8; EXPORT_KEY_LEN],
}

fn account() -> &'static Account {
    static ACCOUNT: OnceLock<Account> = OnceLock::new();
    ACCOUNT.get_or_init(|| {
        let keys = ServerKeys::generate(&mut OsRng);
        let (client, request) = ClientRegistration::start(PASSWORD, &mut OsRng).expect("starts");
        assert_eq!(request.len(), REGISTRATION_REQUEST_LEN);
        let response = server_registration_start(&keys, &request, ALICE).expect("answers");
        assert_eq!(response.len(), REGISTRATION_RESPONSE_LEN);
        let registered = client.finish(&response, ALICE, &mut OsRng).expect("finishes");
        assert_eq!(registered.upload.len(), REGISTRATION_UPLOAD_LEN);
        let record = server_registration_finish(&registered.upload).expect("stores");
        assert_eq!(record.len(), RECORD_LEN);
        Account { keys, record, export_key: *registered.export_key.expose() }
    })
}

#[test]
fn the_right_password_logs_in_and_finds_the_export_key_again() {
    let account = account();
    // The server restarts in between: its keys come back from their bytes.
    let keys = ServerKeys::from_bytes(&account.keys.to_bytes()).expect("reads");
    let (client, ke1) = ClientLogin::start(PASSWORD, &mut OsRng).expect("starts");
    let (state, ke2) =
        server_login_start(&keys, Some(&account.record), &ke1, ALICE, &mut OsRng).expect("answers");
    let done = client.finish(&ke2, ALICE, &mut OsRng).expect("right password");
    assert_eq!((ke1.len(), ke2.len(), done.ke3.len()), (KE1_LEN, KE2_LEN, KE3_LEN));
    assert_eq!((keys.to_bytes().len(), state.len()), (SERVER_KEYS_LEN, LOGIN_STATE_LEN));
    assert_eq!(done.export_key.expose(), &account.export_key);

    let session_key = server_login_finish(&state, &done.ke3).expect("admits");
    assert!(session_key.ct_eq(&done.session_key));

    let holder = crate::key::SigningKey::generate(&mut OsRng);
    let binding = bind(&holder, &done.session_key, &ke1, &ke2, &done.ke3);
    assert_eq!(verify_binding(&binding, &session_key, &ke1, &ke2, &done.ke3), Ok(holder.verifying_key()));

    let mut forged = done.ke3.clone();
    forged[63] ^= 1;
    assert_eq!(server_login_finish(&state, &forged).err(), Some(LoginError::WrongPassword));
}

#[test]
fn a_wrong_password_learns_nothing() {
    let account = account();
    let (client, ke1) = ClientLogin::start(b"correct horse battery stable", &mut OsRng).expect("starts");
    let (_, ke2) =
        server_login_start(&account.keys, Some(&account.record), &ke1, ALICE, &mut OsRng).expect("answers");
    assert_eq!(client.finish(&ke2, ALICE, &mut OsRng).err(), Some(LoginError::WrongPassword));
}

#[test]
fn an_unknown_address_is_answered_like_a_known_one_and_fails_like_a_wrong_password() {
    let account = account();
    let (client, ke1) = ClientLogin::start(PASSWORD, &mut OsRng).expect("starts");
    let (known, ke2_known) =
        server_login_start(&account.keys, Some(&account.record), &ke1, ALICE, &mut OsRng).expect("answers");
    let (unknown, ke2) =
        server_login_start(&account.keys, None, &ke1, "mallory@example.com", &mut OsRng).expect("answers");
    assert_eq!((known.len(), ke2_known.len()), (unknown.len(), ke2.len()));
    assert_eq!(client.finish(&ke2, "mallory@example.com", &mut OsRng).err(), Some(LoginError::WrongPassword));
    assert_eq!(server_login_finish(&unknown, &[0; KE3_LEN]).err(), Some(LoginError::WrongPassword));
}

#[test]
fn an_unknown_address_keeps_its_oprf_key_from_try_to_try() {
    // A probe that asks twice must see what a real account shows: the same evaluation of the same element.
    let keys = &account().keys;
    let (_, ke1) = ClientLogin::start(PASSWORD, &mut OsRng).expect("starts");
    let evaluated = |email| {
        let (_, ke2) = server_login_start(keys, None, &ke1, email, &mut OsRng).expect("answers");
        ke2[..32].to_vec()
    };
    assert_eq!(evaluated("mallory@example.com"), evaluated("mallory@example.com"));
    assert_ne!(evaluated("mallory@example.com"), evaluated("eve@example.com"));
}

#[test]
fn a_record_served_under_another_address_opens_nothing() {
    let account = account();
    let (client, ke1) = ClientLogin::start(PASSWORD, &mut OsRng).expect("starts");
    let (_, ke2) =
        server_login_start(&account.keys, Some(&account.record), &ke1, ALICE, &mut OsRng).expect("answers");
    assert_eq!(client.finish(&ke2, "bob@example.com", &mut OsRng).err(), Some(LoginError::WrongPassword));
}

#[test]
fn a_message_of_any_other_length_is_malformed() {
    let account = account();
    let keys = &account.keys;
    let (_, request) = ClientRegistration::start(PASSWORD, &mut OsRng).expect("starts");
    let (_, ke1) = ClientLogin::start(PASSWORD, &mut OsRng).expect("starts");
    let (state, ke2) =
        server_login_start(keys, Some(&account.record), &ke1, ALICE, &mut OsRng).expect("answers");
    for change in [|bytes: &[u8]| bytes[..bytes.len() - 1].to_vec(), |bytes: &[u8]| [bytes, &[0]].concat()] {
        let refused = |message| Some(LoginError::Malformed { message });
        let start = |ke1: &[u8], record: &[u8]| {
            server_login_start(keys, Some(record), ke1, ALICE, &mut OsRng).map(|_| ()).err()
        };
        assert_eq!(start(&change(&ke1), &account.record), refused("KE1"));
        assert_eq!(start(&ke1, &change(&account.record)), refused("record"));
        assert_eq!(
            server_registration_start(keys, &change(&request), ALICE).err(),
            refused("registration request")
        );
        assert_eq!(
            server_registration_finish(&change(&account.record)).err(),
            refused("registration upload")
        );
        assert_eq!(server_login_finish(&change(&state), &[0; KE3_LEN]).err(), refused("login state"));
        assert_eq!(server_login_finish(&state, &change(&[0; KE3_LEN])).err(), refused("KE3"));
        assert_eq!(ServerKeys::from_bytes(&change(&keys.to_bytes())).err(), refused("server keys"));
        let (client, _) = ClientLogin::start(PASSWORD, &mut OsRng).expect("starts");
        assert_eq!(client.finish(&change(&ke2), ALICE, &mut OsRng).err(), refused("KE2"));
        let (client, _) = ClientRegistration::start(PASSWORD, &mut OsRng).expect("starts");
        let response = change(&[0; REGISTRATION_RESPONSE_LEN]);
        assert_eq!(client.finish(&response, ALICE, &mut OsRng).err(), refused("registration response"));
    }
}

#[test]
fn an_identity_or_a_reflected_element_is_malformed() {
    let account = account();
    assert!(server_registration_start(&account.keys, &[0; REGISTRATION_REQUEST_LEN], ALICE).is_err());
    assert!(server_login_start(&account.keys, None, &[0; KE1_LEN], ALICE, &mut OsRng).is_err());
    assert!(server_registration_finish(&[0; REGISTRATION_UPLOAD_LEN]).is_err());
    let (client, ke1) = ClientLogin::start(PASSWORD, &mut OsRng).expect("starts");
    let (_, mut ke2) =
        server_login_start(&account.keys, Some(&account.record), &ke1, ALICE, &mut OsRng).expect("answers");
    ke2[..32].copy_from_slice(&ke1[..32]);
    let refused = client.finish(&ke2, ALICE, &mut OsRng).err();
    assert_eq!(refused, Some(LoginError::Malformed { message: "server message" }));
}

#[test]
fn a_password_has_a_length() {
    assert!(ClientLogin::start(&[b'x'; PASSWORD_LEN_MAX], &mut OsRng).is_ok());
    for len in [0, PASSWORD_LEN_MAX + 1] {
        let refused = Some(LoginError::PasswordLength { len, max: PASSWORD_LEN_MAX });
        assert_eq!(ClientLogin::start(&vec![b'x'; len], &mut OsRng).map(|_| ()).err(), refused);
        assert_eq!(ClientRegistration::start(&vec![b'x'; len], &mut OsRng).map(|_| ()).err(), refused);
    }
}

#[test]
fn the_key_stretching_is_the_pinned_one() {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("../../../../tests/vectors/sign.json")).expect("JSON");
    let case = &file["ksf"];
    assert_eq!(case["memory_kib"], KSF_MEMORY_KIB);
    assert_eq!(case["passes"], KSF_PASSES);
    assert_eq!(case["lanes"], KSF_LANES);
    let input = generic_array::GenericArray::<u8, generic_array::typenum::U64>::from_exact_iter(0..64u8);
    let output = opaque_ke::ksf::Ksf::hash(&Ksf, input.expect("64 bytes")).expect("runs");
    assert_eq!(HEXLOWER.encode(&output), case["output"].as_str().expect("hex"));
}
