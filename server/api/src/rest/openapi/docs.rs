//! Comments of the `.proto` files, by full name.

use std::collections::HashMap;

use prost_reflect::FileDescriptor;
use veilcloud_proto::POOL;

/// Comments of services, methods, messages, fields and enum values.
pub struct Docs(HashMap<String, String>);

impl Docs {
    /// Reads the comments that travel with the descriptor set.
    pub fn read() -> Self {
        let mut docs = HashMap::new();
        for file in POOL.files().filter(|file| file.package_name().starts_with("veilcloud.")) {
            let comments = comments(&file);
            let mut note = |name: &str, path: &[i32]| {
                if let Some(text) = comments.get(path) {
                    docs.insert(name.to_owned(), text.clone());
                }
            };
            for message in file.messages() {
                note(message.full_name(), message.path());
                for field in message.fields() {
                    note(field.full_name(), field.path());
                }
            }
            for value in file.enums().flat_map(|list| list.values().collect::<Vec<_>>()) {
                note(value.full_name(), value.path());
            }
            for service in file.services() {
                note(service.full_name(), service.path());
                for method in service.methods() {
                    note(method.full_name(), method.path());
                }
            }
        }
        Self(docs)
    }

    /// The comment of a name; empty when there is none.
    pub fn of(&self, full_name: &str) -> &str {
        self.0.get(full_name).map_or("", String::as_str)
    }
}

fn comments(file: &FileDescriptor) -> HashMap<Vec<i32>, String> {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let locations = info.map(|info| info.location.as_slice()).unwrap_or_default();
    let comment = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    locations
        .iter()
        .filter_map(|at| at.leading_comments.as_ref().map(|text| (at.path.clone(), comment(text))))
        .collect()
}
