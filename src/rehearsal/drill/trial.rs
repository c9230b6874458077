//! One drill, from its beginning to its end.

use std::path::Path;
use std::time::Duration;

use super::photo::Photo;
use super::process::{Event, Run};
use super::theatre::Theatre;
use super::{Case, Drill, Drilled, Ending, Fault};
use crate::clock::{Clock, SystemClock};
use crate::error::Code;
use crate::plan::model::{Action, Phase};
use crate::rehearsal::legacy::Faults;

/// The longest silence of a run: a suite may take a while.
const SILENCE: Duration = Duration::from_secs(90);
/// The longest that a change may outlive `ctx`: its lease, and then some.
const LAPSE: Duration = Duration::from_secs(60);
/// A change may be kept this long after the monitoring has gone: it had answered just before.
const JUST_BEFORE: Duration = Duration::from_millis(500);
/// How often the orchestrator dies before a step is given up: as often as `ctx` tries it.
const CRASHES: u32 = 3;

/// Migrates a whole phase, without any fault.
pub(super) fn migrate_whole(theatre: &Theatre, phase: &Phase) -> Result<(), String> {
    let mut run = migrate(theatre, phase)?;
    while run.next(SILENCE)?.is_some() {}
    let code = run.code();
    if code == i32::from(Code::Done.number()) {
        return Ok(());
    }
    Err(format!("phase {} `{}` fails without any fault: {}", phase.number, phase.id, run.why))
}

/// Drills one case in `folder`.
pub(super) fn perform(drill: &Drill, case: &Case, folder: &Path) -> Drilled {
    let began = SystemClock.boot();
    let mut drilled = Drilled::of(case);
    if let Err(why) = play(drill, case, folder, &mut drilled) {
        drilled.ending = Ending::Broken(why);
    }
    drilled.took = SystemClock.boot().saturating_sub(began);
    drilled
}

fn play(drill: &Drill, case: &Case, folder: &Path, drilled: &mut Drilled) -> Result<(), String> {
    let before = drill.before(case.phase.number);
    let before = (case.phase.number > 1).then_some(before.as_path());
    let here = (case.phase.id.clone(), case.step.id.clone());
    let watching = case.fault.is_of_surroundings().then_some(here);
    let asked = case.fault == Fault::MetricsDown;
    let mut theatre = Theatre::open(drill, folder, before, watching, asked)?;
    let photo = Photo::take(drill, &theatre)?;
    let mut run = migrate(&theatre, &case.phase)?;
    let mut seen = Seen::default();
    loop {
        match run.next(SILENCE)? {
            Some(event) if is_due(case, &event) => break,
            Some(event) => seen.failed |= is_failure(&event),
            None => {
                drilled.ending = Ending::NotReached(run.why.clone());
                return Ok(());
            }
        }
        if seen.failed {
            // Its rollback is nothing that this fault has caused.
            while run.next(SILENCE)?.is_some() {}
            drilled.ending = Ending::NotReached(run.why.clone());
            return Ok(());
        }
    }
    seen.struck = SystemClock.boot();
    match case.fault {
        Fault::CrashCtx => run.crash(),
        Fault::CtxGone => {
            run.crash();
            await_lapse(&theatre, &mut seen)?;
        }
        Fault::CrashOrchestrator => crash_orchestrator(&mut theatre, case, &mut run, &mut seen)?,
        Fault::MetricsDown => {
            theatre.take_monitoring_down();
            while let Some(event) = run.next(SILENCE)? {
                seen.miss(&event);
                seen.hear(&event);
            }
            drilled.kept = seen.kept.take();
        }
        Fault::Errors | Fault::Latency | Fault::Hang | Fault::AppDown => {
            let guards = drill.plan.guards_of(&case.phase);
            theatre.inject(case.fault.of_app(&guards).unwrap_or_default());
            while let Some(event) = run.next(SILENCE)? {
                seen.hear(&event);
            }
            theatre.inject(Faults::default());
        }
    }
    let code = if case.fault.kills_ctx() { -1 } else { run.code() };
    drilled.ending = if code == i32::from(Code::RolledBack.number()) {
        Ending::ByItself
    } else if code == i32::from(Code::RollbackIncomplete.number()) {
        Ending::Incomplete(run.why.clone())
    } else {
        drilled.note = if case.fault == Fault::CtxGone && seen.detected.is_none() {
            Some("nothing was provisional when `ctx` died; rolled back on request".to_owned())
        } else {
            went_on(case, code, &run.why)
        };
        roll_back(&theatre, case, &mut seen)?
    };
    (drilled.acknowledged, drilled.lost) = theatre.end_traffic()?;
    drilled.differs = Photo::take(drill, &theatre)?.differences(&photo);
    drilled.detected = seen.detected.as_ref().map(|(at, _)| at.saturating_sub(seen.struck));
    drilled.by = seen.detected.map(|(_, by)| by).unwrap_or_default();
    if drilled.has_rolled_back() {
        drilled.rolled_back = seen.ended.map(|at| at.saturating_sub(seen.struck));
    }
    drilled.not_undone = seen.not_undone;
    if let Some(step) = seen.irreversible {
        let note = format!("`{step}` is a point of no return: the plan has no undo for it");
        drilled.note = Some(drilled.note.take().map_or(note.clone(), |n| format!("{n}; {note}")));
    }
    Ok(())
}

fn migrate(theatre: &Theatre, phase: &Phase) -> Result<Run, String> {
    // The app of every drill has an address of its own, which the last run did not leave there.
    theatre.ctx(&["migrate", "phase", phase.id.as_str(), "--accept-drift"])
}

/// What a person, or a script, does when a run is gone or has gone on regardless.
fn roll_back(theatre: &Theatre, case: &Case, seen: &mut Seen) -> Result<Ending, String> {
    let mut run = theatre.ctx(&["rollback"])?;
    while let Some(event) = run.next(SILENCE)? {
        if case.fault == Fault::CrashCtx && event.kind() == "lease_taken" {
            seen.notice(event.at, "the next `ctx` found the run that was left".to_owned());
        }
        seen.listen(&event);
    }
    Ok(match run.code() {
        0 => Ending::OnRequest,
        _ => Ending::Incomplete(run.why.clone()),
    })
}

/// Waits until the orchestrator has taken back by itself what was provisional, if anything was.
fn await_lapse(theatre: &Theatre, seen: &mut Seen) -> Result<(), String> {
    let began = SystemClock.boot();
    let mut was_there = false;
    while SystemClock.boot().saturating_sub(began) < LAPSE {
        let state = theatre.ask(async |client| client.state().await)?.body;
        let there = state.provisional.is_some();
        if was_there && !there {
            let by = "the orchestrator took the change back when the lease lapsed";
            seen.notice(SystemClock.boot(), by.to_owned());
        }
        was_there = there;
        if !there {
            return Ok(());
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    Err("what is provisional was not taken back, and nobody holds the lease".to_owned())
}

/// Kills the orchestrator each time that the step is in force, or once where it changes nothing;
/// and stops the run once it has left the step behind.
fn crash_orchestrator(
    theatre: &mut Theatre,
    case: &Case,
    run: &mut Run,
    seen: &mut Seen,
) -> Result<(), String> {
    let company = theatre.company.clone();
    theatre.server.crash(&company)?;
    let (mut crashes, mut asked) = (1, false);
    while let Some(event) = run.next(SILENCE)? {
        seen.hear(&event);
        let here = event.is_at(case.step.id.as_str(), case.part());
        if here && event.kind() == "change_applied" && crashes < CRASHES {
            theatre.server.crash(&company)?;
            crashes += 1;
        }
        let left = ["change_confirmed", "local_done", "approved"].contains(&event.kind());
        if left && here && !asked {
            asked = true;
            run.interrupt();
        }
    }
    Ok(())
}

/// Whether the fault is to be there from this record on.
fn is_due(case: &Case, event: &Event) -> bool {
    if !event.is_at(case.step.id.as_str(), case.part()) {
        // The program has no place of its own in its record.
        let running = matches!(case.step.action, Action::Run { .. });
        let here = event.record["step"].as_str() == Some(case.step.id.as_str());
        let started = event.kind() == "program_started";
        return case.fault.kills_ctx() && running && here && started;
    }
    let outside = matches!(case.step.action, Action::Run { .. } | Action::Call { .. });
    match event.kind() {
        // What the app does wrong, it does as soon as the change is there.
        "change_intended" => case.fault.is_of_surroundings(),
        "change_applied" | "approval_asked" => true,
        // What is outside is to be there when `ctx` dies, or there would be nothing to undo.
        "local_done" => outside && case.fault.kills_ctx(),
        "local_intended" => !(outside && case.fault.kills_ctx()),
        _ => false,
    }
}

fn is_failure(event: &Event) -> bool {
    let kinds = ["guard_breached", "taken_back", "step_failed", "rollback_begun"];
    kinds.contains(&event.kind())
}

/// Why a run that had a fault in it did not roll back by itself; `ctx` that was killed could not.
fn went_on(case: &Case, code: i32, why: &str) -> Option<String> {
    match (case.fault, code) {
        (Fault::CrashCtx | Fault::CtxGone, _) => None,
        (Fault::CrashOrchestrator, 130) => {
            Some("the run survived the crash; stopped, and rolled back on request".to_owned())
        }
        (_, 0) => {
            Some("the phase was over before anybody noticed; rolled back on request".to_owned())
        }
        _ => Some(format!("the run ended otherwise, and was rolled back on request: {why}")),
    }
}

/// What the records have told since the fault.
#[derive(Debug, Default)]
struct Seen {
    struck: Duration,
    failed: bool,
    detected: Option<(Duration, String)>,
    /// A change that was kept although nobody could tell whether its guards hold.
    kept: Option<String>,
    /// When the run had ended.
    ended: Option<Duration>,
    not_undone: Vec<String>,
    irreversible: Option<String>,
}

impl Seen {
    /// Takes in a record of the run that was struck.
    fn hear(&mut self, event: &Event) {
        if is_failure(event) || ["change_void", "lease_taken"].contains(&event.kind()) {
            self.notice(event.at, event.message());
        }
        self.listen(event);
    }

    /// Takes in a record of a run whose guard has nobody to ask: it may keep no change.
    fn miss(&mut self, event: &Event) {
        let late = event.at.saturating_sub(self.struck) > JUST_BEFORE;
        if late && self.kept.is_none() && event.kind() == "change_confirmed" {
            self.kept = Some(format!("kept without its guards: {}", event.message()));
        }
    }

    fn notice(&mut self, at: Duration, by: String) {
        self.detected.get_or_insert((at, by));
    }

    /// Takes in a record of whatever rolls back.
    fn listen(&mut self, event: &Event) {
        let data = &event.record["data"];
        let step = || data["step"].as_str().unwrap_or_default().to_owned();
        match event.kind() {
            "run_ended" => self.ended = Some(event.at),
            "not_undone" if data["irreversible"].as_bool() == Some(true) => {
                self.irreversible = Some(step());
            }
            "not_undone" => self.not_undone.push(step()),
            _ => {}
        }
    }
}
