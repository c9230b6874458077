//! An orchestrator with a legacy app behind it and operators before it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use ctx::clock::{Clock, ManualClock, SystemClock, Tempo};
use ctx::control::armed::{ArmRequest, ArmedGuard, Ask, AskRequest, Bound};
use ctx::control::config::Config;
use ctx::control::wire::{
    Fence, LeaseGrant, LeaseRequest, Problem, ProblemCode, RevisionRequest, RevisionResult, State,
};
use ctx::ids::RunId;
use ctx::orchestrator::{Initial, Options, Orchestrator, StartError};
use ctx::secret::Secret;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A bound on everything that is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
pub(super) const TOKEN: &str = "correct-horse-battery-staple-0123";
pub(super) const LOCAL: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A legacy app that answers everything with one status.
pub(super) struct Legacy {
    pub(super) url: String,
    status: Arc<AtomicU16>,
    every: Arc<AtomicU16>,
}

impl Legacy {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind(LOCAL).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let status = Arc::new(AtomicU16::new(200));
        let every = Arc::<AtomicU16>::default();
        let (answer, fails) = (Arc::clone(&status), Arc::clone(&every));
        tokio::spawn(async move {
            let mut count: u16 = 0;
            while let Ok((mut stream, _)) = listener.accept().await {
                count = count.wrapping_add(1);
                let fails = count.checked_rem(fails.load(Ordering::SeqCst)) == Some(0);
                let status = if fails { 500 } else { answer.load(Ordering::SeqCst) };
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let reply = format!(
                        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: 6\r\n\r\nlegacy"
                    );
                    let _ = stream.write_all(reply.as_bytes()).await;
                });
            }
        });
        Self { url, status, every }
    }

    /// Answers one request out of `every` with 500; 0 for none.
    pub(super) fn fail(&self, every: u16) {
        self.every.store(every, Ordering::SeqCst);
    }

    pub(super) fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}

pub(super) fn options(folder: &Path, legacy: &str, clock: Arc<dyn Clock>) -> Options {
    Options {
        legacy: legacy.to_owned(),
        listen: LOCAL,
        control: LOCAL,
        inherited: None,
        state_dir: folder.to_path_buf(),
        token: Secret::new(TOKEN),
        tempo: Tempo::default(),
        clock,
        workers: 1,
        judge_cpu: true,
        programs: None,
        flags_token: None,
        initial: Initial::default(),
    }
}

pub(super) struct Served {
    pub(super) orchestrator: Option<Orchestrator>,
    pub(super) folder: TempDir,
    pub(super) clock: Arc<ManualClock>,
    pub(super) legacy: Legacy,
    pub(super) client: Client,
    /// Whether how busy the machine is counts; many tests share it.
    pub(super) judge_cpu: bool,
    tempo: Option<Tempo>,
}

impl Served {
    /// Starts on a hand-moved clock.
    pub(super) async fn start() -> Self {
        Self::with(None).await
    }

    /// Starts on the machine's clock, at a tempo.
    pub(super) async fn at_tempo(factor: f64) -> Self {
        Self::with(Some(Tempo::new(factor).unwrap())).await
    }

    async fn with(tempo: Option<Tempo>) -> Self {
        let mut served = Self {
            orchestrator: None,
            folder: TempDir::new().unwrap(),
            clock: Arc::default(),
            legacy: Legacy::start().await,
            client: Client::builder().timeout(PATIENCE).no_proxy().build().unwrap(),
            judge_cpu: true,
            tempo,
        };
        served.begin().unwrap();
        served
    }

    pub(super) fn begin(&mut self) -> Result<(), StartError> {
        let clock: Arc<dyn Clock> = match self.tempo {
            Some(_) => Arc::new(SystemClock),
            None => Arc::clone(&self.clock) as Arc<dyn Clock>,
        };
        let mut options = options(self.folder.path(), &self.legacy.url, clock);
        options.tempo = self.tempo.unwrap_or_default();
        options.judge_cpu = self.judge_cpu;
        self.orchestrator = Some(Orchestrator::start(options)?);
        Ok(())
    }

    /// Ends the orchestrator as a crash would, and starts another on the same state.
    pub(super) fn crash_and_restart(&mut self) {
        drop(self.orchestrator.take());
        self.begin().unwrap();
    }

    pub(super) fn running(&self) -> &Orchestrator {
        self.orchestrator.as_ref().unwrap()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running().control_addr())
    }

    /// A request without a token.
    pub(super) fn stranger(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        self.client.request(method, self.url(path))
    }

    pub(super) fn call(&self, method: &str, path: &str) -> RequestBuilder {
        self.stranger(method, path).bearer_auth(TOKEN)
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let reply = self.call("get", path).send().await.unwrap();
        assert_eq!(reply.status(), 200, "{path}");
        reply.json().await.unwrap()
    }

    pub(super) async fn state(&self) -> State {
        self.get("/v1/state").await
    }

    pub(super) async fn lease(&self, holder: &str) -> Result<Operator<'_>, Problem> {
        let request = lease_request(holder);
        let reply = self.call("put", "/v1/lease").json(&request).send().await.unwrap();
        let grant: LeaseGrant = outcome(reply).await?;
        Ok(Operator { served: self, request, fence: grant.fence })
    }

    pub(super) async fn config(&self) -> Config {
        self.state().await.config
    }
}

pub(super) fn lease_request(holder: &str) -> LeaseRequest {
    LeaseRequest {
        run: RunId::random(),
        holder: holder.to_owned(),
        host: "desk".to_owned(),
        pid: 7,
        ttl_ms: 30_000,
        min_token: 0,
        last_anchor: None,
    }
}

/// Arms one guard that looks every 200 ms and fails at the first breach.
pub(super) fn arm_request() -> ArmRequest {
    ArmRequest {
        plan: "shop".parse().unwrap(),
        phase: "caching".parse().unwrap(),
        guards: vec![ArmedGuard {
            id: "error-rate".parse().unwrap(),
            metric: "error_rate".to_owned(),
            query: None,
            limit: Bound::AtMost(0.05),
            breaches: 1,
            min_samples: 10,
            every_ms: 200,
            patience_ms: None,
        }],
        canaries: Vec::new(),
        record: r#"{"run_begun":{}}"#.to_owned(),
    }
}

/// Bob, at another machine, asks something of a run.
pub(super) fn ask_request(run: RunId, ask: Ask) -> AskRequest {
    let (by, host) = ("bob".to_owned(), "laptop".to_owned());
    AskRequest { run, ask, by, host, reason: Some("it is late".to_owned()) }
}

/// A success as its type, a problem as itself.
pub(super) async fn outcome<T: DeserializeOwned>(reply: Response) -> Result<T, Problem> {
    let status = reply.status();
    let content_type = reply.headers()["content-type"].to_str().unwrap().to_owned();
    if status.is_success() {
        assert_eq!(content_type, "application/json");
        return Ok(reply.json().await.unwrap());
    }
    assert_eq!(content_type, "application/problem+json");
    let problem: Problem = reply.json().await.unwrap();
    assert_eq!((problem.status, problem.code.status()), (status.as_u16(), status.as_u16()));
    assert_eq!(problem.title, problem.code.title());
    Err(problem)
}

/// Asserts a refusal by its code.
pub(super) async fn refused(request: RequestBuilder, code: ProblemCode) -> Problem {
    let problem = outcome::<Value>(request.send().await.unwrap()).await.unwrap_err();
    assert_eq!(problem.code, code, "{}", problem.detail);
    problem
}

/// A holder of the lease.
pub(super) struct Operator<'a> {
    pub(super) served: &'a Served,
    pub(super) request: LeaseRequest,
    pub(super) fence: Fence,
}

impl Operator<'_> {
    /// A request under the fence.
    pub(super) fn fenced(&self, method: &str, path: &str) -> RequestBuilder {
        self.served.call(method, path).header("ctx-fence", self.fence.to_string())
    }

    /// A keyed write.
    pub(super) fn keyed(&self, path: &str, key: &str) -> RequestBuilder {
        self.fenced("post", path).header("idempotency-key", key)
    }

    pub(super) fn propose(&self, key: &str, if_match: u64, config: Config) -> RequestBuilder {
        let request =
            RevisionRequest { config, confirm_within_ms: None, reason: "a step".to_owned() };
        self.keyed("/v1/revisions", key)
            .header("if-match", format!("\"{if_match}\""))
            .json(&request)
    }

    /// Applies a change to the document in force.
    pub(super) async fn apply(
        &self,
        key: &str,
        change: impl FnOnce(&mut Config),
    ) -> Result<RevisionResult, Problem> {
        let State { head, mut config, .. } = self.served.state().await;
        change(&mut config);
        outcome(self.propose(key, head, config).send().await.unwrap()).await
    }

    pub(super) async fn confirm(&self, key: &str, rev: u64) -> Result<RevisionResult, Problem> {
        let path = format!("/v1/revisions/{rev}/confirm");
        outcome(self.keyed(&path, key).send().await.unwrap()).await
    }

    pub(super) async fn revert(&self, key: &str, rev: u64) -> Result<RevisionResult, Problem> {
        let path = format!("/v1/revisions/{rev}/revert");
        outcome(self.keyed(&path, key).send().await.unwrap()).await
    }

    /// Applies and confirms.
    pub(super) async fn change(&self, name: &str, change: impl FnOnce(&mut Config)) -> u64 {
        let rev = self.apply(&format!("{name}-apply"), change).await.unwrap().rev;
        self.confirm(&format!("{name}-confirm"), rev).await.unwrap().rev
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

/// A body that fits the schema of a route that takes one.
pub(super) fn body_for(path: &str) -> Value {
    match path {
        "/v1/lease" => serde_json::to_value(lease_request("x")).unwrap(),
        "/v1/lease/break" => json!({ "counter": 0, "by": "x", "host": "y", "reason": "z" }),
        "/v1/guards" => serde_json::to_value(arm_request()).unwrap(),
        "/v1/asks" => serde_json::to_value(ask_request(RunId::random(), Ask::Pause)).unwrap(),
        "/v1/cache" => json!({ "entries": [] }),
        _ => json!({ "config": Config::legacy("http://127.0.0.1:1"), "reason": "" }),
    }
}
