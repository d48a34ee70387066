//! Every RPC's messages through JSON and back.

use bytes::Bytes;
use prost::Message;
use prost_reflect::{DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

use super::response::json;
use crate::contract::METHODS;

/// A message with every field filled, nested ones too.
fn filled(message: MessageDescriptor) -> DynamicMessage {
    let mut full = DynamicMessage::new(message.clone());
    for field in message.fields() {
        let one = value(&field);
        let one = if field.is_list() { Value::List(vec![one.clone(), one]) } else { one };
        full.set_field(&field, one);
    }
    full
}

fn value(field: &FieldDescriptor) -> Value {
    match field.kind() {
        Kind::String if field.parent_message().full_name() == "google.protobuf.FieldMask" => {
            Value::String("display_name".into())
        }
        Kind::String => Value::String("a \"text\" ä \u{2028}".into()),
        Kind::Bytes => Value::Bytes(Bytes::from_static(&[0, 1, 0xfb, 0xff])),
        Kind::Uint32 => Value::U32(u32::MAX),
        Kind::Uint64 => Value::U64(u64::MAX),
        Kind::Int32 => Value::I32(123_000_000),
        Kind::Int64 => Value::I64(1_700_000_000),
        Kind::Bool => Value::Bool(true),
        Kind::Message(nested) => Value::Message(filled(nested)),
        other => panic!("{other:?} is not in the contract: add it here and in the rules"),
    }
}

fn back(message: MessageDescriptor, text: &[u8]) -> DynamicMessage {
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let mut parser = serde_json::Deserializer::from_slice(text);
    DynamicMessage::deserialize_with_options(message, &mut parser, &options).unwrap()
}

#[test]
fn every_message_of_every_rpc_survives_json() {
    for method in METHODS.values() {
        for descriptor in [&method.input, &method.output] {
            for message in [filled(descriptor.clone()), DynamicMessage::new(descriptor.clone())] {
                let text = json(&message).unwrap();
                let again = back(descriptor.clone(), &text);
                assert_eq!(again.encode_to_vec(), message.encode_to_vec(), "{}", descriptor.full_name());
            }
        }
    }
}

#[test]
fn json_is_that_of_proto3() {
    let method = &METHODS["/veilcloud.storage.v1.StorageService/StatBlob"];
    let text = json(&filled(method.output.clone())).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let blob = &value["blob"];
    assert_eq!(blob["version"], "18446744073709551615");
    assert_eq!(blob["digest"], "AAH7/w==");
    assert_eq!(blob["createdAt"], "2023-11-14T22:13:20.123Z");
    let empty = json(&DynamicMessage::new(method.input.clone())).unwrap();
    assert_eq!(empty, br#"{"projectId":"","envName":"","version":"0","logSize":"0"}"#);
}
