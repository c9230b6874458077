//! An orchestrator between clients and upstreams whose health a test decides.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ctx::clock::{SystemClock, Tempo};
use ctx::control::config::{Config, HealingMode, Upstream, flag};
use ctx::control::observe::{Health, Metrics};
use ctx::control::wire::{LeaseGrant, LeaseRequest, RevisionRequest, RevisionResult, State};
use ctx::ids::RunId;
use ctx::load::{Outgoing, Rate, Scenario, Source};
use ctx::orchestrator::plane::Plane;
use ctx::orchestrator::{Initial, Options, Orchestrator};
use ctx::secret::Secret;
use ctx::units::Percent;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use reqwest::RequestBuilder;
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A bound on everything that is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(40);
const TOKEN: &str = "correct-horse-battery-staple-0123";

/// An upstream: what its root says is what a health check sees.
#[derive(Clone)]
pub(super) struct App {
    pub(super) url: String,
    health: Arc<AtomicU16>,
    answer: Arc<AtomicU16>,
    pause_ms: Arc<AtomicU64>,
    asked: Arc<AtomicUsize>,
}

impl App {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let app = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            health: Arc::new(AtomicU16::new(200)),
            answer: Arc::new(AtomicU16::new(200)),
            pause_ms: Arc::default(),
            asked: Arc::default(),
        };
        let served = app.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let app = served.clone();
                let service = service_fn(move |request| app.clone().serve(request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        app
    }

    async fn serve(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let status = if request.uri().path() == "/" {
            self.health.load(Ordering::SeqCst)
        } else {
            self.asked.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(self.pause_ms.load(Ordering::SeqCst))).await;
            self.answer.load(Ordering::SeqCst)
        };
        Ok(Response::builder().status(status).body(Full::from("said")).unwrap())
    }

    pub(super) fn is_well(&self, status: u16) {
        self.health.store(status, Ordering::SeqCst);
    }

    pub(super) fn answers(&self, status: u16) {
        self.answer.store(status, Ordering::SeqCst);
    }

    pub(super) fn takes(&self, pause: Duration) {
        let ms = u64::try_from(pause.as_millis()).unwrap();
        self.pause_ms.store(ms, Ordering::SeqCst);
    }

    /// How often anybody but a health check asked.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A running orchestrator in front of `legacy`.
pub(super) struct World {
    pub(super) legacy: App,
    orchestrator: Orchestrator,
    client: reqwest::Client,
    _folder: TempDir,
}

impl World {
    /// Starts with self-healing in a mode, and whatever else `change` says.
    pub(super) async fn healing(
        mode: HealingMode,
        tempo: f64,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        Self::start(tempo, |config| {
            heal(config, mode);
            change(config);
        })
        .await
    }

    pub(super) async fn start(tempo: f64, change: impl FnOnce(&mut Config)) -> Self {
        let legacy = App::start().await;
        let url = legacy.url.clone();
        Self::before(&url, legacy, tempo, change).await
    }

    /// Starts in front of whatever is at `url`.
    pub(super) async fn before(
        url: &str,
        legacy: App,
        tempo: f64,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let orchestrator = Orchestrator::start(Options {
            legacy: url.to_owned(),
            listen: local,
            control: local,
            inherited: None,
            state_dir: folder.path().to_path_buf(),
            token: Secret::new(TOKEN),
            flags_token: None,
            tempo: Tempo::new(tempo).unwrap(),
            clock: Arc::new(SystemClock),
            workers: 1,
            judge_cpu: false,
            initial: Initial::default(),
            programs: None,
        })
        .unwrap();
        let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().unwrap();
        let world = Self { legacy, orchestrator, client, _folder: folder };
        world.set(change).await;
        world
    }

    pub(super) fn plane(&self) -> &Plane {
        self.orchestrator.plane()
    }

    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.orchestrator.control_addr());
        self.client.request(method, url).bearer_auth(TOKEN)
    }

    async fn told<T: DeserializeOwned>(request: RequestBuilder) -> T {
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{status}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Changes the configuration as an operator does: a lease, a revision, its confirmation.
    pub(super) async fn set(&self, change: impl FnOnce(&mut Config)) {
        let lease = LeaseRequest {
            run: RunId::random(),
            holder: "ann".to_owned(),
            host: "desk".to_owned(),
            pid: 7,
            ttl_ms: 30_000,
            min_token: 0,
            last_anchor: None,
        };
        let grant: LeaseGrant = Self::told(self.call(Method::PUT, "/v1/lease").json(&lease)).await;
        let fence = grant.fence.to_string();
        let State { head, mut config, .. } = Self::told(self.call(Method::GET, "/v1/state")).await;
        change(&mut config);
        let request =
            RevisionRequest { config, confirm_within_ms: None, reason: "a test".to_owned() };
        let write = |path: &str, key: String| {
            self.call(Method::POST, path).header("ctx-fence", &fence).header("idempotency-key", key)
        };
        let proposed = write("/v1/revisions", format!("apply-{head}"))
            .header("if-match", format!("\"{head}\""))
            .json(&request);
        let RevisionResult { rev, .. } = Self::told(proposed).await;
        let path = format!("/v1/revisions/{rev}/confirm");
        let _: RevisionResult = Self::told(write(&path, format!("confirm-{rev}"))).await;
        let release = self.call(Method::DELETE, "/v1/lease").header("ctx-fence", &fence);
        assert!(release.send().await.unwrap().status().is_success());
    }

    pub(super) async fn config(&self) -> Config {
        Self::told::<State>(self.call(Method::GET, "/v1/state")).await.config
    }

    pub(super) async fn health(&self) -> Health {
        Self::told(self.call(Method::GET, "/v1/health")).await
    }

    /// Everything measured since the start.
    pub(super) async fn metrics(&self) -> Metrics {
        Self::told(self.call(Method::GET, "/v1/metrics?from=0")).await
    }

    /// A sample of `/metrics`, by its name.
    pub(super) async fn sample(&self, name: &str) -> f64 {
        let answer = self.call(Method::GET, "/metrics").send().await.unwrap();
        let text = answer.text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    /// What self-healing has on record, oldest first: `+` for what was performed.
    pub(super) async fn healed(&self) -> Vec<String> {
        let actions = self.health().await.healing.into_iter().rev();
        actions.map(|a| format!("{} {}", if a.performed { '+' } else { '-' }, a.action)).collect()
    }

    pub(super) fn data(&self) -> String {
        format!("http://{}", self.orchestrator.data_addr())
    }

    /// A client's read, or an event where `path` ends so.
    pub(super) async fn ask(&self, path: &str) -> reqwest::Response {
        let url = format!("{}{path}", self.data());
        let request = if path.ends_with("/events") {
            self.client.post(url).body("{}")
        } else {
            self.client.get(url)
        };
        request.send().await.unwrap()
    }

    /// The statuses of so many requests, one after the other.
    pub(super) async fn statuses(&self, path: &str, times: usize) -> Vec<u16> {
        let mut statuses = Vec::new();
        for _ in 0..times {
            statuses.push(self.ask(path).await.status().as_u16());
        }
        statuses
    }

    /// Waits until something is on record.
    pub(super) async fn until_healed(&self, what: &str) {
        until(what, async || self.healed().await.iter().any(|action| action == what)).await;
    }
}

/// Waits for something that happens by itself.
pub(super) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("never: {what}"));
}

pub(super) fn heal(config: &mut Config, mode: HealingMode) {
    config.health.enabled = true;
    config.healing.mode = mode;
    turn_on(config, flag::SELF_HEALING);
}

pub(super) fn turn_on(config: &mut Config, flag: &str) {
    let flag = config.flags.get_mut(flag).unwrap();
    (flag.enabled, flag.percentage) = (true, Percent::ALL);
}

/// Adds an upstream.
pub(super) fn add(config: &mut Config, name: &str, app: &App) {
    config.upstreams.insert(name.to_owned(), Upstream::at(&app.url));
}

/// Events of one platform, again and again.
struct Events(&'static str);

impl Source for Events {
    fn next(&mut self) -> Outgoing {
        Outgoing {
            method: Method::POST,
            path: self.0.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"{}"),
            expect: 200,
            delivery: None,
        }
    }
}

/// Load that goes on until it is stopped.
pub(super) struct Traffic {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Traffic {
    /// So many events a second to `path`.
    pub(super) fn start(world: &World, path: &'static str, rate: f64) -> Self {
        let (stop, stopped) = watch::channel(false);
        let scenario = Scenario {
            max_in_flight: 4000,
            ..Scenario::new(
                world.data().parse().unwrap(),
                Rate::per_second(rate).unwrap(),
                Box::new(Events(path)),
            )
        };
        let task = tokio::spawn(async move {
            ctx::load::run(scenario, stopped).await;
        });
        Self { stop, task }
    }

    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }
}
