//! The load of a suite: its cases in turn, at a constant rate, and thresholds on what came of it.
//!
//! Response times and throughput are what the sender saw; processor and memory are what the
//! orchestrator's machine used meanwhile, as the orchestrator says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::Target;
use super::outcome::{LoadOutcome, Wrong};
use super::request::CaseSource;
use super::used::{Used, while_running};
use crate::judge::criterion::judge;
use crate::judge::metric::Reading;
use crate::judge::{Limit, Metric, Verdict};
use crate::load::dice::Dice;
use crate::load::generator::{self, Observer, Rate, Scenario};
use crate::load::{FailureKind, Outcome};
use crate::plan::model::{Case, Load};

/// Requests in flight during load: the thousand events at a time that a gateway must carry.
const MAX_IN_FLIGHT: u32 = 1024;

/// Applies the load of a suite to the data plane.
pub(super) async fn apply(load: &Load, cases: &[Case], target: &Target, dice: Dice) -> LoadOutcome {
    let not_run = |why: String| LoadOutcome { faults: vec![why], ..LoadOutcome::default() };
    let Some(rate) = Rate::per_second(load.rate) else {
        return not_run(format!("a rate of {} requests a second cannot be applied", load.rate));
    };
    let address = match target.data.parse() {
        Ok(address) => address,
        Err(error) => return not_run(format!("{error}")),
    };
    let Some(source) = CaseSource::new(cases, target, dice) else {
        return not_run("there is no case to draw requests to the data plane from".to_owned());
    };
    let tally = Arc::new(Tally::of(source.cases()));
    let mut scenario = Scenario::new(address, rate, Box::new(source));
    scenario.lasts = Some(load.lasts);
    scenario.max_in_flight = MAX_IN_FLIGHT;
    scenario.observer = Some(Arc::clone(&tally) as Arc<dyn Observer>);
    let (_never_told, stop) = watch::channel(false);
    let (outcome, used) = while_running(target, generator::run(scenario, stop)).await;
    let thresholds = load.thresholds.iter();
    let judged = thresholds.map(|(metric, limit)| verdict(*metric, *limit, &outcome, &used));
    let judged: Vec<_> = judged.collect();
    let mut faults = Vec::new();
    if outcome.dropped > 0 {
        let due = outcome.sent + outcome.dropped;
        faults
            .push(format!("the rate was not kept: {} of {due} requests dropped", outcome.dropped));
    }
    if outcome.answered == 0 {
        faults.push("no request was answered".to_owned());
    } else if judged.is_empty() && outcome.errors() > 0 {
        faults.push(format!("{} of {} requests went wrong", outcome.errors(), outcome.sent));
    }
    LoadOutcome { outcome: Some(outcome), used, faults, judged, wrong: tally.wrong() }
}

fn verdict(metric: Metric, limit: Limit, outcome: &Outcome, used: &Used) -> (Metric, Verdict) {
    let of_machine = |value| Reading { value, samples: None };
    let reading = match metric {
        Metric::Cpu => of_machine(used.cpu),
        Metric::Memory => of_machine(used.memory),
        _ => outcome.read(metric),
    };
    (metric, judge(metric, limit, 1, reading, 0))
}

/// Which requests of a load went wrong, and how.
#[derive(Debug)]
struct Tally {
    cases: Vec<Case>,
    /// How often, by the case and what came.
    wrong: Mutex<BTreeMap<(usize, String), u64>>,
}

impl Tally {
    fn of(cases: &[Case]) -> Self {
        Self { cases: cases.to_vec(), wrong: Mutex::default() }
    }

    /// What went wrong, the most frequent first.
    fn wrong(&self) -> Vec<Wrong> {
        let wrong = self.wrong.lock().expect("counting does not panic");
        let mut wrong: Vec<Wrong> = wrong
            .iter()
            .map(|((case, got), times)| {
                let case = &self.cases[*case];
                Wrong {
                    case: case.name.clone(),
                    request: format!("{} {}", case.request.method, case.request.url),
                    expected: format!("status {}", case.expect.status),
                    got: got.clone(),
                    times: *times,
                }
            })
            .collect();
        wrong.sort_by_key(|one| std::cmp::Reverse(one.times));
        wrong
    }
}

impl Observer for Tally {
    fn ended(&self, case: Option<&str>, result: Result<u16, FailureKind>) {
        let Some(n) = case.and_then(|text| text.parse::<usize>().ok()) else { return };
        let Some(case) = self.cases.get(n) else { return };
        let got = match result {
            Ok(status) if status == case.expect.status => return,
            Ok(status) => format!("status {status}"),
            Err(kind) => format!("no answer: {kind}"),
        };
        *self.wrong.lock().expect("counting does not panic").entry((n, got)).or_default() += 1;
    }
}
