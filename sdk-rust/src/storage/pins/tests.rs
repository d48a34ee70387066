use proptest::prelude::*;
use veilcore::hash::sha256;

use super::*;
use crate::state::MemoryState;

const ENVIRONMENT: EnvironmentId = EnvironmentId::from_bytes([5; 16]);
const ACCOUNT: AccountId = AccountId::from_bytes([0xa1; 16]);
const PROJECT: ProjectId = ProjectId::from_bytes([4; 16]);

/// Version `number` of the history with this name.
fn pin(history: u8, number: u64) -> Pin {
    let digest = sha256(&[&[history], &number.to_be_bytes()[..]].concat());
    Pin { version: number, digest, epoch: 1, deleted: false }
}

fn parent(history: u8, number: u64) -> [u8; 32] {
    if number == 1 { [0; 32] } else { pin(history, number - 1).digest }
}

fn seen(number: u64) -> Pins {
    let mut pins = Pins::default();
    pins.advance(ENVIRONMENT, &pin(1, number)).expect("the first");
    pins
}

fn environment(version: u64, epoch: u32) -> Environment {
    let time = time::OffsetDateTime::UNIX_EPOCH;
    Environment {
        id: ENVIRONMENT,
        project_id: PROJECT,
        name: "production".to_owned(),
        epoch,
        version,
        etag: (version > 0).then(|| etag(version, &pin(1, version).digest)),
        ciphertext_bytes: 0,
        created_at: time,
        updated_at: time,
        cloned_from: None,
        rotation_due: false,
    }
}

#[test]
fn the_tag_is_the_one_the_server_makes() {
    assert_eq!(etag(7, &[0; 32]), "\"v7-aaaaaaaaaaaaaaaaaaaaaaaa\"");
    assert_eq!(etag(1, &[0xff; 32]), "\"v1-777777777777777777777777\"");
}

#[test]
fn what_was_never_seen_is_believed_once() {
    let judged = Pins::default().judge_head(ENVIRONMENT, &pin(1, 9), &parent(1, 9));
    assert_eq!(judged, Ok(Relation::Fits));
}

#[test]
fn an_older_version_as_the_newest_is_a_rollback() {
    let judged = seen(5).judge_head(ENVIRONMENT, &pin(1, 4), &parent(1, 4));
    assert_eq!(judged, Err(IntegrityReason::RolledBack));
}

#[test]
fn another_version_of_the_same_number_is_a_fork() {
    let judged = seen(5).judge_head(ENVIRONMENT, &pin(2, 5), &parent(1, 5));
    assert_eq!(judged, Err(IntegrityReason::Forked));
    let next = seen(5).judge_head(ENVIRONMENT, &pin(2, 6), &parent(2, 6));
    assert_eq!(next, Err(IntegrityReason::Forked), "a next version with another parent");
}

#[test]
fn a_gap_has_to_be_walked() {
    let judged = seen(5).judge_head(ENVIRONMENT, &pin(1, 7), &parent(1, 7));
    assert_eq!(judged, Ok(Relation::Ahead(pin(1, 5))));
}

#[test]
fn an_environment_that_went_back_is_refused() {
    let mut pins = seen(5);
    pins.advance(ENVIRONMENT, &Pin { epoch: 3, ..pin(1, 5) }).expect("a new epoch");
    assert_eq!(pins.judge_environment(&environment(5, 3)), Ok(()));
    assert_eq!(pins.judge_environment(&environment(6, 4)), Ok(()));
    assert_eq!(pins.judge_environment(&environment(4, 3)), Err(IntegrityReason::RolledBack));
    assert_eq!(pins.judge_environment(&environment(0, 3)), Err(IntegrityReason::RolledBack));
    assert_eq!(pins.judge_environment(&environment(5, 2)), Err(IntegrityReason::EpochRolledBack));
    let forked = Environment { etag: Some(etag(5, &[9; 32])), ..environment(5, 3) };
    assert_eq!(pins.judge_environment(&forked), Err(IntegrityReason::Forked));
}

#[test]
fn a_name_that_leads_elsewhere_is_refused_until_it_is_forgotten() {
    let mut pins = seen(5);
    let key = name_key(PROJECT, "production");
    pins.names.insert(key.clone(), ENVIRONMENT);
    let swapped = Environment { id: EnvironmentId::from_bytes([6; 16]), ..environment(5, 1) };
    assert_eq!(pins.judge_environment(&swapped), Err(IntegrityReason::WrongEnvironment));
    assert!(pins.forget_name(&key));
    assert_eq!(pins.judge_environment(&swapped), Ok(()));
    assert_eq!(pins.pin(ENVIRONMENT), None, "its versions are forgotten, too");
}

#[test]
fn an_epoch_without_a_version_is_remembered_and_every_first_version_fits() {
    let mut pins = Pins::default();
    pins.advance(ENVIRONMENT, &Pin { epoch: 3, ..Pin::NO_VERSION }).expect("the first");
    assert_eq!(pins.judge_environment(&environment(0, 2)), Err(IntegrityReason::EpochRolledBack));
    assert_eq!(pins.judge_environment(&environment(0, 3)), Ok(()));
    assert_eq!(pins.judge_environment(&environment(1, 3)), Ok(()));
    assert_eq!(pins.judge_head(ENVIRONMENT, &pin(1, 1), &parent(1, 1)), Ok(Relation::Fits));
    pins.advance(ENVIRONMENT, &pin(1, 1)).expect("a version");
    assert_eq!(pins.pin(ENVIRONMENT), Some(Pin { epoch: 3, ..pin(1, 1) }));
}

#[test]
fn a_deletion_is_remembered_until_there_is_a_newer_version() {
    let mut pins = seen(5);
    assert!(pins.advance(ENVIRONMENT, &Pin { deleted: true, ..pin(1, 5) }).expect("deleted here"));
    pins.advance(ENVIRONMENT, &pin(1, 5)).expect("seen again");
    assert!(pins.pin(ENVIRONMENT).expect("pinned").deleted_here(&pin(1, 5)));
    pins.advance(ENVIRONMENT, &Pin { deleted: true, ..pin(1, 4) }).expect("an older one");
    pins.advance(ENVIRONMENT, &pin(1, 6)).expect("a newer one");
    let now = pins.pin(ENVIRONMENT).expect("pinned");
    assert!(!now.deleted_here(&pin(1, 6)) && !now.deleted_here(&pin(1, 5)));
}

#[test]
fn pins_from_before_projects_were_pinned_are_still_read() {
    let id = ENVIRONMENT.to_string();
    let digest = "00".repeat(32);
    let store = MemoryState::new();
    let old = format!(
        r#"{{"version":1,"environments":{{"{id}":{{"version":1,"digest":"{digest}","epoch":1}}}},"names":{{}}}}"#
    );
    store.save_pins(&old).expect("saved");
    let pins = Pins::load(&store).expect("read");
    assert!(pins.pin(ENVIRONMENT).is_some());
    assert_eq!(pins.logs, LogPins::default(), "nothing was seen of a log");
    pins.save(&store).expect("saved");
    let text = store.load_pins().expect("read").expect("there");
    assert!(text.starts_with(r#"{"version":2,"#), "{text}");
    assert_eq!(Pins::load(&store).expect("read"), pins);
}

#[tokio::test]
async fn a_name_that_another_process_noted_meanwhile_decides() {
    let client = Client::builder().endpoint("https://host.example");
    let client = client.build_with(crate::transport::fake::Fake::new([])).expect("a client");
    client.pin_name(PROJECT, "production", ENVIRONMENT).await.expect("the first time");
    client.pin_name(PROJECT, "production", ENVIRONMENT).await.expect("the same again");
    let other = EnvironmentId::from_bytes([6; 16]);
    let refused = client.pin_name(PROJECT, "production", other).await;
    assert!(matches!(refused, Err(Error::Integrity { reason: IntegrityReason::WrongEnvironment, .. })));
}

#[test]
fn pins_that_cannot_be_read_are_not_taken_for_none() {
    let store = MemoryState::new();
    assert_eq!(Pins::load(&store).expect("none yet"), Pins::default());
    let bad_head = r#"{"version":2,"environments":{},"names":{},"logs":{"heads":{"project/x":{}}}}"#;
    let bad_edge = r#"{"version":2,"environments":{},"names":{},"logs":{"followed":{"size":3,"edge":[]}}}"#;
    let later = r#"{"version":3,"environments":{},"names":{}}"#;
    for bad in ["", "{}", "[]", later, bad_head, bad_edge] {
        store.save_pins(bad).expect("saved");
        assert!(matches!(Pins::load(&store), Err(Error::Local { .. })), "{bad}");
    }
}

proptest! {
    #[test]
    fn pins_survive_the_store(numbers in proptest::collection::vec((any::<[u8; 16]>(), 1u64.., any::<u32>(), any::<bool>()), 0..8)) {
        let mut pins = Pins::default();
        for (id, number, epoch, deleted) in numbers {
            let id = EnvironmentId::from_bytes(id);
            pins.environments.insert(id, Pin { epoch, deleted, ..pin(1, number) });
            pins.names.insert(name_key(PROJECT, &format!("name-{number}")), id);
            pins.projects.insert(project_key(ACCOUNT, &format!("name-{number}")), PROJECT);
        }
        let store = MemoryState::new();
        pins.save(&store).expect("saved");
        prop_assert_eq!(Pins::load(&store).expect("read"), pins);
    }

    /// An honest server shows versions of one history in an order that never goes back. However they come, and from
    /// however many processes, no version is refused and the pin ends at the newest.
    #[test]
    fn an_honest_history_is_never_refused(mut shown in proptest::collection::vec(1u64..40, 1..20)) {
        shown.sort_unstable();
        let mut pins = Pins::default();
        for number in &shown {
            let judged = pins.judge_head(ENVIRONMENT, &pin(1, *number), &parent(1, *number));
            prop_assert!(judged.is_ok());
            pins.advance(ENVIRONMENT, &pin(1, *number)).expect("honest");
        }
        prop_assert_eq!(pins.pin(ENVIRONMENT), Some(pin(1, shown[shown.len() - 1])));
    }

    /// Whatever is noted in whatever order, a pin never goes back, in version or in epoch.
    #[test]
    fn a_pin_never_goes_back(noted in proptest::collection::vec((1u8..3, 1u64..10, 1u32..5), 1..30)) {
        let mut pins = Pins::default();
        let mut before = Pin::NO_VERSION;
        for (history, number, epoch) in noted {
            let _ = pins.advance(ENVIRONMENT, &Pin { epoch, ..pin(history, number) });
            let after = pins.pin(ENVIRONMENT).expect("noted");
            prop_assert!(after.version >= before.version && after.epoch >= before.epoch);
            prop_assert!(after.version > before.version || before.version == 0 || after.digest == before.digest);
            before = after;
        }
    }

    /// A lie about what was seen is told from the truth.
    #[test]
    fn a_lie_about_what_was_seen_is_refused(newest in 2u64..40, shown in 1u64..40) {
        let pins = seen(newest);
        let lie = pins.judge_head(ENVIRONMENT, &pin(2, shown), &parent(2, shown));
        match shown {
            _ if shown < newest => prop_assert_eq!(lie, Err(IntegrityReason::RolledBack)),
            _ if shown <= newest + 1 => prop_assert_eq!(lie, Err(IntegrityReason::Forked)),
            _ => prop_assert_eq!(lie, Ok(Relation::Ahead(pin(1, newest))), "shown by the chain"),
        }
    }
}
