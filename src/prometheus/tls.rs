//! One request over TLS.
//!
//! `reqwest` is built without TLS, so this is hyper over rustls, as for alerts. A connection of its
//! own for each request: a query is asked every few seconds at the most.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::secret::SecretRef;
use crate::trust;

/// Sends a request that reqwest has put together; gives the status and the whole body of the
/// answer, up to `most` bytes.
///
/// # Errors
/// Says what went wrong, as what `server` does.
pub(super) async fn send(
    server: &str,
    ca: Option<&str>,
    request: reqwest::Request,
    most: usize,
) -> Result<(u16, Vec<u8>), String> {
    let broken = |_| format!("{server} broke off its answer");
    let uri: Uri = request.url().as_str().parse().map_err(|_| format!("{server} is no URL"))?;
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let trusted = match ca {
        None => trust::system(),
        Some(text) => {
            let reference: SecretRef = text.parse().map_err(|_| "`ca` is no reference")?;
            let pem = reference.resolve().map_err(|error| error.to_string())?;
            trust::only(pem.expose()).map_err(|why| format!("`ca`: {reference}: {why}"))
        }
    };
    let name =
        ServerName::try_from(host.to_owned()).map_err(|_| format!("{server} has no name"))?;
    let connector = TlsConnector::from(trusted?);
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await;
    let stream = stream.map_err(|_| format!("{server} cannot be reached"))?;
    let stream = connector.connect(name, stream).await;
    let stream = stream.map_err(|error| format!("{server} is not trusted: {error}"))?;
    let request = plain(&uri, &request).ok_or_else(|| format!("{server} has no name"))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let carrying = tokio::spawn(connection);
    let answer = async {
        let answer = sender.send_request(request).await.map_err(broken)?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), most).collect().await;
        let body =
            body.map_err(|_| format!("{server} broke off its answer, or it is too large"))?;
        Ok((status, body.to_bytes().to_vec()))
    };
    let answer = answer.await;
    carrying.abort();
    answer
}

/// The same request, as hyper sends it.
fn plain(uri: &Uri, request: &reqwest::Request) -> Option<Request<Full<Bytes>>> {
    let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
    let mut plain = Request::new(Full::from(Bytes::copy_from_slice(body)));
    plain.method_mut().clone_from(request.method());
    *plain.uri_mut() = uri.path_and_query()?.as_str().parse().ok()?;
    plain.headers_mut().clone_from(request.headers());
    let host = HeaderValue::from_str(uri.authority()?.as_str()).ok()?;
    plain.headers_mut().insert(HOST, host);
    Some(plain)
}
