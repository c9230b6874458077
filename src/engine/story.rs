//! Stories about the pure core: a run driven against a model of the orchestrator, cut anywhere.
//!
//! The model does what the protocol promises and no more. The same loop over the real executor
//! and the real orchestrator is told in `tests/it`.

use std::collections::BTreeMap;

use serde_json::json;

use super::adopt;
use super::decide::Next;
use super::protocol::{Answer, Call, Protocol, Want};
use super::state::RunState;
use crate::control::armed::{ArmRequest, Armed};
use crate::control::config::Config;
use crate::control::document::Assignment;
use crate::control::wire::{
    Anchor, Fence, Operation, OperationKind, Problem, ProblemCode, Provisional, RevisionResult,
    State,
};
use crate::ids::RunId;
use crate::ledger::fact::{At, Base, By, Fact, Outcome, RunBegun, RunKind};
use crate::plan::model::{Action, OnFailure, Phase, Step};
use crate::units::Percent;

/// An orchestrator, as far as a run can see it.
#[derive(Clone)]
pub(super) struct Model {
    pub(super) head: u64,
    confirmed: (u64, Config),
    provisional: Option<(u64, String, Config)>,
    operations: BTreeMap<String, Operation>,
    armed: Option<Armed>,
}

impl Model {
    pub(super) fn new() -> Self {
        let config = Config::legacy("http://127.0.0.1:8000");
        Self {
            head: 1,
            confirmed: (1, config),
            provisional: None,
            operations: BTreeMap::new(),
            armed: None,
        }
    }

    fn config(&self) -> &Config {
        self.provisional.as_ref().map_or(&self.confirmed.1, |(_, _, config)| config)
    }

    fn done(&mut self, key: &str, kind: OperationKind, rev: u64) -> u64 {
        let config_hash = self.config().hash();
        let result = RevisionResult { rev, config_hash, replayed: false };
        self.operations.insert(key.to_owned(), Operation { key: key.to_owned(), kind, result });
        rev
    }

    fn apply(&mut self, key: &str, if_match: u64, config: Config) -> Option<u64> {
        if let Some(before) = self.operations.get(key) {
            return Some(before.result.rev);
        }
        if self.head != if_match || self.provisional.is_some() {
            return None;
        }
        self.head += 1;
        self.provisional = Some((self.head, key.to_owned(), config));
        Some(self.done(key, OperationKind::Apply, self.head))
    }

    fn confirm(&mut self, key: &str, rev: u64) -> Option<u64> {
        if let Some(before) = self.operations.get(key) {
            return Some(before.result.rev);
        }
        let (_, _, config) = self.provisional.take_if(|(found, ..)| *found == rev)?;
        self.confirmed = (rev, config);
        Some(self.done(key, OperationKind::Confirm, rev))
    }

    /// A revert that was asked for, or one of its own: a new number with the old content.
    fn revert(&mut self) {
        if self.provisional.take().is_some() {
            self.head += 1;
            self.confirmed.0 = self.head;
        }
    }

    fn answer(&mut self, call: Call) -> Answer {
        let changed = |rev: Option<u64>| match rev {
            Some(rev) => Answer::Changed { rev, anchor: None },
            None => Answer::Refused(refusal(ProblemCode::HeadMoved)),
        };
        match call {
            Call::Acquire { min_token, .. } => {
                let fence = Fence { counter: min_token + 1, id: "00".into() };
                Answer::Granted { fence, anchor: None }
            }
            Call::State => Answer::State(Box::new(self.state())),
            Call::Operation { key } => Answer::Operation(self.operations.get(&key).cloned()),
            Call::Apply { key, if_match, request } => {
                changed(self.apply(&key, if_match, request.config))
            }
            Call::Confirm { key, rev } => changed(self.confirm(&key, rev)),
            Call::Revert { .. } => {
                self.revert();
                changed(Some(self.head))
            }
            Call::Arm(request) => {
                self.armed = Some(armed(*request));
                Answer::Armed { target: 1, anchor: None }
            }
            Call::Disarm { .. } => {
                self.armed = None;
                Answer::Disarmed
            }
        }
    }

    pub(super) fn state(&self) -> State {
        State {
            state_uuid: "u".to_owned(),
            version: "0".to_owned(),
            head: self.head,
            confirmed: self.confirmed.0,
            provisional: self.provisional.as_ref().map(|(rev, key, _)| Provisional {
                rev: *rev,
                run: run_id(),
                key: key.clone(),
                reason: String::new(),
                reverts_to: self.confirmed.0,
                deadline_in_ms: None,
            }),
            lease: None,
            anchor: anchor(),
            config: self.config().clone(),
            config_hash: self.config().hash(),
            data_addr: String::new(),
            up_ms: 0,
            life: 1,
            armed: self.armed.clone(),
            origins: Vec::new(),
        }
    }
}

fn armed(request: ArmRequest) -> Armed {
    Armed {
        run: run_id(),
        plan: request.plan,
        phase: request.phase,
        target: 1,
        target_hash: begun().base.config_hash,
        guards: request.guards,
        canaries: request.canaries,
        tripped: None,
        asked: None,
    }
}

fn refusal(code: ProblemCode) -> Problem {
    let (kind, title, detail) = (String::new(), code.title().to_owned(), String::new());
    Problem { kind, title, status: code.status(), detail, code, lease: None }
}

pub(super) fn anchor() -> Anchor {
    Anchor { seq: 1, hash: "00".to_owned() }
}

pub(super) fn run_id() -> RunId {
    RunId::try_from("a".repeat(32)).unwrap()
}

fn step(id: &str, action: Action) -> Step {
    Step {
        id: id.parse().unwrap(),
        title: None,
        action,
        require: Vec::new(),
        soak: std::time::Duration::from_secs(60),
        line: 1,
    }
}

pub(super) fn begun() -> RunBegun {
    let assignment = Assignment { path: "cache.mode".into(), value: json!("read") };
    let (ten, all) = (Percent::whole(10), Percent::ALL);
    let command = vec!["true".to_owned()];
    let timeout = std::time::Duration::from_secs(1);
    let run = Action::Run { command: command.clone(), undo: Some(command), timeout };
    let ramp = Action::Ramp { flag: "connection_pooling".into(), to: vec![ten, all] };
    let phase = Phase {
        id: "performance".parse().unwrap(),
        number: 1,
        title: "Performance".into(),
        objective: None,
        days: None,
        on_failure: OnFailure::RollbackPhase,
        steps: vec![
            step("pool", ramp),
            step("schema", run),
            step("cache", Action::Set { assignments: vec![assignment] }),
        ],
        criteria: Vec::new(),
        without_guards: Vec::new(),
        line: 1,
    };
    let config = Config::legacy("http://127.0.0.1:8000");
    RunBegun {
        kind: RunKind::Migrate,
        plan: "p".parse().unwrap(),
        plan_title: "P".into(),
        plan_file: "p.toml".into(),
        file_hash: "f".into(),
        phase_hash: "h".into(),
        phases: 1,
        phase,
        guards: Vec::new(),
        suites: Vec::new(),
        milestones: Vec::new(),
        base: Base {
            orchestrator: "http://127.0.0.1:1".into(),
            token: None,
            state_uuid: "u".into(),
            rev: 1,
            config_hash: config.hash(),
            config,
            anchor: anchor(),
        },
        by: By { user: "u".into(), host: "h".into(), ctx_version: "0".into(), reason: None },
        tempo: 1.0,
    }
}

/// One process that works on the run until it ends or is killed.
struct Process<'a> {
    facts: &'a mut Vec<Fact>,
    model: &'a mut Model,
    protocol: Protocol,
    /// How many more things happen before the kill; things are facts and requests.
    left: u32,
    /// The move at which a guard breaches while it soaks.
    breach_at: Option<usize>,
}

/// The process was killed.
struct Killed;

impl Process<'_> {
    fn tick(&mut self) -> Result<(), Killed> {
        self.left = self.left.checked_sub(1).ok_or(Killed)?;
        Ok(())
    }

    fn record(&mut self, fact: Fact) -> Result<(), Killed> {
        self.tick()?;
        self.protocol.recorded(&fact).unwrap();
        self.facts.push(fact);
        Ok(())
    }

    fn work(&mut self) -> Result<Outcome, Killed> {
        loop {
            match self.protocol.next() {
                Want::Record(fact) => self.record(fact)?,
                Want::Send(call) => {
                    self.tick()?;
                    let answer = self.model.answer(call);
                    self.tick()?;
                    self.protocol.heard(answer);
                }
                Want::Act(Next::Ended(outcome)) => return Ok(outcome),
                Want::Act(next) => self.act(next)?,
                stuck => panic!("nobody else is there: {stuck:?}"),
            }
        }
    }

    fn act(&mut self, next: Next) -> Result<(), Killed> {
        let at = |index: usize, state: &RunState| state.moves[index].at.clone();
        match next {
            Next::Backup => {
                let backup: crate::ids::BackupId = "b".parse().unwrap();
                let (path, manifest_hash) = (String::new(), String::new());
                self.record(Fact::BackupDone { backup, path, bytes: 0, manifest_hash })
            }
            Next::Begin { index, attempt } => {
                self.protocol.begin_change(index, attempt);
                Ok(())
            }
            Next::Soak { index } => {
                let at = at(index, &self.protocol.state);
                if self.breach_at == Some(index) {
                    let guard = "error-rate".parse().unwrap();
                    return self.record(Fact::GuardBreached { guard, at, why: "9% > 5%".into() });
                }
                self.record(Fact::SoakEnded { at, looks: 1 })
            }
            Next::Local { index } => {
                let at: At = at(index, &self.protocol.state);
                self.record(Fact::LocalIntended { at: at.clone() })?;
                self.tick()?;
                self.record(Fact::LocalDone { at, detail: String::new() })
            }
            Next::Undo { index } => {
                let rollback = self.protocol.state.rollback.as_ref().unwrap();
                let undo = rollback.undo[index].0.clone();
                let (phase, step) = (undo.phase, undo.step.id);
                self.record(Fact::Undone { phase, step, detail: String::new() })
            }
            Next::End { outcome, summary } => self.record(Fact::RunEnded { outcome, summary }),
            other => panic!("the phase has no criteria, and the protocol does the rest: {other:?}"),
        }
    }
}

/// Runs processes that are killed after so many things each, until the run ends.
///
/// With `lapse`, the orchestrator takes back what is provisional after each kill.
fn run(kills: &[u32], lapse: bool, breach_at: Option<usize>) -> (Outcome, Vec<Fact>, Model) {
    let mut model = Model::new();
    let facts = vec![Fact::RunBegun(Box::new(begun()))];
    let (outcome, facts) = go_on(&mut model, facts, kills, lapse, breach_at);
    (outcome, facts, model)
}

fn go_on(
    model: &mut Model,
    mut facts: Vec<Fact>,
    kills: &[u32],
    lapse: bool,
    breach_at: Option<usize>,
) -> (Outcome, Vec<Fact>) {
    let mut kills = kills.iter().copied();
    loop {
        let state = RunState::fold(&run_id(), &facts).unwrap();
        let left = kills.next().unwrap_or(10_000);
        let protocol = Protocol::new(state, 1);
        let mut process = Process { facts: &mut facts, model, protocol, left, breach_at };
        match process.work() {
            Ok(outcome) => {
                let provisional = model.provisional.is_some();
                assert!(!provisional, "a provisional revision was left behind");
                return (outcome, facts);
            }
            Err(Killed) if lapse => model.revert(),
            Err(Killed) => {}
        }
    }
}

fn confirmed(facts: &[Fact]) -> Vec<String> {
    let at = |fact: &Fact| match fact {
        Fact::ChangeConfirmed { at, .. } | Fact::LocalDone { at, .. } => Some(at.to_string()),
        _ => None,
    };
    facts.iter().filter_map(at).collect()
}

#[test]
fn a_phase_is_done_step_by_step() {
    let (outcome, facts, model) = run(&[], false, None);
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(confirmed(&facts), ["pool 1/2", "pool 2/2", "schema", "cache"]);
    assert!(model.config().fully_on("connection_pooling"));
}

#[test]
fn a_breach_at_any_step_brings_back_exactly_what_was_before() {
    let before = Model::new();
    for breach_at in 0..4 {
        let (outcome, facts, model) = run(&[], false, Some(breach_at));
        assert_eq!(outcome, Outcome::RolledBack, "breach at {breach_at}");
        assert_eq!(model.config().canonical(), before.config().canonical());
        let undone = facts.iter().filter(|f| matches!(f, Fact::Undone { .. })).count();
        assert_eq!(undone, usize::from(breach_at >= 2), "breach at {breach_at}");
    }
}

#[test]
fn a_run_killed_anywhere_reaches_the_same_end() {
    let (_, whole, end) = run(&[], false, None);
    let things = 3 * u32::try_from(whole.len()).unwrap();
    for lapse in [false, true] {
        for first in 0..things {
            let (outcome, facts, model) = run(&[first, 3, 5, 7], lapse, None);
            assert_eq!(outcome, Outcome::Done, "killed after {first}, lapse {lapse}");
            assert_eq!(model.config().canonical(), end.config().canonical());
            let mut once: Vec<_> = facts
                .iter()
                .filter_map(|fact| match fact {
                    Fact::ChangeConfirmed { at, .. } => Some(at.clone()),
                    _ => None,
                })
                .collect();
            let all = once.len();
            once.dedup();
            assert_eq!(all, once.len(), "a step was confirmed twice: {first}, lapse {lapse}");
        }
    }
}

#[test]
fn a_rollback_killed_anywhere_is_finished_by_the_next_process() {
    let before = Model::new();
    let (_, whole, _) = run(&[], false, Some(3));
    let things = 3 * u32::try_from(whole.len()).unwrap();
    for lapse in [false, true] {
        for first in 0..things {
            let (outcome, _, model) = run(&[first, 2, 4, 9], lapse, Some(3));
            assert_eq!(outcome, Outcome::RolledBack, "killed after {first}, lapse {lapse}");
            assert_eq!(model.config().canonical(), before.config().canonical());
        }
    }
}

#[test]
fn a_run_adopted_anywhere_reaches_the_same_end() {
    let (_, whole, end) = run(&[], false, None);
    let mut adopted = 0;
    for lapse in [false, true] {
        for first in 0..3 * u32::try_from(whole.len()).unwrap() {
            let mut model = Model::new();
            let mut lost = vec![Fact::RunBegun(Box::new(begun()))];
            let state = RunState::fold(&run_id(), &lost).unwrap();
            let protocol = Protocol::new(state, 1);
            let (facts, left, breach_at) = (&mut lost, first, None);
            let killed = Process { facts, model: &mut model, protocol, left, breach_at }.work();
            if lapse {
                model.revert();
            }
            if model.armed.is_none() {
                // Nothing is in flight there, so there is nothing to adopt.
                continue;
            }
            adopted += 1;
            // The ledger is gone; what the orchestrator knows of the run is all there is.
            let known = adopt::keys(&run_id(), &begun()).unwrap();
            let known = known.iter().filter_map(|key| model.operations.get_key_value(key));
            let known = known.map(|(key, op)| (key.clone(), op.clone())).collect();
            let mut facts = vec![Fact::RunBegun(Box::new(begun()))];
            facts.extend(adopt::facts(&run_id(), &begun(), 1, &known).unwrap());
            let (outcome, _) = go_on(&mut model, facts, &[], lapse, None);
            assert_eq!(outcome, Outcome::Done, "adopted after {first}, {}", killed.is_ok());
            assert_eq!(model.config().canonical(), end.config().canonical());
        }
    }
    assert!(adopted > 20, "{adopted}");
}

#[test]
fn a_restore_that_is_lost_before_its_confirmation_gets_a_new_key() {
    let mut state = RunState::begin(run_id(), begun()).unwrap();
    state.evolve(&Fact::RollbackBegun { cause: "asked for".into() }).unwrap();
    for lost in 1..4 {
        let Next::BeginRestore { attempt } = super::decide::decide(&state) else {
            panic!("{:?}", state.rollback)
        };
        assert_eq!(attempt, lost, "each attempt has its own number, and so its own key");
        let (key, target_hash) = (format!("k{attempt}"), String::new());
        for fact in [
            Fact::RestoreIntended { attempt, key, if_match: 1, target_hash },
            Fact::RestoreApplied { rev: 2 },
            Fact::RestoreConfirmIntended { rev: 2, key: format!("c{attempt}") },
            Fact::RestoreVoid { why: "the orchestrator restarted".into() },
        ] {
            state.evolve(&fact).unwrap();
        }
    }
}

#[test]
fn undoing_a_phase_reaches_no_milestone() {
    let milestone = crate::plan::model::Milestone {
        id: "pooling".parse().unwrap(),
        title: "Pooling everywhere".into(),
        phase: "performance".parse().unwrap(),
        days: None,
        after: None,
        when: Vec::new(),
    };
    let migrate = RunBegun { milestones: vec![milestone], ..begun() };
    let to = Box::new(migrate.base.config.clone());
    let kind = RunKind::Rollback { phases: vec![migrate.phase.id.clone()], to, undo: Vec::new() };
    let rollback = RunState::begin(run_id(), RunBegun { kind, ..migrate }).unwrap();
    assert_eq!(rollback.due_milestones().count(), 0);
}
