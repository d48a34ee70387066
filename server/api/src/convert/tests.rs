use veilcloud_domain::{
    audit::model::{Event, Kind, Line, Trail},
    auth::model::{Account, Tier},
    projects::{
        access::Principal,
        model::{Environment, Keyring, Origin, Project},
    },
    storage::model::{Digest, Version},
};
use veilcloud_proto::{auth::v1 as auth_pb, projects::v1 as projects_pb};
use veilcore::id::{AccountId, ApiKeyId, EnvironmentId, ProjectId};
use veilsign::capability::Actions;

use super::*;

const ID: &str = "01010101-0101-0101-0101-010101010101";

fn version() -> Version {
    Version {
        environment: EnvironmentId::from_bytes([1; 16]),
        number: 7,
        digest: Digest([2; 32]),
        len: 1234,
        seal: vec![3; 10],
        epoch: 4,
        author: AccountId::from_bytes([1; 16]),
        created_at_ms: 1_700_000_000_123,
        deleted: false,
        log_index: Some(7),
    }
}

#[test]
fn moments_keep_their_milliseconds() {
    assert_eq!(timestamp(1_700_000_000_123), Some(Timestamp { seconds: 1_700_000_000, nanos: 123_000_000 }));
    assert_eq!(timestamp(0), Some(Timestamp { seconds: 0, nanos: 0 }));
    assert!(timestamp(u64::MAX).is_some());
}

#[test]
fn ids_names_and_lengths_name_their_field() {
    assert_eq!(id::<ProjectId>("project_id", ID).unwrap().to_string(), ID);
    for text in ["", "x", &ID.replace('0', "A")] {
        assert!(id::<ProjectId>("project_id", text).is_err());
    }
    assert!(name("production").is_ok() && name("..").is_err());
    assert!(array::<2>("f", &[1, 2]).is_ok() && array::<2>("f", &[1]).is_err());
    assert!(email("email", "a@b.example").is_ok() && email("email", "a").is_err());
}

#[test]
fn a_blob_shows_every_field_of_its_version() {
    let blob = storage::blob(&"production".parse().unwrap(), version());
    assert_eq!((blob.version, blob.ciphertext_bytes, blob.epoch, blob.deleted), (7, 1234, 4, false));
    assert_eq!(
        (blob.env_name.as_str(), blob.environment_id.as_str(), blob.author_id.as_str()),
        ("production", ID, ID)
    );
    assert_eq!((&blob.digest[..], &blob.seal[..]), (&[2; 32][..], &[3; 10][..]));
    assert_eq!(blob.etag, version().etag().to_string());
    assert!(blob.created_at.is_some());
}

#[test]
fn an_environment_without_a_version_shows_none() {
    let mut environment = Environment {
        id: EnvironmentId::from_bytes([1; 16]),
        project: ProjectId::from_bytes([1; 16]),
        name: "a".parse().unwrap(),
        epoch: 1,
        head: None,
        created_at_ms: 1,
        cloned_from: None,
        rotation_due: false,
    };
    let empty = projects::environment(environment.clone());
    assert_eq!(
        (empty.version, empty.etag.as_str(), empty.updated_at, empty.cloned_from_id.as_str()),
        (0, "", None, "")
    );
    environment.head = Some(version());
    environment.cloned_from = Some(Origin { environment: EnvironmentId::from_bytes([1; 16]), version: 3 });
    let full = projects::environment(environment);
    assert_eq!((full.version, full.cloned_from_id.as_str(), full.cloned_from_version), (7, ID, 3));
    assert!(full.etag.starts_with("\"v7-") && full.updated_at.is_some());
}

#[test]
fn a_keyring_survives_both_ways_and_must_be_there() {
    let keyring = Keyring { epoch: 2, file: vec![1], seal: vec![2], access_list: 3 };
    let there = projects::keyring_out(keyring.clone());
    assert_eq!(projects::keyring(Some(there)).unwrap(), keyring);
    assert!(projects::keyring(None).is_err());
    let new = projects::new_environment(ID, "a", Some(projects_pb::Keyring::default())).unwrap();
    assert_eq!((new.id.to_string().as_str(), new.name.as_str()), (ID, "a"));
    assert!(projects::new_environment("x", "a", Some(projects_pb::Keyring::default())).is_err());
}

#[test]
fn a_project_and_an_event_show_every_field() {
    let project = Project {
        id: ProjectId::from_bytes([1; 16]),
        name: "p".parse().unwrap(),
        owner: AccountId::from_bytes([1; 16]),
        created_at_ms: 5,
        environment_count: 2,
    };
    let project = projects::project(project, Actions::PROJECT_READ | Actions::TEAM_READ);
    assert_eq!(
        (project.project_id.as_str(), project.owner_id.as_str(), project.environment_count),
        (ID, ID, 2)
    );
    assert_eq!(project.permissions, ["project:read"]);
    let trail = Trail::Project(ProjectId::from_bytes([1; 16]));
    let line = Line {
        trail,
        kind: Kind::BlobPut,
        actor: AccountId::from_bytes([1; 16]),
        at_ms: 5,
        environment: Some(EnvironmentId::from_bytes([1; 16])),
        version: 7,
        digest: Some([9; 32]),
        key: None,
        by_number: false,
    };
    let event = audit::event(&Event { index: 3, line: line.clone() });
    assert_eq!(
        (event.index, event.kind.as_str(), event.actor_id.as_str(), event.version),
        (3, "blob.put", ID, 7)
    );
    assert_eq!(Line::parse(trail, &event.entry).unwrap(), line);
}

#[test]
fn permissions_are_names_and_principals_one_of_two() {
    let both = Actions::PROJECT_READ | Actions::AUDIT_READ;
    let names = projects::permissions(both);
    assert_eq!(names, ["project:read", "audit:read"]);
    assert_eq!(projects::actions(&names).unwrap(), both);
    assert_eq!(projects::actions(&[]).unwrap(), Actions::NONE);
    for wrong in ["", "project:*", "Project:read", "project:read,project:write"] {
        assert!(projects::actions(&["project:read".to_owned(), wrong.to_owned()]).is_err(), "{wrong}");
    }
    let account = projects::principal(ID, "").unwrap();
    assert_eq!(account, Principal::Account(AccountId::from_bytes([1; 16])));
    let key = projects::principal("", ID).unwrap();
    assert_eq!(key, Principal::ApiKey(ApiKeyId::from_bytes([1; 16])));
    assert!(projects::principal(ID, ID).is_err() && projects::principal("", "").is_err());
}

#[test]
fn a_user_shows_no_record_and_no_wrap() {
    let user = auth::user(
        Account {
            id: AccountId::from_bytes([1; 16]),
            email: "a@b.example".parse().unwrap(),
            display_name: "A".into(),
            tier: Tier::Pro,
            record: vec![0xaa; 192],
            bundle: vec![1],
            password_wrap: vec![0xbb; 74],
            recovery_wrap: vec![0xcc; 74],
            revocation_epoch: 0,
            quota_bytes: 10,
            created_at_ms: 1,
            key_index: None,
        },
        4,
    );
    assert_eq!((user.tier.as_str(), user.used_bytes, user.quota_bytes), ("pro", 4, 10));
    let sent = prost::Message::encode_to_vec(&user);
    assert!(!sent.windows(4).any(|w| [[0xaa; 4], [0xbb; 4], [0xcc; 4]].iter().any(|s| w == s)));
}

#[test]
fn login_messages_of_other_lengths_are_refused() {
    let good = auth_pb::LoginFinishRequest {
        attempt_id: ID.into(),
        ke3: vec![0; 64],
        holder_public_key: vec![0; 32],
        holder_signature: vec![0; 64],
        session_mac: vec![0; 32],
    };
    assert!(auth::login_proof(good.clone()).is_ok());
    assert!(
        auth::login_proof(auth_pb::LoginFinishRequest { holder_public_key: vec![0; 31], ..good.clone() })
            .is_err()
    );
    assert!(auth::login_proof(auth_pb::LoginFinishRequest { session_mac: vec![], ..good }).is_err());
}
