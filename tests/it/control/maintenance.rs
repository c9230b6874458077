//! Copies for a backup, their restore, and the clean-up at the end.

use std::fs;

use ctx::control::observe::{CacheEntry, CacheSnapshot};
use ctx::control::wire::{AuditKind, AuditRow, ProblemCode, Revision, RevisionResult};
use serde_json::json;

use super::harness::{Served, outcome, refused};

fn snapshot() -> CacheSnapshot {
    let entry = |key: &str| CacheEntry {
        key: key.to_owned(),
        status: 200,
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        body: hex::encode("hello"),
        ttl_ms: 60_000,
        age_ms: 0,
    };
    CacheSnapshot { entries: vec![entry("GET /a"), entry("GET /b")] }
}

#[tokio::test]
async fn the_database_is_copied_while_it_is_used() {
    let served = Served::start().await;
    let operator = served.lease("ann").await.unwrap();
    operator.change("one", |config| config.cache.capacity = 1).await;
    let reply = served.call("get", "/v1/database").send().await.unwrap();
    assert_eq!(reply.headers()["content-type"], "application/vnd.sqlite3");
    let length = reply.content_length();
    let bytes = reply.bytes().await.unwrap();
    assert_eq!(length, u64::try_from(bytes.len()).ok());
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.sqlite3");
    fs::write(&copy, bytes).unwrap();
    let copy = rusqlite::Connection::open(copy).unwrap();
    let text = |sql: &str| copy.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(text("PRAGMA integrity_check"), "ok");
    assert_eq!(text("SELECT status FROM revisions WHERE rev = 2"), "confirmed");
    let left = fs::read_dir(served.folder.path()).unwrap().filter_map(Result::ok);
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("snapshot")), "{left:?}");
}

#[tokio::test]
async fn the_cache_is_saved_and_filled_again() {
    let served = Served::start().await;
    let operator = served.lease("ann").await.unwrap();
    operator.change("on", |config| config.cache.ttl = std::time::Duration::from_secs(60)).await;
    let put = || operator.fenced("put", "/v1/cache").json(&snapshot());
    assert_eq!(put().send().await.unwrap().status(), 204);
    assert_eq!(served.get::<CacheSnapshot>("/v1/cache").await, snapshot());
    let rows: Vec<AuditRow> = served.get("/v1/audit").await;
    let last = rows.last().unwrap();
    assert_eq!(last.kind, AuditKind::CacheRestore);
    assert_eq!(last.detail, "accepted a cache snapshot of 2 answers");
    // A snapshot may be larger than other bodies.
    let large = |n: u32| CacheEntry {
        key: format!("GET /{n}"),
        body: "00".repeat(16 << 10),
        ..snapshot().entries.remove(0)
    };
    let big = CacheSnapshot { entries: (0..64).map(large).collect() };
    let reply = operator.fenced("put", "/v1/cache").json(&big).send().await.unwrap();
    assert_eq!(reply.status(), 204);
    let mut odd = snapshot();
    odd.entries[0].body = "not hex".to_owned();
    refused(operator.fenced("put", "/v1/cache").json(&odd), ProblemCode::BadRequest).await;
    let unfenced = served.call("put", "/v1/cache").json(&snapshot());
    refused(unfenced, ProblemCode::PreconditionRequired).await;
}

#[tokio::test]
async fn a_clean_up_forgets_old_content_and_keeps_the_record() {
    let served = Served::start().await;
    let operator = served.lease("ann").await.unwrap();
    for n in 1..=3 {
        operator.change(&format!("c{n}"), |config| config.cache.capacity = n).await;
    }
    operator.fenced("put", "/v1/cache").json(&snapshot()).send().await.unwrap();
    let cleanup = || operator.keyed("/v1/legacy/cleanup", "clean");
    operator.apply("open", |config| config.cache.capacity = 9).await.unwrap();
    refused(cleanup(), ProblemCode::ProvisionalExists).await;
    operator.revert("shut", 5).await.unwrap();
    let done: RevisionResult = outcome(cleanup().send().await.unwrap()).await.unwrap();
    assert_eq!((done.rev, done.replayed), (6, false));
    // Kept: the confirmed revision and the confirmed one before it.
    for (rev, kept) in [(1, false), (2, false), (3, false), (4, true), (5, true), (6, true)] {
        let revision: Revision = served.get(&format!("/v1/revisions/{rev}")).await;
        assert_eq!(revision.config.is_some(), kept, "{rev}");
        assert_eq!(revision.config_hash.len(), 64);
    }
    assert_eq!(served.get::<CacheSnapshot>("/v1/cache").await, CacheSnapshot::default());
    let rows: Vec<AuditRow> = served.get("/v1/audit").await;
    assert_eq!(rows.last().unwrap().kind, AuditKind::Cleanup);
    let again: RevisionResult = outcome(cleanup().send().await.unwrap()).await.unwrap();
    assert!(again.replayed);
    let operation: serde_json::Value = served.get("/v1/operations/clean").await;
    assert_eq!(operation["kind"], json!("cleanup"));
}
