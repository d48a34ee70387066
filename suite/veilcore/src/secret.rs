//! Secret bytes: keys, seeds, wrapped roots in the clear. They cannot be printed, compared in variable time
//! or serialised by accident, and their memory is wiped when they go. They live on the heap so that moving
//! one does not leave a copy behind on the stack.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// `N` secret bytes, wiped on drop. No Debug, no Display, no `==`.
///
/// `clone` exists because a key has to reach two owners now and then; each copy wipes itself.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize> {
    bytes: Box<[u8; N]>,
}

impl<const N: usize> Secret<N> {
    /// Takes the bytes over and wipes the array that carried them here. Copies the caller made are the
    /// caller's.
    pub fn new(bytes: [u8; N]) -> Self {
        let bytes = Zeroizing::new(bytes);
        Self::fill(|room| room.copy_from_slice(&bytes[..]))
    }

    /// Lets `write` fill the bytes in place, e.g. from a random source or a key derivation.
    pub fn fill(write: impl FnOnce(&mut [u8; N])) -> Self {
        let mut secret = Self { bytes: Box::new([0; N]) };
        write(&mut secret.bytes);
        secret
    }

    /// Copies exactly `N` bytes; any other length is None.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == N).then(|| Self::fill(|room| room.copy_from_slice(bytes)))
    }

    /// The bytes, for the one call that needs them. Do not keep what you copy out.
    pub fn expose(&self) -> &[u8; N] {
        &self.bytes
    }

    /// Equality in a time that does not depend on the bytes.
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.bytes[..].ct_eq(&other.bytes[..]).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_sees_every_byte() {
        let one = Secret::new([7u8; 32]);
        assert!(one.ct_eq(&one.clone()));
        for i in 0..32 {
            let mut other = [7u8; 32];
            other[i] ^= 1;
            assert!(!one.ct_eq(&Secret::new(other)), "byte {i}");
        }
    }

    #[test]
    fn wiping_leaves_zeros() {
        let mut secret = Secret::new([9u8; 16]);
        secret.zeroize();
        assert_eq!(secret.expose(), &[0; 16]);
    }

    #[test]
    fn only_the_exact_length_becomes_a_secret() {
        assert!(Secret::<4>::from_slice(&[1, 2, 3, 4]).is_some());
        assert!(Secret::<4>::from_slice(&[1, 2, 3]).is_none());
        assert!(Secret::<4>::from_slice(&[1, 2, 3, 4, 5]).is_none());
    }
}
