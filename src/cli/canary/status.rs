//! `ctx canary status`: both arms as the orchestrator has measured them, and the verdict so far.

use serde_json::json;

use super::super::Context;
use super::super::asks::there;
use super::super::known::{Known, known};
use super::super::session::{block_on, connect, control_failure};
use crate::control::config::Config;
use crate::control::observe::{CanaryView, Metrics, Window};
use crate::control::wire::State;
use crate::error::{Code, Result};
use crate::judge::armed::read_look;
use crate::judge::canary::{Compare, Trial};
use crate::judge::{Unit, Verdict};
use crate::plan::model::{Action, Phase};
use crate::units::Percent;

pub(super) const NONE: &str = "no canary: the configuration in force has none";

/// The canary, and what is known of it.
pub(super) struct View {
    canary: CanaryView,
    wanted: Percent,
    since_ms: u64,
    control: Window,
    ours: Window,
    verdict: Verdict,
    /// Whether what is provisional changes the canary; `None` where nothing is, or where the
    /// document before it is gone.
    pub(super) soaks: Option<bool>,
}

/// Runs the command.
///
/// # Errors
/// When the orchestrator does not answer.
pub(super) fn run(context: &Context) -> Result<Code> {
    let Some(view) = view(context)? else {
        if context.ui.json {
            context.ui.json(&json!({ "schema": "ctx.canary_status/1", "canary": null }));
        } else {
            context.ui.say(NONE);
        }
        return Ok(Code::Done);
    };
    let View { canary, wanted, since_ms, control, ours, verdict, soaks: _ } = view;
    let CanaryView { upstream, weight, .. } = &canary;
    if context.ui.json {
        context.ui.json(&json!({
            "schema": "ctx.canary_status/1",
            "canary": { "upstream": upstream, "wanted": wanted, "weight": weight },
            "measured_ms": since_ms,
            "arms": { "control": control, "canary": ours },
            "judgement": verdict,
        }));
        return Ok(Code::Done);
    }
    let seconds = since_ms / 1000;
    context.ui.say(format!(
        "canary {upstream}: {wanted} wanted, {weight} in force; measured for {seconds}s"
    ));
    context
        .ui
        .out(format!("{:<10}{:>10}{:>9}{:>12}{:>12}", "", "requests", "failed", "p50", "p95"));
    for (name, window) in [("control", &control), ("canary", &ours)] {
        context.ui.out(row(name, window));
    }
    context.ui.say(verdict.why());
    Ok(Code::Done)
}

fn row(name: &str, window: &Window) -> String {
    let ms =
        |ms: Option<f64>| ms.map_or_else(|| "-".to_owned(), |ms| Unit::Milliseconds.format(ms));
    let p50 = ms(window.latency.map(|latency| latency.p50_ms));
    let p95 = ms(window.latency.map(|latency| latency.p95_ms));
    let Window { requests, errors, .. } = window;
    format!("{name:<10}{requests:>10}{errors:>9}{p50:>12}{p95:>12}")
}

/// What is known of the canary; `None` where there is none.
pub(super) fn view(context: &Context) -> Result<Option<View>> {
    let known = known(context)?;
    let client = connect(context, &there(context, &known)?)?;
    let (state, metrics, guards, soaks) = block_on(async {
        let state = client.state().await.map_err(|error| control_failure(&error))?.body;
        let seen = client.metrics(None).await.map_err(|error| control_failure(&error))?;
        let since = seen.canary.as_ref().map(|canary| canary.since_ms);
        let metrics = client.metrics(since).await.map_err(|error| control_failure(&error))?;
        let guards = client.guards().await.map_err(|error| control_failure(&error))?;
        let soaks = match &state.provisional {
            Some(provisional) => {
                let before = client.revision(provisional.reverts_to).await;
                let before = before.map_err(|error| control_failure(&error))?.config;
                before.map(|before| {
                    let of =
                        |config: &Config| (config.canary.clone(), config.extension_canary.clone());
                    of(&before) != of(&state.config)
                })
            }
            None => None,
        };
        Ok((state, metrics, guards, soaks))
    })?;
    let view = seen(&known, &state, &metrics, soaks);
    Ok(view.map(|view| match &guards.canary {
        // Whoever takes the canary out of traffic has the last word on it.
        Some(look) if look.upstream == view.canary.upstream => {
            View { verdict: read_look(look), ..view }
        }
        _ => view,
    }))
}

fn seen(known: &Known, state: &State, metrics: &Metrics, soaks: Option<bool>) -> Option<View> {
    let wanted = state.config.compared()?.weight;
    let canary = metrics.canary.clone()?;
    let (compare, alpha) = terms(known, state, &canary.upstream);
    let mut trial = Trial::new(compare, alpha);
    trial.control.add_window(metrics, &canary.control);
    trial.canary.add_window(metrics, &canary.upstream);
    let arm = |name: &str| metrics.arms.get(name).cloned().unwrap_or_default();
    Some(View {
        wanted,
        since_ms: metrics.to_ms.saturating_sub(canary.since_ms),
        control: arm(&canary.control),
        ours: arm(&canary.upstream),
        verdict: trial.look(),
        soaks,
        canary,
    })
}

/// By what the run in flight judges it, or the plan; without either, by what a plan says by itself.
fn terms(known: &Known, state: &State, upstream: &str) -> (Compare, f64) {
    let of_run = known.records.open.as_ref().map(|place| &place.begun.phase);
    let armed = state.armed.as_ref().map(|armed| &armed.phase);
    let of_plan = known.plan.iter().flat_map(|plan| &plan.phases);
    let of_plan = of_plan.filter(|phase| armed.is_none_or(|armed| phase.id == *armed));
    let find = |phase: &Phase| {
        phase.steps.iter().find_map(|step| match &step.action {
            Action::Canary { upstream: named, compare, .. } if named == upstream => {
                Some((*compare, phase.canary_alpha()))
            }
            _ => None,
        })
    };
    let found = of_run.into_iter().chain(of_plan).find_map(find);
    found.unwrap_or((Compare::default(), crate::judge::canary::ALPHA))
}
