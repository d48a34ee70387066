//! The peer: an authority block and one block that narrows it, read from bytes, both signatures checked, and asked for an
//! action in a project at a time. Ours checks the proof of possession besides, which these tokens do not have.

use std::time::Duration;

use biscuit_auth::{
    AuthorizerLimits, Biscuit, KeyPair, PublicKey,
    builder::{AuthorizerBuilder, BiscuitBuilder, BlockBuilder},
};

/// A project's id, as in ours.
const PROJECT: &str = "0192f3c4-5a6b-7c8d-9e0f-102132435465";

/// A token as it comes over the network.
pub struct Token {
    bytes: Vec<u8>,
    root: PublicKey,
}

impl Token {
    /// Issued and narrowed once.
    pub fn new() -> Self {
        let root = KeyPair::new();
        let authority = BiscuitBuilder::new()
            .code(format!(
                r#"session("0192f3c45a6b7c8d9e0f102132435466");
                   account("0192f3c45a6b7c8d9e0f102132435467");
                   right("{PROJECT}", "project:read");
                   right("{PROJECT}", "project:write");
                   check if time($now), $now < 2100-01-01T00:00:00Z;"#
            ))
            .expect("the policy is well formed");
        let token = authority.build(&root).expect("the token is issued");
        let narrower = BlockBuilder::new()
            .code(format!(
                r#"check if resource("{PROJECT}"), operation("project:read");
                   check if time($now), $now < 2099-01-01T00:00:00Z;"#
            ))
            .expect("the policy is well formed");
        let token = token.append(narrower).expect("the token is narrowed");
        Self { bytes: token.to_vec().expect("the token has bytes"), root: root.public() }
    }

    /// Reads, verifies and authorizes.
    pub fn check(&self) {
        let token = Biscuit::from(&self.bytes, self.root).expect("the signatures hold");
        let policy = AuthorizerBuilder::new()
            .code(format!(
                r#"resource("{PROJECT}"); operation("project:read");
                   allow if right("{PROJECT}", "project:read");"#
            ))
            .expect("the policy is well formed")
            .time()
            // Its own limit of a millisecond is for a quiet machine.
            .set_limits(AuthorizerLimits { max_time: Duration::from_secs(1), ..AuthorizerLimits::default() });
        let mut authorizer = policy.build(&token).expect("the facts fit");
        authorizer.authorize().expect("it is allowed");
    }
}
