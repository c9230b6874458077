//! Something between `ctx` and the control API: it counts what passes, and answers some calls
//! itself, as a service that is half down does.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::runtime::Runtime;

/// A proxy on a port of its own. It ends when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// `HOST:PORT`
    pub(crate) addr: String,
    passed: Arc<Mutex<Vec<String>>>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Proxy {
    /// Passes everything on to `HOST:PORT`, but answers 503 for paths that begin with one of
    /// these.
    pub(crate) fn to(target: &str, broken: &'static [&'static str]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be had");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let passed = Arc::<Mutex<Vec<String>>>::default();
        let (base, seen) = (format!("http://{target}"), Arc::clone(&passed));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (base, seen, client) = (base.clone(), Arc::clone(&seen), client.clone());
                let service = service_fn(move |request| {
                    let (base, seen, client) = (base.clone(), Arc::clone(&seen), client.clone());
                    async move { Ok::<_, Infallible>(pass(request, base, &seen, client, broken).await) }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { addr, passed, runtime: Some(runtime) }
    }

    /// What was asked so far, such as `PUT /v1/lease`.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.passed.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn pass(
    request: Request<Incoming>,
    base: String,
    seen: &Mutex<Vec<String>>,
    client: reqwest::Client,
    broken: &[&str],
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    seen.lock().unwrap().push(format!("{} {path}", parts.method));
    let unavailable = || {
        let mut answer = Response::new(Full::from("down for maintenance"));
        *answer.status_mut() = hyper::StatusCode::SERVICE_UNAVAILABLE;
        answer
    };
    if broken.iter().any(|broken| path.starts_with(broken)) {
        return unavailable();
    }
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let mut headers = parts.headers;
    headers.remove("host");
    let sent = client
        .request(parts.method, format!("{base}{}", parts.uri))
        .headers(headers)
        .body(body)
        .send()
        .await;
    let Ok(reply) = sent else { return unavailable() };
    let (status, headers) = (reply.status(), reply.headers().clone());
    let mut answer = Response::new(Full::new(reply.bytes().await.unwrap_or_default()));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer.headers_mut().remove("transfer-encoding");
    answer
}
