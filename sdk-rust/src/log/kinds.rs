//! Numbers of what happened, as entries name it (docs/spec/chain.md); never reused.

/// An environment was created.
pub(crate) const ENV_CREATE: u8 = 30;
/// An environment was created with the content of another.
pub(crate) const ENV_CLONE: u8 = 31;
/// An environment was deleted.
pub(crate) const ENV_DELETE: u8 = 32;
/// An environment's key was rotated.
pub(crate) const KEY_ROTATE: u8 = 33;
/// A version was written.
pub(crate) const BLOB_PUT: u8 = 40;
/// The bytes of all versions so far were deleted.
pub(crate) const BLOB_DELETE: u8 = 41;
/// A version's bytes were given out.
pub(crate) const BLOB_READ: u8 = 42;
/// An account's first keys.
pub(crate) const KEY_PUBLISH: u8 = 50;
/// An account's keys were replaced.
pub(crate) const KEY_REPLACE: u8 = 51;
/// An account is gone: nothing may be wrapped to its keys any more.
pub(crate) const KEY_REVOKE: u8 = 52;
/// From here on this key signs the logs too.
pub(crate) const LOG_KEY: u8 = 60;
/// From here on this key signs capabilities, or it was revoked.
pub(crate) const ISSUER_KEY: u8 = 61;

const NAMES: [(u8, &str); 40] = [
    (1, "auth.register"),
    (2, "auth.login"),
    (3, "auth.refresh"),
    (4, "auth.refresh_reuse"),
    (5, "auth.logout"),
    (6, "auth.password"),
    (7, "auth.recover"),
    (8, "auth.update"),
    (9, "auth.delete"),
    (20, "project.create"),
    (21, "project.update"),
    (22, "project.delete"),
    (ENV_CREATE, "env.create"),
    (ENV_CLONE, "env.clone"),
    (ENV_DELETE, "env.delete"),
    (KEY_ROTATE, "key.rotate"),
    (BLOB_PUT, "blob.put"),
    (BLOB_DELETE, "blob.delete"),
    (BLOB_READ, "blob.read"),
    (KEY_PUBLISH, "key.publish"),
    (KEY_REPLACE, "key.replace"),
    (KEY_REVOKE, "key.revoke"),
    (LOG_KEY, "log.key"),
    (ISSUER_KEY, "access.issuer_key"),
    (70, "team.create"),
    (71, "team.update"),
    (72, "team.delete"),
    (73, "team.member_add"),
    (74, "team.member_update"),
    (75, "team.member_remove"),
    (80, "access.share"),
    (81, "access.unshare"),
    (82, "access.list"),
    (83, "key.add"),
    (84, "key.unlock"),
    (90, "access.key_create"),
    (91, "access.key_rotate"),
    (92, "access.key_revoke"),
    (93, "access.issue"),
    (94, "access.revoke"),
];

/// The name of a number, e.g. `blob.put`; `kind.<number>` for one that this build does not know.
pub(crate) fn name(kind: u8) -> String {
    match NAMES.iter().find(|(number, _)| *number == kind) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("kind.{kind}"),
    }
}
