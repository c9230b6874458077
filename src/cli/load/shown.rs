//! `ctx load` as a person sees it: a line while it runs, a table at the end.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Context;
use crate::error::count;
use crate::load::drive::summary::Spread;
use crate::load::drive::{Pace, Summary, Tally};
use crate::units::duration;

/// What will be sent, in words.
pub(super) fn plan(pace: &Pace, connections: u32) -> String {
    let times = |n: u64| count(usize::try_from(n).unwrap_or(usize::MAX), "request");
    match pace {
        Pace::Open(schedule) => {
            let all = schedule.limit().map_or_else(|| "requests".to_owned(), times);
            let stages = schedule.stages();
            // How long that takes follows from their number.
            if let ([stage], Some(_)) = (stages, schedule.limit())
                && stage.from.to_bits() == stage.to.to_bits()
            {
                return format!("{all} at {}/s", stage.to);
            }
            let stages: Vec<_> = stages.iter().map(ToString::to_string).collect();
            let most = if schedule.limit().is_some() { " at most" } else { "" };
            format!("{all}{most} for {}", stages.join(", "))
        }
        Pace::Closed { lasts, requests, .. } => {
            let what = requests
                .map_or_else(|| format!("requests for {}", duration::format(*lasts)), times);
            format!("{what} on {}", count(connections as usize, "connection"))
        }
    }
}

/// The line while it runs: drawn anew on a terminal; in a pipe one a second, later every tenth.
pub(super) struct Live<'a> {
    context: &'a Context,
    pace: Pace,
    line: Option<ProgressBar>,
    last: (Duration, Tally),
}

impl<'a> Live<'a> {
    pub(super) fn new(context: &'a Context, pace: &Pace) -> Self {
        let line = context.ui.live.then(|| {
            let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            line.with_style(ProgressStyle::with_template("{msg}").expect("a valid template"))
        });
        Self { context, pace: pace.clone(), line, last: (Duration::ZERO, Tally::default()) }
    }

    pub(super) fn tick(&mut self, at: Duration, tally: &Tally) {
        let seconds = at.as_secs();
        if self.line.is_none() && seconds > 10 && !seconds.is_multiple_of(10) {
            return;
        }
        let text = self.text(at, tally);
        match &self.line {
            Some(line) => line.set_message(text),
            None => self.context.ui.note(text),
        }
        self.last = (at, tally.clone());
    }

    pub(super) fn end(&self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn text(&self, at: Duration, tally: &Tally) -> String {
        let (then, before) = &self.last;
        let seconds = at.saturating_sub(*then).as_secs_f64().max(1e-3);
        let rate = (tally.answered - before.answered) as f64 / seconds;
        let wanted = match &self.pace {
            Pace::Open(schedule) => {
                format!(" of {:.0}", schedule.rate_at(*then + at.saturating_sub(*then) / 2))
            }
            Pace::Closed { .. } => String::new(),
        };
        let spread = Spread::of(&tally.latency_since(before));
        let latency = spread.map_or_else(
            || "no answers".to_owned(),
            |l| format!("p50 {}  p99 {}", ms(l.p50_ms), ms(l.p99_ms)),
        );
        let errors = tally.errors();
        let text = format!("{rate:.0}{wanted}/s  {latency}  errors {errors}");
        let done = self.done(at, tally);
        match &self.line {
            None => format!("{:>4}s  {text}", at.as_secs()),
            Some(_) => format!("{:>4}s {} {text}", at.as_secs(), bar(done)),
        }
    }

    /// How much of it is done, of 1; a load that ends with its requests is measured by them.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn done(&self, at: Duration, tally: &Tally) -> f64 {
        let of = |all: Duration| at.as_secs_f64() / all.as_secs_f64().max(1e-3);
        match &self.pace {
            Pace::Open(schedule) => of(schedule.lasts()),
            Pace::Closed { requests: Some(all), .. } => tally.sent as f64 / *all as f64,
            Pace::Closed { lasts, .. } => of(*lasts),
        }
    }
}

/// A bar of sixteen columns.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of sixteen columns"
)]
fn bar(done: f64) -> String {
    const COLUMNS: u8 = 16;
    let full = (done.clamp(0.0, 1.0) * f64::from(COLUMNS)) as u8;
    let of = |mark: &str, columns: u8| mark.repeat(usize::from(columns));
    format!("[{}{}]", of("#", full), of("-", COLUMNS - full))
}

/// Milliseconds with as many digits as matter.
fn ms(value: f64) -> String {
    match value {
        value if value < 1.0 => format!("{:.0}us", value * 1000.0),
        value if value < 10.0 => format!("{value:.2}ms"),
        value if value < 1000.0 => format!("{value:.1}ms"),
        value => format!("{:.2}s", value / 1000.0),
    }
}

/// Labels to the left, numbers to the right.
pub(super) fn table(summary: &Summary) -> Vec<String> {
    let rows = rows(summary);
    let label = rows.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    let value = rows.iter().map(|(_, value)| value.len()).max().unwrap_or(0);
    let mut lines: Vec<_> =
        rows.iter().map(|(name, number)| format!("{name:<label$}  {number:>value$}")).collect();
    lines.push(format!("latencies count from {}", summary.latency_from));
    lines.extend(summary.thresholds.iter().map(ToString::to_string));
    lines
}

/// What came of it, a line each; kinds that did not occur are left out.
fn rows(summary: &Summary) -> Vec<(String, String)> {
    let row = |label: &str, value: String| (label.to_owned(), value);
    let n = |n: u64| n.to_string();
    let per_second = |rate: f64| format!("{rate:.1}/s");
    let mut rows =
        vec![row("requests sent", n(summary.sent)), row("  answered", n(summary.answered))];
    rows.extend(
        summary.statuses.iter().map(|(s, times)| row(&format!("    status {s}"), n(*times))),
    );
    rows.push(row("  not as expected", n(summary.errors)));
    rows.extend(
        summary.failures.iter().map(|(kind, times)| row(&format!("    {kind}"), n(*times))),
    );
    if summary.unsent > 0 {
        rows.push(row("    never sent", n(summary.unsent)));
    }
    if let Some(wanted) = summary.rate_wanted {
        rows.push(row("rate wanted", per_second(wanted)));
    }
    rows.push(row("rate reached", per_second(summary.rate_reached)));
    if let Some(l) = summary.latency {
        for (label, value) in [
            ("latency p50", l.p50_ms),
            ("latency p90", l.p90_ms),
            ("latency p95", l.p95_ms),
            ("latency p99", l.p99_ms),
            ("latency p99.9", l.p99_9_ms),
            ("latency max", l.max_ms),
        ] {
            rows.push(row(label, ms(value)));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::FailureKind;

    #[test]
    fn the_table_leaves_out_what_did_not_occur() {
        let summary = Summary {
            sent: 1200,
            answered: 1198,
            errors: 5,
            rate_wanted: Some(120.0),
            rate_reached: 119.8,
            statuses: [(200, 1195), (500, 3)].into(),
            failures: [(FailureKind::Reset, 2)].into(),
            latency_from: "when each request was due".to_owned(),
            latency: Some(Spread {
                mean_ms: 1.2,
                p50_ms: 0.31,
                p90_ms: 2.0,
                p95_ms: 2.5,
                p99_ms: 44.0,
                p99_9_ms: 400.0,
                max_ms: 1200.0,
            }),
            ..Summary::default()
        };
        insta::assert_snapshot!(table(&summary).join("\n"), @r"
        requests sent            1200
          answered               1198
            status 200           1195
            status 500              3
          not as expected           5
            connection reset        2
        rate wanted           120.0/s
        rate reached          119.8/s
        latency p50             310us
        latency p90            2.00ms
        latency p95            2.50ms
        latency p99            44.0ms
        latency p99.9         400.0ms
        latency max             1.20s
        latencies count from when each request was due
        ");
    }
}
