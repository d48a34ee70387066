//! Builds a [`Client`].

use std::sync::Arc;
#[cfg(feature = "native")]
use std::time::Duration;

use http::Uri;

use crate::api_keys::TokenAccess;
use crate::capabilities::HeldCapability;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::state::{MemoryState, StateStore};

/// How long name, TCP and TLS together may take when the builder is not told otherwise.
#[cfg(feature = "native")]
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Settings of a [`Client`]; see [`Client::builder`].
pub struct ClientBuilder {
    endpoint: String,
    allow_plaintext: bool,
    state: Arc<dyn StateStore>,
    held: Option<HeldCapability>,
    token: Option<TokenAccess>,
    #[cfg(feature = "native")]
    ca_certificate_pem: Option<Vec<u8>>,
    #[cfg(feature = "native")]
    connect_timeout: Duration,
    #[cfg(feature = "native")]
    user_agent: String,
}

impl ClientBuilder {
    pub(crate) fn new() -> Self {
        Self {
            endpoint: String::new(),
            allow_plaintext: false,
            state: Arc::new(MemoryState::new()),
            held: None,
            token: None,
            #[cfg(feature = "native")]
            ca_certificate_pem: None,
            #[cfg(feature = "native")]
            connect_timeout: CONNECT_TIMEOUT,
            #[cfg(feature = "native")]
            user_agent: concat!("veilcloud-sdk-rust/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// The server, e.g. `https://veilcloud.example.org`. `http://` is for this machine only.
    #[must_use]
    pub fn endpoint(mut self, endpoint: &str) -> Self {
        self.endpoint = endpoint.to_owned();
        self
    }

    /// Allows `http://` to other machines. Content stays sealed, but everything else is in the open.
    #[must_use]
    pub fn allow_plaintext(mut self, allow: bool) -> Self {
        self.allow_plaintext = allow;
        self
    }

    /// Where session and pins are kept; [`MemoryState`] when not called.
    #[must_use]
    pub fn state(mut self, state: Arc<dyn StateStore>) -> Self {
        self.state = state;
        self
    }

    /// Makes every call with this capability, whoever is logged in. It opens no content and needs no login: lists,
    /// metadata, audit and ciphertext are what it is for. A call that has to unlock something fails with
    /// [`Error::NotLoggedIn`].
    #[must_use]
    pub fn capability(mut self, held: HeldCapability) -> Self {
        self.held = Some(held);
        self
    }

    /// Reads with a service token, `vst_...`, whoever is logged in. It opens the environments that it was made for and
    /// writes nothing: a call that has to sign something fails. Keep the state between runs, or old content can be shown
    /// for the newest: a token remembers nothing by itself but what its maker had seen.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the text is none.
    pub fn service_token(mut self, text: &str) -> Result<Self> {
        self.token = Some(TokenAccess::parse(text)?);
        Ok(self)
    }

    /// Trusts these certificate authorities beside the machine's own: one or more certificates as PEM text.
    #[cfg(feature = "native")]
    #[must_use]
    pub fn ca_certificate_pem(mut self, pem: Vec<u8>) -> Self {
        self.ca_certificate_pem = Some(pem);
        self
    }

    /// How long name, TCP and TLS together may take: 10 s when not called.
    #[cfg(feature = "native")]
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Names the program to the server.
    #[cfg(feature = "native")]
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Builds the client. Connects to nothing yet; the first call does. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an endpoint that is no `https://` address, or plaintext that is not allowed.
    #[cfg(feature = "native")]
    pub fn build(self) -> Result<Client> {
        let (uri, endpoint) = parse_endpoint(&self.endpoint, self.allow_plaintext)?;
        let transport = crate::transport::native::Native::new(crate::transport::native::Settings {
            uri,
            ca_certificate_pem: self.ca_certificate_pem,
            connect_timeout: self.connect_timeout,
            user_agent: self.user_agent,
        })?;
        check_held(self.held.as_ref(), &endpoint)?;
        Ok(Client::new(endpoint, Box::new(transport), self.state, self.held, self.token))
    }

    #[cfg(test)]
    pub(crate) fn build_with(self, transport: impl crate::transport::Transport + 'static) -> Result<Client> {
        let (_, endpoint) = parse_endpoint(&self.endpoint, self.allow_plaintext)?;
        check_held(self.held.as_ref(), &endpoint)?;
        Ok(Client::new(endpoint, Box::new(transport), self.state, self.held, self.token))
    }
}

/// A capability goes to the server that it is for and to no other.
fn check_held(held: Option<&HeldCapability>, endpoint: &str) -> Result<()> {
    match held {
        Some(held) if held.endpoint() != endpoint => {
            Err(Error::invalid("capability", format!("it is for {}", held.endpoint())))
        }
        _ => Ok(()),
    }
}

/// Parses an endpoint; gives it back in its only spelling: scheme, host, port if not the scheme's own.
fn parse_endpoint(text: &str, allow_plaintext: bool) -> Result<(Uri, String)> {
    let refused = |why: &str| Error::invalid("endpoint", format!("{why}: {text}"));
    let uri: Uri = text.trim_end_matches('/').parse().map_err(|_| refused("not an address"))?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| refused("no host"))?;
    if uri.path_and_query().is_some_and(|path| path.as_str() != "/") {
        return Err(refused("an endpoint has no path"));
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(refused("an endpoint has no user name"));
    }
    let own_port = match uri.scheme_str() {
        Some("https") => 443,
        Some("http") if allow_plaintext || is_loopback(host) => 80,
        Some("http") => return Err(refused("http:// is for this machine only")),
        _ => return Err(refused("an endpoint begins with https://")),
    };
    let scheme = uri.scheme_str().unwrap_or_default();
    let endpoint = match uri.port_u16() {
        Some(port) if port != own_port => format!("{scheme}://{}:{port}", host.to_ascii_lowercase()),
        _ => format!("{scheme}://{}", host.to_ascii_lowercase()),
    };
    let uri = endpoint.parse().map_err(|_| refused("not an address"))?;
    Ok((uri, endpoint))
}

/// Addresses that never leave the machine. A name is only believed if it is the reserved one.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Option<String> {
        parse_endpoint(text, false).ok().map(|(_, endpoint)| endpoint)
    }

    #[test]
    fn an_endpoint_has_one_spelling() {
        for text in ["https://Host.example", "https://host.example/", "https://host.example:443"] {
            assert_eq!(endpoint(text).as_deref(), Some("https://host.example"), "{text}");
        }
        assert_eq!(endpoint("https://host.example:8443").as_deref(), Some("https://host.example:8443"));
    }

    #[test]
    fn plaintext_stays_on_this_machine() {
        for text in
            ["http://localhost:7443", "http://127.0.0.1:7443", "http://127.8.8.8", "http://[::1]:7443"]
        {
            assert!(endpoint(text).is_some(), "{text}");
        }
        for text in
            ["http://host.example", "http://10.0.0.1", "http://localhost.example", "http://127.0.0.1.example"]
        {
            assert!(endpoint(text).is_none(), "{text}");
            assert!(parse_endpoint(text, true).is_ok(), "{text} when it is allowed");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in [
            "",
            "host.example",
            "ftp://host",
            "https://",
            "https://host/path",
            "https://user@host",
            "https://a b",
        ] {
            assert!(endpoint(text).is_none(), "{text:?}");
        }
    }
}
