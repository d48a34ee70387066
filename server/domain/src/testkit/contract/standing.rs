//! Who does something is judged once more by the store, in the transaction that does it.

use veilcore::id::{AccountId, ApiKeyId};
use veilsign::capability::Actions;
use veilvault::access::Principal;

use super::{
    api_keys,
    grants::{READ, Scene, WRITE, entry, leave, scene},
    sample::*,
};
use crate::{
    audit::model::{Kind, Line, Trail},
    projects::{
        access::{AccessChange, AccessRefusal, KeyringPart, KeyringRefusal, ShareChange},
        model::{ENVIRONMENTS_MAX, Environment, Keyring},
        port::Written,
    },
    storage::{
        model::{Digest, Precondition, Version},
        port::{Refusal, Started},
    },
    testkit::Ports,
};

const SHARE: Actions = Actions::PROJECT_SHARE;
const ALL: Actions = READ.union(WRITE).union(Actions::PROJECT_DELETE).union(SHARE);

/// What a store made of a change.
type Made = Result<(), &'static str>;

fn written(written: Written) -> Made {
    match written {
        Written::Done => Ok(()),
        Written::Denied => Err("denied"),
        other => panic!("{other:?}"),
    }
}

fn keyed(result: Result<(), KeyringRefusal>) -> Made {
    match result {
        Ok(()) => Ok(()),
        Err(KeyringRefusal::Denied) => Err("denied"),
        Err(other) => panic!("{other:?}"),
    }
}

fn shelved(result: Result<u64, Refusal>) -> Made {
    match result {
        Ok(_) => Ok(()),
        Err(Refusal::Denied) => Err("denied"),
        Err(other) => panic!("{other:?}"),
    }
}

/// Somebody who changes things in the scene's project.
struct Deeds<'a> {
    scene: &'a Scene,
    home: Environment,
    actor: AccountId,
    key: Option<ApiKeyId>,
}

impl Deeds<'_> {
    fn line(&self, kind: Kind) -> Line {
        let line = line(Trail::Project(self.scene.app.id), kind);
        Line { actor: self.actor, key: self.key, environment: Some(self.home.id), ..line }
    }

    fn ports(&self) -> &Ports {
        &self.scene.ports
    }

    async fn newest(&self) -> u64 {
        self.scene.state().await.expect("the project is there").number
    }

    async fn put(&self, version: &Version, precondition: Precondition) -> Made {
        let made = self.ports().shelf.commit(version.clone(), precondition, self.line(Kind::BlobPut)).await;
        shelved(made.expect("the store works"))
    }

    async fn empty(&self, head: &Version) -> Made {
        let line = self.line(Kind::BlobDelete);
        shelved(
            self.ports()
                .shelf
                .delete_content(self.home.id, head.etag(), line)
                .await
                .expect("the store works"),
        )
    }

    async fn add_environment(&self, text: &str) -> Made {
        let new = environment(self.scene.app.id, text);
        let keyring = Keyring { access_list: self.newest().await, ..keyring(1) };
        let line = self.line(Kind::EnvironmentCreate);
        let made = self.ports().catalog.create_environment(new, keyring, ENVIRONMENTS_MAX, line).await;
        written(made.expect("the store works"))
    }

    async fn remove_environment(&self) -> Made {
        let line = self.line(Kind::EnvironmentDelete);
        let made = self.ports().catalog.delete_environment(self.home.id, line).await;
        written(made.expect("the store works"))
    }

    async fn rotate(&self, epoch: u32) -> Made {
        let keyring = Keyring { access_list: self.newest().await, ..keyring(epoch) };
        let made = self.ports().keyrings.rotate(self.home.id, keyring, self.line(Kind::KeyRotate)).await;
        keyed(made.expect("the store works"))
    }

    async fn hand_on(&self) -> Made {
        let keyring = Keyring { access_list: self.newest().await, ..keyring(1) };
        let principal = Principal::Account(AccountId::from_bytes(bytes16()));
        let part = KeyringPart {
            environment: self.home.id,
            principal,
            key: bytes32(),
            beside: None,
            keyring,
            replaces: false,
        };
        let made = self.ports().keyrings.add_part(part, self.line(Kind::KeyringAdd)).await;
        keyed(made.expect("the store works"))
    }

    async fn put_list(&self) -> Made {
        let number = self.newest().await + 1;
        let entries = [entry(&self.scene.bob, self.scene.team, ALL)];
        let change = self.scene.change(number, ShareChange::Keep, &entries);
        let change = AccessChange { author: self.actor, ..change };
        let lines = vec![self.line(Kind::AccessList)];
        match self.ports().grants.change_access(change, lines).await.expect("the store works") {
            Ok(()) => Ok(()),
            Err(AccessRefusal::Denied) => Err("denied"),
            Err(other) => panic!("{other:?}"),
        }
    }

    async fn upload(&self) -> Made {
        let new = upload(self.actor, &self.home, 10, Digest(bytes32()));
        match self.ports().uploads.start(new, 1000).await.expect("the store works") {
            Started::Open => Ok(()),
            Started::Denied => Err("denied"),
            other => panic!("{other:?}"),
        }
    }

    async fn rename(&self) -> Made {
        let line = self.line(Kind::ProjectUpdate);
        let made = self.ports().catalog.rename_project(self.scene.app.id, name("renamed"), line).await;
        written(made.expect("the store works"))
    }

    async fn remove_project(&self) -> bool {
        let line = self.line(Kind::ProjectDelete);
        self.ports().catalog.delete_project(self.scene.app.id, line).await.expect("the store works")
    }

    /// Everything that leaves a line and is refused now, or nothing of it.
    async fn all_are_refused(&self, head: &Version) {
        let before = events(self.ports(), Trail::Project(self.scene.app.id)).await;
        let next = version(self.home.id, head.number + 1, b"next");
        let denied = Err("denied");
        assert_eq!(self.put(&next, Precondition::Match(head.etag())).await, denied);
        assert_eq!(self.empty(head).await, denied);
        assert_eq!(self.add_environment("late").await, denied);
        assert_eq!(self.remove_environment().await, denied);
        assert_eq!(self.rotate(2).await, denied);
        assert_eq!(self.hand_on().await, denied);
        assert_eq!(self.put_list().await, denied);
        assert_eq!(self.rename().await, denied);
        assert!(!self.remove_project().await);
        assert_eq!(events(self.ports(), Trail::Project(self.scene.app.id)).await, before);
        let kept = self.ports().catalog.environment(self.scene.app.id, &self.home.name).await;
        let kept = kept.expect("the store works").expect("it is there");
        assert_eq!((kept.epoch, kept.head.map(|head| (head.number, head.deleted))), (1, Some((1, false))));
        let page = crate::page::PageArgs { after: None, size: 10 };
        let there =
            self.ports().catalog.environments(self.scene.app.id, page).await.expect("the store works");
        assert_eq!(there.items.len(), 1);
    }
}

async fn home(scene: &Scene) -> Environment {
    let found = scene.ports.catalog.environment(scene.app.id, &name("production")).await;
    found.expect("the store works").expect("a place has one")
}

pub async fn who_was_removed_changes_nothing_any_more(ports: Ports) {
    let scene = scene(ports).await;
    scene.shared(ALL).await;
    let home = home(&scene).await;
    let bob = Deeds { scene: &scene, home: home.clone(), actor: scene.bob.id, key: None };
    let head = version(home.id, 1, b"one");
    assert_eq!(bob.put(&head, Precondition::First).await, Ok(()));
    assert_eq!(bob.hand_on().await, Ok(()));
    assert_eq!(bob.put_list().await, Ok(()));
    assert_eq!(bob.upload().await, Ok(()));
    // The name is the owner's, whatever else is given.
    assert_eq!(bob.rename().await, Err("denied"));
    leave(&scene.ports, scene.alice.id, scene.team, scene.bob.id).await;
    bob.all_are_refused(&head).await;
    assert_eq!(bob.upload().await, Err("denied"));
    let nobody = Deeds { scene: &scene, home, actor: AccountId::from_bytes(bytes16()), key: None };
    nobody.all_are_refused(&head).await;
}

pub async fn each_change_needs_its_own_permission(ports: Ports) {
    let scene = scene(ports).await;
    scene.shared(READ | WRITE).await;
    let home = home(&scene).await;
    let bob = Deeds { scene: &scene, home: home.clone(), actor: scene.bob.id, key: None };
    let head = version(home.id, 1, b"one");
    assert_eq!(bob.put(&head, Precondition::First).await, Ok(()));
    assert_eq!(bob.add_environment("staging").await, Ok(()));
    let denied = Err("denied");
    assert_eq!(bob.empty(&head).await, denied);
    assert_eq!(bob.remove_environment().await, denied);
    assert_eq!(bob.put_list().await, denied);
    assert!(!bob.remove_project().await);
    assert_eq!(bob.hand_on().await, Ok(()));
    assert_eq!(bob.rotate(2).await, Ok(()));
    let less = scene.change(2, scene.share_of(scene.team, READ), &[entry(&scene.bob, scene.team, READ)]);
    assert_eq!(scene.make(&less).await, Ok(()));
    let next = Version { epoch: 2, ..version(home.id, 2, b"two") };
    assert_eq!(bob.put(&next, Precondition::Match(head.etag())).await, denied);
    assert_eq!(bob.add_environment("late").await, denied);
    assert_eq!(bob.hand_on().await, denied);
    assert_eq!(bob.rotate(3).await, denied);
    assert_eq!(bob.upload().await, denied);
}

pub async fn a_key_that_is_over_changes_nothing_any_more(ports: Ports) {
    let scene = scene(ports).await;
    let home = home(&scene).await;
    let key = api_keys::key(scene.alice.id);
    api_keys::create(&scene.ports, &key, 10, 10).await;
    let by = |actor, key| Deeds { scene: &scene, home: home.clone(), actor, key: Some(key) };
    let head = version(home.id, 1, b"one");
    let alice = by(scene.alice.id, key.id);
    assert_eq!(alice.put(&head, Precondition::First).await, Ok(()));
    // One that nobody has, and one that has ended.
    let ended = crate::auth::api_keys::model::ApiKey {
        expires_at_ms: NOW_MS,
        created_at_ms: NOW_MS - 1,
        ..api_keys::key(scene.alice.id)
    };
    api_keys::create(&scene.ports, &ended, 10, 10).await;
    by(scene.alice.id, ended.id).all_are_refused(&head).await;
    by(scene.alice.id, ApiKeyId::from_bytes(bytes16())).all_are_refused(&head).await;
    by(scene.bob.id, key.id).all_are_refused(&head).await;
    assert!(api_keys::revoke(&scene.ports, scene.alice.id, key.id, NOW_MS).await);
    alice.all_are_refused(&head).await;
    let line = Line { key: Some(key.id), ..line(Trail::Project(scene.app.id), Kind::ProjectCreate) };
    let new = project(scene.alice.id, "new");
    let line = Line { trail: Trail::Project(new.id), actor: scene.alice.id, ..line };
    let made = scene.ports.catalog.create_project(new, 10, line).await.expect("the store works");
    assert_eq!(made, Written::Denied);
}

pub async fn what_a_list_gives_is_held_when_the_list_is_made(ports: Ports) {
    let scene = scene(ports).await;
    scene.shared(READ | WRITE | SHARE).await;
    let entries = [entry(&scene.bob, scene.team, READ | SHARE)];
    let of_bob = |number, gives| AccessChange {
        author: scene.bob.id,
        gives,
        ..scene.change(number, ShareChange::Keep, &entries)
    };
    // Bob signed a list that gives what he held; before it comes, the share gives less.
    let less = scene.change(2, scene.share_of(scene.team, READ | SHARE), &entries);
    assert_eq!(scene.make(&less).await, Ok(()));
    assert_eq!(scene.make_as(&of_bob(3, WRITE), scene.bob.id).await, Err(AccessRefusal::Denied));
    assert_eq!(scene.make_as(&of_bob(3, READ | WRITE), scene.bob.id).await, Err(AccessRefusal::Denied));
    assert_eq!(scene.state().await.map(|state| state.number), Some(2));
    assert_eq!(scene.make_as(&of_bob(3, READ), scene.bob.id).await, Ok(()));
    leave(&scene.ports, scene.alice.id, scene.team, scene.bob.id).await;
    let late = AccessChange { entries: Vec::new(), ..of_bob(4, Actions::NONE) };
    assert_eq!(scene.make_as(&late, scene.bob.id).await, Err(AccessRefusal::Denied));
}
