use crate::{
    audit::model::{Kind, Trail},
    auth::error::AuthError,
    testkit::World,
};

#[tokio::test]
async fn a_refresh_gives_a_new_capability_and_a_new_token() {
    let world = World::default();
    let mut alice = world.person("alice@example.org").await;
    let session_ends = alice.session().session_expires_at_ms;
    for _ in 0..3 {
        world.clock.advance(20 * 60_000);
        assert!(matches!(alice.try_caller(&world).await, Err(AuthError::Expired)));
        let before = *alice.session().refresh_token;
        alice.refresh(&world.auth).await.unwrap();
        assert_ne!(before, *alice.session().refresh_token);
        assert_eq!(alice.session().session_expires_at_ms, session_ends);
        assert_eq!(alice.caller(&world).await.account, alice.account);
    }
    let trail = world.trail(Trail::Account(alice.account)).await;
    assert_eq!(trail.iter().filter(|e| e.line.kind == Kind::SessionRefresh).count(), 3);
}

#[tokio::test]
async fn a_token_used_twice_ends_the_whole_session() {
    let world = World::default();
    let mut alice = world.person("alice@example.org").await;
    let stolen = *alice.session().refresh_token;
    alice.refresh(&world.auth).await.unwrap();
    alice.try_caller(&world).await.unwrap();
    let again = world.auth.refresh(stolen, alice.refresh_signature(&stolen)).await;
    assert!(matches!(again, Err(AuthError::RefreshReused)));
    assert!(matches!(alice.try_caller(&world).await, Err(AuthError::Revoked)));
    assert!(matches!(alice.refresh(&world.auth).await, Err(AuthError::RefreshInvalid)));
    let trail = world.trail(Trail::Account(alice.account)).await;
    assert_eq!(trail.last().unwrap().line.kind, Kind::SessionReuse);
}

#[tokio::test]
async fn a_token_without_the_holder_key_renews_nothing_and_ends_nothing() {
    let world = World::default();
    let mut alice = world.person("alice@example.org").await;
    let mallory = world.person("mallory@example.org").await;
    let first = *alice.session().refresh_token;
    let thief = world.auth.refresh(first, mallory.refresh_signature(&first)).await;
    assert!(matches!(thief, Err(AuthError::RefreshInvalid)));
    alice.refresh(&world.auth).await.unwrap();
    // Nor can whoever saw a used token end the session with it.
    let thief = world.auth.refresh(first, mallory.refresh_signature(&first)).await;
    assert!(matches!(thief, Err(AuthError::RefreshInvalid)));
    alice.try_caller(&world).await.unwrap();
    let unknown = [7; 32];
    let never = world.auth.refresh(unknown, alice.refresh_signature(&unknown)).await;
    assert!(matches!(never, Err(AuthError::RefreshInvalid)));
}

#[tokio::test]
async fn a_session_cannot_be_renewed_for_ever() {
    let world = World::default();
    let mut alice = world.person("alice@example.org").await;
    world.clock.advance(30 * 24 * 3_600_000 - 60_000);
    alice.refresh(&world.auth).await.unwrap();
    // The last capability does not outlive the session.
    assert_eq!(alice.session().expires_at_ms, alice.session().session_expires_at_ms);
    world.clock.advance(60_000);
    assert!(matches!(alice.refresh(&world.auth).await, Err(AuthError::RefreshInvalid)));
}

#[tokio::test]
async fn logging_out_here_spares_other_sessions_and_everywhere_does_not() {
    let world = World::default();
    let mut alice = world.person("alice@example.org").await;
    let mut other = crate::testkit::Person::new("other@example.org");
    other.enroll(&world).await;
    let caller = alice.caller(&world).await;
    world.auth.logout(&caller, true).await.unwrap();
    assert!(matches!(alice.try_caller(&world).await, Err(AuthError::Revoked)));
    assert!(matches!(alice.refresh(&world.auth).await, Err(AuthError::RefreshInvalid)));
    other.try_caller(&world).await.unwrap();
    let account = world.ports.directory.account(alice.account).await.unwrap().unwrap();
    assert_eq!(account.revocation_epoch, 1);
}

#[tokio::test]
async fn a_store_that_fails_does_not_use_up_the_token() {
    let world = World::default();
    let mut alice = world.person("alice@example.org").await;
    world.store.fail_next("rotate_refresh");
    assert!(matches!(alice.refresh(&world.auth).await, Err(AuthError::Store(_))));
    alice.refresh(&world.auth).await.unwrap();
}
