use crate::{
    audit::model::{Kind, Trail},
    auth::{FRESH_LOGIN_MS, error::AuthError},
    testkit::{Person, World},
};

#[tokio::test]
async fn a_new_password_ends_all_other_sessions_and_the_old_password() {
    let world = World::default();
    let mut alice = Person::new("alice@example.org");
    alice.register(&world.auth).await.unwrap();
    alice.login(&world.auth).await.unwrap();
    let other = alice.grant.take();
    alice.login(&world.auth).await.unwrap();
    let caller = alice.caller(&world).await;
    let old_password = alice.password.clone();
    alice.change_password(&world.auth, &caller, "a new password").await.unwrap();

    alice.try_caller(&world).await.unwrap();
    let this = std::mem::replace(&mut alice.grant, other);
    assert!(matches!(alice.try_caller(&world).await, Err(AuthError::Revoked)));
    alice.grant = this;
    let old = alice.login_with(&world.auth, &old_password).await;
    assert!(matches!(old, Err(AuthError::LoginFailed)));
    // The login checks that the root key is still the same.
    alice.login(&world.auth).await.unwrap();
    let trail = world.trail(Trail::Account(alice.account)).await;
    assert_eq!(trail.iter().filter(|e| e.line.kind == Kind::PasswordChange).count(), 1);
}

#[tokio::test]
async fn password_and_deletion_need_a_login_within_five_minutes() {
    let world = World::default();
    let mut alice = world.person("alice@example.org").await;
    world.clock.advance(FRESH_LOGIN_MS + 1);
    // A renewed session is not a new login.
    alice.refresh(&world.auth).await.unwrap();
    let caller = alice.caller(&world).await;
    let start = world.auth.change_password_start(&caller, &[1; 32]).await;
    assert!(matches!(start, Err(AuthError::NotFresh)));
    let finish = world.auth.change_password_finish(&caller, vec![1; 192], vec![1; 74]).await;
    assert!(matches!(finish, Err(AuthError::NotFresh)));
    let delete = world.auth.delete_account(&caller, &alice.email).await;
    assert!(matches!(delete, Err(AuthError::NotFresh)));
    world.auth.me(&caller).await.unwrap();
}

#[tokio::test]
async fn a_password_change_that_is_no_message_changes_nothing() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let caller = alice.caller(&world).await;
    let before = world.auth.me(&caller).await.unwrap();
    for (upload, wrap) in [
        (vec![1; 10], before.password_wrap.clone()),
        (before.record.clone(), before.recovery_wrap.clone()),
        (vec![1; 191], before.password_wrap.clone()),
    ] {
        let refused = world.auth.change_password_finish(&caller, upload, wrap).await;
        assert!(matches!(refused, Err(AuthError::Message)));
    }
    assert_eq!(world.auth.me(&caller).await.unwrap(), before);
}

#[tokio::test]
async fn a_session_that_ended_meanwhile_changes_no_password() {
    let world = World::default();
    let mut alice = Person::new("alice@example.org");
    alice.register(&world.auth).await.unwrap();
    alice.login(&world.auth).await.unwrap();
    let caller = alice.caller(&world).await;
    let before = world.auth.me(&caller).await.unwrap();
    world.auth.logout(&caller, false).await.unwrap();
    let late = alice.change_password(&world.auth, &caller, "a new password").await;
    assert!(matches!(late, Err(AuthError::Revoked)));
    assert_eq!(world.auth.me(&caller).await.unwrap(), before);
    let trail = world.trail(Trail::Account(alice.account)).await;
    assert_eq!(trail.last().unwrap().line.kind, Kind::SessionEnd);
}

#[tokio::test]
async fn a_display_name_is_short_and_has_no_control_characters() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let caller = alice.caller(&world).await;
    for name in ["", "Alice Ä. 🔑", &"a".repeat(100)] {
        assert_eq!(world.auth.rename(&caller, name.to_owned()).await.unwrap().display_name, name);
    }
    for name in [&"a".repeat(101), "a\nb", "a\u{7f}", "a\u{9b}b"] {
        let refused = world.auth.rename(&caller, name.to_owned()).await;
        assert!(matches!(refused, Err(AuthError::DisplayName)), "{name:?}");
    }
    assert_eq!(world.auth.me(&caller).await.unwrap().display_name.len(), 100);
}

#[tokio::test]
async fn an_account_is_deleted_with_everything_in_it_after_its_address_was_typed() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let caller = alice.caller(&world).await;
    let access = world.project(&caller, "app").await;
    let wrong = world.auth.delete_account(&caller, &"bob@example.org".parse().unwrap()).await;
    assert!(matches!(wrong, Err(AuthError::Confirmation)));
    world.projects.get(&access).await.unwrap();
    world.auth.delete_account(&caller, &alice.email).await.unwrap();
    assert!(matches!(alice.try_caller(&world).await, Err(AuthError::Revoked)));
    assert!(matches!(world.auth.me(&caller).await, Err(AuthError::Revoked)));
    assert!(world.projects.get(&access).await.is_err());
    let trail = world.trail(Trail::Account(alice.account)).await;
    assert_eq!(trail.last().unwrap().line.kind, Kind::AccountDelete);
    // The address is free again.
    world.person("alice@example.org").await;
}
