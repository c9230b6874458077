//! A hand-over, and what becomes of it when either process dies in the middle.

use std::time::Duration;

use ctx::control::config::{InboxMode, flag};
use ctx::control::wire::{AuditKind, AuditRow, LeaseRequest, RevisionRequest};
use ctx::error::Code;
use ctx::ids::{RunId, random_hex};
use ctx::rehearsal::legacy::Legacy;
use ctx::units::Percent;
use rustix::process::Signal;

use super::callers::Callers;
use super::{asked, project};
use crate::support::serve::Serve;
use crate::support::{Test, block_on, until};

fn log(test: &Test) -> String {
    std::fs::read_to_string(test.path("serve.log")).unwrap_or_default()
}

/// Kills the new one at `point`; the old one must go on as if nothing had been.
#[track_caller]
fn new_one_dies_at(point: &str) {
    let test = project().env("CONTEXTEN_ENHANCED_MODE", "true");
    let legacy = Legacy::start().unwrap();
    let mut serve = Serve::start(&test, &legacy.url());
    // Those that the dying process lets in die with it, so each keeps the connection it has.
    let callers = Callers::start(&serve.data, "", 8);
    let armed = [("CTX_FAILPOINT", format!("{point}:kill"))];
    let said = serve.successor(&test, &[], &armed).map(|_| ()).unwrap_err();
    assert!(said.contains("`ctx serve` said ``"), "{said}");
    let state = serve.until("the old one has its state", |state| state.lease.is_none());
    callers.go_on();
    let seen = callers.stop();
    // Only what the dying process itself had let in may be lost with it.
    if point == "handover.take.serves" {
        let reset = |why: &&String| !why.contains("reused true");
        let odd: Vec<_> = seen.failures.iter().filter(|why| !reset(why)).collect();
        assert_eq!(odd, Vec::<&String>::new());
    } else {
        assert_eq!(seen.failures, Vec::<String>::new());
    }
    assert_eq!(serve.ended(), None);
    serve.set(|config| config.cache.capacity = 77);
    assert_eq!(serve.state().head, state.head + 1);
    serve.hand_over(&test);
    assert_eq!(serve.state().config.cache.capacity, 77, "it is as able to hand over as before");
}

#[test]
fn a_new_one_that_dies_with_the_sockets_alone_has_changed_nothing() {
    new_one_dies_at("handover.take.offered");
}

#[test]
fn a_new_one_that_dies_when_the_state_is_free_gives_it_back() {
    new_one_dies_at("handover.take.released");
}

#[test]
fn a_new_one_that_dies_when_it_has_settled_the_state_gives_it_back() {
    new_one_dies_at("start.settle.after-commit");
}

#[test]
fn a_new_one_that_dies_when_it_serves_and_has_not_said_so_gives_it_back() {
    new_one_dies_at("handover.take.serves");
}

/// Kills the old one at `point`; the new one must serve.
#[track_caller]
fn old_one_dies_at(point: &str) {
    let test = project().env("CONTEXTEN_ENHANCED_MODE", "true");
    let legacy = Legacy::start().unwrap();
    let armed = [("CTX_FAILPOINT", format!("{point}:kill"))];
    let mut old = Serve::under(&test, &legacy.url(), &armed).unwrap();
    let before = old.state();
    let mut next = old.successor(&test, &[], &[]).unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(until("the old one dies", || old.ended()), -1);
    let state = next.state();
    assert_eq!((state.head, &state.state_uuid), (before.head, &before.state_uuid));
    let callers = Callers::start(&next.data, "", 4);
    next.hand_over(&test);
    callers.go_on();
    assert_eq!(callers.stop().failures, Vec::<String>::new());
}

#[test]
fn an_old_one_that_dies_before_it_has_offered_anything_is_replaced() {
    old_one_dies_at("handover.offer.before");
}

#[test]
fn an_old_one_that_dies_before_it_gives_the_state_free_is_replaced() {
    old_one_dies_at("handover.release.before");
}

#[test]
fn an_old_one_that_dies_when_the_state_is_free_is_replaced() {
    old_one_dies_at("handover.release.after");
}

#[test]
fn an_old_one_that_dies_when_it_has_heard_that_it_may_go_is_gone() {
    old_one_dies_at("handover.serving.heard");
}

#[test]
fn a_new_one_that_hangs_does_not_keep_anybody_from_being_served() {
    let test = project().env("CONTEXTEN_ENHANCED_MODE", "true");
    let legacy = Legacy::start().unwrap();
    let serve = Serve::start(&test, &legacy.url());
    let callers = Callers::start(&serve.data, "", 4);
    let command = |env: &str| {
        let mut command = test.command(&["serve", "--legacy", &legacy.url(), "--state", "state"]);
        command.args(["--listen", &serve.data, "--control", &serve.control, "--take-over"]);
        command.env("CTX_FAILPOINT", env);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        command
    };
    let mut hung = command("handover.take.released:stop").spawn().unwrap();
    until("the state is free", || asked_for(&serve).is_err().then_some(()));
    callers.go_on();
    hung.kill().unwrap();
    hung.wait().unwrap();
    serve.until("the old one has its state again", |_| true);
    let said = || log(&test).contains("the hand-over has failed: this process serves on");
    until("it says so", || said().then_some(()));
    assert_eq!(callers.stop().failures, Vec::<String>::new());
}

/// Whether the control API answers soon.
fn asked_for(serve: &Serve) -> Result<(), ()> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_millis(300));
    let request = client.build().unwrap().get(format!("http://{}/livez", serve.control));
    block_on(async { request.send().await }).map(|_| ()).map_err(|_| ())
}

#[test]
fn a_phase_in_flight_is_not_taken_from_under_its_operator() {
    let test = project();
    let legacy = Legacy::start().unwrap();
    let mut serve = Serve::start(&test, &legacy.url());
    let client = serve.client();
    let rev = block_on(async {
        let lease = LeaseRequest {
            run: RunId::random(),
            holder: "an operator".to_owned(),
            host: "here".to_owned(),
            pid: 1,
            ttl_ms: 60_000,
            min_token: 0,
            last_anchor: None,
        };
        let fence = client.acquire(&lease).await.unwrap().body.fence;
        let state = client.state().await.unwrap().body;
        let mut config = state.config;
        config.cache.capacity = 5;
        let reason = "test".to_owned();
        let request = RevisionRequest { config, confirm_within_ms: Some(60_000), reason };
        let key = random_hex::<8>();
        let write = ctx::control::client::Write { fence: &fence, key: &key };
        client.apply(write, state.head, &request).await.unwrap().body.rev
    });
    let said = serve.successor(&test, &[], &[]).map(|_| ()).unwrap_err();
    assert!(said.contains(&format!("revision {rev} is provisional, and would be reverted")));
    assert!(said.contains("--force"), "{said}");
    assert_eq!(serve.state().head, rev, "nothing has changed");

    let next = serve.successor(&test, &["--force"], &[]).unwrap_or_else(|said| panic!("{said}"));
    let mut before = std::mem::replace(&mut serve, next);
    assert_eq!(until("the old one ends", || before.ended()), 0);
    let state = serve.state();
    assert_eq!((state.provisional, state.lease), (None, None));
    assert_eq!(state.config.cache.capacity, 10_000, "a restart reverts what is provisional");
    let (_, rows) = asked(&serve.control, "/v1/audit").unwrap();
    let audit: Vec<AuditRow> = serde_json::from_str(&rows).unwrap();
    let kinds: Vec<_> = audit.iter().map(|row| row.kind).rev().take(2).collect();
    assert_eq!(kinds, [AuditKind::Revert, AuditKind::Boot]);
}

#[test]
fn a_new_one_that_cannot_start_says_why_and_the_old_one_serves_on() {
    let test = project();
    let legacy = Legacy::start().unwrap();
    let serve = Serve::start(&test, &legacy.url());
    let anywhere = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"];
    let run = |listen: &[&str], more: &[&str]| {
        let url = legacy.url();
        let base = ["serve", "--legacy", &url, "--state", "state"];
        test.run(&[&base, listen, more].concat())
    };
    // Without being told to, nobody takes anything over.
    run(&anywhere, &[]).exits(Code::Locked).warns(&["--take-over"]);
    let elsewhere = ["--listen", "127.0.0.1:1", "--control", &serve.control];
    let there = format!("--listen {}", serve.data);
    run(&elsewhere, &["--take-over"]).exits(Code::Refused).warns(&[&there]);
    run(&anywhere, &["--force"]).exits(Code::Usage);
    run(&anywhere, &["--take-over", "--token", "env:NOT_THERE"]).exits(Code::Usage);
    assert!(serve.state().head == 1);

    // A store that the new one cannot read is given back by it.
    let store = test.path("state/orchestrator.sqlite3");
    let version = |n: i64| {
        let database = rusqlite::Connection::open(&store).unwrap();
        database.busy_timeout(Duration::from_secs(5)).unwrap();
        database.pragma_update(None, "user_version", n).unwrap();
    };
    let at: i64 = rusqlite::Connection::open(&store)
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    version(99);
    run(&anywhere, &["--take-over"]).exits(Code::Failure).warns(&["the store has schema 99"]);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = || block_on(client.get(format!("http://{}/", serve.data)).send()).unwrap().status();
    assert_eq!(get(), 200, "events are served without a store, too");
    version(at);
    serve.until("it opens the state when it can", |state| state.head == 1);
}

#[test]
fn take_over_starts_as_ever_where_nobody_serves() {
    let test = project();
    let legacy = Legacy::start().unwrap();
    let mut serve = Serve::with(&test, &legacy.url(), &["--take-over"]);
    assert!(log(&test).contains("there is nobody to take over from\n"), "{}", log(&test));
    serve.kill();
    // The socket of a dead process is no obstacle.
    let again = Serve::with(&test, &legacy.url(), &["--take-over"]);
    assert_eq!(asked(&again.control, "/readyz").unwrap().0, 200);
}

#[test]
fn what_the_old_one_stores_while_it_finishes_is_handled_by_the_new_one() {
    let test = project().env("CONTEXTEN_ENHANCED_MODE", "true");
    let legacy = Legacy::start().unwrap();
    let mut serve = Serve::start(&test, &legacy.url());
    serve.set(|config| {
        config.inbox.mode = InboxMode::Store;
        let flag = config.flags.get_mut(flag::DURABLE_INBOX).unwrap();
        (flag.enabled, flag.percentage) = (true, Percent::ALL);
    });
    let callers = Callers::start(&serve.data, "", 16);
    for _ in 0..3 {
        serve.hand_over(&test);
        callers.go_on();
    }
    let seen = callers.stop();
    assert_eq!(seen.failures, Vec::<String>::new());
    let all = seen.acknowledged.len();
    let handled = legacy.handled();
    let lost = handled.await_all(seen.acknowledged, Duration::from_secs(20));
    assert_eq!((lost, handled.repeated()), (Vec::new(), 0), "of {all}");
    until("what waits is counted right", || {
        let (_, metrics) = asked(&serve.control, "/metrics")?;
        metrics.contains("\nctx_inbox_pending 0\n").then_some(())
    });
    // The limit of the inbox is by the count in memory: it has not grown with every hand-over.
    serve.set(|config| config.inbox.capacity = 500);
    let callers = Callers::start(&serve.data, "", 1);
    callers.go_on();
    assert_eq!(callers.stop().failures, Vec::<String>::new());
}

#[test]
fn sigterm_in_the_middle_of_a_hand_over_leaves_one_that_serves() {
    let test = project();
    let legacy = Legacy::start().unwrap();
    let armed = [("CTX_FAILPOINT", "handover.take.released:sleep=1500".to_owned())];
    let mut old = Serve::start(&test, &legacy.url());
    let next = std::thread::scope(|scope| {
        let next = scope.spawn(|| old.successor(&test, &[], &armed));
        until("the state is free", || log(&test).contains("offered").then_some(()));
        old.signal(Signal::TERM);
        next.join().unwrap()
    });
    let next = next.unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(until("the old one ends", || old.ended()), 0);
    assert_eq!(next.state().head, 1);
}
