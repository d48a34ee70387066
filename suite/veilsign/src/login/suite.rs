//! The OPAQUE configuration. Compiled in, never negotiated: one parameter for native and browser clients,
//! because every one of them, lanes included, changes the output and with it the key of everything the
//! account owns.

use argon2::{Algorithm, Argon2, Params, Version};
use generic_array::{ArrayLength, GenericArray};
use opaque_ke::errors::InternalError;

/// Argon2id memory, in KiB (64 MiB).
pub const KSF_MEMORY_KIB: u32 = 64 * 1024;
/// Argon2id passes over the memory.
pub const KSF_PASSES: u32 = 3;
/// Argon2id lanes.
pub const KSF_LANES: u32 = 4;

/// Argon2id salt: RFC 9807 fixes it to zeros, since the OPRF output it stretches is unique per account and
/// server.
const KSF_SALT: [u8; 16] = [0; 16];

/// The OPRF of RFC 9497 over ristretto255 and SHA-512.
pub type OprfCs = opaque_ke::Ristretto255;
/// 3DH over ristretto255 and SHA-512.
pub type KeyExchange = opaque_ke::TripleDh<opaque_ke::Ristretto255, sha2::Sha512>;

/// The suite of every VeilCloud login.
pub struct Suite;

impl opaque_ke::CipherSuite for Suite {
    type OprfCs = OprfCs;
    type KeyExchange = KeyExchange;
    type Ksf = Ksf;
}

/// Argon2id, version 0x13, with the compiled parameters.
#[derive(Debug, Default, Clone, Copy)]
pub struct Ksf;

impl opaque_ke::ksf::Ksf for Ksf {
    fn hash<L: ArrayLength<u8>>(
        &self,
        input: GenericArray<u8, L>,
    ) -> Result<GenericArray<u8, L>, InternalError> {
        let params = Params::new(KSF_MEMORY_KIB, KSF_PASSES, KSF_LANES, Some(L::USIZE))
            .map_err(|_| InternalError::KsfError)?;
        let mut output = GenericArray::default();
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(&input, &KSF_SALT, &mut output)
            .map_err(|_| InternalError::KsfError)?;
        Ok(output)
    }
}
