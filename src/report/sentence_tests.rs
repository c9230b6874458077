//! Every fact in words, as a reader of `ctx show` meets it.

use insta::assert_snapshot;

use super::fixture::{at, begun};
use super::sentence::{Level, level, sentence};
use crate::control::armed::Ask;
use crate::control::config::Config;
use crate::control::wire::Fence;
use crate::judge::Verdict;
use crate::ledger::fact::{Fact, HaltReason, Judged, Outcome, RunBegun, RunKind};
use crate::plan::model::Category;

fn told(facts: &[Fact]) -> String {
    let line = |fact: &Fact| {
        let mark = match level(fact) {
            Level::Debug => '.',
            Level::Info => ' ',
            Level::Warning => '?',
            Level::Error => '!',
        };
        format!("{mark} {}\n", sentence(fact))
    };
    facts.iter().map(line).collect()
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn judged(verdict: Verdict, before: Option<&str>) -> Fact {
    Fact::CriterionJudged(Box::new(Judged {
        plan: "shop".parse().unwrap(),
        criterion: "response-time".parse().unwrap(),
        title: text("Response time"),
        category: Category::Performance,
        target: text("latency_p95 at most 100ms"),
        actual: text("12.3ms"),
        verdict,
        required_by: before.map(|step| step.parse().unwrap()),
    }))
}

#[test]
fn what_a_run_does() {
    let (key, hash) = (text("key"), text("hash"));
    let (ramp, local) = (at("pool-ramp", 2, 4), at("migrate-schema", 1, 1));
    let intended = |attempt| Fact::ChangeIntended {
        at: ramp.clone(),
        attempt,
        key: key.clone(),
        if_match: 42,
        target_hash: hash.clone(),
    };
    let soak = |real_ms| Fact::SoakBegun { at: ramp.clone(), plan_ms: 1_800_000, real_ms };
    let why = "latency_p95 12.3ms (n=1240), limit at most 100ms";
    assert_snapshot!(told(&[
        Fact::RunBegun(Box::new(begun(2))),
        Fact::LeaseTaken { fence: Fence { counter: 7, id: text("00ff") }, anchor: None, pid: 42 },
        Fact::BackupIntended { backup: "b-1".parse().unwrap() },
        Fact::BackupDone {
            backup: "b-1".parse().unwrap(),
            path: text(".ctx/backups/b-1"),
            bytes: 1_258_291,
            manifest_hash: hash.clone(),
        },
        intended(1),
        intended(2),
        Fact::ChangeApplied { at: ramp.clone(), rev: 43, anchor: None },
        Fact::ChangeVoid { at: ramp.clone(), why: text("the lease ran out") },
        soak(1_800_000),
        soak(500),
        Fact::SoakEnded { at: ramp.clone(), looks: 1 },
        Fact::ConfirmIntended { at: ramp.clone(), rev: 43, key: key.clone() },
        Fact::ChangeConfirmed { at: ramp.clone(), rev: 43, anchor: None },
        Fact::LocalIntended { at: local.clone() },
        Fact::LocalDone { at: local.clone(), detail: text("exit status 0") },
        Fact::LocalDone { at: local.clone(), detail: String::new() },
        Fact::ApprovalAsked { at: local.clone(), prompt: text("Remove the legacy app?") },
        Fact::Approved { at: local, by: text("ann") },
        judged(Verdict::Pass(text(why)), None),
        judged(Verdict::Fail(text(why)), Some("cache-reads")),
        judged(Verdict::Inconclusive(text("latency_p95: no data, limit at most 100ms")), None),
        Fact::MilestoneReached {
            milestone: "pooled".parse().unwrap(),
            title: text("Pooled"),
            by: None,
        },
        Fact::RunEnded { outcome: Outcome::Done, summary: text("phase confirmed") },
        Fact::Validated { plan: "shop".parse().unwrap(), passed: true },
        Fact::Validated { plan: "shop".parse().unwrap(), passed: false },
    ]), @"
      migration of phase 2 `performance` begun by ann@build-7 on revision 41: week 3
    . lease taken by process 42, fence 7
      backup `b-1` begun
      backup `b-1` taken and verified: 1.2 MiB in .ctx/backups/b-1
    . step pool-ramp 2/4 sent, on top of revision 42
    . step pool-ramp 2/4 sent again, attempt 2, on top of revision 42
      step pool-ramp 2/4 applied as revision 43, provisional
    ? step pool-ramp 2/4 is not in force: the lease ran out
      step pool-ramp 2/4 soaks for 30m
      step pool-ramp 2/4 soaks for 30m of plan time, 500ms here
      step pool-ramp 2/4 soaked, the guards held in 1 look
    . confirmation of revision 43 sent, step pool-ramp 2/4
      step pool-ramp 2/4 confirmed as revision 43
      step migrate-schema begun
      step migrate-schema done: exit status 0
      step migrate-schema done
    ? step migrate-schema waits for approval: Remove the legacy app?
      step migrate-schema approved by ann
      criterion `response-time` met: latency_p95 12.3ms (n=1240), limit at most 100ms
    ! criterion `response-time` NOT met, before step cache-reads: latency_p95 12.3ms (n=1240), limit at most 100ms
    ? criterion `response-time` inconclusive: latency_p95: no data, limit at most 100ms
      milestone `pooled` reached: Pooled
      run ended, done: phase confirmed
      success criteria of plan `shop` judged: all met
    ? success criteria of plan `shop` judged: NOT all met
    ");
}

#[test]
fn how_a_run_is_undone() {
    let ramp = at("pool-ramp", 2, 4);
    let key = || text("key");
    let (phase, step) = ("performance".parse().unwrap(), "migrate-schema".parse().unwrap());
    let not_undone = |irreversible| Fact::NotUndone {
        phase: "performance".parse().unwrap(),
        step: "migrate-schema".parse().unwrap(),
        irreversible,
        why: text("exit status 1"),
    };
    let restore = |attempt| Fact::RestoreIntended {
        attempt,
        key: key(),
        if_match: 44,
        target_hash: text("hash"),
    };
    let read_back = |equal| Fact::ReadBack { rev: 45, config_hash: text("hash"), equal };
    let rollback = RunKind::Rollback {
        phases: vec!["performance".parse().unwrap(), "foundation".parse().unwrap()],
        to: Box::new(Config::legacy("http://127.0.0.1:8000")),
        undo: Vec::new(),
    };
    assert_snapshot!(told(&[
        Fact::RunBegun(Box::new(RunBegun { kind: rollback, ..begun(2) })),
        Fact::StepFailed { at: ramp.clone(), why: text("the document is invalid") },
        Fact::GuardBreached {
            guard: "error-rate".parse().unwrap(),
            at: ramp,
            why: text("error_rate 6.2% (n=124), limit at most 5%, breach 3 of 3"),
        },
        Fact::RollbackBegun { cause: text("guard `error-rate` breached") },
        Fact::RevertIntended { rev: 43, key: key() },
        Fact::Reverted { rev: 43, head: 44 },
        restore(1),
        restore(2),
        Fact::RestoreApplied { rev: 45 },
        Fact::RestoreConfirmIntended { rev: 45, key: key() },
        Fact::RestoreConfirmed { rev: 45, anchor: None },
        Fact::RestoreVoid { why: text("the lease ran out") },
        Fact::UndoIntended { phase, step },
        Fact::Undone {
            phase: "performance".parse().unwrap(),
            step: "migrate-schema".parse().unwrap(),
            detail: text("exit status 0"),
        },
        not_undone(false),
        not_undone(true),
        read_back(true),
        read_back(false),
    ]), @"
      rollback of phases `performance`, `foundation` begun by ann@build-7 on revision 41: week 3
    ! step pool-ramp 2/4 failed: the document is invalid
    ! guard `error-rate` breached at step pool-ramp 2/4: error_rate 6.2% (n=124), limit at most 5%, breach 3 of 3
    ? rollback begun: guard `error-rate` breached
    . revert of revision 43 sent
      revision 43 reverted, revision 44 is in force
    . the configuration from before sent, on top of revision 44
    . the configuration from before sent, on top of revision 44, attempt 2
      the configuration from before applied as revision 45, provisional
    . confirmation of revision 45 sent
      the configuration from before confirmed as revision 45
    ? the configuration from before is not in force: the lease ran out
      undo of step performance/migrate-schema begun
      step performance/migrate-schema undone: exit status 0
    ! step performance/migrate-schema NOT undone: exit status 1
    ! step performance/migrate-schema NOT undone, it is irreversible: exit status 1
      read back: revision 45 equals the configuration from before
    ! read back: revision 45 DIFFERS from the configuration from before
    ");
}

#[test]
fn how_a_run_stops() {
    assert_snapshot!(told(&[
        Fact::Interrupted { by: text("SIGINT") },
        Fact::Halted { reason: HaltReason::Drift, detail: text("cache.mode is `read`") },
        Fact::RunEnded { outcome: Outcome::RolledBack, summary: text("guard breached") },
        Fact::RunEnded { outcome: Outcome::Held, summary: String::new() },
        Fact::RunEnded { outcome: Outcome::RollbackIncomplete, summary: String::new() },
        Fact::RunEnded { outcome: Outcome::Abandoned, summary: String::new() },
        Fact::BackupRestored {
            backup: "b-1".parse().unwrap(),
            parts: vec![text("configuration"), text("database")],
            safety: Some("b-2".parse().unwrap()),
        },
    ]), @"
    ? interrupted by SIGINT at a safe point
    ! halted, the configuration is not what the ledger expects: cache.mode is `read`
    ! run ended, rolled back: guard breached
    ! run ended, failed, held where it is
    ! run ended, rollback INCOMPLETE, a person is needed
    ? run ended, abandoned, nothing undone
    ? backup `b-1` restored (configuration, database), the state before is in `b-2`
    ");
}

#[test]
fn what_happens_while_nobody_watches() {
    let at = at("pool-ramp", 2, 4);
    let by = text("ann@build-7");
    let why = text("error_rate 25.0% (n=80), limit at most 5%, breach 1 of 1");
    assert_snapshot!(told(&[
        Fact::GuardsArmed { target: 41, anchor: None },
        Fact::Detach { grace_ms: Some(3_600_000) },
        Fact::SoakLeft { at: at.clone(), rev: Some(43), soak_ms: 1_800_000, life: 1, up_ms: 7 },
        Fact::TakenBack { guard: Some("error-rate".parse().unwrap()), why, rev: 44 },
        Fact::TakenBack { guard: None, why: text("aborted by ann@build-7"), rev: 44 },
        Fact::Heeded { ask: Ask::Pause, by: by.clone(), reason: Some(text("lunch")) },
        Fact::Heeded { ask: Ask::Confirm, by, reason: None },
        Fact::CanaryJudged { at, judgement: Verdict::Pass(text("promote: no worse")) },
        Fact::Detach { grace_ms: None },
        Fact::GuardsDisarmed,
    ]), @"
      guards armed at the orchestrator, a breach brings back revision 41
      soaks are left to the orchestrator, with 1h to confirm after each
      step pool-ramp 2/4 soaks on without this process
    ! taken back by the orchestrator as revision 44, guard `error-rate`: error_rate 25.0% (n=80), limit at most 5%, breach 1 of 1
    ! taken back by the orchestrator as revision 44: aborted by ann@build-7
    ? pause asked for by ann@build-7: lunch
    ? confirmation asked for by ann@build-7
      canary at step pool-ramp 2/4: promote: no worse
      soaks are watched by this process again
    . guards disarmed at the orchestrator
    ");
}
