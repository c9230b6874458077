//! A second operator: refused at once, and told who, where, what and how lately.

use std::time::Duration;

use ctx::error::Code;
use tokio::time::Instant;

use super::soaking;
use crate::shop::desk;
use crate::support::Test;
use crate::support::proxy::Proxy;

const MIGRATE: &[&str] = &["migrate", "phase", "1", "--yes"];

#[test]
fn at_the_same_ledger_the_process_and_its_run_are_named() {
    let (shop, running) = soaking();
    let lease = shop.serve.state().lease.unwrap();
    for command in [MIGRATE, &["migrate", "next", "--yes"], &["resume"], &["rollback", "--yes"]] {
        shop.ctx(command).exits(Code::Locked).warns(&[
            &format!("is in use by process {} of ada@{}", lease.pid, lease.host),
            &format!("run {} of phase 1 by ada@{}", lease.run, lease.host),
            "is in flight, last entry ",
        ]);
    }
    running.interrupt();
    running.ends().exits(Code::Interrupted);
}

#[test]
fn at_another_ledger_the_leases_holder_is_named_after_one_question() {
    let (shop, running) = soaking();
    let lease = shop.serve.state().lease.unwrap();
    let proxy = Proxy::to(&shop.serve.control, &[]);
    let other = desk(&format!("http://{}", proxy.addr));
    other.run(MIGRATE).exits(Code::Locked).warns(&[
        "somebody else is changing this orchestrator",
        &format!("run {} of ada@{} (pid {})", lease.run, lease.host, lease.pid),
        "last heard of ",
        "holds the lease until ",
    ]);
    // Nothing was waited for and nothing tried again.
    assert_eq!(proxy.seen(), ["PUT /v1/lease"]);
    // A person is told before the question, not after it.
    let asked = other.run(&["migrate", "phase", "1"]).exits(Code::Locked);
    assert!(!asked.stderr.contains("Cached reads"), "{asked:#?}");
    asked.warns(&[&format!("run {} of ada@{}", lease.run, lease.host)]);
    running.interrupt();
    running.ends().exits(Code::Interrupted);
}

#[test]
fn a_run_that_was_left_is_not_taken_up_beside_somebody_else() {
    let (shop, running) = soaking();
    running.kill();
    // The dead run's lease is broken and its phase aborted; somebody else begins meanwhile.
    let counter = shop.serve.state().lease.unwrap().counter.to_string();
    let why = ["--yes", "--reason", "it is dead"];
    shop.ctx(&[&["lock", "release", "--lease", &counter][..], &why].concat()).exits(Code::Done);
    let other = desk(&shop.url()).env("USER", "grace");
    let plan = std::fs::read_to_string(shop.test.path(crate::shop::PLAN_FILE)).unwrap();
    other.write(crate::shop::PLAN_FILE, &plan);
    other.run(&["abort", "--yes"]).exits(Code::Done);
    let theirs = other.spawn(MIGRATE);
    shop.serve.until("the other one has it", |state| {
        state.lease.as_ref().is_some_and(|lease| lease.holder == "grace")
    });
    for command in [MIGRATE, &["resume"], &["rollback", "--yes"]] {
        shop.ctx(command).exits(Code::Locked).warns(&["grace@", "last heard of "]);
    }
    theirs.interrupt();
    theirs.ends().exits(Code::Interrupted);
}

/// `cargo nextest run --run-ignored only -E 'test(lock::second)' --no-capture` prints it.
#[test]
#[ignore = "measures; the sentence is for a person to read"]
fn how_soon_a_second_operator_is_told() {
    let (shop, running) = soaking();
    let other = desk(&shop.url());
    let told = |who: &str, test: &Test, command: &[&str]| {
        let mut times: Vec<Duration> = (0..20)
            .map(|_| {
                let began = Instant::now();
                test.run(command).exits(Code::Locked);
                began.elapsed()
            })
            .collect();
        times.sort();
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let (p50, max) = (ms(times[times.len() / 2]), ms(times[times.len() - 1]));
        println!("{who:<28} p50 {p50:6.1} ms   max {max:6.1} ms   (aim: 400 ms)");
    };
    told("same ledger, migrate", &shop.test, MIGRATE);
    told("same ledger, resume", &shop.test, &["resume"]);
    told("same ledger, rollback", &shop.test, &["rollback", "--yes"]);
    told("another ledger, migrate", &other, MIGRATE);
    running.interrupt();
    running.ends().exits(Code::Interrupted);
}
