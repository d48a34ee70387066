use veilvault::identity::Identity;

use crate::{
    audit::model::{Kind, Trail},
    auth::{Registration, Settings, error::AuthError},
    storage::StorageSettings,
    testkit::{Person, World},
};

#[tokio::test]
async fn a_registration_keeps_what_the_client_sent_and_nothing_else() {
    let world = World::default();
    let alice = Person::new(" Alice@Example.org ");
    let sent = alice.registration(&world.auth).await.unwrap();
    let id = world.auth.register_finish(sent.clone()).await.unwrap();
    assert_eq!(id, alice.account);
    let kept = world.ports.directory.account(id).await.unwrap().unwrap();
    assert_eq!(kept.email.as_str(), "alice@example.org");
    assert_eq!((kept.bundle, kept.password_wrap), (sent.bundle.clone(), sent.password_wrap.clone()));
    assert_eq!(kept.recovery_wrap, sent.recovery_wrap);
    assert_eq!(kept.quota_bytes, Settings::default().account_quota_bytes);
    assert_eq!(kept.revocation_epoch, 0);

    // The address is taken from now on, and so is the id.
    assert!(matches!(world.auth.register_finish(sent.clone()).await, Err(AuthError::EmailTaken)));
    let other = Registration { email: "bob@example.org".parse().unwrap(), ..sent };
    assert!(matches!(world.auth.register_finish(other).await, Err(AuthError::EmailTaken)));
    let trail = world.trail(Trail::Account(id)).await;
    assert_eq!(trail.iter().map(|e| e.line.kind).collect::<Vec<_>>(), [Kind::AccountCreate]);
    assert_eq!(trail[0].line.actor, id);
}

#[tokio::test]
async fn a_registration_that_does_not_fit_together_is_refused() {
    let world = World::default();
    let alice = Person::new("alice@example.org");
    let mallory = Person::new("mallory@example.org");
    let good = alice.registration(&world.auth).await.unwrap();
    let flipped = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[10] ^= 1;
        bytes
    };
    let second = Identity::derive(alice.ark(), alice.account, 2).account_bundle(&alice.code.verifier());
    let wrong_bundles = [mallory.bundle(), flipped(&good.bundle), Vec::new(), second];
    for bundle in wrong_bundles {
        let refused = world.auth.register_finish(Registration { bundle, ..good.clone() }).await;
        assert!(matches!(refused, Err(AuthError::Bundle)));
    }
    let other_account = Registration { account: mallory.account, ..good.clone() };
    assert!(matches!(world.auth.register_finish(other_account).await, Err(AuthError::Bundle)));

    let swapped = Registration { password_wrap: good.recovery_wrap.clone(), ..good.clone() };
    let missing = Registration { recovery_wrap: good.password_wrap.clone(), ..good.clone() };
    let short = Registration { password_wrap: good.password_wrap[1..].to_vec(), ..good.clone() };
    let upload = Registration { upload: good.upload[1..].to_vec(), ..good.clone() };
    for wrong in [swapped, missing, short, upload] {
        assert!(matches!(world.auth.register_finish(wrong).await, Err(AuthError::Message)));
    }
    assert_eq!(world.ports.directory.account(alice.account).await.unwrap(), None);
    world.auth.register_finish(good).await.unwrap();
}

#[tokio::test]
async fn a_closed_server_takes_no_new_accounts() {
    let closed = Settings { registration_open: false, ..Settings::default() };
    let world = World::new(closed, StorageSettings::default());
    let alice = Person::new("alice@example.org");
    assert!(matches!(alice.register(&world.auth).await, Err(AuthError::RegistrationClosed)));
}

#[tokio::test]
async fn a_malformed_first_message_is_refused() {
    let world = World::default();
    let email = "alice@example.org".parse().unwrap();
    for request in [&[][..], &[0; 31], &[255; 32], &[0; 33]] {
        let refused = world.auth.register_start(&email, request).await;
        assert!(matches!(refused, Err(AuthError::Message)), "{request:?}");
    }
}

#[tokio::test]
async fn a_store_that_fails_leaves_no_account() {
    let world = World::default();
    let alice = Person::new("alice@example.org");
    let registration = alice.registration(&world.auth).await.unwrap();
    world.store.fail_next("create_account");
    assert!(matches!(world.auth.register_finish(registration.clone()).await, Err(AuthError::Store(_))));
    assert_eq!(world.ports.directory.account(alice.account).await.unwrap(), None);
    world.auth.register_finish(registration).await.unwrap();
}
