//! One POST of JSON, over TLS where the address says so.
//!
//! A connection of its own for each alert: there are few, and none may hold up another. `reqwest`
//! is built without TLS, for most else here speaks to its own machine; so this is hyper over rustls,
//! with the certificates that the system trusts, see [`crate::trust`].
//!
//! No error here names the address: that of a webhook is a secret.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::post::Unsent;
use crate::secret::{Secret, redacted};
use crate::trust;

/// How much of an answer is read, for the sake of its reason.
const READ: usize = 64 * 1024;
/// How much of it is shown.
const SHOWN: usize = 200;
/// The longest that a server may ask to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Sends a document, and takes any status of success as taken.
pub(super) async fn post(url: &str, bearer: Option<&Secret>, body: String) -> Result<(), Unsent> {
    let uri: Uri = url.parse().map_err(|_| Unsent::for_good("its address is not a URL"))?;
    let request = request(&uri, bearer, body)?;
    exchange(connect(&uri).await?, request).await
}

/// A connection, with or without TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Whether somebody is there who takes a connection; nothing is sent.
pub(super) async fn reach(url: &str) -> Result<(), Unsent> {
    let uri: Uri = url.parse().map_err(|_| Unsent::for_good("its address is not a URL"))?;
    connect(&uri).await.map(drop)
}

async fn connect(uri: &Uri) -> Result<Box<dyn Stream>, Unsent> {
    let host = uri.host().ok_or_else(|| Unsent::for_good("its address has no host"))?;
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(Unsent::for_good("its address is neither `http://` nor `https://`")),
    };
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port)).await;
    let stream = stream.map_err(|error| Unsent::for_now(format!("failed to connect: {error}")))?;
    if !tls {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(bare.to_owned())
        .map_err(|_| Unsent::for_good("its host is no name of a server"))?;
    let connector = TlsConnector::from(trust::system().map_err(Unsent::for_good)?);
    let stream = connector.connect(name, stream).await;
    let stream = stream.map_err(|error| Unsent::for_now(format!("no TLS: {error}")))?;
    Ok(Box::new(stream))
}

fn request(
    uri: &Uri,
    bearer: Option<&Secret>,
    body: String,
) -> Result<Request<Full<Bytes>>, Unsent> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    // Credentials of an address are not for the `Host` header.
    let host = authority.rsplit('@').next().unwrap_or_default();
    let mut request = Request::post(path)
        .header(HOST, host)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("ctx/", env!("CARGO_PKG_VERSION")));
    if let Some(token) = bearer {
        request = request.header(AUTHORIZATION, format!("Bearer {}", token.expose()));
    }
    request
        .body(Full::from(body))
        .map_err(|_| Unsent::for_good("its address or token cannot be sent"))
}

async fn exchange(stream: Box<dyn Stream>, request: Request<Full<Bytes>>) -> Result<(), Unsent> {
    let broken = |error: hyper::Error| Unsent::for_now(format!("no answer: {error}"));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let carrying = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(broken);
    let read = match answer {
        Ok(answer) => Ok(read(answer).await),
        Err(error) => Err(error),
    };
    carrying.abort();
    read?
}

async fn read(answer: hyper::Response<hyper::body::Incoming>) -> Result<(), Unsent> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let wait = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let wait = wait.and_then(|value| value.parse().ok()).map(Duration::from_secs);
    let body = Limited::new(answer.into_body(), READ).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let said: String = String::from_utf8_lossy(&body).trim().chars().take(SHOWN).collect();
    let said = redacted(&said).replace(char::is_control, " ");
    let colon = if said.is_empty() { "" } else { ": " };
    let why = format!("it answered {}{colon}{said}", status.as_u16());
    // Too many requests, and whatever is its own fault, may pass; the rest is ours.
    if status.as_u16() == 429 || status.as_u16() == 408 || status.is_server_error() {
        return Err(Unsent {
            after: wait.map(|wait| wait.min(LONGEST_WAIT)),
            ..Unsent::for_now(why)
        });
    }
    Err(Unsent::for_good(why))
}
