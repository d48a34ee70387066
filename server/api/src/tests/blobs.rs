use std::fmt::Write as _;

use super::*;

const OCTETS: (&str, &str) = ("content-type", "application/octet-stream");

#[tokio::test]
async fn a_blob_goes_in_and_out_over_grpc() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let (project, sealed, _) = blob(&port, &ada, b"KEY=value\n").await;
    let put = "/veilcloud.storage.v1.StorageService/PutBlob";
    let answer = port.call(&ada, put, &put_request(&project, &sealed)).await;
    let info = answer.message::<storage::PutBlobResponse>().blob.unwrap();
    assert_eq!((info.version, &info.digest[..]), (1, &sealed.digest.0[..]));

    let get =
        storage::GetBlobRequest { project_id: project, env_name: "production".into(), ..Default::default() };
    let answer = port.call(&ada, GET_BLOB, &get).await;
    let pieces: Vec<storage::GetBlobResponse> =
        answer.messages.iter().map(|m| storage::GetBlobResponse::decode(m.clone()).unwrap()).collect();
    assert_eq!(answer.status.code(), Code::Ok);
    assert_eq!(pieces[0].blob.as_ref().unwrap().etag, info.etag);
    let bytes: Vec<u8> = pieces.iter().flat_map(|p| p.data.to_vec()).collect();
    assert_eq!(bytes, sealed.ciphertext);
    let same = storage::GetBlobRequest { if_none_match: info.etag, ..get };
    let answer = port.call(&ada, GET_BLOB, &same).await;
    assert!(answer.message::<storage::GetBlobResponse>().not_modified && answer.messages.len() == 1);
}

#[tokio::test]
async fn a_blob_goes_in_and_out_over_rest() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let (project, sealed, _) = blob(&port, &ada, b"KEY=value\n").await;
    let path = format!("/v1/storage/{project}/production");
    let seal = BASE64URL_NOPAD.encode(&sealed.seal);
    let put = format!("PUT {path}");
    let first = [OCTETS, ("veil-seal", &seal), ("if-none-match", "*")];
    let reply = port.rest(Some(&ada), &put, &first, &sealed.ciphertext).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    let etag = reply.header("etag").to_owned();
    assert_eq!(reply.json()["blob"]["etag"], etag);
    assert_eq!(reply.json()["blob"]["version"], "1");

    let got = port.get(&ada, &path).await;
    assert_eq!((got.status, &got.body), (StatusCode::OK, &sealed.ciphertext));
    assert_eq!(
        (got.header("etag"), got.header("veil-seal"), got.header("veil-version")),
        (&*etag, &*seal, "1")
    );
    assert_eq!(got.header("content-length"), sealed.ciphertext.len().to_string());
    assert_eq!((got.header("accept-ranges"), got.header("content-type")), ("bytes", OCTETS.1));
    assert_eq!(got.header("cache-control"), "private, no-cache");

    let head = port.rest(Some(&ada), &format!("HEAD {path}"), &[], b"").await;
    assert_eq!((head.status, head.header("content-length")), (StatusCode::OK, got.header("content-length")));
    assert_eq!((head.header("etag"), head.header("veil-seal")), (&*etag, &*seal));

    for line in [format!("GET {path}"), format!("HEAD {path}"), format!("GET {path}/content")] {
        for tag in [etag.clone(), format!("W/{etag}"), format!("{etag}, \"other\"")] {
            let same = port.rest(Some(&ada), &line, &[("if-none-match", &tag)], b"").await;
            assert_eq!((same.status, same.body.len()), (StatusCode::NOT_MODIFIED, 0), "{line} {tag}");
            assert_eq!(same.header("etag"), etag);
        }
    }
    let info = port.get(&ada, &format!("{path}/info")).await;
    assert_eq!(info.json()["blob"]["etag"], etag);
    let version = port.get(&ada, &format!("{path}?version=1")).await;
    assert_eq!(version.body, sealed.ciphertext);
    let none = port.get(&ada, &format!("{path}?version=2")).await;
    assert_eq!((none.status, none.reason().as_str()), (StatusCode::NOT_FOUND, "VERSION_NOT_FOUND"));
}

#[tokio::test]
async fn ranges_are_served_and_checked() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let (project, sealed, _) = blob(&port, &ada, b"KEY=value\n").await;
    let path = format!("/v1/storage/{project}/production");
    let seal = BASE64URL_NOPAD.encode(&sealed.seal);
    let first = [OCTETS, ("veil-seal", &seal), ("if-none-match", "*")];
    let etag = port
        .rest(Some(&ada), &format!("PUT {path}"), &first, &sealed.ciphertext)
        .await
        .header("etag")
        .to_owned();
    let line = format!("GET {path}");
    let len = sealed.ciphertext.len();
    let all = &sealed.ciphertext;
    for (range, part) in
        [("bytes=0-9", 0..10), ("bytes=10-", 10..len), ("bytes=-7", len - 7..len), ("bytes=5-999999", 5..len)]
    {
        let reply = port.rest(Some(&ada), &line, &[("range", range)], b"").await;
        assert_eq!(
            (reply.status, &reply.body[..]),
            (StatusCode::PARTIAL_CONTENT, &all[part.clone()]),
            "{range}"
        );
        let expected = format!("bytes {}-{}/{len}", part.start, part.end - 1);
        assert_eq!(reply.header("content-range"), expected);
        assert_eq!(reply.header("content-length"), part.len().to_string());
    }
    let outside = port.rest(Some(&ada), &line, &[("range", &format!("bytes={len}-"))], b"").await;
    assert_eq!(
        (outside.status, outside.reason().as_str()),
        (StatusCode::RANGE_NOT_SATISFIABLE, "RANGE_NOT_SATISFIABLE")
    );
    assert_eq!(outside.header("content-range"), format!("bytes */{len}"));
    for (tag, status) in [(etag.as_str(), 206), ("\"v9-x\"", 200)] {
        let reply = port.rest(Some(&ada), &line, &[("range", "bytes=1-2"), ("if-range", tag)], b"").await;
        assert_eq!(reply.status.as_u16(), status, "{tag}");
    }
    let several = port.rest(Some(&ada), &line, &[("range", "bytes=0-1,4-5")], b"").await;
    assert_eq!((several.status, several.body.len()), (StatusCode::OK, len));
    let held =
        port.rest(Some(&ada), &line, &[("range", "bytes=999999-"), ("if-none-match", &etag)], b"").await;
    assert_eq!(held.status, StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn writes_say_what_they_replace() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let (project, sealed, _) = blob(&port, &ada, b"KEY=value\n").await;
    let put = format!("PUT /v1/storage/{project}/production");
    let seal = BASE64URL_NOPAD.encode(&sealed.seal);
    let send = async |headers: &[(&str, &str)], body: &[u8]| {
        let reply = port.rest(Some(&ada), &put, headers, body).await;
        (reply.status.as_u16(), reply.reason())
    };
    let sealed_by = ("veil-seal", seal.as_str());
    let body = &sealed.ciphertext[..];
    assert_eq!(send(&[OCTETS, sealed_by], body).await, (428, "PRECONDITION_REQUIRED".to_owned()));
    let tag = "\"v1-aaaaaaaaaaaaaaaaaaaaaaaa\"";
    assert_eq!(send(&[OCTETS, sealed_by, ("if-match", tag)], body).await, (412, "ETAG_MISMATCH".to_owned()));
    assert_eq!(send(&[OCTETS, sealed_by, ("if-match", "v1")], body).await, (400, "FIELD_INVALID".to_owned()));
    let first = ("if-none-match", "*");
    assert_eq!(send(&[OCTETS, first], body).await, (400, "FIELD_INVALID".to_owned()), "no seal");
    assert_eq!(send(&[OCTETS, first, ("veil-seal", "!")], body).await, (400, "FIELD_INVALID".to_owned()));
    assert_eq!(send(&[OCTETS, first, sealed_by, sealed_by], body).await, (400, "FIELD_INVALID".to_owned()));
    assert_eq!(send(&[first, sealed_by], body).await, (415, "CONTENT_TYPE_UNSUPPORTED".to_owned()));
    let json = ("content-type", "application/json");
    assert_eq!(send(&[json, first, sealed_by], body).await, (415, "CONTENT_TYPE_UNSUPPORTED".to_owned()));
    let zipped = ("content-encoding", "gzip");
    assert_eq!(
        send(&[OCTETS, zipped, first, sealed_by], body).await,
        (415, "CONTENT_TYPE_UNSUPPORTED".to_owned())
    );
    let large = vec![0; 786_433];
    assert_eq!(send(&[OCTETS, first, sealed_by], &large).await, (413, "BLOB_TOO_LARGE".to_owned()));
    assert_eq!(send(&[OCTETS, first, sealed_by], b"").await, (400, "FIELD_INVALID".to_owned()));
    let delete = format!("DELETE /v1/storage/{project}/production");
    let reply = port.rest(Some(&ada), &delete, &[], b"").await;
    assert_eq!((reply.status.as_u16(), reply.reason().as_str()), (428, "PRECONDITION_REQUIRED"));
}

#[tokio::test]
async fn a_large_message_streams_in_pieces() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let mut content = String::new();
    while content.len() < 480_000 {
        writeln!(content, "KEY_{}=value", content.len()).unwrap();
    }
    let (project, sealed, _) = blob(&port, &ada, content.as_bytes()).await;
    let put = "/veilcloud.storage.v1.StorageService/PutBlob";
    port.call(&ada, put, &put_request(&project, &sealed)).await.message::<storage::PutBlobResponse>();
    let get = storage::GetBlobRequest {
        project_id: project.clone(),
        env_name: "production".into(),
        ..Default::default()
    };
    let answer = port.call(&ada, GET_BLOB, &get).await;
    assert!(answer.messages.len() >= 3 && answer.messages.iter().all(|m| m.len() <= 262_144 + 1024));
    let whole = port.get(&ada, &format!("/v1/storage/{project}/production")).await;
    assert_eq!(whole.body, sealed.ciphertext);
}

#[tokio::test]
async fn an_upload_goes_chunk_by_chunk_over_rest() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let (project, sealed, _) = blob(&port, &ada, b"KEY=value\n").await;
    let base = format!("/v1/storage/{project}/production/uploads");
    let base64 = |bytes: &[u8]| data_encoding::BASE64.encode(bytes);
    let start = serde_json::json!({
        "ciphertextBytes": sealed.ciphertext.len().to_string(),
        "digest": base64(&sealed.digest.0),
        "seal": base64(&sealed.seal),
        "ifNoneMatch": "*",
    });
    let json = [("content-type", "application/json; charset=utf-8")];
    let started = port.rest(Some(&ada), &format!("POST {base}"), &json, start.to_string().as_bytes()).await;
    assert_eq!(started.status, StatusCode::OK, "{started:?}");
    let id = started.json()["upload"]["uploadId"].as_str().unwrap().to_owned();
    assert_eq!(started.json()["upload"]["missing"], serde_json::json!([{"first": 0, "count": 1}]));

    let digest = BASE64URL_NOPAD.encode(&sealed.digest.0);
    let chunk = format!("PUT {base}/{id}/chunks/0");
    let put = port.rest(Some(&ada), &chunk, &[OCTETS, ("veil-digest", &digest)], &sealed.ciphertext).await;
    assert_eq!(put.json()["receivedCount"], 1, "{put:?}");
    let wrong = BASE64URL_NOPAD.encode(&[0; 32]);
    let bad = port.rest(Some(&ada), &chunk, &[OCTETS, ("veil-digest", &wrong)], &sealed.ciphertext).await;
    assert_eq!((bad.status.as_u16(), bad.reason().as_str()), (400, "CHUNK_INVALID"));
    // An empty body is an empty message.
    let done = port.rest(Some(&ada), &format!("POST {base}/{id}/commit"), &[], b"").await;
    assert_eq!((done.status, done.json()["blob"]["version"].as_str()), (StatusCode::OK, Some("1")));
    assert!(done.header("etag").starts_with("\"v1-"));
}
