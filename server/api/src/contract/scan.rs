//! A look at a message's tags before it is decoded: some two bytes of it can become an object of fifty, so a message of
//! one megabyte could become many. A message of ours has few fields, and all of them are known.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::rules::{Problem, Shape, Violation};

/// Most fields of a request, those of its messages and every item of a list included.
pub const FIELDS_MAX: usize = 64;

/// Why a message is not decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scan {
    /// It is no message, or one of more than [`FIELDS_MAX`] fields.
    Malformed,
    /// It has a field that no rule knows.
    Unknown(Violation),
}

impl Shape {
    /// Reads the tags of an encoded message, in one pass and without keeping anything.
    pub fn scan(&self, message: &[u8]) -> Result<(), Scan> {
        self.scan_at(message, &mut { FIELDS_MAX })
    }

    fn scan_at(&self, mut bytes: &[u8], left: &mut usize) -> Result<(), Scan> {
        while !bytes.is_empty() {
            let (number, wire) = decode_key(&mut bytes).map_err(|_| Scan::Malformed)?;
            *left = left.checked_sub(1).ok_or(Scan::Malformed)?;
            let skip = |bytes: &mut &[u8]| {
                skip_field(wire, number, bytes, DecodeContext::default()).map_err(|_| Scan::Malformed)
            };
            let Some(field) = self.fields.iter().find(|field| field.descriptor.number() == number) else {
                skip(&mut bytes)?;
                let problem = Problem::Unknown;
                return Err(Scan::Unknown(Violation {
                    field: number.to_string(),
                    number: Some(number),
                    problem,
                }));
            };
            match (&field.nested, wire) {
                (_, WireType::StartGroup | WireType::EndGroup) => return Err(Scan::Malformed),
                (Some(shape), WireType::LengthDelimited) => {
                    let len = decode_varint(&mut bytes).ok().and_then(|len| usize::try_from(len).ok());
                    let cut = len.and_then(|len| bytes.split_at_checked(len)).ok_or(Scan::Malformed)?;
                    bytes = cut.1;
                    shape.scan_at(cut.0, left).map_err(|found| found.inside(field.descriptor.name()))?;
                }
                _ => skip(&mut bytes)?,
            }
        }
        Ok(())
    }
}

impl Scan {
    fn inside(self, parent: &str) -> Self {
        match self {
            Self::Malformed => Self::Malformed,
            Self::Unknown(violation) => {
                let field = format!("{parent}.{}", violation.field);
                Self::Unknown(Violation { field, number: None, ..violation })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use veilcloud_proto::{POOL, auth::v1 as auth};

    use super::*;

    fn scan(name: &str, bytes: &[u8]) -> Result<(), Scan> {
        Shape::compile(&POOL.get_message_by_name(name).expect("a message")).expect("compiles").scan(bytes)
    }

    fn update(paths: usize) -> Vec<u8> {
        let mask = prost_types::FieldMask { paths: vec![String::new(); paths] };
        auth::UpdateMeRequest { display_name: "Ada".into(), update_mask: Some(mask) }.encode_to_vec()
    }

    #[test]
    fn fields_are_counted_at_every_depth() {
        let name = "veilcloud.auth.v1.UpdateMeRequest";
        assert_eq!(scan(name, &update(16)), Ok(()));
        assert_eq!(scan(name, &update(FIELDS_MAX - 2)), Ok(()));
        assert_eq!(scan(name, &update(FIELDS_MAX - 1)), Err(Scan::Malformed));
        assert_eq!(scan(name, &update(500_000)), Err(Scan::Malformed));
    }

    #[test]
    fn unknown_fields_are_named_where_they_are() {
        let name = "veilcloud.auth.v1.UpdateMeRequest";
        let at = |bytes: &[u8]| match scan(name, bytes) {
            Err(Scan::Unknown(violation)) => (violation.field, violation.number),
            other => panic!("{other:?}"),
        };
        assert_eq!(at(b"\xf8\x07\x01"), ("127".to_owned(), Some(127)));
        assert_eq!(at(b"\x12\x02\x10\x01"), ("update_mask.2".to_owned(), None));
    }

    #[test]
    fn what_is_no_message_is_malformed() {
        let name = "veilcloud.auth.v1.UpdateMeRequest";
        for bad in [
            &b"\x0a\xff"[..],
            b"\x0a",
            b"\x12\x05\x0a",
            b"\x00",
            b"\x0b\x0c",
            b"\x0c",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        ] {
            assert_eq!(scan(name, bad), Err(Scan::Malformed), "{bad:?}");
        }
        assert_eq!(scan(name, b""), Ok(()));
    }
}
