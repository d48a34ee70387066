use prost::{Message as _, bytes::Bytes};
use veilcloud_proto::{POOL, projects::v1 as projects, storage::v1 as storage};

use super::*;

const ID: &str = "0192f3c4-5a6b-7c8d-9e0f-102132435465";

fn broken(name: &str, encoded: &[u8]) -> Vec<(String, &'static str)> {
    let descriptor = POOL.get_message_by_name(name).expect("a message");
    let shape = Shape::compile(&descriptor).expect("compiles");
    let message = DynamicMessage::decode(descriptor, Bytes::copy_from_slice(encoded)).expect("decodes");
    shape.check(&message).into_iter().map(|v| (v.field, v.problem.rule())).collect()
}

fn put() -> storage::PutBlobRequest {
    storage::PutBlobRequest {
        project_id: ID.into(),
        env_name: "production".into(),
        ciphertext: Bytes::from_static(b"age"),
        seal: Bytes::from_static(b"seal"),
        if_match: String::new(),
        if_none_match: "*".into(),
        request_id: String::new(),
        log_size: 0,
    }
}

fn broken_put(change: impl Fn(&mut storage::PutBlobRequest)) -> Vec<(String, &'static str)> {
    let mut request = put();
    change(&mut request);
    broken("veilcloud.storage.v1.PutBlobRequest", &request.encode_to_vec())
}

#[test]
fn a_sound_message_breaks_nothing() {
    assert_eq!(broken_put(|_| {}), []);
    assert_eq!(broken_put(|p| p.if_match = "\"v7-abcd\"".into()), []);
    assert_eq!(broken_put(|p| p.ciphertext = vec![0; 786_432].into()), []);
}

#[test]
fn each_rule_names_its_field() {
    let one = |field: &str, rule: &'static str| vec![(field.to_owned(), rule)];
    assert_eq!(broken_put(|p| p.project_id.clear()), one("project_id", "required"));
    assert_eq!(broken_put(|p| p.project_id = ID.to_uppercase()), one("project_id", "format"));
    assert_eq!(broken_put(|p| p.project_id.push('0')), one("project_id", "max_len"));
    assert_eq!(broken_put(|p| p.ciphertext = vec![0; 786_433].into()), one("ciphertext", "max_len"));
    assert_eq!(broken_put(|p| p.seal.clear()), one("seal", "required"));
    for name in ["..", "a..b", "A", "a/b", "a\0", "ä", ".env"] {
        assert_eq!(broken_put(|p| p.env_name = name.into()), one("env_name", "format"), "{name:?}");
    }
    for tag in ["v7", "W/\"v7\"", "\"\"", "\"a\"b\"", "\"a\" , \"b\"", "**"] {
        assert_eq!(broken_put(|p| p.if_match = tag.into()), one("if_match", "format"), "{tag:?}");
    }
    let page =
        projects::ListProjectsRequest { page_size: 1001, page_token: "a\nb".into(), ..Default::default() };
    assert_eq!(
        broken("veilcloud.projects.v1.ListProjectsRequest", &page.encode_to_vec()),
        [("page_size".to_owned(), "max_value"), ("page_token".to_owned(), "format"),]
    );
    let chunk = storage::PutChunkRequest { digest: vec![0; 31].into(), ..chunk() };
    assert_eq!(
        broken("veilcloud.storage.v1.PutChunkRequest", &chunk.encode_to_vec()),
        one("digest", "exact_len")
    );
}

fn chunk() -> storage::PutChunkRequest {
    storage::PutChunkRequest {
        project_id: ID.into(),
        env_name: "a".into(),
        upload_id: ID.into(),
        index: 0,
        data: Bytes::from_static(b"x"),
        digest: vec![0; 32].into(),
    }
}

#[test]
fn nested_messages_are_checked_with_their_path() {
    let request = projects::CreateEnvironmentRequest {
        project_id: ID.into(),
        name: "a".into(),
        environment_id: ID.into(),
        keyring: Some(projects::Keyring {
            epoch: 1,
            file: vec![0; 65_537],
            seal: Vec::new(),
            access_list: 0,
        }),
        request_id: String::new(),
    };
    let name = "veilcloud.projects.v1.CreateEnvironmentRequest";
    assert_eq!(
        broken(name, &request.encode_to_vec()),
        [("keyring.file".to_owned(), "max_len"), ("keyring.seal".to_owned(), "required"),]
    );
    let without = projects::CreateEnvironmentRequest { keyring: None, ..request };
    assert_eq!(broken(name, &without.encode_to_vec()), [("keyring".to_owned(), "required")]);
}

#[test]
fn a_field_mask_is_bounded_too() {
    let mask = |paths: Vec<String>| projects::UpdateProjectRequest {
        project_id: ID.into(),
        name: "a".into(),
        update_mask: Some(prost_types::FieldMask { paths }),
        request_id: String::new(),
    };
    let name = "veilcloud.projects.v1.UpdateProjectRequest";
    assert_eq!(broken(name, &mask(vec!["name".into()]).encode_to_vec()), []);
    let many = mask(vec!["name".into(); 17]);
    assert_eq!(broken(name, &many.encode_to_vec()), [("update_mask.paths".to_owned(), "max_items")]);
    let long = mask(vec!["n".repeat(129)]);
    assert_eq!(broken(name, &long.encode_to_vec()), [("update_mask.paths".to_owned(), "max_len")]);
}

#[test]
fn unknown_fields_are_refused_at_every_depth() {
    let name = "veilcloud.storage.v1.PutBlobRequest";
    let mut encoded = put().encode_to_vec();
    encoded.extend([0xf8, 0x07, 0x01]); // field 127, varint 1
    assert_eq!(broken(name, &encoded), [("127".to_owned(), "unknown_field")]);

    // keyring { 9: 1 } appended to a keyring is merged into it.
    let request = projects::RotateEnvironmentKeyRequest {
        project_id: ID.into(),
        name: "a".into(),
        keyring: Some(projects::Keyring { epoch: 2, file: vec![1], seal: vec![1], access_list: 0 }),
        request_id: String::new(),
    };
    let mut encoded = request.encode_to_vec();
    encoded.extend([0x1a, 0x02, 0x48, 0x01]);
    let name = "veilcloud.projects.v1.RotateEnvironmentKeyRequest";
    assert_eq!(broken(name, &encoded), [("keyring.9".to_owned(), "unknown_field")]);
}

#[test]
fn emails_are_checked_as_sent() {
    let request =
        |email: &str| veilcloud_proto::auth::v1::LoginStartRequest { email: email.into(), ke1: vec![0; 96] };
    let broken = |email: &str| broken("veilcloud.auth.v1.LoginStartRequest", &request(email).encode_to_vec());
    assert_eq!(broken("a@b.example"), []);
    for email in ["a", "@b", "a@", "a@b@c", "a b@c", "ä@b.example", "a@b\n", " a@b.example"] {
        assert_eq!(broken(email), [("email".to_owned(), "format")], "{email:?}");
    }
}

#[test]
fn a_rule_on_the_wrong_kind_of_field_does_not_compile() {
    let message = POOL.get_message_by_name("veilcloud.storage.v1.PutChunkRequest").expect("a message");
    let field = |name: &str| message.get_field_by_name(name).expect("a field");
    let default = pb::Rules::default;
    for (name, rules) in [
        ("index", pb::Rules { max_len: 1, ..default() }),
        ("index", pb::Rules { format: pb::Format::Uuid.into(), ..default() }),
        ("index", pb::Rules { max_items: 1, ..default() }),
        ("index", pb::Rules { header: "veil-index".into(), ..default() }),
        ("data", pb::Rules { max_value: 1, ..default() }),
        ("data", pb::Rules { format: pb::Format::Name.into(), ..default() }),
        ("digest", pb::Rules { header: "Veil-Digest".into(), ..default() }),
        ("project_id", pb::Rules { format: 99, ..default() }),
    ] {
        assert!(supported(&field(name), &rules).is_err(), "{name} {rules:?}");
    }
}
