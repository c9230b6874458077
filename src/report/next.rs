//! What to do next: the commands, exactly as they are to be typed, and what each is for.

use super::live::Live;
use super::model::{NextStep, PhaseEntry, PhaseState};
use super::place::{Doing, Place};
use super::records::Records;
use super::sentence::halt_reason;
use crate::control::wire::LeaseView;
use crate::ledger::fact::{HaltReason, Outcome};

/// The next steps, most useful first; never empty.
pub(super) fn steps(
    records: &Records,
    phases: &[PhaseEntry],
    criteria_met: bool,
    live: Option<&Live>,
) -> Vec<NextStep> {
    if let Some(place) = &records.open {
        let lease = live.and_then(|live| live.state.as_ref()).and_then(|s| s.lease.as_ref());
        return in_flight(place, lease);
    }
    let unsettled = phases
        .iter()
        .find(|phase| !matches!(phase.status, PhaseState::Confirmed | PhaseState::Pending));
    let pending = phases.iter().find(|phase| phase.status == PhaseState::Pending);
    match (unsettled, pending) {
        (Some(phase), _) => settle(phase, records),
        (None, Some(phase)) if records.is_empty() => first(phase.number),
        (None, Some(phase)) => {
            vec![command(format!("ctx migrate phase {}", phase.number), following(phase))]
        }
        (None, None) if phases.is_empty() => vec![
            command("ctx plan check", "reads the plan; name it with `--plan FILE`"),
            command("ctx init", "writes a plan to start from"),
        ],
        (None, None) if criteria_met => {
            vec![advice("nothing: every phase is confirmed and every criterion is met")]
        }
        (None, None) => vec![command("ctx validate", "judges the success criteria now")],
    }
}

fn first(number: u32) -> Vec<NextStep> {
    vec![
        command(format!("ctx plan show --phase {number}"), "shows what the first phase would do"),
        command(format!("ctx migrate phase {number}"), "begins"),
    ]
}

fn following(phase: &PhaseEntry) -> String {
    match &phase.id {
        Some(id) => format!("goes on with `{id}`: {}", phase.title),
        None => "goes on with the next phase".to_owned(),
    }
}

/// A run that is not over: somebody drives it, or somebody must take it up.
fn in_flight(place: &Place, lease: Option<&LeaseView>) -> Vec<NextStep> {
    let number = place.phase().number;
    let show = place.run.as_ref().map(|run| format!("ctx show {run}"));
    match &place.doing {
        Doing::Halted { reason, .. } => halted(*reason),
        Doing::AwaitingApproval { prompt } => vec![
            command("ctx confirm", format!("approves: {prompt}")),
            command("ctx abort", "undoes the phase instead"),
        ],
        _ if lease.is_some_and(|lease| Some(&lease.run) == place.run.as_ref()) => vec![
            command("ctx status --watch", "follows the run, which somebody drives right now"),
            command("ctx abort", "stops it and undoes the phase"),
        ],
        Doing::RollingBack => {
            let mut steps = vec![command("ctx resume", "finishes the rollback")];
            steps.extend(show.map(|show| command(show, "shows why it rolls back")));
            steps
        }
        _ => vec![
            command(format!("ctx migrate phase {number}"), resumes(place)),
            command("ctx abort", "undoes the phase instead"),
        ],
    }
}

fn resumes(place: &Place) -> String {
    match &place.at {
        Some(at) => format!("resumes the run at step {at}"),
        None => "resumes the run before its first step".to_owned(),
    }
}

fn halted(reason: HaltReason) -> Vec<NextStep> {
    let why = halt_reason(reason);
    let resume = |why: &str| command("ctx resume", why);
    let abort = command("ctx abort", "gives the run up and undoes what is still provisional");
    match reason {
        HaltReason::Drift => vec![
            command("ctx drift", format!("shows the difference; {why}")),
            resume("goes on, once the configuration is as expected again"),
            abort,
        ],
        HaltReason::WrongOrchestrator => {
            vec![resume(&format!("with `--orchestrator URL` of the right one; {why}")), abort]
        }
        HaltReason::StateRegression => vec![
            command("ctx drift", format!("shows what was lost; {why}")),
            resume("goes on, once its newer state is back"),
            abort,
        ],
        HaltReason::Tampered => {
            vec![command("ctx ledger verify", format!("checks this side's record; {why}")), abort]
        }
        HaltReason::PlanChanged => {
            vec![resume(&format!("goes on, once the plan is as it was; {why}")), abort]
        }
    }
}

/// A phase that is neither confirmed nor in flight.
fn settle(phase: &PhaseEntry, records: &Records) -> Vec<NextStep> {
    let number = phase.number;
    let run = phase.run.as_ref().map_or_else(|| "RUN".to_owned(), ToString::to_string);
    let show = |why: &str| command(format!("ctx show {run}"), why);
    let outcome = records.runs.iter().find(|row| Some(&row.run) == phase.run.as_ref());
    let asked_for =
        outcome.is_some_and(|row| row.kind == "rollback" && row.outcome == Some(Outcome::Done));
    match phase.status {
        PhaseState::RollbackIncomplete => vec![
            show("names the steps that could not be undone; undo them by hand"),
            command("ctx rollback", "then writes the configuration from before, and checks it"),
        ],
        PhaseState::Failed => vec![
            show("shows why it failed; it was held where it is"),
            command(format!("ctx migrate phase {number}"), "tries again from there"),
            command("ctx rollback", "undoes it instead"),
        ],
        PhaseState::RolledBack if asked_for => {
            vec![command(format!("ctx migrate phase {number}"), "does the phase again")]
        }
        PhaseState::RolledBack => vec![
            show("shows why it was rolled back"),
            command(format!("ctx migrate phase {number}"), "tries again, once that is mended"),
        ],
        PhaseState::Running
        | PhaseState::RollingBack
        | PhaseState::Halted
        | PhaseState::Confirmed
        | PhaseState::Pending => vec![command("ctx resume", "takes the run up")],
    }
}

fn command(command: impl Into<String>, why: impl Into<String>) -> NextStep {
    NextStep { command: Some(command.into()), why: why.into() }
}

fn advice(why: &str) -> NextStep {
    NextStep { command: None, why: why.to_owned() }
}
