//! Runs as the engine records them, without an engine.

use chrono::{DateTime, Utc};
use ctx::clock::from_wall_ms;
use ctx::control::config::Config;
use ctx::control::wire::{Anchor, Fence};
use ctx::ids::{PhaseId, RunId, StepId};
use ctx::ledger::fact::{At, Base, By, Fact, Judged, Outcome, RunBegun, RunKind, Undo};
use ctx::plan::model::{Action, Category, Phase, Step};

pub(super) const PLAN: &str = "contexten-enhanced";

/// A run and its facts.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub run: RunId,
    pub facts: Vec<Fact>,
}

/// The time of the entry with this index.
pub(super) fn at(index: usize) -> DateTime<Utc> {
    from_wall_ms(1_893_456_000_000 + i64::try_from(index).unwrap() * 1000)
}

/// Part of a step.
pub(super) fn part(step: &str, part: u32, parts: u32) -> At {
    At { step: step.parse().unwrap(), part, parts }
}

fn step(id: &str, action: Action) -> Step {
    Step {
        id: id.parse().unwrap(),
        title: None,
        action,
        require: Vec::new(),
        soak: std::time::Duration::ZERO,
        line: 1,
    }
}

pub(super) fn phase(number: u32) -> Phase {
    Phase {
        id: format!("phase-{number}").parse().unwrap(),
        number,
        title: format!("Phase {number}"),
        objective: None,
        days: Some((1, 14)),
        on_failure: ctx::plan::model::OnFailure::RollbackPhase,
        steps: vec![step("pool-ramp", Action::Soak), migrate_schema()],
        criteria: Vec::new(),
        without_guards: Vec::new(),
        line: 1,
    }
}

fn migrate_schema() -> Step {
    let argv = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let action = Action::Run {
        command: argv("alembic upgrade head"),
        undo: Some(argv("alembic downgrade -1")),
        timeout: std::time::Duration::from_secs(300),
    };
    step("migrate-schema", action)
}

pub(super) fn begun(kind: RunKind, number: u32) -> Fact {
    let config = Config::legacy("http://127.0.0.1:8000");
    Fact::RunBegun(Box::new(RunBegun {
        kind,
        plan: PLAN.parse().unwrap(),
        plan_title: "A plan".to_owned(),
        plan_file: "plans/contexten.toml".to_owned(),
        file_hash: "aa".repeat(32),
        phase_hash: "bb".repeat(32),
        phases: 5,
        phase: phase(number),
        guards: Vec::new(),
        suites: Vec::new(),
        milestones: Vec::new(),
        base: Base {
            token: None,
            orchestrator: "http://127.0.0.1:7700".to_owned(),
            state_uuid: "5eed".repeat(8),
            rev: 41,
            config_hash: config.hash(),
            config,
            anchor: anchor(7),
        },
        by: By {
            user: "mara".to_owned(),
            host: "ops-1".to_owned(),
            ctx_version: "0.1.0".to_owned(),
            reason: Some("go live".to_owned()),
        },
        tempo: 1.0,
    }))
}

pub(super) fn anchor(seq: u64) -> Anchor {
    Anchor { seq, hash: format!("{seq:064x}") }
}

pub(super) fn phase_id(number: u32) -> PhaseId {
    phase(number).id
}

pub(super) fn step_id(id: &str) -> StepId {
    id.parse().unwrap()
}

fn change(at: &At, rev: u64) -> Vec<Fact> {
    let key = format!("{}-{}", at.step, at.part);
    vec![
        Fact::ChangeIntended {
            at: at.clone(),
            attempt: 1,
            key: key.clone(),
            if_match: rev - 1,
            target_hash: "cc".repeat(32),
        },
        Fact::ChangeApplied { at: at.clone(), rev, anchor: Some(anchor(rev)) },
        Fact::SoakBegun { at: at.clone(), plan_ms: 1000, real_ms: 1000 },
    ]
}

fn confirm(at: &At, rev: u64) -> Vec<Fact> {
    vec![
        Fact::SoakEnded { at: at.clone(), looks: 3 },
        Fact::ConfirmIntended { at: at.clone(), rev, key: format!("confirm-{rev}") },
        Fact::ChangeConfirmed { at: at.clone(), rev, anchor: Some(anchor(rev)) },
    ]
}

fn opening(number: u32) -> Vec<Fact> {
    let backup = || "b-20300101-000000-abcd".parse().unwrap();
    let fence = Fence { counter: 7, id: "00ff".repeat(4) };
    vec![
        begun(RunKind::Migrate, number),
        Fact::LeaseTaken { fence, anchor: Some(anchor(7)), pid: 42 },
        Fact::BackupIntended { backup: backup() },
        Fact::BackupDone {
            backup: backup(),
            path: "backups/b".to_owned(),
            bytes: 1234,
            manifest_hash: "dd".repeat(32),
        },
    ]
}

fn local(id: &str) -> Vec<Fact> {
    let detail = "exit status 0".to_owned();
    vec![Fact::LocalIntended { at: part(id, 1, 1) }, Fact::LocalDone { at: part(id, 1, 1), detail }]
}

pub(super) fn judged(criterion: &str) -> Fact {
    Fact::CriterionJudged(Box::new(Judged {
        plan: PLAN.parse().unwrap(),
        criterion: criterion.parse().unwrap(),
        title: "Response time".to_owned(),
        category: Category::Performance,
        target: "latency_p95 at most 100ms".to_owned(),
        actual: "12.3ms".to_owned(),
        verdict: ctx::judge::Verdict::Pass("latency_p95 12.3ms (n=100)".to_owned()),
        required_by: None,
    }))
}

fn ended(outcome: Outcome) -> Fact {
    Fact::RunEnded { outcome, summary: format!("{outcome:?}") }
}

impl Story {
    /// A phase with a ramp in two parts and a program, all confirmed.
    pub(super) fn confirmed() -> Self {
        let (one, two) = (part("pool-ramp", 1, 2), part("pool-ramp", 2, 2));
        let mut facts = opening(1);
        facts.extend(change(&one, 42));
        facts.extend(confirm(&one, 42));
        facts.extend(local("migrate-schema"));
        facts.extend(change(&two, 43));
        facts.extend(confirm(&two, 43));
        facts.push(judged("response-time"));
        facts.push(Fact::MilestoneReached {
            milestone: "pooling-everywhere".parse().unwrap(),
            title: "All traffic on pooled connections".to_owned(),
            by: None,
        });
        facts.push(ended(Outcome::Done));
        Self { run: RunId::random(), facts }
    }

    /// A guard is breached in the second part; everything is undone.
    pub(super) fn rolled_back() -> Self {
        let (one, two) = (part("pool-ramp", 1, 2), part("pool-ramp", 2, 2));
        let mut facts = opening(2);
        facts.extend(local("migrate-schema"));
        facts.extend(change(&one, 44));
        facts.extend(confirm(&one, 44));
        facts.extend(change(&two, 45));
        let why = "error_rate 6.2% (n=124), limit at most 5%, breach 3 of 3".to_owned();
        facts.push(Fact::GuardBreached { guard: "error-rate".parse().unwrap(), at: two, why });
        facts.push(Fact::RollbackBegun { cause: "guard `error-rate` was breached".to_owned() });
        facts.push(Fact::RevertIntended { rev: 45, key: "revert-45".to_owned() });
        facts.push(Fact::Reverted { rev: 45, head: 46 });
        facts.extend(restore(47));
        facts.extend(undo(2));
        facts.push(ended(Outcome::RolledBack));
        Self { run: RunId::random(), facts }
    }

    /// A confirmed phase is undone later, by a run of its own.
    pub(super) fn undoes(number: u32) -> Self {
        let kind = RunKind::Rollback {
            phases: vec![phase_id(number)],
            to: Box::new(Config::legacy("http://127.0.0.1:8000")),
            undo: vec![Undo { phase: phase_id(number), step: migrate_schema() }],
        };
        let mut facts = vec![begun(kind, number)];
        facts.extend(restore(48));
        facts.extend(undo(number));
        facts.push(ended(Outcome::Done));
        Self { run: RunId::random(), facts }
    }
}

fn restore(rev: u64) -> Vec<Fact> {
    vec![
        Fact::RestoreIntended {
            attempt: 1,
            key: "restore".to_owned(),
            if_match: rev - 1,
            target_hash: "ee".repeat(32),
        },
        Fact::RestoreApplied { rev },
        Fact::RestoreConfirmIntended { rev, key: "confirm-restore".to_owned() },
        Fact::RestoreConfirmed { rev, anchor: Some(anchor(rev)) },
    ]
}

fn undo(number: u32) -> Vec<Fact> {
    let (phase, step) = (phase_id(number), step_id("migrate-schema"));
    vec![
        Fact::UndoIntended { phase: phase.clone(), step: step.clone() },
        Fact::Undone { phase, step, detail: "exit status 0".to_owned() },
        Fact::ReadBack { rev: 48, config_hash: "ee".repeat(32), equal: true },
    ]
}
