//! One HTTP/1.1 client for load: keep-alive connections of its own, one request at a time on each.
//!
//! A request that was never written, because the server had closed the idle connection, goes out
//! again on a fresh one; a request of which a byte may have left never does. What remains is a
//! failure that the service's senders would have met too.

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HOST;
use hyper::http::uri::Scheme;
use hyper::{Request, Response, Uri, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::counters::FailureKind;
use super::source::Outgoing;
use crate::secret::shown_url;

/// Idle connections older than this are not used again: shorter than any server's keep-alive.
const IDLE: Duration = Duration::from_secs(1);

/// How often a request that was never written is tried again.
const FRESH_ATTEMPTS: u32 = 3;

/// Where load goes: `http://HOST:PORT`, without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

/// Why a text is not an address for load.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an address for load; write it like `http://127.0.0.1:7800`")]
pub struct AddressError(pub String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError(shown_url(text));
        let uri: Uri = text.parse().map_err(|_| error())?;
        let plain = uri.scheme() == Some(&Scheme::HTTP)
            && matches!(uri.path(), "" | "/")
            && uri.query().is_none()
            && !text.contains('@');
        let host = uri.host().filter(|host| plain && !host.is_empty()).ok_or_else(error)?;
        Ok(Self { host: host.to_owned(), port: uri.port_u16().unwrap_or(80) })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority())
    }
}

impl Address {
    /// Whether it names this machine.
    pub fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let ip = host.parse::<std::net::IpAddr>();
        ip.map_or_else(|_| host.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
    }

    /// `HOST:PORT`.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// Sends requests to one address.
#[derive(Debug)]
pub(super) struct Client {
    authority: String,
    timeout: Duration,
    /// The last one used is the next one taken. Never longer than the requests in flight.
    idle: Mutex<Vec<(SendRequest<Full<Bytes>>, Instant)>>,
}

impl Client {
    pub(super) fn new(address: &Address, timeout: Duration) -> Self {
        Self { authority: address.authority(), timeout, idle: Mutex::new(Vec::new()) }
    }

    /// Sends one request and reads its answer to the end; gives the status.
    ///
    /// Cancel safe: a cancelled request takes its connection with it.
    pub(super) async fn send(&self, outgoing: Outgoing) -> Result<u16, FailureKind> {
        let deadline = Instant::now() + self.timeout;
        let mut request = self.request(outgoing);
        for _ in 0..FRESH_ATTEMPTS {
            let mut sender = match self.idle().await {
                Some(sender) => sender,
                None => self.connect(deadline).await?,
            };
            match timeout_at(deadline, sender.try_send_request(request)).await {
                Err(_) => return Err(FailureKind::AnswerTimeout),
                Ok(Ok(response)) => return self.finish(sender, response, deadline).await,
                Ok(Err(mut error)) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(classify(error.error())),
                },
            }
        }
        Err(FailureKind::Reset)
    }

    async fn finish(
        &self,
        sender: SendRequest<Full<Bytes>>,
        response: Response<Incoming>,
        deadline: Instant,
    ) -> Result<u16, FailureKind> {
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let drained = timeout_at(deadline, async {
            while let Some(frame) = body.frame().await {
                frame?;
            }
            Ok::<(), hyper::Error>(())
        });
        match drained.await {
            Err(_) => Err(FailureKind::AnswerTimeout),
            Ok(Err(error)) => Err(classify(&error)),
            Ok(Ok(())) => {
                self.lock().push((sender, Instant::now()));
                Ok(status)
            }
        }
    }

    /// An idle connection that is still good.
    async fn idle(&self) -> Option<SendRequest<Full<Bytes>>> {
        loop {
            let (mut sender, since) = self.lock().pop()?;
            if since.elapsed() < IDLE && sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
    }

    async fn connect(&self, deadline: Instant) -> Result<SendRequest<Full<Bytes>>, FailureKind> {
        let connected = timeout_at(deadline, TcpStream::connect(&self.authority)).await;
        let stream = match connected {
            Err(_) => return Err(FailureKind::ConnectTimeout),
            Ok(Err(error)) => return Err(classify(&error)),
            Ok(Ok(stream)) => stream,
        };
        stream.set_nodelay(true).map_err(|error| classify(&error))?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| classify(&error))?;
        // Its error reaches the request that is on the connection; it ends with the sender.
        tokio::spawn(async move { connection.await.ok() });
        Ok(sender)
    }

    fn request(&self, outgoing: Outgoing) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(outgoing.body));
        *request.method_mut() = outgoing.method;
        *request.uri_mut() = outgoing.path.parse().expect("a source gives valid paths");
        *request.headers_mut() = outgoing.headers;
        let host = self.authority.parse().expect("an address is a valid header value");
        request.headers_mut().entry(HOST).or_insert(host);
        request
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(SendRequest<Full<Bytes>>, Instant)>> {
        self.idle.lock().expect("nothing panics while it holds the idle connections")
    }
}

/// What kind of failure an error is, by the I/O error at its root.
fn classify(error: &(dyn std::error::Error + 'static)) -> FailureKind {
    use std::io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, TimedOut, UnexpectedEof,
    };
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            match io.kind() {
                ConnectionRefused => return FailureKind::Refused,
                TimedOut => return FailureKind::ConnectTimeout,
                ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof => {
                    return FailureKind::Reset;
                }
                _ => {}
            }
        }
        let cut_off = |e: &hyper::Error| e.is_incomplete_message() || e.is_canceled();
        if error.downcast_ref::<hyper::Error>().is_some_and(cut_off) {
            return FailureKind::Reset;
        }
        next = error.source();
    }
    FailureKind::Other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_no_path() {
        let check = |text: &str, expect: Option<(&str, bool)>| {
            let address = text.parse::<Address>().ok();
            let got = address.as_ref().map(|a| (a.to_string(), a.is_loopback()));
            assert_eq!(got, expect.map(|(text, local)| (text.to_owned(), local)), "{text}");
        };
        check("http://127.0.0.1:7800", Some(("http://127.0.0.1:7800", true)));
        check("http://localhost:7800/", Some(("http://localhost:7800", true)));
        check("http://[::1]:7800", Some(("http://[::1]:7800", true)));
        check("http://example.com", Some(("http://example.com:80", false)));
        check("http://10.0.0.7:80", Some(("http://10.0.0.7:80", false)));
        check("https://127.0.0.1:1", None);
        check("http://127.0.0.1:1/linear", None);
        check("127.0.0.1:1", None);
        check("", None);
    }
}
