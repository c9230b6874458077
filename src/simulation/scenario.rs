//! What is to be done, and how much goes wrong, as the seed has it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::network::Weather;
use super::rng::Rng;
use crate::control::config::Config;
use crate::control::document::Assignment;
use crate::control::wire::State;
use crate::engine::state::RunState;
use crate::ids::RunId;
use crate::ledger::fact::{Base, By, RunBegun, RunKind, Undo};
use crate::plan::model::{Action, OnFailure, Phase, Step};

/// How the world of one seed is.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) weather: Weather,
    /// When faults stop.
    pub(super) calm_at: u64,
    /// The plan of each operator.
    pub(super) plans: Vec<usize>,
    /// When somebody else edits the configuration.
    pub(super) edit_at: Option<u64>,
    /// When a copy of the book is made, and when it is put back.
    pub(super) restore: Option<(u64, u64)>,
    /// When the orchestrator is killed.
    pub(super) crashes: Vec<u64>,
    /// When a guard is breached while nobody has to be there.
    pub(super) breach_at: Option<u64>,
    /// When somebody asks something of the run in flight.
    pub(super) asks: Vec<u64>,
    /// How long each operator has to confirm what soaked without them.
    pub(super) graces: Vec<Option<u64>>,
    /// An operator that hears nothing and is not heard, from when until when.
    pub(super) partition: Option<(usize, u64, u64)>,
    /// Per mille of what either side does that end with its death.
    pub(super) kills: u64,
}

impl Scenario {
    pub(super) fn of(rng: &mut Rng) -> Self {
        let still = rng.one_in(16);
        let first = usize::try_from(rng.within(0, PLANS)).expect("a small number");
        let mut plans = vec![first];
        if rng.one_in(2) {
            plans.push(if rng.one_in(2) { first } else { (first + 1) % 4 });
        }
        let calm_at = rng.within(20_000, 150_000);
        let edit_at = rng.one_in(8).then(|| rng.within(1_000, calm_at));
        let restore = rng.one_in(8).then(|| {
            let copied = rng.within(1_000, calm_at);
            (copied, rng.within(copied, calm_at))
        });
        let breach_at = rng.one_in(6).then(|| rng.within(1_000, calm_at));
        let asks = if rng.one_in(4) { rng.within(1, 3) } else { 0 };
        let graces = plans.iter().map(|_| {
            let most = if rng.one_in(2) { 4_000 } else { 90_000 };
            rng.one_in(4).then(|| rng.within(200, most))
        });
        let graces = graces.collect();
        let partition = rng.one_in(4).then(|| {
            let from = rng.within(1_000, calm_at);
            let who = usize::try_from(rng.within(0, plans.len() as u64)).expect("a small number");
            (who, from, (from + rng.within(5_000, 60_000)).min(calm_at))
        });
        let crashes = if still { 0 } else { rng.within(0, 3) };
        Self {
            weather: if still { Weather::CALM } else { Weather::ROUGH },
            calm_at,
            plans,
            edit_at,
            restore,
            breach_at,
            asks: (0..asks).map(|_| rng.within(1_000, calm_at)).collect(),
            graces,
            partition,
            crashes: (0..crashes).map(|_| rng.within(0, calm_at)).collect(),
            kills: if still { 0 } else { 12 },
        }
    }
}

const PLANS: u64 = 4;

/// The part of a configuration that belongs to somebody: to one of the plans, or to whoever edits.
pub(super) fn slots(config: &Config) -> [u64; 3] {
    [config.cache.capacity, u64::from(config.scaling.max), u64::from(config.pool.max_idle)]
}

/// The slot that a plan owns.
pub(super) fn slot(plan: usize) -> usize {
    plan % 2
}

/// The document of the first start: as small as the rules allow.
pub(super) fn birth() -> Config {
    let mut config = Config::legacy("http://127.0.0.1:1");
    config.routes.clear();
    config.flags.clear();
    config
}

/// The same with the slot of an editor changed.
pub(super) fn edited(config: &Config) -> Config {
    let mut config = config.clone();
    config.pool.max_idle += 1;
    config
}

pub(super) fn run_id(operator: usize, number: u64) -> RunId {
    RunId::try_from(format!("{operator:04x}{number:028x}")).expect("32 hex digits")
}

fn step(plan: usize, number: u32, soak: u64) -> Step {
    let path = ["cache.capacity", "scaling.max"][slot(plan)].to_owned();
    let value = json!(100 * (u32::try_from(plan).expect("a small number") + 1) + number);
    let command = vec!["true".to_owned()];
    let action = match (plan, number) {
        (2, 2 | 3) => Action::Run {
            command: command.clone(),
            undo: Some(command),
            timeout: Duration::from_secs(1),
        },
        _ => Action::Set { assignments: vec![Assignment { path, value }] },
    };
    Step {
        id: format!("s{number}").parse().expect("a name"),
        title: None,
        action,
        require: Vec::new(),
        soak: Duration::from_secs(soak),
        line: 1,
    }
}

/// The phases: two steps, three, two programs between two changes, and one that holds on failure.
fn phase(plan: usize) -> Phase {
    let soaks: &[u64] = [&[5, 0][..], &[2, 3, 1], &[1, 0, 0, 3], &[12, 3]][plan];
    let steps = (1..).zip(soaks).map(|(number, soak)| step(plan, number, *soak)).collect();
    Phase {
        id: format!("p{plan}").parse().expect("a name"),
        number: 1,
        title: String::new(),
        objective: None,
        days: None,
        on_failure: if plan == 3 { OnFailure::Hold } else { OnFailure::RollbackPhase },
        steps,
        criteria: Vec::new(),
        without_guards: Vec::new(),
        line: 1,
    }
}

/// A run's opening state; unrolled once for each configuration, because that is slow.
pub(super) fn opening(run: RunId, plan: usize, undo: Option<&RunState>, there: &State) -> RunState {
    let base = Base {
        orchestrator: String::new(),
        token: None,
        state_uuid: there.state_uuid.clone(),
        rev: there.head,
        config_hash: there.config_hash.clone(),
        config: there.config.clone(),
        anchor: there.anchor.clone(),
    };
    if let Some(undone) = undo {
        let kind = RunKind::Rollback {
            phases: vec![undone.begun.phase.id.clone()],
            to: Box::new(undone.begun.base.config.clone()),
            undo: undone.undo_list().into_iter().map(|(undo, _)| undo).collect::<Vec<Undo>>(),
        };
        let begun = RunBegun { kind, base, ..undone.begun.clone() };
        return RunState::begin(run, begun).expect("a rollback has no moves");
    }
    thread_local! {
        static UNROLLED: RefCell<BTreeMap<(usize, [u64; 3]), RunState>> = RefCell::default();
    }
    let mut state = UNROLLED.with_borrow_mut(|unrolled| {
        let unroll = || {
            let begun = begun(plan, base.clone());
            RunState::begin(run.clone(), begun).expect("the plans fit every configuration")
        };
        unrolled.entry((plan, slots(&base.config))).or_insert_with(unroll).clone()
    });
    (state.run, state.anchor, state.head) = (run, Some(base.anchor.clone()), base.rev);
    state.begun.base = base;
    state
}

fn begun(plan: usize, base: Base) -> RunBegun {
    RunBegun {
        kind: RunKind::Migrate,
        plan: "p".parse().expect("a name"),
        plan_title: String::new(),
        plan_file: String::new(),
        file_hash: String::new(),
        phase_hash: format!("{plan}"),
        phases: 1,
        phase: phase(plan),
        guards: Vec::new(),
        suites: Vec::new(),
        milestones: Vec::new(),
        base,
        by: By {
            user: String::new(),
            host: String::new(),
            ctx_version: String::new(),
            reason: None,
        },
        tempo: 1.0,
    }
}
