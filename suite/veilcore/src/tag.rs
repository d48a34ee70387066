//! The registry of domain tags (docs/spec/core.md, section 2). Every hash, signature and derived key of the
//! suite starts with one of these, so a value made for one purpose means nothing for another. A tag is never
//! reused and never changed: a new meaning is a new tag with a new version.

/// A domain tag. Only this file makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag(&'static str);

impl Tag {
    /// The bytes that are hashed.
    pub const fn as_bytes(self) -> &'static [u8] {
        self.0.as_bytes()
    }

    /// The tag as text.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

macro_rules! registry {
    ($($(#[$doc:meta])+ $name:ident = $text:literal;)+) => {
        $($(#[$doc])+ pub const $name: Tag = Tag($text);)+

        /// Every tag of the suite, in the order of the registry.
        pub const ALL: &[Tag] = &[$($name),+];
    };
}

registry! {
    // Access: capability, proof, login.
    /// Issuer signature over a capability body.
    VAC = "Veil/vac/v1";
    /// Signature of one attenuation block over the parent signature and the block.
    VAC_BLOCK = "Veil/vac-block/v1";
    /// Name of a capability: the hash that proofs and caches use.
    VAC_HASH = "Veil/vac-hash/v1";
    /// Holder signature over one request.
    POP = "Veil/pop/v1";
    /// Hash of a request body inside a proof.
    POP_BODY = "Veil/pop-body/v1";
    /// Nullifier of one proof.
    POP_NULL = "Veil/pop-null/v1";
    /// OPAQUE context string.
    OPAQUE = "Veil/opaque/v1";
    /// Binding of a holder key to the OPAQUE transcript that admitted it.
    LOGIN_BIND = "Veil/login-bind/v1";
    /// Keyed by a server secret: what an address without an account is answered with.
    FAKE_ACCOUNT = "Veil/fake-account/v1";
    /// Stored form of a refresh token.
    REFRESH = "Veil/refresh/v1";
    /// Stored form of an API key's secret.
    API_KEY = "Veil/api-key/v1";
    /// Checksum of a service token's text.
    SERVICE_TOKEN = "Veil/service-token/v1";
    /// Signature of a holder key that a capability is to be issued for.
    VAC_HOLDER = "Veil/vac-holder/v1";
    /// Digest of an issuer key's record, as the directory's log names it.
    ISSUER_KEY = "Veil/issuer-key/v1";

    // Account keys.
    /// Key that wraps the account root key, per factor.
    ARK_WRAP = "Veil/ark-wrap/v1";
    /// Seed of the key that proves possession of the recovery code.
    RECOVERY_SIGN = "Veil/recovery-sign/v1";
    /// Checksum of a recovery code's text.
    RECOVERY_CODE = "Veil/recovery-code/v1";
    /// Signature that finishes a recovery.
    RECOVER = "Veil/recover/v1";
    /// Seed of an identity's Ed25519 key.
    IDENTITY_SIGN = "Veil/identity-sign/v1";
    /// Secret of an identity's X25519 (age) key.
    IDENTITY_AGE = "Veil/identity-age/v1";
    /// Identity signature over the account bundle.
    ACCOUNT_BUNDLE = "Veil/account-bundle/v1";

    // Vault.
    /// Author signature over the statement beside a version.
    SEAL = "Veil/seal/v1";
    /// Hash of the inner header line of a text blob.
    SEAL_HEADER = "Veil/seal-header/v1";
    /// Author signature over the statement beside a keyring file.
    KEYRING = "Veil/keyring/v1";
    /// Author signature over a project's access list.
    ACCESS_LIST = "Veil/access-list/v1";
    /// Label of a token keyring's threshold stanza.
    TOKEN_KEYRING = "Veil/token-keyring/v1";
    /// Name of a request to help a token open a keyring.
    TOKEN_UNLOCK = "Veil/token-unlock/v1";
    /// Key that seals what a token's holder trusts first.
    TOKEN_TRUST = "Veil/token-trust/v1";

    // Audit, board and log.
    /// Keyed hash that hides ids in audit leaves.
    AUDIT = "Veil/audit/v1";
    /// Receipt of an accepted ballot.
    RECEIPT = "Veil/receipt/v1";
    /// Signed tree head.
    STH = "Veil/sth/v1";

    // Elections.
    /// Nonce of a voter token.
    TOK_NONCE = "Veil/tok-nonce/v1";
    /// Nullifier of a voter token.
    NULL = "Veil/null/v1";
    /// Key a voter casts with.
    CAST = "Veil/cast/v1";
    /// Ballot transcript.
    BALLOT = "Veil/ballot/v1";
    /// Proof that a ciphertext holds 0 or 1.
    BIT = "Veil/bit/v1";
    /// Proof that a contest's selections sum up as allowed.
    SUM = "Veil/sum/v1";
    /// Hedged nonces of proofs.
    NONCE = "Veil/nonce/v1";
    /// Tally transcript.
    TALLY = "Veil/tally/v1";

    // Threshold keys.
    /// Commitment to a round-1 package.
    DKG_COMMIT = "Veil/dkg-commit/v1";
    /// Echo of what a member saw.
    DKG_ECHO = "Veil/dkg-echo/v1";
    /// Confirmation of a finished ceremony.
    DKG_CONFIRM = "Veil/dkg-confirm/v1";
    /// Reshare transcript.
    RESHARE = "Veil/reshare/v1";
    /// TDH2 encryption proof.
    TDH2_ENC = "Veil/tdh2-enc/v1";
    /// TDH2 second generator.
    TDH2_GEN = "Veil/tdh2-gen/v1";
    /// Key-encryption key of a threshold ciphertext.
    KEK = "Veil/kek/v1";
    /// Partial decryption proof.
    PDEC = "Veil/pdec/v1";
    /// Fingerprint of a key record, and the weights of its check.
    KEY_RECORD = "Veil/key-record/v1";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tag_is_another_or_the_beginning_of_another() {
        for (i, a) in ALL.iter().enumerate() {
            for (j, b) in ALL.iter().enumerate() {
                assert!(i == j || !b.as_str().starts_with(a.as_str()), "{a:?} begins {b:?}");
            }
        }
    }

    #[test]
    fn every_tag_is_named_veil_and_versioned() {
        for tag in ALL {
            let name = tag.as_str().strip_prefix("Veil/").and_then(|rest| rest.strip_suffix("/v1"));
            let name = name.unwrap_or_else(|| panic!("{tag:?} is not Veil/<name>/v1"));
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{tag:?}"
            );
        }
    }
}
