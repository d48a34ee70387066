//! Whose key it is (docs/spec/key.md, section 3): every key, share, ciphertext and proof starts with it, so that
//! nothing made for one team, token or epoch means anything for another.

use veilcore::canon::{DecodeError, Reader, Writer};
use veilcore::id::{ApiKeyId, TeamId};

/// Length of an encoded context, in bytes.
pub const CONTEXT_LEN: usize = 21;

const KIND_TEAM: u8 = 1;
const KIND_API_KEY: u8 = 2;

/// Who holds the shares of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder {
    /// The members of a team.
    Team(TeamId),
    /// A service token and the server, one share each.
    ApiKey(ApiKeyId),
}

/// A holder and the number of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Context {
    /// Who holds the shares.
    pub holder: Holder,
    /// Number of the holder's key, from 1. A new key is a new epoch; a refresh or a reshare of the same key is not.
    pub epoch: u32,
}

impl Context {
    /// Canonical bytes.
    pub fn encode(&self) -> [u8; CONTEXT_LEN] {
        let (kind, id) = match &self.holder {
            Holder::Team(id) => (KIND_TEAM, id.as_bytes()),
            Holder::ApiKey(id) => (KIND_API_KEY, id.as_bytes()),
        };
        let bytes = Writer::with_capacity(CONTEXT_LEN).u8(kind).fixed(id).u32(self.epoch).finish();
        bytes.try_into().expect("1 + 16 + 4 bytes were written")
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = input.u8()?;
        let id = input.array()?;
        let holder = match kind {
            KIND_TEAM => Holder::Team(TeamId::from_bytes(id)),
            KIND_API_KEY => Holder::ApiKey(ApiKeyId::from_bytes(id)),
            _ => return Err(DecodeError::Value { field: "kind" }),
        };
        let epoch = input.u32()?;
        if epoch == 0 {
            return Err(DecodeError::Value { field: "epoch" });
        }
        Ok(Self { holder, epoch })
    }
}
