//! A run on a terminal: a bar for each phase, and below it the step that is at hand.
//!
//! What must not be overlooked (a breach, a failure, a milestone) is printed above the bars and
//! stays. When a run ends, its bars make way for one line that says how it ended.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::frames::{Frames, Worthy};
use super::lines::{follow, head, paint, taken_up};
use super::{Observer, Tick, pulse};
use crate::clock::WallMs;
use crate::error::{Code, Failure, count};
use crate::ledger::fact::{Fact, Recorded, RunKind};
use crate::report::Place;
use crate::report::page::{Cell, Field, Page, clean, cut};
use crate::report::sentence::{Level, level, sentence};
use crate::report::words;
use crate::ui::{Sink, Worth};

/// Moving bars on stderr.
#[derive(Debug)]
pub struct Bars {
    all: MultiProgress,
    /// The bar of the phase, and the line below it; there is one pair at a time that moves.
    moving: Option<(ProgressBar, ProgressBar)>,
    place: Option<Place>,
    /// Said with the next fact, which has a time.
    taken_up: Option<String>,
    color: bool,
    width: usize,
    /// What the next pictures are worth.
    worth: Worthy,
}

impl Bars {
    /// Draws on `out`, a terminal, in at most `width` columns.
    pub fn new(out: impl Sink + 'static, width: usize, color: bool) -> Self {
        let worth = Worthy::default();
        let frames = Frames::new(out, worth.clone());
        Self::on(ProgressDrawTarget::term_like(Box::new(frames)), worth, width, color)
    }

    fn on(target: ProgressDrawTarget, worth: Worthy, width: usize, color: bool) -> Self {
        let all = MultiProgress::with_draw_target(target);
        Self { all, moving: None, place: None, taken_up: None, color, width, worth }
    }

    /// Adds the bar of the phase at hand.
    fn begin(&mut self) {
        let Some(place) = &self.place else { return };
        let length = u64::try_from(place.parts()).unwrap_or(u64::MAX);
        let template = match place.begun.kind {
            RunKind::Rollback { .. } => "{prefix} is being undone",
            RunKind::Migrate => "{prefix} [{bar:20}] {msg}",
        };
        let phase = ProgressBar::new(length).with_style(style(template));
        let step = ProgressBar::new(0).with_style(style("  {msg}"));
        let prefix = format!("phase {} {}", place.phase().number, place.phase().id);
        let phase = self.all.add(phase.with_prefix(cut(&prefix, self.width.saturating_sub(45))));
        self.moving = Some((phase, self.all.add(step)));
    }

    /// Brings the bar and the line up to date.
    fn draw(&self, step_line: &str) {
        let (Some((phase, step)), Some(place)) = (&self.moving, &self.place) else { return };
        phase.set_position(u64::try_from(place.parts_done).unwrap_or(u64::MAX));
        phase.set_message(parts(place).unwrap_or_default());
        step.set_message(cut(step_line, self.width.saturating_sub(3)));
    }

    /// Prints a line above the bars that stays, wrapped under itself.
    fn keep(&self, at_ms: WallMs, level: Level, what: &str) {
        let label = head(at_ms, self.place.as_ref());
        let mut page = Page::new(self.width);
        page.fields(vec![Field::new(&label, Cell::painted(what, paint(level)))]);
        let _ = self.all.println(page.render(self.color).trim_end());
    }

    /// Takes the bars away.
    fn clear(&mut self) {
        if let Some((phase, step)) = self.moving.take() {
            step.finish_and_clear();
            phase.finish_and_clear();
        }
    }
}

impl Observer for Bars {
    fn resumed(&mut self, facts: &[Recorded]) {
        self.place = Place::of(facts);
        self.begin();
        self.taken_up = self.place.as_ref().map(taken_up);
        if let Some(place) = &self.place {
            self.draw(&place.activity());
        }
    }

    fn fact(&mut self, recorded: &Recorded) {
        if let Some(what) = self.taken_up.take() {
            self.keep(recorded.at_ms, Level::Info, &what);
        }
        follow(&mut self.place, recorded);
        let (level, what) = (level(&recorded.fact), sentence(&recorded.fact));
        match &recorded.fact {
            Fact::RunBegun(_) => self.begin(),
            Fact::RunEnded { .. } => {
                self.clear();
                let how = ended(self.place.as_ref(), recorded.at_ms, &what);
                return self.keep(recorded.at_ms, level, &how);
            }
            Fact::MilestoneReached { .. } => self.keep(recorded.at_ms, level, &what),
            _ if matches!(level, Level::Warning | Level::Error) => {
                self.keep(recorded.at_ms, level, &what);
            }
            _ => {}
        }
        self.draw(&clean(&what));
    }

    fn tick(&mut self, tick: &Tick) {
        let _picture = self.worth.for_now(Worth::Picture);
        self.draw(&pulse::sentence(self.place.as_ref(), tick));
    }

    fn end(&mut self, _: Result<Code, &Failure>) {
        // A run that goes on without this process leaves no bar behind that seems to move.
        self.clear();
    }
}

/// `6 of 6 parts`; a rollback undoes a phase as a whole.
fn parts(place: &Place) -> Option<String> {
    match place.begun.kind {
        RunKind::Rollback { .. } => None,
        RunKind::Migrate => {
            Some(format!("{} of {}", place.parts_done, count(place.parts(), "part")))
        }
    }
}

/// `run ended, done: phase confirmed; 6 of 6 parts in 2h3m`.
fn ended(place: Option<&Place>, at_ms: WallMs, what: &str) -> String {
    let Some(place) = place else { return what.to_owned() };
    let lasted = words::span(words::between(place.begun_ms, at_ms));
    match parts(place) {
        Some(parts) => format!("{what}; {parts} in {lasted}"),
        None => format!("{what}; in {lasted}"),
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("the templates are valid");
    style.progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{breached, soaking};

    fn told(facts: &[Recorded]) -> Bars {
        let mut bars = Bars::on(ProgressDrawTarget::hidden(), Worthy::default(), 80, false);
        for fact in facts {
            bars.fact(fact);
        }
        bars
    }

    #[test]
    fn the_bar_counts_parts_and_the_line_below_says_what_happens() {
        let bars = told(&soaking());
        let (phase, step) = bars.moving.as_ref().unwrap();
        assert_eq!((phase.position(), phase.length()), (1, Some(6)));
        assert_eq!(phase.prefix(), "phase 2 performance");
        assert_eq!(phase.message(), "1 of 6 parts");
        assert_eq!(step.message(), "step pool-ramp 2/4 soaks for 30m");
    }

    #[test]
    fn nothing_moves_after_the_end() {
        assert!(told(&breached()).moving.is_none());
        let mut bars = told(&soaking());
        bars.end(Ok(Code::Awaiting));
        assert!(bars.moving.is_none());
    }
}
