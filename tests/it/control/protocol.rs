//! The protocol as an operator lives through it.

use std::time::Duration;

use ctx::control::config::{CacheMode, Config, Mode};
use ctx::control::wire::{
    Anchor, AuditKind, AuditRow, LeaseGrant, Operation, OperationKind, ProblemCode, Revision,
    RevisionRequest, RevisionResult, RevisionStatus, State,
};
use ctx::orchestrator::control::audit;
use reqwest::StatusCode;
use serde_json::Value;

use super::harness::{Served, lease_request, outcome, refused, until};

#[tokio::test]
async fn a_change_is_applied_confirmed_and_can_be_looked_up() {
    let served = Served::start().await;
    let operator = served.lease("ann").await.unwrap();
    let mut config = served.config().await;
    config.cache.mode = CacheMode::Read;
    let first = operator.propose("k1", 1, config.clone()).send().await.unwrap();
    assert_eq!(first.status(), StatusCode::CREATED);
    assert_eq!(first.headers()["etag"], "\"2\"");
    let applied: RevisionResult = outcome(first).await.unwrap();
    assert_eq!(applied.config_hash, config.hash());

    let state = served.state().await;
    assert_eq!((state.head, state.confirmed), (2, 1));
    assert_eq!(state.config, config);
    let provisional = state.provisional.unwrap();
    assert_eq!((provisional.rev, provisional.reverts_to), (2, 1));
    assert_eq!((provisional.key.as_str(), provisional.deadline_in_ms), ("k1", None));
    assert_eq!(state.lease.unwrap().holder, "ann");

    // The answer was lost: the same request again.
    let again = operator.propose("k1", 1, config.clone()).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::OK);
    let again: RevisionResult = outcome(again).await.unwrap();
    assert_eq!(again, RevisionResult { replayed: true, ..applied });
    let known: Operation = served.get("/v1/operations/k1").await;
    assert_eq!((known.kind, known.result.rev), (OperationKind::Apply, 2));
    refused(served.call("get", "/v1/operations/k9"), ProblemCode::NotFound).await;

    assert_eq!(operator.confirm("k2", 2).await.unwrap().rev, 2);
    assert_eq!(operator.fenced("delete", "/v1/lease").send().await.unwrap().status(), 204);
    let state = served.state().await;
    assert_eq!((state.head, state.confirmed, state.provisional), (2, 2, None));
    let revision: Revision = served.get("/v1/revisions/2").await;
    assert_eq!(revision.status, RevisionStatus::Confirmed);
    assert_eq!(revision.config, Some(config));
    let list: Vec<Revision> = served.get("/v1/revisions").await;
    assert_eq!(
        list.iter().map(|r| (r.rev, r.config.is_some())).collect::<Vec<_>>(),
        [(2, false), (1, false)]
    );
}

#[tokio::test]
async fn the_audit_chain_tells_all_of_it_and_verifies() {
    let served = Served::start().await;
    let operator = served.lease("ann").await.unwrap();
    operator.apply("k1", |config| config.cache.capacity = 1).await.unwrap();
    operator.revert("k2", 2).await.unwrap();
    operator.fenced("delete", "/v1/lease").send().await.unwrap();
    let rows: Vec<AuditRow> = served.get("/v1/audit").await;
    let kinds: Vec<AuditKind> = rows.iter().map(|row| row.kind).collect();
    assert_eq!(
        kinds,
        [
            AuditKind::Birth,
            AuditKind::Grant,
            AuditKind::Apply,
            AuditKind::Revert,
            AuditKind::Release
        ]
    );
    let applied = &rows[2];
    assert_eq!(applied.run.as_ref(), Some(&operator.request.run));
    assert_eq!((applied.rev, applied.fence, applied.key.as_deref()), (2, Some(1), Some("k1")));
    assert_eq!(rows[0].config_hash, rows[3].config_hash, "the content is back");
    let tip = audit::verify(audit::genesis(), rows.clone()).unwrap();
    assert_eq!(tip, served.state().await.anchor);
    let rest: Vec<AuditRow> = served.get("/v1/audit?after=3").await;
    assert_eq!(rest, rows[3..]);
}

#[tokio::test]
async fn a_second_operator_learns_who_holds_the_lease() {
    let served = Served::start().await;
    let operator = served.lease("ann").await.unwrap();
    let problem = served.lease("bob").await.err().unwrap();
    assert_eq!(problem.code, ProblemCode::LeaseHeld);
    let lease = problem.lease.unwrap();
    assert_eq!((lease.holder.as_str(), lease.host.as_str(), lease.pid), ("ann", "desk", 7));
    assert_eq!((lease.counter, lease.expires_in_ms), (1, 30_000));
    served.clock.advance(Duration::from_secs(20));
    let renewed = operator.fenced("put", "/v1/lease").json(&operator.request);
    let renewed: LeaseGrant = outcome(renewed.send().await.unwrap()).await.unwrap();
    assert_eq!(renewed.fence, operator.fence);
    served.clock.advance(Duration::from_secs(20));
    assert_eq!(served.lease("bob").await.err().unwrap().code, ProblemCode::LeaseHeld);
    served.clock.advance(Duration::from_secs(10));
    let other = served.lease("bob").await.unwrap();
    assert!(other.fence.counter > operator.fence.counter);
    let stale = operator.fenced("put", "/v1/lease").json(&operator.request);
    refused(stale, ProblemCode::StaleFence).await;
    refused(operator.fenced("get", "/v1/state"), ProblemCode::StaleFence).await;
    refused(operator.fenced("get", "/v1/operations/k1"), ProblemCode::StaleFence).await;
    refused(operator.fenced("delete", "/v1/lease"), ProblemCode::StaleFence).await;
}

#[tokio::test]
async fn a_write_without_its_preconditions_is_refused() {
    let served = Served::start().await;
    let operator = served.lease("ann").await.unwrap();
    let config = served.config().await;
    let request =
        RevisionRequest { config: config.clone(), confirm_within_ms: None, reason: String::new() };
    let missing = ProblemCode::PreconditionRequired;
    let post = || served.call("post", "/v1/revisions").json(&request);
    let fence = operator.fence.to_string();
    refused(post(), missing).await;
    refused(post().header("ctx-fence", &fence), missing).await;
    refused(post().header("ctx-fence", &fence).header("idempotency-key", "k1"), missing).await;
    refused(served.call("delete", "/v1/lease"), missing).await;
    refused(operator.fenced("post", "/v1/revisions/2/confirm"), missing).await;
    for tag in ["1", "\"x\"", "*", "W/\"1\"", "\"1\", \"2\""] {
        let request = operator.keyed("/v1/revisions", "k1").header("if-match", tag).json(&request);
        refused(request, ProblemCode::BadRequest).await;
    }
    refused(operator.propose("k 1", 1, config), ProblemCode::BadRequest).await;
}

#[tokio::test]
async fn each_refusal_of_a_revision_has_its_code() {
    let served = Served::start().await;
    let operator = served.lease("ann").await.unwrap();
    let config = served.config().await;
    refused(operator.propose("k1", 9, config.clone()), ProblemCode::HeadMoved).await;
    let mut invalid = config.clone();
    invalid.upstreams.clear();
    refused(operator.propose("k1", 1, invalid), ProblemCode::InvalidConfig).await;
    operator.apply("k1", |config| config.mode = Mode::Enhanced).await.unwrap();
    refused(operator.propose("k1", 2, config.clone()), ProblemCode::KeyReused).await;
    refused(operator.propose("k2", 2, config), ProblemCode::ProvisionalExists).await;
    let problem = operator.confirm("k3", 1).await.unwrap_err();
    assert_eq!(problem.code, ProblemCode::NotProvisional);
    operator.revert("k4", 2).await.unwrap();
    assert_eq!(operator.confirm("k5", 2).await.unwrap_err().code, ProblemCode::NotProvisional);
}

#[tokio::test]
async fn a_lost_lease_reverts_by_itself() {
    let served = Served::start().await;
    let operator = served.lease("ann").await.unwrap();
    let before = served.config().await;
    operator.apply("k1", |config| config.mode = Mode::Enhanced).await.unwrap();
    assert_eq!(served.running().plane().active().config.mode, Mode::Enhanced);
    served.clock.advance(Duration::from_secs(30));
    // Nobody asks: the orchestrator's own timer does it.
    until("a revert", async || served.running().plane().active().rev == 3).await;
    let state = served.state().await;
    assert_eq!((state.head, state.lease, state.provisional), (3, None, None));
    assert_eq!(state.config.canonical(), before.canonical());
}

#[tokio::test]
async fn a_detached_change_outlives_its_lease_until_its_deadline() {
    let served = Served::start().await;
    let operator = served.lease("ann").await.unwrap();
    let mut config = served.config().await;
    config.cache.capacity = 5;
    let request = RevisionRequest {
        config,
        confirm_within_ms: Some(3_600_000),
        reason: "detached".to_owned(),
    };
    let post = operator.keyed("/v1/revisions", "k1").header("if-match", "\"1\"").json(&request);
    outcome::<RevisionResult>(post.send().await.unwrap()).await.unwrap();
    served.clock.advance(Duration::from_secs(1800));
    let state = served.state().await;
    assert_eq!((state.head, state.lease), (2, None));
    assert_eq!(state.provisional.unwrap().deadline_in_ms, Some(1_800_000));
    served.clock.advance(Duration::from_secs(1800));
    assert_eq!(served.state().await.head, 3);
}

#[tokio::test]
async fn a_crash_reverts_what_was_provisional_and_voids_the_lease() {
    let mut served = Served::start().await;
    let before: State = served.state().await;
    let (fence, request) = {
        let operator = served.lease("ann").await.unwrap();
        operator.apply("k1", |config| config.mode = Mode::Enhanced).await.unwrap();
        (operator.fence, operator.request)
    };
    served.crash_and_restart();
    let after = served.state().await;
    assert_eq!((after.head, after.confirmed, after.lease), (3, 3, None));
    assert_eq!(after.config.canonical(), before.config.canonical());
    assert_eq!(after.state_uuid, before.state_uuid);
    let stale = served.call("get", "/v1/state").header("ctx-fence", fence.to_string());
    refused(stale, ProblemCode::StaleFence).await;
    let resumed = served.call("put", "/v1/lease").json(&request).send().await.unwrap();
    let resumed: LeaseGrant = outcome(resumed).await.unwrap();
    assert_eq!(resumed.fence.counter, fence.counter + 1);
    let known: Operation = served.get("/v1/operations/k1").await;
    assert_eq!(known.result.rev, 2, "what happened is still known");
    let rows: Vec<AuditRow> = served.get("/v1/audit").await;
    assert!(audit::verify(audit::genesis(), rows).is_ok());
}

#[tokio::test]
async fn an_older_state_is_noticed() {
    let served = Served::start().await;
    let mut request = lease_request("ann");
    request.last_anchor = Some(served.state().await.anchor);
    let known = served.call("put", "/v1/lease").json(&request).send().await.unwrap();
    outcome::<LeaseGrant>(known).await.unwrap();
    request.last_anchor = Some(Anchor { seq: 9, hash: "ab".repeat(32) });
    let unknown = served.call("put", "/v1/lease").json(&request);
    refused(unknown, ProblemCode::StateRegression).await;
}

#[tokio::test]
async fn a_broken_store_changes_nothing_and_the_confirmed_configuration_serves() {
    let served = Served::start().await;
    let operator = served.lease("ann").await.unwrap();
    operator.apply("k1", |config| config.mode = Mode::Enhanced).await.unwrap();
    // Somebody else holds the database, for longer than anybody waits.
    let file = served.folder.path().join("orchestrator.sqlite3");
    let thief = rusqlite::Connection::open(file).unwrap();
    thief.execute_batch("BEGIN IMMEDIATE").unwrap();
    let confirm = operator.keyed("/v1/revisions/2/confirm", "k2").send().await.unwrap();
    let problem = outcome::<Value>(confirm).await.unwrap_err();
    assert_eq!(problem.code, ProblemCode::StoreFailed);
    served.clock.advance(Duration::from_secs(30));
    until("the fall back", async || served.running().plane().active().config.mode == Mode::Legacy)
        .await;
    thief.execute_batch("ROLLBACK").unwrap();
    until("the revert", async || served.running().plane().active().rev == 3).await;
    assert_eq!(served.state().await.config, Config::legacy(&served.legacy.url));
}
