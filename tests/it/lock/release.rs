//! `ctx lock release`: the way out when a holder is dead or out of reach.

use ctx::control::wire::AuditKind;
use ctx::error::Code;

use super::soaking;
use crate::shop::{Shop, desk};

const WHY: &[&str] = &["--reason", "her laptop burned"];

#[test]
fn another_desk_frees_the_orchestrator_from_a_dead_holder() {
    let (shop, running) = soaking();
    let (before, counter) =
        (shop.serve.state().confirmed, shop.serve.state().lease.unwrap().counter);
    running.kill();
    let other = desk(&shop.url()).env("USER", "grace");
    let counter = counter.to_string();
    let release = [&["lock", "release", "--yes", "--lease", &counter], WHY].concat();
    let migrate = &["migrate", "phase", "1", "--yes"];
    other.run(migrate).exits(Code::Locked).warns(&["ada@", "last heard of"]);

    other.run(&release).exits(Code::Done).says(&[
        &format!("released lease {counter} of ada@"),
        "reverted revision 2; 3 is in force",
    ]);
    let state = shop.serve.state();
    assert_eq!((state.lease, state.provisional), (None, None));
    assert_eq!(state.config.cache.mode, ctx::control::config::CacheMode::Off);
    assert!(state.confirmed > before);
    let audit = shop.audit();
    let [.., broken, reverted] = &audit[..] else { panic!("{audit:?}") };
    assert_eq!((broken.kind, reverted.kind), (AuditKind::Break, AuditKind::Revert));
    let host = ctx::settings::host();
    assert_eq!(
        broken.detail,
        format!("the lease of ada@{host} was broken by grace@{host}: her laptop burned")
    );
    // Once more is no harm, and no other row.
    other.run(&release).exits(Code::Done).warns(&["nothing to release"]);
    assert_eq!(shop.audit().len(), audit.len());
    // The phase is still in flight, as its guards are; the other one takes it back, and may.
    other.run(migrate).exits(Code::Refused).warns(&["a phase of another run", "ctx abort"]);
    other.run(&["abort", "--yes"]).exits(Code::Done);
    other.run(migrate).exits(Code::Done);
}

#[test]
fn a_holder_who_was_not_dead_finds_out_and_loses_nothing() {
    let (shop, running) = soaking();
    let counter = shop.serve.state().lease.unwrap().counter.to_string();
    let release = [&["lock", "release", "--yes", "--lease", &counter], WHY].concat();
    let ran = desk(&shop.url()).run(&release).exits(Code::Done);
    ran.warns(&["most likely alive: ask them first"]);
    // Its change was taken back; it takes the lease again, and says so in the ledger.
    shop.test.until_recorded(1, "change_void");
    running.interrupt();
    running.ends().exits(Code::Interrupted);
    assert_eq!(shop.serve.state().provisional, None);
    shop.ctx(&["ledger", "verify"]).exits(Code::Done);
}

#[test]
fn only_the_lease_that_is_named_is_broken() {
    let (shop, running) = soaking();
    let there = shop.serve.state();
    let counter = there.lease.unwrap().counter;
    let other = (counter + 1).to_string();
    let refused = [&["lock", "release", "--yes", "--lease", &other], WHY].concat();
    shop.ctx(&refused).exits(Code::Refused).warns(&[
        &format!("lease {other} is not the current one"),
        &format!("lease {counter} is, held by ada@"),
        "ctx lock show",
    ]);
    let counter = counter.to_string();
    let unasked = [&["lock", "release", "--lease", &counter], WHY].concat();
    shop.ctx(&unasked)
        .exits(Code::NeedsConfirmation)
        .warns(&[&format!("Break lease {counter} of ada@"), "and revert revision 2?"]);
    shop.ctx(&["lock", "release", "--yes", "--lease", &counter])
        .exits(Code::Usage)
        .warns(&["no reason is given", "--reason TEXT"]);
    shop.ctx(&["lock", "release", "--yes"])
        .exits(Code::Usage)
        .warns(&["the ledger's lock ends with its process", "ctx lock show"]);
    assert_eq!(shop.serve.state().anchor, there.anchor, "nothing was changed");
    running.interrupt();
    running.ends().exits(Code::Interrupted);
}

#[test]
fn with_nobody_there_or_nobody_holding_it_nothing_is_released() {
    let mut shop = Shop::with_first_phase();
    let release = [&["lock", "release", "--yes", "--lease", "1"], WHY].concat();
    shop.ctx(&release).exits(Code::Done).warns(&["nothing to release: nobody holds the lease"]);
    let json = shop.ctx(&[&release[..], &["--json"]].concat()).exits(Code::Done).json();
    assert_eq!(json["released"], serde_json::Value::Null);
    shop.serve.kill();
    shop.ctx(&release).exits(Code::Unreachable).warns(&["does not answer"]);
}
