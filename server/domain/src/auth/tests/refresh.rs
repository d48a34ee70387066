use veilcore::hash::sha256;

use crate::{
    audit::model::{Kind, Trail},
    auth::{SessionGrant, error::AuthError},
    testkit::{Person, World},
};

/// Trades a token for one with this hash, signed by this person.
async fn refresh(
    world: &World,
    signer: &Person,
    token: [u8; 32],
    next_hash: [u8; 32],
) -> Result<SessionGrant, AuthError> {
    world.auth.refresh(token, next_hash, signer.refresh_signature(&token, &next_hash)).await
}

#[tokio::test]
async fn a_refresh_gives_a_new_capability_and_a_new_token() {
    let world = World::default();
    let mut alice = world.person("alice@example.org").await;
    let session_ends = alice.session().session_expires_at_ms;
    for _ in 0..3 {
        world.clock.advance(20 * 60_000);
        assert!(matches!(alice.try_caller(&world).await, Err(AuthError::Expired)));
        let before = alice.refresh_token();
        alice.refresh(&world.auth).await.unwrap();
        assert_ne!(before, alice.refresh_token());
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
    let stolen = alice.refresh_token();
    alice.refresh(&world.auth).await.unwrap();
    alice.try_caller(&world).await.unwrap();
    let again = refresh(&world, &alice, stolen, [1; 32]).await;
    assert!(matches!(again, Err(AuthError::RefreshReused)));
    assert!(matches!(alice.try_caller(&world).await, Err(AuthError::Revoked)));
    assert!(matches!(alice.refresh(&world.auth).await, Err(AuthError::RefreshInvalid)));
    let trail = world.trail(Trail::Account(alice.account)).await;
    assert_eq!(trail.last().unwrap().line.kind, Kind::SessionReuse);
}

#[tokio::test]
async fn the_very_same_request_may_be_repeated_until_the_next_one() {
    let world = World::default();
    let mut alice = world.person("alice@example.org").await;
    let (token, next) = (alice.refresh_token(), [8; 32]);
    for _ in 0..3 {
        world.clock.advance(20 * 60_000);
        let grant = refresh(&world, &alice, token, sha256(&next)).await.unwrap();
        assert!(grant.refresh_token.is_none());
        alice.grant = Some(SessionGrant { refresh_token: Some(next.into()), ..grant });
        alice.try_caller(&world).await.unwrap();
    }
    let trail = world.trail(Trail::Account(alice.account)).await;
    assert_eq!(trail.iter().filter(|e| e.line.kind == Kind::SessionRefresh).count(), 1);

    alice.refresh(&world.auth).await.unwrap();
    let late = refresh(&world, &alice, token, sha256(&next)).await;
    assert!(matches!(late, Err(AuthError::RefreshReused)));
    assert!(matches!(alice.try_caller(&world).await, Err(AuthError::Revoked)));
}

#[tokio::test]
async fn a_signature_is_for_one_token_and_one_next_token() {
    let world = World::default();
    let mut alice = world.person("alice@example.org").await;
    let token = alice.refresh_token();
    let signature = alice.refresh_signature(&token, &[1; 32]);
    let exchanged = world.auth.refresh(token, [2; 32], signature).await;
    assert!(matches!(exchanged, Err(AuthError::RefreshInvalid)));
    let swapped = world.auth.refresh(token, [1; 32], alice.refresh_signature(&[1; 32], &token)).await;
    assert!(matches!(swapped, Err(AuthError::RefreshInvalid)));
    alice.refresh(&world.auth).await.unwrap();
}

#[tokio::test]
async fn a_next_token_that_is_not_new_is_refused_and_changes_nothing() {
    let world = World::default();
    let mut alice = world.person("alice@example.org").await;
    let bob = world.person("bob@example.org").await;
    let token = alice.refresh_token();
    for known in [token, bob.refresh_token()] {
        let refused = refresh(&world, &alice, token, sha256(&known)).await;
        assert!(matches!(refused, Err(AuthError::RefreshInvalid)));
    }
    alice.refresh(&world.auth).await.unwrap();
    bob.try_caller(&world).await.unwrap();
}

#[tokio::test]
async fn a_token_without_the_holder_key_renews_nothing_and_ends_nothing() {
    let world = World::default();
    let mut alice = world.person("alice@example.org").await;
    let mallory = world.person("mallory@example.org").await;
    let first = alice.refresh_token();
    let thief = refresh(&world, &mallory, first, [1; 32]).await;
    assert!(matches!(thief, Err(AuthError::RefreshInvalid)));
    alice.refresh(&world.auth).await.unwrap();
    // Nor can whoever saw a used token end the session with it.
    let thief = refresh(&world, &mallory, first, [1; 32]).await;
    assert!(matches!(thief, Err(AuthError::RefreshInvalid)));
    alice.try_caller(&world).await.unwrap();
    let unknown = [7; 32];
    let never = refresh(&world, &alice, unknown, [1; 32]).await;
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
