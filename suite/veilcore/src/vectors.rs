//! Pinned bytes of tests/vectors/core.json: other languages and older builds must agree with every one of
//! them.

use data_encoding::HEXLOWER;
use serde_json::Value;

use crate::canon::Writer;
use crate::hash::{frame, hb, hs_wide, sha256};
use crate::id::{AccountId, KeyId};
use crate::tag;

const FILE: &str = include_str!("../../../tests/vectors/core.json");

fn file() -> Value {
    serde_json::from_str(FILE).expect("the vector file is JSON")
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is missing"))
}

fn bytes(value: &Value, field: &str) -> Vec<u8> {
    HEXLOWER.decode(text(value, field).as_bytes()).expect("hex")
}

#[test]
fn the_registry_of_tags_is_the_pinned_one() {
    let file = file();
    let pinned: Vec<&str> = file["tags"].as_array().expect("list").iter().filter_map(Value::as_str).collect();
    let ours: Vec<&str> = tag::ALL.iter().map(|tag| tag.as_str()).collect();
    assert_eq!(ours, pinned);
}

#[test]
fn canonical_bytes_are_the_pinned_ones() {
    let file = file();
    let case = &file["canon"];
    let ours = Writer::new()
        .u8(0x01)
        .u16(0x0203)
        .u32(0x0405_0607)
        .u64(0x0809_0a0b_0c0d_0e0f)
        .fixed(b"fixed")
        .bytes(b"variable")
        .bytes(b"")
        .finish();
    assert_eq!(HEXLOWER.encode(&ours), text(case, "bytes"));
}

#[test]
fn framed_hashes_are_the_pinned_ones() {
    let file = file();
    for case in file["hb"].as_array().expect("list") {
        let tag = *tag::ALL.iter().find(|tag| tag.as_str() == text(case, "tag")).expect("a registered tag");
        let items: Vec<(String, Vec<u8>)> = case["items"]
            .as_array()
            .expect("list")
            .iter()
            .map(|item| (text(item, "label").to_owned(), bytes(item, "bytes")))
            .collect();
        let items: Vec<(&str, &[u8])> = items.iter().map(|(l, b)| (l.as_str(), b.as_slice())).collect();
        assert_eq!(HEXLOWER.encode(&frame(tag, &items)), text(case, "frame"));
        assert_eq!(HEXLOWER.encode(&hb(tag, &items)), text(case, "digest"));
    }
}

#[test]
fn wide_hashes_are_the_pinned_ones() {
    let file = file();
    let case = &file["hs"];
    let items: [(&str, &[u8]); 2] = [("index", &[0, 1]), ("label", b"")];
    assert_eq!(HEXLOWER.encode(&frame(tag::PDEC, &items)), text(case, "frame"));
    assert_eq!(HEXLOWER.encode(&hs_wide(tag::PDEC, &items)), text(case, "wide"));
}

#[test]
fn ids_and_names_are_the_pinned_ones() {
    let file = file();
    let id = &file["id"];
    let parsed: AccountId = text(id, "text").parse().expect("valid");
    assert_eq!(parsed.as_bytes()[..], bytes(id, "bytes")[..]);
    let key = &file["key_id"];
    let public: [u8; 32] = bytes(key, "public_key").try_into().expect("32 bytes");
    assert_eq!(KeyId::of(&public).to_string(), text(key, "key_id"));
    assert_eq!(HEXLOWER.encode(&sha256(b"abc")), text(&file, "sha256_abc"));
}
