//! Client side of registration and login. Holds the password from the first message to the last and wipes it
//! then.

use opaque_ke::errors::{InternalError, ProtocolError};
use opaque_ke::{
    ClientLoginFinishParameters, ClientRegistrationFinishParameters, CredentialResponse, Identifiers,
    RegistrationResponse,
};
use rand_core::{CryptoRng, RngCore};
use veilcore::secret::Secret;
use veilcore::tag;
use zeroize::{Zeroize, Zeroizing};

use super::{
    EXPORT_KEY_LEN, KE2_LEN, LoginError, PASSWORD_LEN_MAX, REGISTRATION_RESPONSE_LEN, SESSION_KEY_LEN, Suite,
};

/// Name of the server inside OPAQUE, the same everywhere: an account may move between addresses of one
/// service.
pub(super) const SERVER_IDENTIFIER: &[u8] = b"veilcloud";

/// A registration between its first message and its last.
pub struct ClientRegistration {
    state: opaque_ke::ClientRegistration<Suite>,
    password: Zeroizing<Vec<u8>>,
}

/// What a finished registration leaves.
pub struct Registered {
    /// The upload for the server, [`super::REGISTRATION_UPLOAD_LEN`] bytes.
    pub upload: Vec<u8>,
    /// The export key, never sent anywhere: it wraps the account root key.
    pub export_key: Secret<EXPORT_KEY_LEN>,
}

impl ClientRegistration {
    /// Blinds the password. Returns the state and the request ([`super::REGISTRATION_REQUEST_LEN`] bytes).
    pub fn start<R: RngCore + CryptoRng>(
        password: &[u8],
        rng: &mut R,
    ) -> Result<(Self, Vec<u8>), LoginError> {
        let password = checked(password)?;
        let started = opaque_ke::ClientRegistration::start(rng, &password).map_err(client_error)?;
        let request = started.message.serialize().to_vec();
        Ok((Self { state: started.state, password }, request))
    }

    /// Takes the server's response and the normalised e-mail address. Runs Argon2id: expect a noticeable
    /// fraction of a second.
    pub fn finish<R: RngCore + CryptoRng>(
        self,
        response: &[u8],
        email: &str,
        rng: &mut R,
    ) -> Result<Registered, LoginError> {
        let response = sized(response, REGISTRATION_RESPONSE_LEN, "registration response")?;
        let response = RegistrationResponse::deserialize(response)
            .map_err(|_| LoginError::Malformed { message: "registration response" })?;
        let params = ClientRegistrationFinishParameters::new(identifiers(email), None);
        let mut finished = self.state.finish(rng, &self.password, response, params).map_err(client_error)?;
        let export_key = taken(&mut finished.export_key);
        Ok(Registered { upload: finished.message.serialize().to_vec(), export_key })
    }
}

/// A login between its first message and its last.
pub struct ClientLogin {
    state: opaque_ke::ClientLogin<Suite>,
    password: Zeroizing<Vec<u8>>,
}

/// What a finished login leaves.
pub struct LoggedIn {
    /// The last message for the server, [`super::KE3_LEN`] bytes.
    pub ke3: Vec<u8>,
    /// The key both sides share now; binds the holder key.
    pub session_key: Secret<SESSION_KEY_LEN>,
    /// The export key, the same as at registration.
    pub export_key: Secret<EXPORT_KEY_LEN>,
}

impl ClientLogin {
    /// Blinds the password. Returns the state and KE1 ([`super::KE1_LEN`] bytes).
    pub fn start<R: RngCore + CryptoRng>(
        password: &[u8],
        rng: &mut R,
    ) -> Result<(Self, Vec<u8>), LoginError> {
        let password = checked(password)?;
        let started = opaque_ke::ClientLogin::start(rng, &password).map_err(client_error)?;
        let ke1 = started.message.serialize().to_vec();
        Ok((Self { state: started.state, password }, ke1))
    }

    /// Takes KE2 and the normalised e-mail address. Runs Argon2id. [`LoginError::WrongPassword`] also when
    /// the account does not exist, or when the server is another one than registered with.
    pub fn finish<R: RngCore + CryptoRng>(
        self,
        ke2: &[u8],
        email: &str,
        rng: &mut R,
    ) -> Result<LoggedIn, LoginError> {
        let ke2 = sized(ke2, KE2_LEN, "KE2")?;
        let ke2 =
            CredentialResponse::deserialize(ke2).map_err(|_| LoginError::Malformed { message: "KE2" })?;
        let params = ClientLoginFinishParameters::new(Some(tag::OPAQUE.as_bytes()), identifiers(email), None);
        let mut finished = self.state.finish(rng, &self.password, ke2, params).map_err(client_error)?;
        let session_key = taken(&mut finished.session_key);
        let export_key = taken(&mut finished.export_key);
        Ok(LoggedIn { ke3: finished.message.serialize().to_vec(), session_key, export_key })
    }
}

/// Both names, as they enter the envelope and the transcript.
pub(super) fn identifiers(email: &str) -> Identifiers<'_> {
    Identifiers { client: Some(email.as_bytes()), server: Some(SERVER_IDENTIFIER) }
}

/// Refuses every other length: the library reads a prefix and would ignore the rest.
pub(super) fn sized<'a>(bytes: &'a [u8], len: usize, message: &'static str) -> Result<&'a [u8], LoginError> {
    if bytes.len() == len { Ok(bytes) } else { Err(LoginError::Malformed { message }) }
}

/// Moves a key out of the library's buffer and wipes the buffer.
pub(super) fn taken<const N: usize>(bytes: &mut [u8]) -> Secret<N> {
    let secret = Secret::from_slice(bytes).expect("the suite fixes the length of its keys");
    bytes.zeroize();
    secret
}

fn checked(password: &[u8]) -> Result<Zeroizing<Vec<u8>>, LoginError> {
    match password.len() {
        1..=PASSWORD_LEN_MAX => Ok(Zeroizing::new(password.to_vec())),
        len => Err(LoginError::PasswordLength { len, max: PASSWORD_LEN_MAX }),
    }
}

fn client_error(error: ProtocolError) -> LoginError {
    match error {
        ProtocolError::InvalidLoginError => LoginError::WrongPassword,
        ProtocolError::LibraryError(InternalError::KsfError) => LoginError::KeyStretching,
        // What is left is a server that answers outside the protocol, e.g. by reflecting the blinded element.
        _ => LoginError::Malformed { message: "server message" },
    }
}
