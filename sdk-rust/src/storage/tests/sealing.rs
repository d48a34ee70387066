//! Versions that are sealed here and sent by somebody else.

use veilcloud_proto::storage::v1 as pb;

use super::*;
use crate::transport::rpc;

async fn sealed(client: &Client, content: &[u8], expect: Expect) -> Result<SealedVersion> {
    client.storage().seal(&project(), ENV, content.to_vec(), expect).await
}

/// Sends what was sealed as an HTTP client would.
async fn send(client: &Client, version: SealedVersion) -> Result<pb::PutBlobResponse> {
    let if_match = match version.precondition {
        Precondition::IfMatch(etag) => etag,
        Precondition::IfNoneMatchAny => String::new(),
    };
    let request = pb::PutBlobRequest {
        project_id: project().id.to_string(),
        env_name: ENV.into(),
        ciphertext: version.ciphertext.into(),
        seal: version.seal.into(),
        if_none_match: if if_match.is_empty() { "*".into() } else { String::new() },
        if_match,
        request_id: String::new(),
        log_size: 0,
    };
    client.call(&rpc::PUT_BLOB, &request).await
}

#[tokio::test]
async fn what_is_sealed_can_be_sent_and_read_and_fits_one_place_only() {
    let server = Server::default();
    let client = client(&server);
    client.environments(&project()).create(ENV).await.expect("made");
    let first = sealed(&client, b"1", Expect::Any).await.expect("sealed");
    assert_eq!((first.number, &first.precondition), (1, &Precondition::IfNoneMatchAny));
    assert_eq!(first.headers()[1], ("if-none-match".to_owned(), "*".to_owned()));
    assert!(server.row(ENV).versions.is_empty(), "nothing was sent");
    send(&client, first.clone()).await.expect("taken");
    assert_eq!(get(&client, None).await.expect("read"), b"1");

    let second = sealed(&client, b"2", Expect::Any).await.expect("sealed");
    let etag = pins::etag(1, &first.digest);
    assert_eq!((second.number, &second.precondition), (2, &Precondition::IfMatch(etag.clone())));
    assert_eq!(second.headers()[1], ("if-match".to_owned(), etag));
    let headers = second.headers();
    assert_eq!(headers[0].0, "veil-seal");
    assert_eq!(headers[0].1.len(), second.seal.len() * 4 / 3, "base64url without padding");
    put(&client, b"faster").await.expect("stored");
    assert!(send(&client, second).await.is_err_and(|e| e.is("ETAG_MISMATCH")));
}

#[tokio::test]
async fn sealing_makes_no_environment_and_keeps_to_what_is_expected() {
    let server = Server::default();
    let client = client(&server);
    let nowhere = sealed(&client, b"1", Expect::Any).await;
    assert!(nowhere.is_err_and(|e| e.is("ENVIRONMENT_NOT_FOUND")));
    assert!(server.state().rows.is_empty());
    put(&client, b"1").await.expect("stored");
    let late = sealed(&client, b"2", Expect::First).await;
    assert!(matches!(late, Err(Error::Conflict { current: Some(_) })));
}

#[tokio::test]
async fn what_does_not_fit_one_request_is_refused() {
    let client = client(&Server::default());
    client.environments(&project()).create(ENV).await.expect("made");
    let len = usize::try_from(DIRECT_BLOB_MAX).expect("small");
    // The greater one is refused for its own length, the other for that of its ciphertext.
    for len in [len + 1, len] {
        let long = sealed(&client, &vec![0; len], Expect::Any).await;
        assert!(matches!(long, Err(Error::Invalid { what: "content", .. })), "{len}");
    }
    let fits = sealed(&client, &vec![0; 700_000], Expect::Any).await.expect("sealed");
    assert!(fits.ciphertext.len() as u64 <= DIRECT_BLOB_MAX);
}
