//! Field rules, compiled from `(veilcloud.common.v1.rules)` and checked on every request before a handler runs.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use veilcloud_domain::{auth::model::Email, name::Name};
use veilcloud_proto::{RULES, common::v1 as pb};
use veilcore::id::ProjectId;

use super::{ContractError, option};

/// Most violations that one answer lists.
pub const VIOLATIONS_MAX: usize = 16;
/// Deepest nesting of request messages.
const DEPTH_MAX: usize = 4;
/// Most paths of a field mask.
const MASK_PATHS_MAX: usize = 16;
/// Greatest length of a field mask's path in bytes.
const MASK_PATH_LEN_MAX: usize = 128;

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, for example `keyring.file`.
    pub field: String,
    /// Number of the field when it is a field of the request itself.
    pub number: Option<u32>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Empty.
    #[error("must not be empty")]
    Required,
    /// Too short.
    #[error("must have at least {0} bytes")]
    MinLen(u32),
    /// Too long.
    #[error("must have at most {0} bytes")]
    MaxLen(u32),
    /// Another length.
    #[error("must have exactly {0} bytes")]
    ExactLen(u32),
    /// Too many items.
    #[error("must have at most {0} items")]
    MaxItems(u32),
    /// Too large a number.
    #[error("must be at most {0}")]
    MaxValue(u64),
    /// Not of its shape.
    #[error("must be {0}")]
    Format(&'static str),
    /// Not a field of this message.
    #[error("is not a field of this message")]
    Unknown,
}

impl Problem {
    /// The rule's name in error metadata.
    pub fn rule(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::MinLen(_) => "min_len",
            Self::MaxLen(_) => "max_len",
            Self::ExactLen(_) => "exact_len",
            Self::MaxItems(_) => "max_items",
            Self::MaxValue(_) => "max_value",
            Self::Format(_) => "format",
            Self::Unknown => "unknown_field",
        }
    }
}

/// The rules of a message's fields.
#[derive(Debug)]
pub struct Shape {
    pub(super) fields: Vec<Field>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) descriptor: FieldDescriptor,
    rules: pb::Rules,
    pub(super) nested: Option<Shape>,
}

impl Shape {
    /// Compiles a request message's rules; refuses a rule that this file does not check.
    pub fn compile(message: &MessageDescriptor) -> Result<Self, ContractError> {
        compile_at(message, 0)
    }

    /// The fields of a message that is not ours: known, and of any value.
    #[cfg(any(test, feature = "testkit"))]
    pub fn without_rules(message: &MessageDescriptor) -> Self {
        let fields = message.fields().map(|descriptor| Field {
            descriptor,
            rules: pb::Rules::default(),
            nested: None,
        });
        Self { fields: fields.collect() }
    }

    /// Every broken rule, at most [`VIOLATIONS_MAX`].
    pub fn check(&self, message: &DynamicMessage) -> Vec<Violation> {
        let mut found = Vec::new();
        self.check_at("", message, &mut found);
        found
    }

    fn check_at(&self, prefix: &str, message: &DynamicMessage, found: &mut Vec<Violation>) {
        let mut push = |field: String, number: u32, problem: Problem| {
            if found.len() < VIOLATIONS_MAX {
                found.push(Violation { field, number: prefix.is_empty().then_some(number), problem });
            }
        };
        if let Some(unknown) = message.unknown_fields().next() {
            push(format!("{prefix}{}", unknown.number()), unknown.number(), Problem::Unknown);
        }
        for field in &self.fields {
            let descriptor = &field.descriptor;
            let path = format!("{prefix}{}", descriptor.name());
            if !message.has_field(descriptor) {
                if field.rules.required {
                    push(path, descriptor.number(), Problem::Required);
                }
                continue;
            }
            let value = message.get_field(descriptor);
            for problem in field.problems(&value) {
                push(path.clone(), descriptor.number(), problem);
            }
        }
        for field in self.fields.iter().filter(|f| message.has_field(&f.descriptor)) {
            let Some(shape) = &field.nested else { continue };
            let value = message.get_field(&field.descriptor);
            let items = value.as_list().unwrap_or(std::slice::from_ref(&*value));
            for nested in items.iter().filter_map(Value::as_message) {
                shape.check_at(&format!("{prefix}{}.", field.descriptor.name()), nested, found);
            }
        }
    }
}

fn compile_at(message: &MessageDescriptor, depth: usize) -> Result<Shape, ContractError> {
    let fail = |what: &str| ContractError { place: message.full_name().to_owned(), what: what.to_owned() };
    if depth > DEPTH_MAX {
        return Err(fail("nests too deeply"));
    }
    if message.full_name() == "google.protobuf.FieldMask" {
        let rules = pb::Rules {
            max_items: MASK_PATHS_MAX as u32,
            max_len: MASK_PATH_LEN_MAX as u32,
            ..Default::default()
        };
        let fields =
            message.fields().map(|descriptor| Field { descriptor, rules: rules.clone(), nested: None });
        return Ok(Shape { fields: fields.collect() });
    }
    if !message.full_name().starts_with("veilcloud.") {
        return Err(fail("is not a message whose fields have rules"));
    }
    let fields = message.fields().map(|descriptor| {
        let rules = option::<pb::Rules>(&descriptor.options(), &RULES).unwrap_or_default();
        supported(&descriptor, &rules)?;
        let nested = match descriptor.kind() {
            Kind::Message(nested) => Some(compile_at(&nested, depth + 1)?),
            _ => None,
        };
        Ok(Field { descriptor, rules, nested })
    });
    Ok(Shape { fields: fields.collect::<Result<_, ContractError>>()? })
}

/// Refuses a rule on a field of a kind that [`Field::problems`] does not check it on.
fn supported(field: &FieldDescriptor, rules: &pb::Rules) -> Result<(), ContractError> {
    let fail = |what: &str| Err(ContractError { place: field.full_name().to_owned(), what: what.to_owned() });
    let text = matches!(field.kind(), Kind::String);
    let lengths = text || matches!(field.kind(), Kind::Bytes);
    if !lengths && (rules.min_len > 0 || rules.max_len > 0 || rules.exact_len > 0) {
        return fail("a length rule on a field without a length");
    }
    if !text && rules.format() != pb::Format::Unspecified {
        return fail("a format on a field that is no string");
    }
    if rules.max_value > 0 && !matches!(field.kind(), Kind::Uint32 | Kind::Uint64) {
        return fail("max_value on a field that is no unsigned integer");
    }
    if rules.max_items > 0 && !field.is_list() || field.is_map() {
        return fail("max_items needs a repeated field, and maps are not checked");
    }
    if field.is_list() && !lengths && !matches!(field.kind(), Kind::Message(_)) {
        return fail("a list of numbers, whose packed items nobody counts before they are decoded");
    }
    if pb::Format::try_from(rules.format).is_err() {
        return fail("a format that this server does not know");
    }
    if !rules.header.is_empty() && (!lengths || rules.header.bytes().any(|b| b.is_ascii_uppercase())) {
        return fail("a request header carries a string or bytes field and is lower case");
    }
    Ok(())
}

impl Field {
    fn problems(&self, value: &Value) -> Vec<Problem> {
        let rules = &self.rules;
        match value {
            Value::List(items) => {
                let count =
                    (items.len() > rules.max_items as usize).then_some(Problem::MaxItems(rules.max_items));
                let each = items.iter().take(rules.max_items as usize).flat_map(|item| self.problems(item));
                count.into_iter().chain(each).collect()
            }
            Value::String(text) => {
                length(rules, text.len()).or_else(|| shape(rules.format(), text)).into_iter().collect()
            }
            Value::Bytes(bytes) => length(rules, bytes.len()).into_iter().collect(),
            Value::U32(number) => at_most(rules, u64::from(*number)).into_iter().collect(),
            Value::U64(number) => at_most(rules, *number).into_iter().collect(),
            _ => Vec::new(),
        }
    }
}

fn at_most(rules: &pb::Rules, number: u64) -> Option<Problem> {
    (rules.max_value > 0 && number > rules.max_value).then_some(Problem::MaxValue(rules.max_value))
}

fn length(rules: &pb::Rules, len: usize) -> Option<Problem> {
    let over = |bound: u32| bound > 0 && len > bound as usize;
    if rules.exact_len > 0 && len != rules.exact_len as usize {
        Some(Problem::ExactLen(rules.exact_len))
    } else if over(rules.max_len) {
        Some(Problem::MaxLen(rules.max_len))
    } else if len < rules.min_len as usize {
        Some(Problem::MinLen(rules.min_len))
    } else {
        None
    }
}

fn shape(format: pb::Format, text: &str) -> Option<Problem> {
    let (good, wanted) = match format {
        pb::Format::Unspecified => (!text.chars().any(char::is_control), "free of control characters"),
        // Every id has this one text form.
        pb::Format::Uuid => (text.parse::<ProjectId>().is_ok(), "a lower-case hyphenated UUID"),
        pb::Format::Name => (
            text.parse::<Name>().is_ok(),
            "1 to 63 of a-z, 0-9, '.', '_', '-', starting with a letter or digit, without '..'",
        ),
        pb::Format::Email => {
            (text.parse::<Email>().is_ok_and(|e| e.as_str().len() == text.len()), "an e-mail address")
        }
        pb::Format::Etag => (is_etag(text), "a strong entity tag with its quotes, or '*'"),
        pb::Format::Lines => {
            (!text.chars().any(|c| c.is_control() && c != '\n'), "lines free of control characters")
        }
    };
    (!good).then_some(Problem::Format(wanted))
}

/// RFC 9110, 8.8.3: a strong tag is a quoted string of visible characters without quotes.
fn is_etag(text: &str) -> bool {
    let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    text == "*"
        || inner.is_some_and(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_graphic() && b != b'"'))
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
