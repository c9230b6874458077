//! `ctx lock show`: as much as can be known, without taking or changing anything.

use std::collections::BTreeMap;
use std::path::Path;

use ctx::control::wire::LeaseRequest;
use ctx::error::Code;
use ctx::ledger::Ledger;
use insta::assert_snapshot;

use super::soaking;
use crate::shop::{LEDGER, Shop, desk, redact, wait_for};

#[test]
fn both_locks_are_shown_with_what_reverts_when() {
    let (shop, running) = soaking();
    let lease = shop.serve.state().lease.unwrap();
    let shown = shop.ctx(&["lock", "show"]).exits(Code::Done).says(&[
        "ledger",
        &format!("process {} of ada@", lease.pid),
        "that process ends; there is nothing to release",
        &format!("run {} of phase 1 by ada@", lease.run),
        "orchestrator",
        &format!("http://{}", shop.serve.control),
        &format!("ada@{} (process {}), run {}", lease.host, lease.pid, lease.run),
        "last heard of ",
        "revision 2, to the content of revision 1, as soon as the lease\n",
    ]);
    assert!(shown.stdout.lines().all(|line| line.chars().count() <= 100), "{shown:#?}");
    let json = shop.ctx(&["lock", "show", "--json"]).exits(Code::Done).json();
    assert_eq!(json["schema"], "ctx.lock/1");
    assert_eq!(json["ledger"]["held"]["pid"], lease.pid);
    assert_eq!(json["ledger"]["held"]["holder"]["user"], "ada");
    assert_eq!(json["ledger"]["work"]["run"], lease.run.as_str());
    let there = &json["orchestrator"];
    assert_eq!(there["lease"]["holder"], "ada");
    assert_eq!(there["lease"]["counter"], lease.counter);
    assert!(there["lease"]["heartbeat_age_ms"].as_u64().unwrap() < 30_000, "{json}");
    assert_eq!(there["provisional"]["reverts_to"], 1);

    // Both are freed by the end of their process, and one of them not at once.
    running.kill();
    let json = shop.ctx(&["lock", "show", "--json"]).exits(Code::Done).json();
    assert_eq!(json["ledger"]["held"], serde_json::Value::Null);
    assert_eq!(json["orchestrator"]["lease"]["counter"], lease.counter);
}

#[test]
fn looking_changes_nothing() {
    let (shop, running) = soaking();
    // The run writes nothing of its own while it soaks, and its next renewal is seconds away.
    let ledger = || {
        let files = std::fs::read_dir(shop.test.path(".ctx")).unwrap();
        let read = |path: &Path| std::fs::read(path).unwrap_or_default();
        let files = files.map(|file| file.unwrap().path());
        // Readers mark where they are in the index of the log; that is memory, not a record.
        let records = files.filter(|path| !path.to_string_lossy().ends_with("-shm"));
        records.map(|path| (path.clone(), read(&path))).collect::<BTreeMap<_, _>>()
    };
    let standing =
        || (ledger(), shop.serve.state().anchor, shop.serve.state().lease.unwrap().counter);
    let before = standing();
    for _ in 0..3 {
        shop.ctx(&["lock", "show"]).exits(Code::Done);
    }
    assert_eq!(standing(), before);
    running.interrupt();
    running.ends().exits(Code::Interrupted);
}

#[test]
fn a_lock_that_nobody_has_is_nobodys() {
    let shop = Shop::with_first_phase();
    let shown = shop.ctx(&["lock", "show"]).exits(Code::Done);
    assert_snapshot!(redact(&shop.test, &shown.stdout), @"
    ledger   .ctx/ledger.sqlite3
    held by  nobody

    orchestrator  http://127.0.0.1:PORT
    held by       nobody
    ");
}

#[test]
fn without_a_ledger_the_plan_says_where_to_ask() {
    let shop = Shop::open();
    let shown = shop.ctx(&["lock", "show"]).exits(Code::Done);
    assert_snapshot!(redact(&shop.test, &shown.stdout), @"
    ledger   .ctx/ledger.sqlite3 (there is none yet)
    held by  nobody

    orchestrator  http://127.0.0.1:PORT
    held by       nobody
    ");
    assert!(!shop.test.path(".ctx").exists(), "asking makes nothing");
    std::fs::remove_dir_all(shop.test.path("plans")).unwrap();
    shop.ctx(&["lock", "show"]).exits(Code::Done).says(&["none is named", "not known"]);
    shop.ctx(&["lock", "show", "--orchestrator", &shop.url()])
        .exits(Code::Done)
        .says(&[&shop.url(), "nobody"]);
}

#[test]
fn the_ledgers_half_is_told_when_the_orchestrator_is_down() {
    let mut shop = Shop::with_first_phase();
    shop.serve.kill();
    let _holder = Ledger::open(&shop.test.path(LEDGER)).unwrap();
    let shown = shop.ctx(&["lock", "show"]).exits(Code::Done);
    let shown = redact(&shop.test, &shown.stdout).replace(&ctx::settings::user(), "USER");
    assert_snapshot!(shown, @"
    ledger   .ctx/ledger.sqlite3
    held by  process PID of USER@HOST
    until    that process ends; there is nothing to release

    orchestrator  http://127.0.0.1:PORT
    held by       not known: the orchestrator at http://127.0.0.1:PORT does not
                  answer: Connection refused (os error 111)
    ");
}

#[test]
fn a_holders_name_moves_no_cursor() {
    let shop = Shop::open();
    let request = LeaseRequest {
        run: "0123456789abcdef".repeat(2).try_into().unwrap(),
        holder: "\u{1b}[2Jgrace".to_owned(),
        host: "kes\ntrel".to_owned(),
        pid: 4711,
        ttl_ms: 60_000,
        min_token: 0,
        last_anchor: None,
    };
    wait_for(shop.client().acquire(&request)).unwrap();
    let shown = desk(&shop.url()).run(&["lock", "show"]).exits(Code::Done);
    assert!(!shown.stdout.contains('\u{1b}'), "{shown:#?}");
    shown.says(&["grace@kes trel (process 4711)", "no revision is provisional"]);
}
