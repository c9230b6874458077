//! What is sick, and what might cure it: one function for each kind of sickness.

use crate::control::config::{Config, LEGACY, flag};
use crate::control::observe::{
    BreakerState, BreakerView, ExtensionState, ExtensionView, Overrides, Status, Window,
};
use crate::judge::Verdict;
use crate::judge::arms::{self, Samples, Worse};
use crate::judge::stats::fisher::Failures;
use crate::orchestrator::flags::{Key, Share};
use crate::units::{Percent, duration};

use super::action::{Action, SHED_STEP};
use super::evidence::Evidence;

/// Something that is sick.
#[derive(Clone, Debug, PartialEq)]
pub struct Ailment {
    /// Such as `upstream legacy`.
    pub what: String,
    pub because: String,
    /// What might help, the mildest first; the last is done again where that makes sense.
    pub cures: Vec<Action>,
}

/// What remedies are found by.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    pub config: &'a Config,
    pub evidence: &'a Evidence,
    /// What is set aside already, or in monitor mode would be.
    pub standing: &'a Overrides,
}

type Remedy = fn(&Case<'_>) -> Vec<Ailment>;

/// How probable it may be that chance alone makes a canary look so bad, at one look of the many: it
/// has to look so several times in a row, and by much.
const ALPHA: f64 = 0.001;

const REMEDIES: [Remedy; 5] =
    [unhealthy_upstreams, failing_upstreams, failing_canary, sick_extensions, too_much_load];

/// All that is sick, of what the flag `self_healing` includes: its keys are what could be sick.
pub fn remedies(case: &Case<'_>) -> Vec<Ailment> {
    let share = Share::of_flag(flag::SELF_HEALING, case.config.flags.get(flag::SELF_HEALING));
    let mut ailments: Vec<_> = REMEDIES.iter().flat_map(|remedy| remedy(case)).collect();
    ailments.retain(|ailment| share.includes(Key::Sticky(ailment.what.as_bytes())));
    ailments
}

/// An upstream that fails its check may have come up again elsewhere: its connections are made
/// anew.
fn unhealthy_upstreams(case: &Case<'_>) -> Vec<Ailment> {
    let sick = |name: &String| {
        let because = case.unhealthy(&format!("upstream {name}"))?;
        let cures = vec![Action::RebuildPool { upstream: name.clone() }];
        Some(Ailment { what: format!("upstream {name}"), because, cures })
    };
    case.config.upstreams.keys().filter_map(sick).collect()
}

/// An upstream that fails as a breaker measures it is left alone, whomever the flag for breakers
/// includes. A canary's is not: nobody need ask that one.
fn failing_upstreams(case: &Case<'_>) -> Vec<Ailment> {
    let Case { config, evidence, .. } = *case;
    let settings = &config.breaker;
    let sick = |view: &BreakerView| {
        let BreakerView { upstream, state, requests, failures, .. } = view;
        let is_canary = config.canary.as_ref().is_some_and(|canary| canary.upstream == *upstream);
        let share = f64::from(*failures) / f64::from((*requests).max(1));
        let because = if *state != BreakerState::Closed {
            "its breaker has not closed yet".to_owned()
        } else if *requests >= settings.min_requests.max(1)
            && share >= settings.max_failures.ratio()
        {
            let window = duration::format(settings.window);
            format!("{failures} of {requests} requests failed within {window}")
        } else {
            return None;
        };
        let cures = vec![Action::OpenBreaker { upstream: upstream.clone() }];
        let what = format!("requests to upstream {upstream}");
        (!is_canary).then_some(Ailment { what, because, cures })
    };
    let known =
        evidence.breakers.iter().filter(|view| config.upstreams.contains_key(&view.upstream));
    known.filter_map(sick).collect()
}

/// A canary that fails more often than what it is to replace gets no traffic any more.
fn failing_canary(case: &Case<'_>) -> Vec<Ailment> {
    let Case { config, evidence, standing } = *case;
    let Some(canary) = config.canary.as_ref().filter(|canary| canary.weight != Percent::ZERO)
    else {
        return Vec::new();
    };
    let upstream = canary.upstream.clone();
    let check = || case.unhealthy(&format!("upstream {upstream}"));
    // Without traffic there is nothing to compare, but what is left over from before.
    let compared = || {
        let nothing = Window::default();
        let arm = |name: &str| evidence.arms.get(name).unwrap_or(&nothing);
        let (ours, theirs) = (arm(&upstream), arm(LEGACY));
        let enough = |arm: &Window| arm.requests >= config.healing.min_requests.into();
        if !enough(theirs) {
            // There may be no traffic left that it could be compared with.
            return too_many_errors(config, ours);
        }
        let failures = |arm: &Window| Failures { requests: arm.requests, failed: arm.errors };
        let samples = Samples::Outcomes { baseline: failures(theirs), canary: failures(ours) };
        let worse = Worse { alpha: ALPHA, min_effect: config.healing.max_errors.ratio() };
        match arms::judge("error_rate", "", &samples, worse).verdict {
            Verdict::Fail(why) if enough(ours) => Some(why),
            _ => None,
        }
    };
    let withdrawn = standing.canary_withdrawn.is_some();
    let because = if withdrawn { check() } else { check().or_else(compared) };
    let what = format!("canary {upstream}");
    let cures = vec![Action::WithdrawCanary { upstream }];
    because.map(|because| Ailment { what, because, cures }).into_iter().collect()
}

/// An extension that does not answer, has failed, or answers with errors is started anew where
/// the orchestrator runs it, unless it is about to be; then its events go to the legacy app, unless
/// nothing may fall back.
fn sick_extensions(case: &Case<'_>) -> Vec<Ailment> {
    let Case { config, evidence, standing } = *case;
    let sick = |id: &str| {
        let view = evidence.extensions.iter().find(|view| view.id == id);
        let state = view.map(|view| view.state);
        let down = || {
            let ExtensionView { state, detail, replicas, .. } = view?;
            match state {
                ExtensionState::Failed => Some(format!("it has failed: {detail}")),
                ExtensionState::Waiting if *replicas == 0 => {
                    Some(format!("none of its replicas runs: {detail}"))
                }
                ExtensionState::Waiting | ExtensionState::Starting | ExtensionState::Running => {
                    None
                }
            }
        };
        let errors = || {
            let out = standing.left_out.iter().any(|out| out == id);
            let arm = evidence.arms.get(id).filter(|_| !out)?;
            too_many_errors(config, arm)
        };
        let because = case.unhealthy(&format!("extension {id}")).or_else(down).or_else(errors)?;
        let extension = id.to_owned();
        let restart = state.filter(|state| *state != ExtensionState::Waiting);
        let restart = restart.map(|_| Action::RestartExtension { extension: extension.clone() });
        let fall_back = config.legacy_fallback.then_some(Action::FallBack { extension });
        let cures = restart.into_iter().chain(fall_back).collect();
        Some(Ailment { what: format!("extension {id}"), because, cures })
    };
    config.extensions.keys().filter_map(|id| sick(id.as_str())).collect()
}

/// Events that wait for too long, where no more workers are to be had: some are refused, so that
/// the others are handled in time.
fn too_much_load(case: &Case<'_>) -> Vec<Ailment> {
    let Case { config, evidence, standing } = *case;
    let limit = config.healing.max_delay;
    if evidence.queue_delay < limit || evidence.can_grow {
        return Vec::new();
    }
    let more = standing.shed.thousandths().saturating_add(SHED_STEP.thousandths());
    let share = Percent::from_thousandths(more).unwrap_or(Percent::ALL);
    let share = share.min(config.healing.max_shed);
    let [wait, limit] = [evidence.queue_delay, limit].map(duration::format);
    vec![Ailment {
        what: "load".to_owned(),
        because: format!("events waited {wait} for a worker, limit {limit}"),
        cures: vec![Action::ShedLoad { share }],
    }]
}

fn too_many_errors(config: &Config, arm: &Window) -> Option<String> {
    let (rate, limit) = (arm.error_rate()?, config.healing.max_errors);
    let sick = arm.requests >= config.healing.min_requests.into() && rate > limit.ratio();
    let Window { requests, errors, .. } = arm;
    sick.then(|| format!("{errors} of {requests} requests failed, limit {limit}"))
}

impl Case<'_> {
    /// What a check says, if it fails.
    fn unhealthy(&self, check: &str) -> Option<String> {
        let mut checks = self.evidence.checks.iter();
        let check = checks.find(|found| found.name == check)?;
        (check.status == Status::Unhealthy).then(|| check.detail.clone())
    }

    /// Whether an action would change nothing, because what it does holds already.
    pub(super) fn holds(&self, action: &Action) -> bool {
        let Self { config, evidence, standing } = *self;
        match action {
            Action::FallBack { extension } => standing.left_out.contains(extension),
            Action::WithdrawCanary { .. } => standing.canary_withdrawn.is_some(),
            Action::ShedLoad { share } => standing.shed >= *share,
            Action::OpenBreaker { upstream } => evidence.breakers.iter().any(|view| {
                let everybody = view.forced || config.fully_on(flag::CIRCUIT_BREAKING);
                view.upstream == *upstream && view.state != BreakerState::Closed && everybody
            }),
            Action::RebuildPool { .. }
            | Action::RestartExtension { .. }
            | Action::GiveBack { .. }
            | Action::Admit { .. }
            | Action::Escalate { .. } => false,
        }
    }
}
