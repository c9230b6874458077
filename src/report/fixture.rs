//! A small migration for tests: two phases, the first confirmed, the second on its way.

use std::time::Duration;

use super::model::LedgerHead;
use super::place::Place;
use super::records::Records;
use crate::clock::WallMs;
use crate::control::config::Config;
use crate::control::wire::{Anchor, Fence};
use crate::ids::RunId;
use crate::judge::{Limit, Metric, Verdict};
use crate::ledger::fact::{At, Base, By, Fact, Outcome, Recorded, RunBegun, RunKind, Sample};
use crate::ledger::view::{
    BackupRow, CriterionRow, IssueRow, MilestoneRow, PhaseRow, PhaseStatus, RunRow, StepRow,
    StepStatus,
};
use crate::plan::Plan;
use crate::plan::model::{
    Action, BackupPolicy, Category, Criterion, CriterionCheck, Guard, Milestone, OnFailure,
    OnNoData, Orchestrator, Phase, Risk, Severity, Step,
};
use crate::units::Percent;

/// 2030-01-01 12:00:00Z.
pub(crate) const NOON: WallMs = 1_893_456_000_000 + 12 * 3_600_000;

/// A run id of one digit, repeated.
pub(crate) fn run(digit: char) -> RunId {
    digit.to_string().repeat(32).try_into().unwrap()
}

pub(crate) fn at(step: &str, part: u32, parts: u32) -> At {
    At { step: step.parse().unwrap(), part, parts }
}

fn anchor() -> Anchor {
    Anchor { seq: 9, hash: "ab".repeat(32) }
}

fn step(id: &str, action: Action, soak_minutes: u64) -> Step {
    Step {
        id: id.parse().unwrap(),
        title: None,
        action,
        require: Vec::new(),
        soak: Duration::from_secs(60 * soak_minutes),
        line: 1,
    }
}

fn guard(id: &str, metric: Metric, limit: f64) -> Guard {
    Guard {
        id: id.parse().unwrap(),
        measure: metric.into(),
        limit: Limit::AtMost(limit),
        breaches: 3,
        min_samples: 50,
        every: Duration::from_secs(1),
        on_no_data: OnNoData::Fail,
        patience: Duration::from_secs(300),
    }
}

fn criterion(id: &str, category: Category, metric: Metric, limit: Limit) -> Criterion {
    let window = Duration::from_secs(60);
    let check = CriterionCheck::Metric { measure: metric.into(), limit, min_samples: 50, window };
    Criterion { id: id.parse().unwrap(), title: None, category, check }
}

fn phase(number: u32, id: &str, title: &str, steps: Vec<Step>) -> Phase {
    Phase {
        id: id.parse().unwrap(),
        number,
        title: title.to_owned(),
        objective: None,
        days: Some((number * 14 - 13, number * 14)),
        on_failure: OnFailure::RollbackPhase,
        steps,
        criteria: Vec::new(),
        without_guards: Vec::new(),
        line: 1,
    }
}

pub(crate) fn plan() -> Plan {
    let response = Limit::AtMost(100.0);
    let response = criterion("response-time", Category::Performance, Metric::LatencyP95, response);
    let uptime = Limit::AtLeast(0.999);
    let uptime = criterion("uptime", Category::Reliability, Metric::Uptime, uptime);
    let mut performance = phase(
        2,
        "performance",
        "Performance optimization",
        vec![
            step(
                "pool-ramp",
                Action::Ramp {
                    flag: "connection_pooling".to_owned(),
                    to: [5, 25, 50, 100].map(Percent::whole).to_vec(),
                },
                30,
            ),
            step("cache-reads", Action::Set { assignments: Vec::new() }, 60),
            step(
                "migrate-schema",
                Action::Run {
                    command: vec!["alembic".to_owned(), "upgrade".to_owned(), "head".to_owned()],
                    undo: None,
                    timeout: Duration::from_secs(300),
                },
                0,
            ),
        ],
    );
    performance.criteria = vec![response.clone()];
    Plan {
        name: "contexten-enhanced".parse().unwrap(),
        title: "ContextenApp to the enhanced orchestrator".to_owned(),
        orchestrator: Orchestrator { url: "http://127.0.0.1:7700".to_owned(), token: None },
        backup: BackupPolicy::default(),
        guards: vec![
            guard("error-rate", Metric::ErrorRate, 0.05),
            guard("latency", Metric::LatencyP95, 500.0),
            guard("cpu", Metric::Cpu, 0.95),
        ],
        phases: vec![
            phase(
                1,
                "foundation",
                "Foundation enhancement",
                vec![step("health", Action::Set { assignments: Vec::new() }, 10)],
            ),
            performance,
        ],
        criteria: vec![response, uptime],
        milestones: milestones(),
        risks: risks(),
        suites: Vec::new(),
        alerts: Vec::new(),
    }
}

fn milestones() -> Vec<Milestone> {
    vec![
        Milestone {
            id: "foundation-ready".parse().unwrap(),
            title: "Health is watched".to_owned(),
            phase: "foundation".parse().unwrap(),
            days: Some((11, 14)),
            after: None,
            when: Vec::new(),
        },
        Milestone {
            id: "pooling-everywhere".parse().unwrap(),
            title: "All traffic on pooled connections".to_owned(),
            phase: "performance".parse().unwrap(),
            days: Some((18, 18)),
            after: Some("pool-ramp".parse().unwrap()),
            when: Vec::new(),
        },
    ]
}

fn risks() -> Vec<Risk> {
    vec![
        Risk {
            id: "configuration".to_owned(),
            title: "Configuration issues".to_owned(),
            severity: Severity::Medium,
            mitigations: vec!["every document is checked before it is sent".to_owned()],
        },
        Risk {
            id: "data-loss".to_owned(),
            title: "Data loss".to_owned(),
            severity: Severity::High,
            mitigations: vec![
                "a verified backup before each phase".to_owned(),
                "restore is drilled".to_owned(),
            ],
        },
    ]
}

pub(crate) fn begun(number: u32) -> RunBegun {
    let plan = plan();
    let phase = plan.phase(&number.to_string()).unwrap().clone();
    let milestones = plan.milestones.iter().filter(|m| m.phase == phase.id).cloned().collect();
    let config = Config::legacy("http://127.0.0.1:8000");
    RunBegun {
        kind: RunKind::Migrate,
        plan: plan.name.clone(),
        plan_title: plan.title.clone(),
        plan_file: "plans/contexten.toml".to_owned(),
        file_hash: "cd".repeat(32),
        phase_hash: "ef".repeat(32),
        phases: 2,
        guards: plan.guards_of(&phase),
        phase,
        suites: Vec::new(),
        milestones,
        base: Base {
            orchestrator: "http://127.0.0.1:7700".to_owned(),
            token: None,
            state_uuid: "u".to_owned(),
            rev: 41,
            config_hash: config.hash(),
            config,
            anchor: anchor(),
        },
        by: By {
            user: "ann".to_owned(),
            host: "build-7".to_owned(),
            ctx_version: "0.1.0".to_owned(),
            reason: Some("week 3".to_owned()),
        },
        tempo: 1.0,
    }
}

/// Facts of one run, each some seconds after the one before.
pub(crate) fn story(facts: impl IntoIterator<Item = (i64, Fact)>) -> Vec<Recorded> {
    let mut at_ms = NOON;
    let recorded = |(seq, (seconds, fact))| {
        at_ms += seconds * 1000;
        Recorded { seq, at_ms, run: Some(run('2')), fact }
    };
    (40..).zip(facts).map(recorded).collect()
}

fn sampled(error_rate: f64, p95_ms: f64) -> Fact {
    let sample =
        |guard: &str, value| Sample { guard: guard.parse().unwrap(), value, samples: Some(400) };
    let samples = vec![sample("error-rate", error_rate), sample("latency", p95_ms)];
    Fact::GuardsSampled { at: at("pool-ramp", 1, 4), samples }
}

/// Phase 2 until the second part of its ramp soaks.
pub(crate) fn soaking() -> Vec<Recorded> {
    let fence = Fence { counter: 7, id: "00ff".repeat(4) };
    let backup: crate::ids::BackupId = "b-20300101-1200-a1b2".parse().unwrap();
    let soak = 30 * 60 * 1000;
    let intended = |part, if_match| Fact::ChangeIntended {
        at: at("pool-ramp", part, 4),
        attempt: 1,
        key: "key".to_owned(),
        if_match,
        target_hash: "12".repeat(32),
    };
    let applied = |part, rev| Fact::ChangeApplied {
        at: at("pool-ramp", part, 4),
        rev,
        anchor: Some(anchor()),
    };
    let soaks =
        |part| Fact::SoakBegun { at: at("pool-ramp", part, 4), plan_ms: soak, real_ms: soak };
    story([
        (0, Fact::RunBegun(Box::new(begun(2)))),
        (0, Fact::LeaseTaken { fence, anchor: Some(anchor()), pid: 4711 }),
        (1, Fact::BackupIntended { backup: backup.clone() }),
        (
            3,
            Fact::BackupDone {
                backup,
                path: ".ctx/backups/b-20300101-1200-a1b2".to_owned(),
                bytes: 1_258_291,
                manifest_hash: "34".repeat(32),
            },
        ),
        (1, intended(1, 41)),
        (0, applied(1, 42)),
        (0, soaks(1)),
        (900, sampled(0.012, 18.0)),
        (600, sampled(0.031, 22.5)),
        (300, Fact::SoakEnded { at: at("pool-ramp", 1, 4), looks: 1800 }),
        (0, Fact::ConfirmIntended { at: at("pool-ramp", 1, 4), rev: 42, key: "key".to_owned() }),
        (0, Fact::ChangeConfirmed { at: at("pool-ramp", 1, 4), rev: 42, anchor: Some(anchor()) }),
        (1, intended(2, 42)),
        (0, applied(2, 43)),
        (0, soaks(2)),
    ])
}

/// What follows [`soaking`] when a guard is breached.
pub(crate) fn breached() -> Vec<Recorded> {
    let why = "error_rate 6.2% (n=124), limit at most 5%, breach 3 of 3".to_owned();
    let guard = "error-rate".parse().unwrap();
    let at = at("pool-ramp", 2, 4);
    let tail = [
        (720, Fact::GuardBreached { guard, at, why: why.clone() }),
        (0, Fact::RollbackBegun { cause: format!("guard `error-rate`: {why}") }),
        (0, Fact::RevertIntended { rev: 43, key: "key".to_owned() }),
        (0, Fact::Reverted { rev: 43, head: 44 }),
        (1, Fact::ReadBack { rev: 45, config_hash: "56".repeat(32), equal: true }),
        (
            0,
            Fact::RunEnded {
                outcome: Outcome::RolledBack,
                summary: format!("guard `error-rate`: {why}"),
            },
        ),
    ];
    let before = soaking().into_iter().scan(NOON, |last, recorded| {
        let seconds = (recorded.at_ms - *last) / 1000;
        *last = recorded.at_ms;
        Some((seconds, recorded.fact))
    });
    story(before.chain(tail))
}

fn run_row(
    digit: char,
    number: u32,
    begun_ms: WallMs,
    ended: Option<(WallMs, Outcome, &str)>,
) -> RunRow {
    let phase = &plan().phases[usize::try_from(number).unwrap() - 1];
    RunRow {
        run: run(digit),
        kind: "migrate".to_owned(),
        plan: plan().name,
        phase: phase.id.clone(),
        phase_number: number,
        begun_ms,
        ended_ms: ended.map(|(ms, ..)| ms),
        outcome: ended.map(|(_, outcome, _)| outcome),
        summary: ended.map(|(.., summary)| summary.to_owned()),
        user: "ann".to_owned(),
        host: "build-7".to_owned(),
        reason: Some(format!("week {}", number * 2 - 1)),
        first_seq: 1,
        last_seq: 39,
    }
}

fn phase_row(
    digit: char,
    number: u32,
    status: PhaseStatus,
    begun_ms: WallMs,
    ended_ms: Option<WallMs>,
) -> PhaseRow {
    let phase = &plan().phases[usize::try_from(number).unwrap() - 1];
    PhaseRow {
        plan: plan().name,
        phase: phase.id.clone(),
        number,
        title: phase.title.clone(),
        status,
        run: run(digit),
        migrated: run(digit),
        phase_hash: "ef".repeat(32),
        begun_ms,
        ended_ms,
    }
}

fn step_row(
    digit: char,
    at: At,
    status: StepStatus,
    rev: u64,
    begun_ms: WallMs,
    ended_ms: Option<WallMs>,
) -> StepRow {
    let (run, rev) = (run(digit), Some(rev));
    StepRow {
        run,
        step: at.step,
        part: at.part,
        parts: at.parts,
        status,
        rev,
        detail: None,
        begun_ms,
        ended_ms,
    }
}

/// The rows that belong to [`soaking`], after a first phase that was confirmed the day before.
pub(crate) fn records() -> Records {
    let (day, minute) = (86_400_000, 60_000);
    let (began, ended) = (NOON - day, NOON - day + 15 * minute);
    let (ramp_1, ramp_2) = (NOON + 5000, NOON + 31 * minute);
    Records {
        plan: Some(plan().name),
        head: Some(LedgerHead { seq: 52, hash: "9a".repeat(32) }),
        runs: vec![
            run_row('2', 2, NOON, None),
            run_row('1', 1, began, Some((ended, Outcome::Done, "phase confirmed"))),
        ],
        phases: vec![
            phase_row('1', 1, PhaseStatus::Confirmed, began, Some(ended)),
            phase_row('2', 2, PhaseStatus::Running, NOON, None),
        ],
        steps: vec![
            step_row('1', at("health", 1, 1), StepStatus::Done, 41, began, Some(ended)),
            step_row('2', at("pool-ramp", 1, 4), StepStatus::Done, 42, ramp_1, Some(ramp_2)),
            step_row('2', at("pool-ramp", 2, 4), StepStatus::Soaking, 43, ramp_2, None),
        ],
        begun: vec![begun(1), begun(2)],
        open: Place::of(&soaking()),
        backups: vec![BackupRow {
            backup: "b-20300101-1200-a1b2".parse().unwrap(),
            run: Some(run('2')),
            at_ms: NOON + 4000,
            path: ".ctx/backups/b-20300101-1200-a1b2".to_owned(),
            bytes: 1_258_291,
            manifest_hash: "34".repeat(32),
        }],
        milestones: vec![MilestoneRow {
            plan: plan().name,
            milestone: "foundation-ready".parse().unwrap(),
            title: "Health is watched".to_owned(),
            run: run('1'),
            reached_ms: ended,
        }],
        criteria: vec![CriterionRow {
            plan: plan().name,
            criterion: "response-time".parse().unwrap(),
            title: "response-time".to_owned(),
            category: Category::Performance,
            target: "latency_p95 at most 100ms".to_owned(),
            actual: "12.3ms".to_owned(),
            verdict: Verdict::Pass("latency_p95 12.3ms (n=1240), limit at most 100ms".to_owned()),
            run: Some(run('1')),
            at_ms: ended,
        }],
        issues: vec![IssueRow {
            seq: 17,
            run: run('1'),
            phase: "foundation".parse().unwrap(),
            kind: "step_failed".to_owned(),
            what: "health: the orchestrator refused it".to_owned(),
            at_ms: began + minute,
        }],
    }
}

/// The records after [`breached`].
pub(crate) fn rolled_back() -> Records {
    let mut records = records();
    let facts = breached();
    let last = facts.last().unwrap();
    let summary = "guard `error-rate`: error_rate 6.2% (n=124), limit at most 5%, breach 3 of 3";
    records.open = None;
    records.runs[0] = run_row('2', 2, NOON, Some((last.at_ms, Outcome::RolledBack, summary)));
    records.phases[1] = phase_row('2', 2, PhaseStatus::RolledBack, NOON, Some(last.at_ms));
    records.steps[2].status = StepStatus::RolledBack;
    records.issues.insert(
        0,
        IssueRow {
            seq: 53,
            run: run('2'),
            phase: "performance".parse().unwrap(),
            kind: "guard_breached".to_owned(),
            what: "error-rate: error_rate 6.2% (n=124), limit at most 5%, breach 3 of 3".to_owned(),
            at_ms: last.at_ms - 1000,
        },
    );
    records
}
