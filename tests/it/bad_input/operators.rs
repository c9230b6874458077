//! A second operator.

use ctx::control::wire::LeaseRequest;
use ctx::error::Code;
use ctx::ledger::Ledger;
use insta::assert_snapshot;

use crate::shop::{LEDGER, Shop, facts, wait_for};

#[test]
fn a_second_operator_at_the_same_ledger_is_told_who_has_it() {
    let shop = Shop::with_first_phase();
    let holder = Ledger::open(&shop.test.path(LEDGER)).unwrap();
    let said = shop.refuses(&["migrate", "phase", "2", "--yes"], Code::Locked);
    assert_snapshot!(said.replace(&ctx::settings::user(), "USER"), @"
    error: the ledger `.ctx/ledger.sqlite3` is in use by process PID of USER@HOST
    hint:  wait until that process has ended; `ctx status` reads the ledger meanwhile
    hint:  `ctx help 30`
    ");
    let said = shop.refuses(&["rollback", "--yes"], Code::Locked);
    assert!(said.contains(&format!(" of {}@HOST", ctx::settings::user())), "{said}");
    shop.ctx(&["status"]).exits(Code::Done).says(&["1 of 2 phases confirmed"]);
    drop(holder);
    shop.ctx(&["migrate", "phase", "2", "--yes"]).exits(Code::Done);
}

#[test]
fn a_second_operator_at_the_same_orchestrator_is_told_who_has_it() {
    let shop = Shop::with_first_phase();
    let request = LeaseRequest {
        run: "0123456789abcdef".repeat(2).try_into().unwrap(),
        holder: "grace".to_owned(),
        host: "kestrel".to_owned(),
        pid: 4711,
        ttl_ms: 60_000,
        min_token: 0,
        last_anchor: None,
    };
    let client = shop.client();
    let lease = wait_for(client.acquire(&request)).unwrap().body;
    let migrate = &["migrate", "phase", "1", "--yes", "--ledger", "other/ledger.sqlite3"];
    assert_snapshot!(shop.refuses(migrate, Code::Locked), @"
    phase 1 of 2, caching: Cached reads
      1 step, soaking 10ms in all, under 0 guards; a failed check rolls this phase back
    error: somebody else is changing this orchestrator
    why:   run RUN of grace@kestrel (pid 4711), last heard of AGE s ago, holds the lease until TIME
    hint:  wait for it, or ask them; a dead holder's lease lapses by itself
    hint:  `ctx help 30`
    ");
    assert_eq!(facts(&shop.test, "other/ledger.sqlite3"), 0, "nothing was recorded");
    let rollback = shop.refuses(&["rollback", "--yes"], Code::Locked);
    assert!(rollback.contains("grace@kestrel"), "{rollback}");
    wait_for(client.release(&lease.fence)).unwrap();
    shop.ctx(&["migrate", "phase", "2", "--yes"]).exits(Code::Done);
}
