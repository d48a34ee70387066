//! Possession of the key that a capability is to be issued for (docs/spec/sign.md, section 4). Between whoever asks the
//! issuer and the issuer. What must never happen: a capability for a key that nobody has, or that somebody else has.

use veilcore::hash::hb;
use veilcore::id::AccountId;
use veilcore::tag;

use crate::key::{KeyError, SIGNATURE_LEN, SigningKey, VerifyingKey};

/// Holder: proves the key for one request of one account.
pub fn prove_holder(holder: &SigningKey, account: AccountId, request_id: &[u8; 16]) -> [u8; SIGNATURE_LEN] {
    holder.sign(&digest(holder.verifying_key().as_bytes(), account, request_id))
}

/// Issuer: whether the key was proved for this very request of this account.
pub fn holds(
    holder: &VerifyingKey,
    account: AccountId,
    request_id: &[u8; 16],
    signature: &[u8; SIGNATURE_LEN],
) -> Result<(), KeyError> {
    holder.verify(&digest(holder.as_bytes(), account, request_id), signature)
}

fn digest(holder: &[u8; 32], account: AccountId, request_id: &[u8; 16]) -> [u8; 32] {
    hb(tag::VAC_HOLDER, &[("account", account.as_bytes()), ("holder_pk", holder), ("request_id", request_id)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::key;

    #[test]
    fn possession_is_proved_for_one_account_one_key_and_one_request() {
        let account = AccountId::from_bytes([7; 16]);
        let signature = prove_holder(&key(1), account, &[1; 16]);
        let good = key(1).verifying_key();
        assert_eq!(holds(&good, account, &[1; 16], &signature), Ok(()));
        let refused = Err(KeyError::Signature);
        assert_eq!(holds(&good, account, &[2; 16], &signature), refused);
        assert_eq!(holds(&good, AccountId::from_bytes([8; 16]), &[1; 16], &signature), refused);
        assert_eq!(holds(&key(2).verifying_key(), account, &[1; 16], &signature), refused);
    }
}
