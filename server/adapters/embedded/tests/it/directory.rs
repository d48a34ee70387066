//! Sessions as the gate sees them: from memory, and never older than the last answer.

use veilcloud_domain::{
    audit::model::Kind,
    auth::{
        model::{Ending, NewCredentials, Rotation, SESSIONS_MAX},
        port::{Claim, RequestKey},
    },
};
use veilcloud_embedded::Embedded;
use veilcore::hash::sha256;

use crate::support::{ACCOUNT, furnished, line, open, session};

async fn live(stores: &Embedded, n: u8) -> Option<bool> {
    let standing = stores.directory().standing(ACCOUNT, session(n).id).await.unwrap();
    standing.map(|standing| standing.live)
}

async fn with_sessions() -> (tempfile::TempDir, Embedded) {
    let (folder, stores) = furnished().await;
    for n in 1..=3 {
        assert_eq!(live(&stores, n).await, None);
        let (directory, line) = (stores.directory(), line(Kind::SessionOpen));
        assert!(directory.open_session(session(n), sha256(&[1; 192]), SESSIONS_MAX, line).await.unwrap());
        assert_eq!(live(&stores, n).await, Some(true));
    }
    (folder, stores)
}

#[tokio::test]
async fn an_ended_session_is_ended_for_whoever_asks_next() {
    let (folder, stores) = with_sessions().await;
    let directory = stores.directory();
    directory.end_sessions(ACCOUNT, Ending::One(session(1).id), line(Kind::SessionEnd)).await.unwrap();
    assert_eq!(live(&stores, 1).await, Some(false));
    assert_eq!(live(&stores, 2).await, Some(true));
    let new = NewCredentials { record: vec![8; 192], password_wrap: vec![9; 74], recovery: None };
    let ending = Ending::AllBut(session(2).id);
    let (hash, line_of) = (sha256(&[1; 192]), line(Kind::PasswordChange));
    assert!(directory.replace_credentials(ACCOUNT, hash, new, ending, vec![line_of]).await.unwrap());
    assert_eq!(live(&stores, 3).await, Some(false));
    let standing = directory.standing(ACCOUNT, session(2).id).await.unwrap().unwrap();
    assert!(standing.live && standing.revocation_epoch == 0);
    directory.end_sessions(ACCOUNT, Ending::All, line(Kind::SessionEnd)).await.unwrap();
    let standing = directory.standing(ACCOUNT, session(2).id).await.unwrap().unwrap();
    assert!(!standing.live && standing.revocation_epoch == 1);
    stores.close().await;
    let stores = open(folder.path()).unwrap();
    assert_eq!(live(&stores, 2).await, Some(false));
}

#[tokio::test]
async fn a_refresh_token_that_comes_twice_ends_its_session_at_once() {
    let (_folder, stores) = with_sessions().await;
    let directory = stores.directory();
    let rotate = |old: u8, new: u8| {
        let directory = directory.clone();
        async move {
            directory.rotate_refresh([old; 32], [new; 32], 6_000, line(Kind::SessionRefresh)).await.unwrap()
        }
    };
    assert!(matches!(rotate(1, 11).await, Rotation::Rotated(s) if s.refresh_hash == [11; 32]));
    assert!(matches!(rotate(11, 12).await, Rotation::Rotated(_)));
    assert_eq!(directory.holder_of([1; 32]).await.unwrap(), Some([1; 32]));
    assert_eq!(rotate(1, 13).await, Rotation::Reused { session: session(1).id, account: ACCOUNT });
    assert_eq!(live(&stores, 1).await, Some(false));
    assert_eq!(rotate(12, 14).await, Rotation::Unknown);
    assert_eq!(rotate(99, 15).await, Rotation::Unknown);
    let late =
        directory.rotate_refresh([2; 32], [22; 32], 9_000_000, line(Kind::SessionRefresh)).await.unwrap();
    assert_eq!(late, Rotation::Unknown);
}

#[tokio::test]
async fn a_deleted_account_stands_nowhere_and_leaves_its_address_free() {
    let (_folder, stores) = with_sessions().await;
    let project = stores.catalog().project(crate::support::PROJECT).await.unwrap();
    assert!(project.is_some());
    assert!(
        stores.directory().delete_account(ACCOUNT, vec![line(Kind::AccountDelete)]).await.unwrap().is_done()
    );
    assert_eq!(live(&stores, 1).await, None);
    assert_eq!(stores.catalog().project(crate::support::PROJECT).await.unwrap(), None);
    assert!(
        !stores.directory().delete_account(ACCOUNT, vec![line(Kind::AccountDelete)]).await.unwrap().is_done()
    );
    let (directory, again) = (stores.directory(), crate::support::account());
    assert!(directory.create_account(again, vec![line(Kind::AccountCreate)]).await.unwrap());
}

#[tokio::test]
async fn an_answer_is_given_again_after_a_restart_until_it_expires() {
    let (folder, stores) = furnished().await;
    let key = RequestKey { account: ACCOUNT, api_key: None, method: "Put".to_owned(), request_id: [1; 16] };
    assert_eq!(stores.replies().claim(&key, [1; 32], 0).await.unwrap(), Claim::Fresh);
    assert_eq!(stores.replies().claim(&key, [1; 32], 0).await.unwrap(), Claim::Busy);
    assert_eq!(stores.replies().claim(&key, [2; 32], 0).await.unwrap(), Claim::OtherContent);
    stores.replies().answer(&key, vec![42], 1_000).await.unwrap();
    assert_eq!(stores.replies().claim(&key, [1; 32], 0).await.unwrap(), Claim::Answered(vec![42]));
    stores.close().await;
    let stores = open(folder.path()).unwrap();
    assert_eq!(stores.replies().claim(&key, [1; 32], 999).await.unwrap(), Claim::Answered(vec![42]));
    assert_eq!(stores.replies().claim(&key, [2; 32], 999).await.unwrap(), Claim::OtherContent);
    assert_eq!(stores.replies().claim(&key, [2; 32], 1_000).await.unwrap(), Claim::Fresh);
    stores.replies().release(&key).await.unwrap();
    assert_eq!(stores.replies().claim(&key, [3; 32], 1_000).await.unwrap(), Claim::Fresh);
}
