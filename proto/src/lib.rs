//! The contract: VeilCloud's protobuf messages, services and descriptors, generated from `proto/veilcloud`.
//!
//! Nothing here is written by hand but this page. What is hashed, signed or sealed travels as `bytes` in the suite's
//! canonical encoding (`docs/spec`); never hash a protobuf.
//!
//! Features: `server` adds the service traits' router, `client` the client over a transport.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, ExtensionDescriptor};

/// The encoded `FileDescriptorSet` of the whole contract, comments and options included. It feeds reflection, REST,
/// validation, OpenAPI and the gate.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The descriptor set, parsed once.
pub static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTOR_SET).expect("the build script decoded these bytes"));

/// The method option `(veilcloud.common.v1.access)`.
pub static ACCESS: LazyLock<ExtensionDescriptor> = LazyLock::new(|| extension("veilcloud.common.v1.access"));

/// The field option `(veilcloud.common.v1.rules)`.
pub static RULES: LazyLock<ExtensionDescriptor> = LazyLock::new(|| extension("veilcloud.common.v1.rules"));

/// The method option `(google.api.http)`.
pub static HTTP: LazyLock<ExtensionDescriptor> = LazyLock::new(|| extension("google.api.http"));

fn extension(name: &str) -> ExtensionDescriptor {
    POOL.get_extension_by_name(name).expect("the build script found this extension")
}

macro_rules! areas {
    ($($(#[$doc:meta])* $area:ident = $package:literal),* $(,)?) => {$(
        $(#[$doc])*
        pub mod $area {
            /// Version 1.
            #[allow(missing_docs, clippy::all)]
            pub mod v1 {
                tonic::include_proto!($package);
            }
        }
    )*};
}

areas! {
    /// Annotations, error reasons, and what the server says about itself.
    common = "veilcloud.common.v1",
    /// Accounts and sessions.
    auth = "veilcloud.auth.v1",
    /// Projects and environments.
    projects = "veilcloud.projects.v1",
    /// Versions of blobs, and uploads.
    storage = "veilcloud.storage.v1",
    /// Teams and their members.
    teams = "veilcloud.teams.v1",
    /// The audit trail.
    audit = "veilcloud.audit.v1",
}
