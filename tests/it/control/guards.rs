//! Guards that the orchestrator itself judges, and what people ask of a run from elsewhere.

use std::time::Duration;

use ctx::control::armed::{
    ArmRequest, Armed, ArmedGuard, Ask, AskResult, GuardsView, LookOutcome, MAX_RECORD, Tripped,
};
use ctx::control::client::Client;
use ctx::control::config::{CacheMode, Config};
use ctx::control::wire::{AuditKind, AuditRow, ProblemCode, RevisionRequest, RevisionResult};
use ctx::ids::RunId;
use ctx::secret::Secret;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::harness::{
    Operator, PATIENCE, Served, TOKEN, arm_request, ask_request, outcome, refused, until,
};

/// Requests that go on until it is dropped.
struct Traffic(JoinHandle<()>);

impl Traffic {
    fn to(served: &Served) -> Self {
        let url = format!("http://{}/", served.running().data_addr());
        let client = served.client.clone();
        Self(tokio::spawn(async move {
            loop {
                // What is answered is the orchestrator's to judge.
                let _ = client.get(&url).send().await;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }))
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn arm(operator: &Operator<'_>, request: &ArmRequest) -> Armed {
    let reply = operator.fenced("put", "/v1/guards").json(request).send().await.unwrap();
    outcome(reply).await.unwrap()
}

/// Applies a change that survives the loss of its lease, and goes.
async fn detach(operator: Operator<'_>, change: impl FnOnce(&mut Config)) -> u64 {
    let state = operator.served.state().await;
    let mut config = state.config;
    change(&mut config);
    let request =
        RevisionRequest { config, confirm_within_ms: Some(3_600_000), reason: "a step".to_owned() };
    let write = operator.keyed("/v1/revisions", "detached");
    let write = write.header("if-match", format!("\"{}\"", state.head)).json(&request);
    let applied: RevisionResult = outcome(write.send().await.unwrap()).await.unwrap();
    operator.fenced("delete", "/v1/lease").send().await.unwrap().error_for_status().unwrap();
    applied.rev
}

async fn view(served: &Served) -> GuardsView {
    served.get("/v1/guards").await
}

async fn tripped(served: &Served) -> Option<Tripped> {
    served.state().await.armed.and_then(|armed| armed.tripped)
}

fn client(served: &Served) -> Client {
    Client::new(&served.url(""), Some(Secret::new(TOKEN)))
}

#[tokio::test]
async fn a_fault_takes_the_phase_back_with_nobody_there() {
    let served = Served::at_tempo(1.0).await;
    let original = served.config().await;
    let operator = served.lease("ann").await.unwrap();
    let run = operator.request.run.clone();
    arm(&operator, &arm_request()).await;
    operator.change("ttl", |config| config.cache.capacity = 7).await;
    let provisional = detach(operator, |config| config.cache.capacity = 8).await;
    let _traffic = Traffic::to(&served);
    until("the guard has held", async || view(&served).await.looks.iter().any(|look| look.held))
        .await;
    assert_eq!(served.state().await.head, provisional);
    served.legacy.fail(4);
    until("a trip", async || tripped(&served).await.is_some()).await;
    let state = served.state().await;
    assert_eq!(state.config, original, "also what was confirmed within the phase");
    assert_eq!((state.head, state.confirmed), (provisional + 1, provisional + 1));
    assert_eq!(state.provisional, None);
    assert_eq!(served.running().plane().active().rev, state.head, "and it is in force");
    let tripped = state.armed.unwrap().tripped.unwrap();
    assert_eq!(tripped.guard.unwrap().as_str(), "error-rate");
    assert!(tripped.why.starts_with("error_rate "), "{}", tripped.why);
    assert!(tripped.why.ends_with("limit at most 5%, breach 1 of 1"), "{}", tripped.why);
    let rows: Vec<AuditRow> = served.get("/v1/audit").await;
    let last = rows.last().unwrap();
    assert_eq!((last.kind, last.run.as_ref()), (AuditKind::Breach, Some(&run)));
    assert!(last.detail.contains(&tripped.why), "{}", last.detail);
    assert_eq!(view(&served).await.looks[0].outcome, LookOutcome::Breached);
    let text = served.call("get", "/metrics").send().await.unwrap().text().await.unwrap();
    for line in
        ["ctx_guard_armed 1", "ctx_guard_tripped 1", "ctx_guard_breaches{guard=\"error-rate\"} 1"]
    {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

#[tokio::test]
async fn what_is_armed_outlives_the_process_and_so_does_a_trip() {
    let mut served = Served::at_tempo(1.0).await;
    let original = served.config().await;
    let operator = served.lease("ann").await.unwrap();
    arm(&operator, &arm_request()).await;
    operator.change("ttl", |config| config.cache.capacity = 7).await;
    let life = served.state().await.life;
    assert_eq!(life, 1);
    served.crash_and_restart();
    let state = served.state().await;
    assert!(state.life > life);
    assert_eq!(state.config.cache.capacity, 7);
    assert_eq!(state.armed.unwrap().tripped, None);
    served.legacy.fail(4);
    {
        let _traffic = Traffic::to(&served);
        until("a trip", async || tripped(&served).await.is_some()).await;
    }
    assert_eq!(served.config().await, original);
    let before = tripped(&served).await;
    served.crash_and_restart();
    assert_eq!(tripped(&served).await, before);
    // Another operator clears it away.
    let other = served.lease("bob").await.unwrap();
    let disarmed = other.fenced("delete", "/v1/guards").send().await.unwrap();
    assert_eq!(disarmed.status(), 204);
    assert_eq!(view(&served).await, GuardsView::default());
}

#[tokio::test]
async fn falling_back_needs_no_disk() {
    let served = Served::at_tempo(1.0).await;
    let original = served.config().await;
    let operator = served.lease("ann").await.unwrap();
    arm(&operator, &arm_request()).await;
    operator.change("ttl", |config| config.cache.capacity = 7).await;
    let plane = std::sync::Arc::clone(served.running().plane());
    // Somebody else holds the database, so that every commit fails.
    let file = served.folder.path().join("orchestrator.sqlite3");
    let thief = rusqlite::Connection::open(file).unwrap();
    thief.execute_batch("BEGIN IMMEDIATE").unwrap();
    served.legacy.fail(4);
    let _traffic = Traffic::to(&served);
    until("the old content", async || plane.active().config == original).await;
    thief.execute_batch("ROLLBACK").unwrap();
    until("a trip on record", async || {
        let reply = served.call("get", "/v1/state").send().await.unwrap();
        let state: Option<Value> = reply.json().await.ok();
        state.is_some_and(|state| state["armed"]["tripped"]["guard"] == "error-rate")
    })
    .await;
    let state = served.state().await;
    assert_eq!((plane.active().rev, plane.active().config.clone()), (state.head, original));
}

#[tokio::test]
async fn a_guard_on_health_is_judged_too() {
    // An interval of thirty seconds is a tenth of one here.
    let mut served = Served::at_tempo(300.0).await;
    served.judge_cpu = false;
    served.crash_and_restart();
    let operator = served.lease("ann").await.unwrap();
    operator.change("health", |config| config.health.enabled = true).await;
    let mut request = arm_request();
    request.guards[0].metric = "healthy".to_owned();
    request.guards[0].limit = ctx::control::armed::Bound::AtLeast(1.0);
    arm(&operator, &request).await;
    until("it holds", async || view(&served).await.looks.iter().any(|look| look.held)).await;
    served.legacy.answer(500);
    until("a trip", async || tripped(&served).await.is_some()).await;
}

#[tokio::test]
async fn arming_and_disarming_over_http() {
    let served = Served::start().await;
    let client = client(&served);
    assert_eq!(client.guards().await.unwrap(), GuardsView::default());
    assert_eq!(client.record().await.unwrap(), None);
    let operator = served.lease("ann").await.unwrap();
    let request = arm_request();
    let armed = client.arm(&operator.fence, &request).await.unwrap();
    assert_eq!((armed.body.target, &armed.body.guards), (1, &request.guards));
    let anchor = served.state().await.anchor;
    assert_eq!(armed.anchor, Some(anchor.clone()));
    let again = client.arm(&operator.fence, &request).await.unwrap();
    assert_eq!((again.body, again.anchor), (armed.body.clone(), Some(anchor)));
    assert_eq!(served.state().await.armed, Some(armed.body));
    let record = client.record().await.unwrap().unwrap();
    assert_eq!((record.run, record.record), (operator.request.run.clone(), request.record.clone()));
    let put = || operator.fenced("put", "/v1/guards");
    let other = ArmRequest { phase: "pooling".parse().unwrap(), ..request.clone() };
    refused(put().json(&other), ProblemCode::GuardsArmed).await;
    refused(served.call("put", "/v1/guards").json(&request), ProblemCode::PreconditionRequired)
        .await;
    operator.fenced("delete", "/v1/lease").send().await.unwrap();
    refused(put().json(&request), ProblemCode::StaleFence).await;
    let second = served.lease("bob").await.unwrap();
    let state = served.state().await;
    refused(second.propose("k", state.head, state.config), ProblemCode::GuardsArmed).await;
    refused(second.fenced("delete", "/v1/guards"), ProblemCode::GuardsArmed).await;
}

#[tokio::test]
async fn what_is_too_large_or_out_of_range_is_refused() {
    let served = Served::start().await;
    let operator = served.lease("ann").await.unwrap();
    let put = |request: &ArmRequest| operator.fenced("put", "/v1/guards").json(request);
    let good = arm_request();
    let with = |record: String| ArmRequest { record, ..good.clone() };
    refused(put(&with("x".repeat(1 << 20))), ProblemCode::TooLarge).await;
    refused(put(&with("x".repeat(MAX_RECORD + 1))), ProblemCode::BadRequest).await;
    let guard = good.guards[0].clone();
    let misspelt = ArmedGuard { metric: "error_rates".to_owned(), ..guard };
    let request = ArmRequest { guards: vec![misspelt], ..good.clone() };
    let reply = put(&request).send().await.unwrap();
    let problem = outcome::<Value>(reply).await.unwrap_err();
    assert_eq!(
        problem.detail,
        "guard `error-rate`: there is no metric `error_rates`; did you mean `error_rate`?"
    );
    arm(&operator, &with("x".repeat(MAX_RECORD))).await;
    let mut ask = ask_request(operator.request.run.clone(), Ask::Pause);
    ask.reason = Some("x".repeat(2001));
    refused(served.call("post", "/v1/asks").json(&ask), ProblemCode::BadRequest).await;
    ask.reason = Some("x".repeat(1 << 20));
    refused(served.call("post", "/v1/asks").json(&ask), ProblemCode::TooLarge).await;
}

#[tokio::test]
async fn a_person_elsewhere_asks_without_a_fence() {
    let served = Served::start().await;
    let client = client(&served);
    let stranger = ask_request(RunId::random(), Ask::Abort);
    refused(served.call("post", "/v1/asks").json(&stranger), ProblemCode::NotFound).await;
    let operator = served.lease("ann").await.unwrap();
    let run = operator.request.run.clone();
    arm(&operator, &arm_request()).await;
    let asked = client.ask(&ask_request(run.clone(), Ask::Pause)).await.unwrap().body;
    assert_eq!(
        asked,
        AskResult {
            done: false,
            detail: "asked ann@desk, process 7, which drives the run".to_owned(),
            rev: 1,
        }
    );
    let waiting = served.state().await.armed.unwrap().asked.unwrap();
    assert_eq!((waiting.ask, waiting.by.as_str()), (Ask::Pause, "bob"));
    operator.change("read", |config| config.cache.mode = CacheMode::Read).await;
    let done = client.ask(&ask_request(run.clone(), Ask::Abort)).await.unwrap().body;
    assert!(done.done);
    assert_eq!(served.config().await.cache.mode, CacheMode::Off);
    let why = tripped(&served).await.unwrap().why;
    assert_eq!(why, "aborted by bob@laptop: it is late");
    let pause = ask_request(run, Ask::Pause);
    refused(served.call("post", "/v1/asks").json(&pause), ProblemCode::Tripped).await;
    let state = served.state().await;
    let mut config = state.config;
    config.cache.capacity = 9;
    let late = operator.propose("late", state.head, config).timeout(PATIENCE);
    refused(late, ProblemCode::Tripped).await;
}
