//! Server side of registration and login. The caller stores and carries bytes only; nothing here is kept.

use opaque_ke::{
    CredentialFinalization, CredentialRequest, RegistrationRequest, RegistrationUpload, ServerLogin,
    ServerLoginParameters, ServerRegistration, ServerSetup,
};
use rand_core::{CryptoRng, RngCore};
use veilcore::secret::Secret;
use veilcore::tag;
use zeroize::{Zeroize, Zeroizing};

use super::client::{identifiers, sized, taken};
use super::{
    KE1_LEN, KE3_LEN, LOGIN_STATE_LEN, LoginError, RECORD_LEN, REGISTRATION_REQUEST_LEN,
    REGISTRATION_UPLOAD_LEN, SERVER_KEYS_LEN, SESSION_KEY_LEN, Suite,
};

/// The server's long-term OPAQUE keys. Losing them makes every password wrong; leaking them with the records
/// allows guessing passwords offline.
pub struct ServerKeys {
    setup: ServerSetup<Suite>,
    /// A well-formed record of nobody. Parsed when there is no record, so that both cases do the same work.
    decoy: [u8; RECORD_LEN],
}

impl ServerKeys {
    /// Draws new keys, once in the life of a service.
    pub fn generate<R: RngCore + CryptoRng>(rng: &mut R) -> Self {
        Self::with_decoy(ServerSetup::new(rng))
    }

    /// The keys as [`SERVER_KEYS_LEN`] secret bytes.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = self.setup.serialize();
        let out = Zeroizing::new(bytes.to_vec());
        bytes.as_mut_slice().zeroize();
        out
    }

    /// Reads what [`ServerKeys::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LoginError> {
        let bytes = sized(bytes, SERVER_KEYS_LEN, "server keys")?;
        let setup =
            ServerSetup::deserialize(bytes).map_err(|_| LoginError::Malformed { message: "server keys" })?;
        Ok(Self::with_decoy(setup))
    }

    fn with_decoy(setup: ServerSetup<Suite>) -> Self {
        let mut decoy = [0; RECORD_LEN];
        let public = setup.keypair().public().serialize();
        decoy[..public.len()].copy_from_slice(&public);
        Self { setup, decoy }
    }
}

/// Answers a registration request for an address. Says nothing about whether the address has an account.
pub fn server_registration_start(
    keys: &ServerKeys,
    request: &[u8],
    email: &str,
) -> Result<Vec<u8>, LoginError> {
    const MESSAGE: &str = "registration request";
    let request = sized(request, REGISTRATION_REQUEST_LEN, MESSAGE)?;
    let malformed = |_| LoginError::Malformed { message: MESSAGE };
    let request = RegistrationRequest::deserialize(request).map_err(malformed)?;
    let started = ServerRegistration::start(&keys.setup, request, email.as_bytes()).map_err(malformed)?;
    Ok(started.message.serialize().to_vec())
}

/// Checks an upload and returns the record to store, [`RECORD_LEN`] bytes.
pub fn server_registration_finish(upload: &[u8]) -> Result<Vec<u8>, LoginError> {
    const MESSAGE: &str = "registration upload";
    let upload = sized(upload, REGISTRATION_UPLOAD_LEN, MESSAGE)?;
    let upload = RegistrationUpload::<Suite>::deserialize(upload)
        .map_err(|_| LoginError::Malformed { message: MESSAGE })?;
    Ok(ServerRegistration::finish(upload).serialize().to_vec())
}

/// Answers KE1. Without a record the answer is a fake of the same size that no password opens, and it takes
/// the same steps. Returns the state to keep for one attempt ([`LOGIN_STATE_LEN`] secret bytes) and KE2.
pub fn server_login_start<R: RngCore + CryptoRng>(
    keys: &ServerKeys,
    record: Option<&[u8]>,
    ke1: &[u8],
    email: &str,
    rng: &mut R,
) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), LoginError> {
    let stored = sized(record.unwrap_or(&keys.decoy), RECORD_LEN, "record")?;
    let stored = ServerRegistration::<Suite>::deserialize(stored)
        .map_err(|_| LoginError::Malformed { message: "record" })?;
    let malformed = |_| LoginError::Malformed { message: "KE1" };
    let request = CredentialRequest::deserialize(sized(ke1, KE1_LEN, "KE1")?).map_err(malformed)?;
    let started = ServerLogin::start(
        rng,
        &keys.setup,
        record.is_some().then_some(stored),
        request,
        email.as_bytes(),
        parameters(email),
    )
    .map_err(malformed)?;
    let mut state = started.state.serialize();
    let kept = Zeroizing::new(state.to_vec());
    state.as_mut_slice().zeroize();
    Ok((kept, started.message.serialize().to_vec()))
}

/// Judges KE3 against the kept state and returns the session key. [`LoginError::WrongPassword`] when it does
/// not match, which is always so after a fake answer.
pub fn server_login_finish(state: &[u8], ke3: &[u8]) -> Result<Secret<SESSION_KEY_LEN>, LoginError> {
    let state = sized(state, LOGIN_STATE_LEN, "login state")?;
    let state = ServerLogin::<Suite>::deserialize(state)
        .map_err(|_| LoginError::Malformed { message: "login state" })?;
    let ke3 = CredentialFinalization::deserialize(sized(ke3, KE3_LEN, "KE3")?)
        .map_err(|_| LoginError::Malformed { message: "KE3" })?;
    // Names and context are in the transcript since KE2: the last step compares one MAC and reads neither.
    let mut finished =
        state.finish(ke3, ServerLoginParameters::default()).map_err(|_| LoginError::WrongPassword)?;
    Ok(taken(&mut finished.session_key))
}

fn parameters(email: &str) -> ServerLoginParameters<'_, '_> {
    ServerLoginParameters { context: Some(tag::OPAQUE.as_bytes()), identifiers: identifiers(email) }
}
