//! A gateway in front of small upstreams that a test scripts.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use ctx::clock::{Clock, SystemClock, Tempo};
use ctx::control::config::{self, Config};
use ctx::control::observe::Metrics;
use ctx::orchestrator::gateway::{self, Gateway};
use ctx::orchestrator::plane::{Active, Plane};
use ctx::units::Percent;
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;

/// A bound on everything that is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A request as an upstream saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

type Script = dyn Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync;

/// An upstream that answers as scripted, and remembers what it was asked.
pub(super) struct Upstream {
    pub(super) addr: SocketAddr,
    pub(super) seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
}

impl Upstream {
    /// Answers everything with 200 and `text`.
    pub(super) async fn saying(text: &'static str) -> Self {
        Self::start(move |_| Response::new(Full::from(text))).await
    }

    pub(super) async fn start(
        script: impl Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        Self::slow(Duration::ZERO, script).await
    }

    /// Takes a while for each answer.
    pub(super) async fn slow(
        pause: Duration,
        script: impl Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Self {
            addr: listener.local_addr().unwrap(),
            seen: Arc::default(),
            connections: Arc::default(),
        };
        let (seen, connections) = (Arc::clone(&upstream.seen), Arc::clone(&upstream.connections));
        let script: Arc<Script> = Arc::new(script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
                    async move {
                        let (parts, body) = request.into_parts();
                        let body =
                            body.collect().await.map(Collected::to_bytes).unwrap_or_default();
                        let request = Seen { uri: parts.uri, headers: parts.headers, body };
                        seen.lock().unwrap().push(request.clone());
                        tokio::time::sleep(pause).await;
                        Ok::<_, Infallible>(script(&request))
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        upstream
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn config(&self) -> config::Upstream {
        upstream_at(self.addr)
    }
}

/// The configuration of an upstream with limits that a test can wait for.
pub(super) fn upstream_at(addr: SocketAddr) -> config::Upstream {
    config::Upstream::at(&format!("http://{addr}"))
}

/// An address where nobody listens.
pub(super) fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A gateway, in front of an upstream named `legacy`.
pub(super) struct World {
    pub(super) plane: Arc<Plane>,
    pub(super) addr: SocketAddr,
    pub(super) client: reqwest::Client,
    gateway: Option<Gateway>,
    config: Mutex<Config>,
}

impl World {
    pub(super) fn new(legacy: &Upstream, change: impl FnOnce(&mut Config)) -> Self {
        Self::at(legacy.addr, change)
    }

    pub(super) fn at(legacy: SocketAddr, change: impl FnOnce(&mut Config)) -> Self {
        Self::timed(Arc::new(SystemClock), legacy, change)
    }

    pub(super) fn timed(
        clock: Arc<dyn Clock>,
        legacy: SocketAddr,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config::legacy(&format!("http://{legacy}"));
        change(&mut config);
        let active = Active { rev: 1, config: config.clone() };
        let plane = Arc::new(Plane::new(active, clock, Tempo::default()));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let gateway = gateway::start(Arc::clone(&plane), any, 2).unwrap();
        let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().unwrap();
        Self {
            plane,
            addr: gateway.addr,
            client,
            gateway: Some(gateway),
            config: Mutex::new(config),
        }
    }

    /// Puts a new revision in force.
    pub(super) fn set(&self, change: impl FnOnce(&mut Config)) {
        let mut config = self.config.lock().unwrap();
        change(&mut config);
        let rev = self.plane.active().rev + 1;
        self.plane.activate(Active { rev, config: config.clone() });
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub(super) async fn get(&self, path: &str) -> (StatusCode, String) {
        let answer = self.client.get(self.url(path)).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    pub(super) async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> (StatusCode, String) {
        let mut request = self.client.post(self.url(path)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// Sends bytes over a connection of their own, and gives everything that comes back until
    /// the gateway closes it.
    pub(super) async fn raw(&self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        let (addr, bytes) = (self.addr, bytes.as_ref().to_vec());
        let exchange = move || {
            let mut stream = connect(addr);
            stream.write_all(&bytes).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            answer
        };
        tokio::task::spawn_blocking(exchange).await.unwrap()
    }

    /// Everything measured since the start.
    pub(super) fn metrics(&self) -> Metrics {
        self.plane.observe(Some(0))
    }

    /// Waits until what was measured is as it should be.
    pub(super) async fn until(&self, what: &str, holds: impl Fn(&Metrics) -> bool) -> Metrics {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let metrics = self.metrics();
            if holds(&metrics) {
                return metrics;
            }
            assert!(tokio::time::Instant::now() < deadline, "never {what}: {metrics:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Stops the gateway as its owner would.
    pub(super) fn stop(&mut self, drain: Duration) {
        if let Some(gateway) = self.gateway.take() {
            gateway.stop(drain);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

/// A client's connection that does not wait forever.
pub(super) fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Turns a flag on for a share of the keys.
pub(super) fn flag_on(config: &mut Config, name: &str, percent: u32) {
    let flag = config.flags.get_mut(name).unwrap();
    flag.enabled = true;
    flag.percentage = Percent::whole(percent);
}

/// An upstream in bytes: reads each request up to `ends_with`, notes it, and says `answer`.
///
/// With `close`, it hangs up after each answer without having announced it.
pub(super) struct RawUpstream {
    pub(super) addr: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    closed: Arc<AtomicUsize>,
}

impl RawUpstream {
    pub(super) fn start(ends_with: &'static str, answer: &'static [u8], close: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let closed: Arc<AtomicUsize> = Arc::default();
        let upstream = Self { addr, seen: Arc::clone(&seen), closed: Arc::clone(&closed) };
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (seen, closed) = (Arc::clone(&seen), Arc::clone(&closed));
                thread::spawn(move || {
                    while let Some(request) = read_until(&mut stream, ends_with) {
                        seen.lock().unwrap().push(request);
                        if stream.write_all(answer).is_err() || close {
                            break;
                        }
                    }
                    drop(stream);
                    closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        upstream
    }

    /// Waits until this many connections were closed.
    pub(super) async fn until_closed(&self, count: usize) {
        let closed = async {
            while self.closed.load(Ordering::SeqCst) < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, closed).await.expect("the upstream hangs up");
    }

    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// What a peer says, until `end`; `None` if it hangs up before.
pub(super) fn read_until(stream: &mut TcpStream, end: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(end.as_bytes()) {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        bytes.push(byte[0]);
    }
    Some(String::from_utf8(bytes).unwrap())
}
