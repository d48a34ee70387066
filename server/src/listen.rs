//! The accept loop of a port: connection cap, TLS, HTTP/1.1 and HTTP/2 with bounds on everything a client may make us
//! hold or wait for, connection age, drain. Who calls: the roles `api` and admin. No request is looked at here.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use rand_core::{OsRng, RngCore};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;
use veilcloud_api::PeerAddr;

use crate::{
    config::Http,
    crowd::{Crowd, Seat},
    tls::{Tls, handshake_failed},
};

/// What an HTTP/2 client sends first (RFC 9113, section 3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Pause after the system refused a connection, for want of file descriptors most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Pause between two looks at a preface that arrives in pieces.
const PREFACE_PAUSE: Duration = Duration::from_millis(10);
/// Bytes of one HTTP/2 request body that may be on their way.
const STREAM_WINDOW: u32 = 1 << 20;
/// Bytes of all request bodies of one HTTP/2 connection that may be on their way.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Bytes of an answer that one HTTP/2 stream may buffer.
const SEND_BUFFER: usize = 256 * 1024;
/// Most header fields of an HTTP/1.1 request.
const H1_HEADERS_MAX: usize = 100;

/// Bounds of one port.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name in logs and metrics.
    pub port: &'static str,
    /// Most connections at once.
    pub max_connections: usize,
    /// Most connections at once from one address.
    pub max_per_address: usize,
    /// Addresses that [`Options::max_per_address`] does not bind: proxies, which speak for many.
    pub uncounted: Vec<IpAddr>,
    /// Longest handshake, and longest wait for the first bytes.
    pub handshake_timeout: Duration,
    /// Age at which a connection is told to finish, give or take a tenth.
    pub max_age: Duration,
    /// How long a connection that was told to finish may take.
    pub grace: Duration,
}

/// One port, bound and not yet serving.
pub struct Port {
    listener: TcpListener,
    options: Options,
    http: auto::Builder<TokioExecutor>,
    tls: Option<Arc<Tls>>,
}

/// What every connection of a port shares.
struct Shared {
    options: Options,
    http: auto::Builder<TokioExecutor>,
    tls: Option<Arc<Tls>>,
    router: Router,
    stop: CancellationToken,
}

impl Port {
    /// Binds the address.
    pub async fn bind(
        address: SocketAddr,
        options: Options,
        http: &Http,
        tls: Option<Arc<Tls>>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, options, http: builder(http), tls })
    }

    /// The address it really has.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, then finishes what is in flight within the grace. True when nothing had to be cut off.
    pub async fn serve(self, router: Router, stop: CancellationToken) -> bool {
        let Self { listener, options, http, tls } = self;
        let port = options.port;
        let grace = options.grace;
        let room = Arc::new(Semaphore::new(options.max_connections));
        let crowd = Crowd::new(options.max_per_address, options.uncounted.clone());
        let shared = Arc::new(Shared { options, http, tls, router, stop: stop.clone() });
        let connections = TaskTracker::new();
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(e) => {
                    metrics::counter!("veilcloud_connections_refused_total", "port" => port, "reason" => "accept").increment(1);
                    tracing::warn!(port, error = %e, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let refused = |reason: &'static str| {
                metrics::counter!("veilcloud_connections_refused_total", "port" => port, "reason" => reason)
                    .increment(1);
            };
            let Some(seat) = crowd.enter(peer.ip()) else {
                refused("address");
                continue;
            };
            let Ok(permit) = room.clone().try_acquire_owned() else {
                refused("full");
                continue;
            };
            metrics::counter!("veilcloud_connections_total", "port" => port).increment(1);
            connections.spawn(shared.clone().connection(stream, peer, (permit, seat)));
        }
        // Closed before the wait: a new client is refused at once instead of waiting for a server that leaves.
        drop(listener);
        connections.close();
        // Connections bound themselves by the grace; the second more is for those that are told at its very end.
        timeout(grace + Duration::from_secs(1), connections.wait()).await.is_ok()
    }
}

impl Shared {
    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        place: (OwnedSemaphorePermit, Seat),
    ) {
        let open = metrics::gauge!("veilcloud_connections", "port" => self.options.port);
        open.increment(1.0);
        // Answers are written whole; waiting to fill a segment would only add latency.
        drop(stream.set_nodelay(true));
        self.greet(stream, peer).await;
        open.decrement(1.0);
        drop(place);
    }

    async fn greet(&self, stream: TcpStream, peer: SocketAddr) {
        let wait = self.options.handshake_timeout;
        let refused = |reason: &'static str| {
            let port = self.options.port;
            metrics::counter!("veilcloud_connections_refused_total", "port" => port, "reason" => "handshake")
                .increment(1);
            tracing::debug!(port, reason, "a connection did not get to its first request");
        };
        let Some(tls) = &self.tls else {
            let greeting = self.stop.run_until_cancelled(timeout(wait, speaks_h2(&stream))).await;
            return match greeting {
                Some(Ok(Ok(h2))) => self.serve(stream, peer, h2).await,
                Some(Ok(Err(_))) => refused("the client left"),
                Some(Err(_)) => refused("it took too long"),
                None => {}
            };
        };
        let handshake = TlsAcceptor::from(tls.current()).accept(stream);
        match self.stop.run_until_cancelled(timeout(wait, handshake)).await {
            Some(Ok(Ok(stream))) => {
                let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                self.serve(stream, peer, h2).await;
            }
            Some(Ok(Err(e))) => refused(handshake_failed(&e)),
            Some(Err(_)) => refused("it took too long"),
            None => {}
        }
    }

    async fn serve<I>(&self, stream: I, peer: SocketAddr, h2: bool)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(PeerAddr(peer));
            self.router.clone().oneshot(request)
        });
        let http = if h2 { self.http.clone().http2_only() } else { self.http.clone().http1_only() };
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = self.stop.cancelled() => None,
            () = sleep_until(Instant::now() + jittered(self.options.max_age)) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                match timeout(self.options.grace, connection).await {
                    Ok(ended) => ended,
                    Err(_) => {
                        return tracing::warn!(
                            port = self.options.port,
                            "a connection did not finish in time: cut off"
                        );
                    }
                }
            }
        };
        if let Err(e) = ended {
            tracing::debug!(port = self.options.port, error = %e, "a connection ended early");
        }
    }
}

/// Waits for the first bytes of a plaintext connection and says whether they are HTTP/2's. Bounded by its caller.
async fn speaks_h2(stream: &TcpStream) -> io::Result<bool> {
    let mut seen = [0; H2_PREFACE.len()];
    loop {
        let len = stream.peek(&mut seen).await?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !H2_PREFACE.starts_with(&seen[..len]) {
            return Ok(false);
        }
        if len == H2_PREFACE.len() {
            return Ok(true);
        }
        sleep(PREFACE_PAUSE).await;
    }
}

/// Give or take a tenth, so that clients that came together do not come back together.
fn jittered(age: Duration) -> Duration {
    let tenths = f64::from(OsRng.next_u32()) / f64::from(u32::MAX) * 0.2 + 0.9;
    age.mul_f64(tenths)
}

fn builder(http: &Http) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(http.header_read_timeout_ms))
        .max_headers(H1_HEADERS_MAX)
        .max_buf_size(http.max_header_list_bytes as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(http.max_concurrent_streams)
        .max_header_list_size(http.max_header_list_bytes)
        .max_pending_accept_reset_streams(http.max_pending_resets)
        .max_local_error_reset_streams(http.max_error_resets)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(Duration::from_secs(http.keepalive_interval_s))
        .keep_alive_timeout(Duration::from_secs(http.keepalive_timeout_s));
    builder
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::config::{Config, Given};

    /// A port whose every answer is empty, with these settings.
    async fn served(settings: &[(&str, &str)]) -> (SocketAddr, CancellationToken) {
        let env = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let given = Given { file: None, env: &env, flags: Default::default() };
        let (config, _) = Config::load(&given).unwrap();
        let options = Options {
            port: "test",
            max_connections: 10,
            max_per_address: 10,
            uncounted: Vec::new(),
            handshake_timeout: Duration::from_secs(60),
            max_age: Duration::from_secs(60),
            grace: Duration::from_secs(1),
        };
        let port = Port::bind("127.0.0.1:0".parse().unwrap(), options, &config.http, None).await.unwrap();
        let (address, stop) = (port.address().unwrap(), CancellationToken::new());
        tokio::spawn(port.serve(Router::new().fallback(|| async {}), stop.clone()));
        (address, stop)
    }

    /// Sends bytes and gives everything that comes back until the server closes.
    async fn said(address: SocketAddr, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may close while there is more to send.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn head(fields: &[String]) -> Vec<u8> {
        format!("GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{}\r\n", fields.concat()).into_bytes()
    }

    #[tokio::test]
    async fn heads_have_a_size_and_a_number_of_fields() {
        let (address, stop) = served(&[]).await;
        let many = |count| (0..count).map(|n| format!("x-{n}: 1\r\n")).collect::<Vec<_>>();
        assert!(said(address, &head(&many(H1_HEADERS_MAX - 2))).await.starts_with("HTTP/1.1 200 "));
        assert!(said(address, &head(&many(H1_HEADERS_MAX))).await.starts_with("HTTP/1.1 431 "));
        let long = |len| vec![format!("x: {}\r\n", "a".repeat(len))];
        assert!(said(address, &head(&long(16 << 10))).await.starts_with("HTTP/1.1 200 "));
        let answer = said(address, &head(&long(64 << 10))).await;
        // What is sent behind the refusal may take the answer away with it.
        assert!(answer.starts_with("HTTP/1.1 431 ") || answer.is_empty(), "{answer}");
        stop.cancel();
    }

    #[tokio::test]
    async fn a_head_that_never_ends_is_given_up() {
        let (address, stop) = served(&[("VEILCLOUD_HEADER_READ_TIMEOUT_MS", "100")]).await;
        // It ends: the server has closed, though nobody finished the head.
        let answer = said(address, b"GET / HTTP/1.1\r\nhost: h\r\nx-slow: ").await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
        stop.cancel();
    }

    #[tokio::test]
    async fn one_address_gets_its_connections_and_one_more_is_closed() {
        let given = Given { file: None, env: &Default::default(), flags: Default::default() };
        let (config, _) = Config::load(&given).unwrap();
        let options = Options {
            port: "test",
            max_connections: 10,
            max_per_address: 2,
            uncounted: Vec::new(),
            handshake_timeout: Duration::from_secs(60),
            max_age: Duration::from_secs(60),
            grace: Duration::from_secs(1),
        };
        let port = Port::bind("127.0.0.1:0".parse().unwrap(), options, &config.http, None).await.unwrap();
        let address = port.address().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(port.serve(Router::new(), stop.clone()));
        let first = TcpStream::connect(address).await.unwrap();
        let second = TcpStream::connect(address).await.unwrap();
        let mut third = TcpStream::connect(address).await.unwrap();
        // Accepted in order: when the third is closed, the first two are counted.
        assert!(matches!(third.read(&mut [0; 1]).await, Ok(0) | Err(_)));
        drop((first, second));
        stop.cancel();
        assert!(serving.await.unwrap());
    }
}
