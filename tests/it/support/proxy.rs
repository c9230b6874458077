//! Something between `ctx` and the control API: it counts what passes, and answers some calls
//! itself, as a service that is half down does, or none, as a network that is cut does.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::runtime::Runtime;

/// What it does to whoever asks, and what it was asked.
#[derive(Debug, Default)]
struct Mood {
    well: AtomicBool,
    cut: AtomicBool,
    passed: Mutex<Vec<String>>,
}

/// A proxy on a port of its own. It ends when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// `HOST:PORT`
    pub(crate) addr: String,
    mood: Arc<Mood>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Proxy {
    /// Passes everything on to `HOST:PORT`, but answers 503 for paths that begin with one of
    /// these, unless it is [`well`](Self::is_well).
    pub(crate) fn to(target: &str, broken: &'static [&'static str]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be had");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let mood = Arc::<Mood>::default();
        let (base, seen) = (format!("http://{target}"), Arc::clone(&mood));
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
        Self { addr, mood, runtime: Some(runtime) }
    }

    /// Whether every path is passed on.
    pub(crate) fn is_well(&self, well: bool) {
        self.mood.well.store(well, Ordering::SeqCst);
    }

    /// Whether nothing comes through, in neither direction, and nobody is told.
    pub(crate) fn is_cut(&self, cut: bool) {
        self.mood.cut.store(cut, Ordering::SeqCst);
    }

    /// What was asked so far, such as `PUT /v1/lease`.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.mood.passed.lock().unwrap().clone()
    }
}

impl Mood {
    /// Waits while nothing comes through.
    async fn reaches(&self) {
        while self.cut.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
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
    mood: &Mood,
    client: reqwest::Client,
    broken: &[&str],
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    mood.passed.lock().unwrap().push(format!("{} {path}", parts.method));
    let unavailable = || {
        let mut answer = Response::new(Full::from("down for maintenance"));
        *answer.status_mut() = hyper::StatusCode::SERVICE_UNAVAILABLE;
        answer
    };
    mood.reaches().await;
    if !mood.well.load(Ordering::SeqCst) && broken.iter().any(|broken| path.starts_with(broken)) {
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
    mood.reaches().await;
    let Ok(reply) = sent else { return unavailable() };
    let (status, headers) = (reply.status(), reply.headers().clone());
    let mut answer = Response::new(Full::new(reply.bytes().await.unwrap_or_default()));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer.headers_mut().remove("transfer-encoding");
    answer
}
