//! What to do next: the commands, exactly as they are to be typed, and what each is for.

use super::live::Live;
use super::model::{NextStep, PhaseEntry, PhaseState};
use super::place::{Doing, Place};
use super::records::Records;
use super::sentence::halt_reason;
use crate::control::wire::LeaseView;
use crate::ledger::fact::{HaltReason, Outcome};
use crate::ledger::view::{PhaseRow, PhaseStatus};
use crate::plan::model::OnFailure;

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
        (None, None) if phases.is_empty() => {
            vec![command("ctx plan check", "reads the plan; name it with `--plan FILE`")]
        }
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
    let again = format!("ctx migrate phase {}", place.phase().number);
    let undo = |why: &str| command("ctx rollback", why);
    match &place.doing {
        Doing::Halted { reason, .. } => halted(*reason, again),
        Doing::AwaitingApproval { prompt } => vec![
            command(format!("{again} --yes"), format!("approves: {prompt}")),
            undo("undoes the phase instead"),
        ],
        _ if lease.is_some_and(|lease| Some(&lease.run) == place.run.as_ref()) => {
            vec![command("ctx status --watch", "follows the run, which somebody drives right now")]
        }
        Doing::Left { .. } => vec![
            command("ctx resume", "goes on when the soak is over, and says so when it is not"),
            command("ctx confirm", "keeps the change now"),
            command("ctx abort", "takes the whole phase back"),
        ],
        _ if place.rollback.is_some() => {
            let show = place.run.as_ref().map(|run| format!("ctx show {run}"));
            let show = show.map(|show| command(show, "shows why it rolls back"));
            std::iter::once(undo("finishes the rollback")).chain(show).collect()
        }
        _ => vec![command(again, resumes(place)), undo("undoes the phase instead")],
    }
}

fn resumes(place: &Place) -> String {
    match &place.at {
        Some(at) => format!("resumes the run at step {at}"),
        None => "resumes the run before its first step".to_owned(),
    }
}

/// What a halted run needs before it can go on with `again`.
fn halted(reason: HaltReason, again: String) -> Vec<NextStep> {
    let why = halt_reason(reason);
    let live = "ctx status --live";
    match reason {
        HaltReason::Drift => vec![
            command(live, format!("shows the revision in force; {why}")),
            command(again, "goes on, once it is as expected again"),
            command("ctx rollback", "undoes the phase instead"),
        ],
        HaltReason::WrongOrchestrator => vec![
            command(live, format!("shows which one answers; {why}")),
            command(again, "goes on, with `--orchestrator URL` of the right one"),
        ],
        HaltReason::StateRegression => vec![
            command(live, format!("shows what it fell back to; {why}")),
            command("ctx rollback", "writes the configuration from before the phase"),
        ],
        HaltReason::Tampered => vec![
            command("ctx ledger verify", format!("checks this side's record; {why}")),
            command("ctx rollback", "undoes the phase, once it is clear whose record is right"),
        ],
        HaltReason::PlanChanged => vec![
            command(again, format!("goes on, once the plan is as it was; {why}")),
            command("ctx rollback", "undoes the phase instead"),
        ],
    }
}

/// Whether the phase was to take every phase before it along, and some are still in force: the
/// process was killed in between.
fn earlier_remain(phase: &PhaseEntry, records: &Records) -> bool {
    let begun = phase.id.as_ref().and_then(|id| records.begun(id));
    let all = begun.is_some_and(|begun| begun.phase.on_failure == OnFailure::RollbackAll);
    let in_force = |row: &PhaseRow| row.status == PhaseStatus::Confirmed;
    all && records.phases.iter().any(|row| row.number < phase.number && in_force(row))
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
            show("names the steps that could not be undone, and why"),
            command("ctx rollback", "tries that again, once its cause is mended"),
        ],
        PhaseState::Failed => vec![
            show("shows why it failed; it was held where it is"),
            command(format!("ctx migrate phase {number}"), "tries again from there"),
            command("ctx rollback", "undoes it instead"),
        ],
        PhaseState::RolledBack if !asked_for && earlier_remain(phase, records) => vec![
            command("ctx rollback --to start", "undoes the earlier phases too, as the plan says"),
            show("shows why it was rolled back"),
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
        | PhaseState::Pending => {
            vec![command(format!("ctx migrate phase {number}"), "takes the phase up")]
        }
    }
}

fn command(command: impl Into<String>, why: impl Into<String>) -> NextStep {
    NextStep { command: Some(command.into()), why: why.into() }
}

fn advice(why: &str) -> NextStep {
    NextStep { command: None, why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;
    use crate::ledger::fact::Fact;
    use crate::report::fixture::{NOON, plan, records, soaking};
    use crate::report::{Inputs, Report};

    /// Every command that is advised is one that this ctx takes.
    fn check(records: &Records, expected: &[&str]) {
        let report =
            Report::build(&Inputs { now_ms: NOON, records, plan: Some(&plan()), live: None });
        let advised: Vec<&str> =
            report.next_steps.iter().filter_map(|step| step.command.as_deref()).collect();
        assert_eq!(advised, expected);
        for command in advised {
            let parsed = Cli::try_parse_from(command.split(' '));
            assert!(parsed.is_ok(), "{command}: {}", parsed.unwrap_err());
        }
    }

    fn after(fact: Fact) -> Records {
        let mut records = records();
        let mut last = soaking().pop().unwrap();
        last.fact = fact;
        records.open.as_mut().unwrap().see(&last);
        records
    }

    fn with(status: PhaseStatus) -> Records {
        let mut records = Records { open: None, ..records() };
        records.phases[1].status = status;
        records
    }

    #[test]
    fn nothing_done_begins_with_a_look() {
        check(&Records::default(), &["ctx plan show --phase 1", "ctx migrate phase 1"]);
    }

    #[test]
    fn a_run_in_flight_is_resumed_or_undone() {
        check(&records(), &["ctx migrate phase 2", "ctx rollback"]);
        let asked = Fact::ApprovalAsked {
            at: crate::report::fixture::at("cache-reads", 1, 1),
            prompt: "Go on?".to_owned(),
        };
        check(&after(asked), &["ctx migrate phase 2 --yes", "ctx rollback"]);
        let undoing = Fact::RollbackBegun { cause: "guard".to_owned() };
        check(&after(undoing), &["ctx rollback", "ctx show 22222222"]);
    }

    #[test]
    fn a_phase_that_takes_all_others_along_says_what_is_left() {
        let mut records = with(PhaseStatus::RolledBack);
        let id = records.phases[1].phase.clone();
        let mut begun = crate::report::fixture::begun(2);
        begun.phase.on_failure = OnFailure::RollbackAll;
        records.begun.retain(|begun| begun.phase.id != id);
        records.begun.push(begun);
        check(&records, &["ctx rollback --to start", "ctx show 22222222"]);
        records.phases[0].status = PhaseStatus::RolledBack;
        check(&records, &["ctx show 11111111", "ctx migrate phase 1"]);
    }

    #[test]
    fn a_halted_run_needs_somebody_who_looks_first() {
        let halted = |reason| after(Fact::Halted { reason, detail: String::new() });
        let (live, again, undo) = ("ctx status --live", "ctx migrate phase 2", "ctx rollback");
        check(&halted(HaltReason::Drift), &[live, again, undo]);
        check(&halted(HaltReason::WrongOrchestrator), &[live, again]);
        check(&halted(HaltReason::StateRegression), &[live, undo]);
        check(&halted(HaltReason::Tampered), &["ctx ledger verify", undo]);
        check(&halted(HaltReason::PlanChanged), &[again, undo]);
    }

    #[test]
    fn a_phase_that_ended_badly_is_settled_before_the_next_one() {
        let (show, again) = ("ctx show 22222222", "ctx migrate phase 2");
        check(&with(PhaseStatus::RolledBack), &[show, again]);
        check(&with(PhaseStatus::Failed), &[show, again, "ctx rollback"]);
        check(&with(PhaseStatus::RollbackIncomplete), &[show, "ctx rollback"]);
        check(&with(PhaseStatus::Confirmed), &["ctx validate"]);
        let mut first = with(PhaseStatus::Confirmed);
        first.phases.pop();
        check(&first, &["ctx migrate phase 2"]);
    }
}
