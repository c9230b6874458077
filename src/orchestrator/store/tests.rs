//! The store against a real file: what was committed is what is loaded.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::{FILE, Store, StoreError};
use crate::clock::ManualClock;
use crate::control::armed::{ArmRequest, ArmedCanary};
use crate::control::config::Config;
use crate::control::wire::{AuditKind, LeaseRequest, RevisionRequest, RevisionStatus};
use crate::ids::RunId;
use crate::orchestrator::control::audit;
use crate::orchestrator::control::core::{Acquire, Caller, Cause, Core, Now, Proposal, Write};
use crate::units::Percent;

fn now() -> Now {
    Now::of(&ManualClock::default())
}

/// A store with a birth, a lease and a provisional revision in it.
fn lived_in(folder: &TempDir) -> (Core, Store) {
    let mut store = Store::open(folder.path()).unwrap();
    assert!(store.load().unwrap().is_none());
    let config = Config::legacy("http://127.0.0.1:8000");
    let birth = Core::birth(now(), "uuid", config.clone(), "first start");
    store.commit(&birth.writes).unwrap();
    let request = LeaseRequest {
        run: RunId::random(),
        holder: "ann".to_owned(),
        host: "host".to_owned(),
        pid: 1,
        ttl_ms: 30_000,
        min_token: 0,
        last_anchor: None,
    };
    let acquire = Acquire { request: &request, id: "00ff00ff00ff00ff", anchor_known: true };
    let granted = birth.next.acquire(now(), acquire).unwrap();
    store.commit(&granted.writes).unwrap();
    let fence = granted.reply.fence;
    let caller = Caller { fence: &fence, key: "k1", known: None };
    let mut config = config;
    config.cache.capacity = 7;
    let request = RevisionRequest { config, confirm_within_ms: None, reason: "step".to_owned() };
    let applied =
        granted.next.apply(now(), caller, Proposal { if_match: 1, request: &request }).unwrap();
    store.commit(&applied.writes).unwrap();
    (applied.next, store)
}

#[test]
fn what_was_committed_is_what_a_restart_finds() {
    let folder = TempDir::new().unwrap();
    let (core, store) = lived_in(&folder);
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    let durable = store.load().unwrap().unwrap();
    assert_eq!(durable.uuid, core.uuid());
    assert_eq!(durable.fence, 1);
    assert_eq!(durable.tip, *core.anchor());
    assert_eq!(durable.confirmed.rev, 1);
    let interrupted = durable.interrupted.as_ref().unwrap();
    assert_eq!(interrupted.content.hash, core.head().hash);
    let known = store.operation("k1").unwrap().unwrap();
    assert_eq!(known.operation.result.rev, 2);
    assert!(store.is_ancestor(core.anchor()).unwrap());
    let mut foreign = core.anchor().clone();
    foreign.seq -= 1;
    assert!(!store.is_ancestor(&foreign).unwrap());
    let boot = Core::boot(now(), durable);
    assert_eq!(boot.next.head().rev, 3);
}

#[test]
fn revisions_and_audit_rows_come_back_as_they_were() {
    let folder = TempDir::new().unwrap();
    let (core, store) = lived_in(&folder);
    let list = store.revisions().unwrap();
    assert_eq!(list.iter().map(|r| r.rev).collect::<Vec<_>>(), [2, 1]);
    assert!(list.iter().all(|revision| revision.config.is_none()));
    let revision = store.revision(2).unwrap().unwrap();
    assert_eq!(revision.status, RevisionStatus::Provisional);
    assert_eq!(revision.config.unwrap().hash(), revision.config_hash);
    assert_eq!(store.revision(u64::MAX).unwrap(), None);
    let rows = store.audit(0).unwrap();
    let kinds: Vec<AuditKind> = rows.iter().map(|row| row.kind).collect();
    assert_eq!(kinds, [AuditKind::Birth, AuditKind::Grant, AuditKind::Apply]);
    assert_eq!(audit::verify(audit::genesis(), rows), Ok(core.anchor().clone()));
    assert!(store.audit(u64::MAX).unwrap().is_empty());
}

#[test]
fn a_transition_that_breaks_a_rule_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let (_, mut store) = lived_in(&folder);
    // An older fence counter, after a row that would be fine by itself.
    let row = store.audit(0).unwrap().pop().unwrap();
    let mut next = row.clone();
    next.seq += 1;
    next.hash = audit::hash(&row.hash, &next);
    let writes = [Write::Audit(next), Write::Fence(1)];
    assert!(matches!(store.commit(&writes), Err(StoreError::Damaged(_))));
    assert_eq!(store.audit(0).unwrap().len(), 3);
}

#[test]
fn the_audit_chain_cannot_be_edited_and_damage_is_noticed() {
    let folder = TempDir::new().unwrap();
    let (_, store) = lived_in(&folder);
    for sql in ["UPDATE audit SET detail = 'x'", "DELETE FROM audit", "DELETE FROM revisions"] {
        assert!(store.connection.execute(sql, []).is_err(), "{sql}");
    }
    let sql = "DROP TRIGGER audit_is_never_edited; UPDATE audit SET detail = 'x' WHERE seq = 2";
    store.connection.execute_batch(sql).unwrap();
    let Err(StoreError::Damaged(what)) = store.load() else { panic!("must be noticed") };
    assert_eq!(what, "the audit chain breaks at row 2");
}

#[test]
fn an_edited_document_is_noticed() {
    let folder = TempDir::new().unwrap();
    let (_, store) = lived_in(&folder);
    let sql = "UPDATE revisions SET config = replace(config, '8000', '9000') WHERE rev = 1";
    store.connection.execute(sql, []).unwrap();
    assert!(matches!(store.load(), Err(StoreError::Damaged(_))));
}

#[test]
fn two_orchestrators_never_share_a_state() {
    let folder = TempDir::new().unwrap();
    let first = Store::open(folder.path()).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Locked(_))));
    drop(first);
    assert!(Store::open(folder.path()).is_ok());
}

#[test]
fn the_state_is_closed_to_others() {
    let folder = TempDir::new().unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let open = |path: &std::path::Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let fresh = folder.path().join("a").join("b");
    let store = Store::open(&fresh).unwrap();
    assert_eq!((mode(&fresh), mode(&fresh.join(FILE))), (0o700, 0o600));
    assert_eq!(mode(&fresh.join(format!("{FILE}-wal"))), 0o600);
    drop(store);
    open(&fresh);
    drop(Store::open(&fresh).unwrap());
    assert_eq!(mode(&fresh), 0o700, "what is ours is closed again");
    // But a folder with somebody's files in it is not ours to close.
    let theirs = folder.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    fs::write(theirs.join("notes"), "").unwrap();
    open(&theirs);
    assert!(matches!(Store::open(&theirs), Err(StoreError::Exposed { mode: 0o755, .. })));
}

#[test]
fn a_snapshot_is_whole_and_has_no_name() {
    let folder = TempDir::new().unwrap();
    let (_, store) = lived_in(&folder);
    let mut file = store.snapshots().unwrap().take().unwrap();
    let left = fs::read_dir(folder.path()).unwrap();
    let left = left.filter(|entry| {
        entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("snapshot")
    });
    assert_eq!(left.count(), 0);
    let copy = folder.path().join("copy.sqlite3");
    std::io::copy(&mut file, &mut fs::File::create(&copy).unwrap()).unwrap();
    let copy = rusqlite::Connection::open(copy).unwrap();
    let ok: String = copy.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    let rows: i64 = copy.query_row("SELECT count(*) FROM audit", [], |row| row.get(0)).unwrap();
    assert_eq!((ok.as_str(), rows), ("ok", 3));
}

#[test]
fn what_is_armed_is_what_a_restart_finds() {
    let folder = TempDir::new().unwrap();
    let (core, mut store) = lived_in(&folder);
    let mut step = |writes: &[Write]| {
        store.commit(writes).unwrap();
        store.load().unwrap().unwrap()
    };
    let boot = Core::boot(now(), step(&[]));
    step(&boot.writes);
    let request = LeaseRequest {
        run: RunId::random(),
        holder: "ann".to_owned(),
        host: "host".to_owned(),
        pid: 1,
        ttl_ms: 30_000,
        min_token: 0,
        last_anchor: None,
    };
    let acquire = Acquire { request: &request, id: "11ff11ff11ff11ff", anchor_known: true };
    let granted = boot.next.acquire(now(), acquire).unwrap();
    step(&granted.writes);
    let fence = granted.reply.fence;
    let request = ArmRequest {
        plan: "shop".parse().unwrap(),
        phase: "caching".parse().unwrap(),
        guards: Vec::new(),
        canaries: vec![ArmedCanary {
            upstream: "next".to_owned(),
            at: vec![Percent::whole(5)],
            max_error_increase: 0.01,
            max_latency_ratio: 1.25,
            max_tail_ratio: 1.5,
            min_samples: 100,
            alpha: 0.01 / 3.0,
        }],
        record: "{\"run_begun\":\"ä\"}".to_owned(),
    };
    let armed = granted.next.arm(now(), &fence, &request).unwrap();
    let found = step(&armed.writes).armed;
    assert_eq!(found.as_ref(), armed.next.armed().map(AsRef::as_ref));
    assert_eq!(found.unwrap().target.hash, core.confirmed().hash);
    let arming = armed.next.armed().unwrap();
    let cause = Cause::Breach { guard: Some("g".parse().unwrap()), why: "too many".to_owned() };
    let tripped = armed.next.trip(now(), &arming.run, &arming.phase, cause);
    let found = step(&tripped.writes).armed.unwrap();
    assert_eq!(Some(&found), tripped.next.armed().map(AsRef::as_ref));
    assert_eq!(found.tripped.unwrap().why, "too many");
    let disarmed = tripped.next.disarm(now(), &fence, true).unwrap();
    assert_eq!(step(&disarmed.writes).armed, None);
}
