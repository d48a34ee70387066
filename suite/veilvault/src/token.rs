//! The key of a service token (docs/spec/vault.md, section 13): split in two by the *client* that makes the token, one
//! share for the *token's holder* and one for the *server*, which deletes it to revoke the token. Everybody else has the
//! public record. What must never happen: the server having both shares, or a record being taken for another token's.

use rand_core::CryptoRngCore;
use thiserror::Error;
use veilcore::canon::Writer;
use veilcore::id::ApiKeyId;
use veilcore::secret::Secret;
use veilkey::context::{Context, Holder};
use veilkey::key::{KeyError, KeyRecord};
use veilkey::share::{GroupSecret, SHARE_LEN, SecretShare, ShareIndex};
use zeroize::Zeroizing;

/// Length of a token's record, in bytes: two shares, of which both are needed.
pub const TOKEN_RECORD_LEN: usize = 125;
/// Length of the token's own share as it stands in the token's text, in bytes: the number alone.
pub const TOKEN_SHARE_LEN: usize = 32;

/// Shares of a token's key, and how many of them open something.
const SHARES: usize = 2;
const TOKEN_INDEX: u16 = 1;
const SERVER_INDEX: u16 = 2;
/// First byte of an exported share.
const SHARE_VERSION: u8 = 1;

/// Why a token's record or share was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Not a record or a share of any key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A record of several holders, or of a team: not of a token and its server.
    #[error("not the record of a service token")]
    NotAToken,
    /// The record of another API key, or of another generation of this one.
    #[error("the record is that of another service token")]
    OtherToken,
    /// A share that the record does not name, or the other holder's.
    #[error("the share is not the one of the record")]
    OtherShare,
}

/// A token's key, just split. The client keeps none of it.
pub struct TokenKey {
    /// Public: who wraps keys for the token needs it, and who judges answers.
    pub record: KeyRecord,
    /// The token's share, for the token's text.
    pub token: Secret<TOKEN_SHARE_LEN>,
    /// The server's share.
    pub server: SecretShare,
}

/// Draws a key for this generation of an API key and splits it. The whole key is forgotten here.
pub fn split(api_key: ApiKeyId, generation: u32, rng: &mut impl CryptoRngCore) -> TokenKey {
    let context = Context { holder: Holder::ApiKey(api_key), epoch: generation };
    let dealing =
        GroupSecret::generate(rng).split(context, SHARES, SHARES, rng).expect("2 of 2 is a threshold");
    let mut shares = dealing.shares.into_iter();
    let (token, server) = shares.next().zip(shares.next()).expect("it was split in two");
    let exported = token.export();
    let token = Secret::fill(|room| room.copy_from_slice(&exported.expose()[SHARE_LEN - TOKEN_SHARE_LEN..]));
    TokenKey { record: dealing.record, token, server }
}

/// Reads the record of this generation of an API key, all [`TOKEN_RECORD_LEN`] bytes of it. A record says itself whose it
/// is; whether it is the one that was meant is told by its fingerprint.
///
/// # Errors
/// [`TokenError::Key`], [`TokenError::NotAToken`], [`TokenError::OtherToken`].
pub fn parse_record(bytes: &[u8], api_key: ApiKeyId, generation: u32) -> Result<KeyRecord, TokenError> {
    let record = KeyRecord::parse(bytes)?;
    let place = place_of(&record)?;
    if place == (api_key, generation) { Ok(record) } else { Err(TokenError::OtherToken) }
}

/// Whose record it is: API key and generation.
///
/// # Errors
/// [`TokenError::NotAToken`].
pub fn place_of(record: &KeyRecord) -> Result<(ApiKeyId, u32), TokenError> {
    let of_two =
        record.threshold() == SHARES && record.indices().map(ShareIndex::get).eq([TOKEN_INDEX, SERVER_INDEX]);
    match *record.key().context() {
        Context { holder: Holder::ApiKey(api_key), epoch } if of_two => Ok((api_key, epoch)),
        _ => Err(TokenError::NotAToken),
    }
}

/// Reads the server's share as the client sent it, or as it was kept.
///
/// # Errors
/// [`TokenError::Key`], [`TokenError::OtherShare`].
pub fn check_server_share(bytes: &[u8], record: &KeyRecord) -> Result<SecretShare, TokenError> {
    share_of(SecretShare::import(bytes)?, SERVER_INDEX, record)
}

/// The token's share, from the number in its text.
///
/// # Errors
/// [`TokenError::Key`], [`TokenError::OtherShare`]: the record is not this token's.
pub fn token_share(number: &Secret<TOKEN_SHARE_LEN>, record: &KeyRecord) -> Result<SecretShare, TokenError> {
    let bytes = Writer::with_capacity(SHARE_LEN)
        .u8(SHARE_VERSION)
        .fixed(&record.key().context().encode())
        .u16(TOKEN_INDEX)
        .fixed(number.expose())
        .finish();
    share_of(SecretShare::import(&Zeroizing::new(bytes))?, TOKEN_INDEX, record)
}

/// The number of the server's share.
pub(crate) fn is_servers(index: ShareIndex) -> bool {
    index.get() == SERVER_INDEX
}

fn share_of(share: SecretShare, index: u16, record: &KeyRecord) -> Result<SecretShare, TokenError> {
    if share.index().get() == index && share.belongs_to(record) {
        Ok(share)
    } else {
        Err(TokenError::OtherShare)
    }
}

#[cfg(test)]
mod tests {
    use rand_core::OsRng;
    use veilcore::id::TeamId;

    use super::*;

    const KEY: ApiKeyId = ApiKeyId::from_bytes([7; 16]);

    fn of(holder: Holder, threshold: usize, count: usize) -> KeyRecord {
        let context = Context { holder, epoch: 1 };
        GroupSecret::generate(&mut OsRng).split(context, threshold, count, &mut OsRng).expect("a key").record
    }

    #[test]
    fn both_shares_come_back_from_what_is_kept_of_them() {
        let key = split(KEY, 3, &mut OsRng);
        let record = key.record.encode();
        assert_eq!(record.len(), TOKEN_RECORD_LEN);
        let record = parse_record(&record, KEY, 3).expect("the token's own");
        assert_eq!(record, key.record);
        assert!(token_share(&key.token, &record).is_ok());
        assert!(check_server_share(key.server.export().expose(), &record).is_ok());
    }

    #[test]
    fn the_record_of_another_token_or_generation_is_refused() {
        let record = split(KEY, 3, &mut OsRng).record.encode();
        assert_eq!(parse_record(&record, KEY, 2), Err(TokenError::OtherToken));
        assert_eq!(parse_record(&record, ApiKeyId::from_bytes([8; 16]), 3), Err(TokenError::OtherToken));
        assert!(matches!(parse_record(&record[1..], KEY, 3), Err(TokenError::Key(_))));
    }

    #[test]
    fn a_key_of_more_than_a_token_and_its_server_is_refused() {
        let place = |record: KeyRecord| parse_record(&record.encode(), KEY, 1).map(|_| ());
        assert_eq!(place(of(Holder::ApiKey(KEY), 2, 2)), Ok(()));
        assert_eq!(place(of(Holder::ApiKey(KEY), 2, 3)), Err(TokenError::NotAToken), "a third share");
        assert_eq!(place(of(Holder::ApiKey(KEY), 3, 3)), Err(TokenError::NotAToken));
        let team = Holder::Team(TeamId::from_bytes([7; 16]));
        assert_eq!(place(of(team, 2, 2)), Err(TokenError::NotAToken), "a team with the key's id");
    }

    #[test]
    fn neither_takes_the_others_share_or_another_tokens() {
        let (key, other) = (split(KEY, 1, &mut OsRng), split(KEY, 1, &mut OsRng));
        let whole = token_share(&key.token, &key.record).expect("its own").export();
        let refused = |result: Result<SecretShare, TokenError>| result.err();
        let servers = check_server_share(whole.expose(), &key.record);
        assert_eq!(refused(servers), Some(TokenError::OtherShare), "the token's share as the server's");
        let foreign = check_server_share(other.server.export().expose(), &key.record);
        assert_eq!(refused(foreign), Some(TokenError::OtherShare));
        assert_eq!(refused(token_share(&other.token, &key.record)), Some(TokenError::OtherShare));
        let none = token_share(&Secret::new([0xff; 32]), &key.record);
        assert!(matches!(refused(none), Some(TokenError::Key(_))), "no number below the order");
    }
}
