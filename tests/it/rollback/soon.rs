//! How soon the configuration is back.
//!
//! `cargo nextest run --run-ignored only -E 'test(rollback::soon)' --no-capture` prints it.

use ctx::clock::{Clock, SystemClock};
use ctx::control::wire::AuditKind;
use ctx::error::Code;

use crate::shop::Shop;

const ROUNDS: usize = 20;

#[test]
fn a_rollback_of_a_phase_asks_each_thing_once() {
    let scene = super::Scene::with(&[]);
    scene.test.run(&["migrate", "phase", "1", "--yes"]).exits(Code::Done);
    let before = scene.proxy.seen().len();
    scene.test.run(&["rollback", "--yes"]).exits(Code::Done);
    let calls = &scene.proxy.seen()[before..];
    // One grant, one look, one change, one confirmation, one look back: nothing is polled for.
    let writes: Vec<_> = calls.iter().filter(|call| !call.starts_with("GET")).collect();
    let [grant, change, confirm, release] = &writes[..] else { panic!("{calls:#?}") };
    assert_eq!((grant.as_str(), change.as_str()), ("PUT /v1/lease", "POST /v1/revisions"));
    assert!(confirm.ends_with("/confirm") && *release == "DELETE /v1/lease", "{calls:#?}");
    assert!(calls.len() <= 8, "{calls:#?}");
    assert!(calls.iter().position(|call| call == *change).unwrap() <= 3, "{calls:#?}");
}

#[test]
#[ignore = "measures; the sentence is for a person to read"]
fn how_soon_the_configuration_is_back() {
    // From the start of the process to the row of the audit chain, on the same wall clock.
    let measure = |name: &str, prepare: &dyn Fn(&Shop), kind: AuditKind| {
        let shop = Shop::open();
        let times = (0..ROUNDS).map(|_| {
            prepare(&shop);
            let since = shop.audit().last().unwrap().seq;
            let began = SystemClock.wall().timestamp_millis();
            shop.ctx(&["rollback", "--yes"]).exits(Code::Done);
            let ended = SystemClock.wall().timestamp_millis();
            let rows = shop.audit();
            let back = rows.iter().find(|row| row.seq > since && row.kind == kind).unwrap();
            (back.at_ms - began, ended - began)
        });
        let (mut back, mut ended): (Vec<i64>, Vec<i64>) = times.unzip();
        back.sort_unstable();
        ended.sort_unstable();
        println!(
            "{name:<24} configuration back p50 {:4} ms, max {:4} ms (aim: 200 ms)   process ended \
             p50 {:4} ms, max {:4} ms",
            back[ROUNDS / 2],
            back[ROUNDS - 1],
            ended[ROUNDS / 2],
            ended[ROUNDS - 1]
        );
    };
    measure(
        "a confirmed phase",
        &|shop| drop(shop.ctx(&["migrate", "phase", "1", "--yes"]).exits(Code::Done)),
        AuditKind::Apply,
    );
    measure("a phase left half way", &|shop| leave(shop), AuditKind::Revert);
}

/// Kills a run in its soak.
fn leave(shop: &Shop) {
    let text = std::fs::read_to_string(shop.test.path(crate::shop::PLAN_FILE)).unwrap();
    let slow = text.replace("soak = \"10ms\"\n", "soak = \"60s\"\n");
    shop.test.write(crate::shop::PLAN_FILE, &slow);
    let soaks = shop.test.count("soak_begun");
    let running = shop.test.spawn(&["migrate", "phase", "1", "--yes"]);
    shop.test.until_recorded(soaks + 1, "soak_begun");
    running.kill();
}
