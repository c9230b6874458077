//! Charts of a [`Timeline`] as inline SVG: no script, no font, no address of anything.
//!
//! All charts share one axis of time, so that a breach in one stands above its rollback in the
//! next. Nothing is told by colour alone: marks have shapes and letters, lines have labels. Colours
//! are classes of the page's style sheet, which knows light, dark and paper.

use std::fmt::Write;

use super::html::escape;
use super::model::{Moment, PhaseEntry};
use super::timeline::{MarkKind, Series, Timeline};
use super::words;
use crate::clock::WallMs;

/// The size of a chart in units of its own; the page scales it.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 150.0;
/// Room for the labels of the axes.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 24.0;

/// An axis of time and one of values, in the units of a chart.
#[derive(Clone, Copy)]
struct Axes {
    from: WallMs,
    to: WallMs,
    top: f64,
}

impl Axes {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a migration are below 2^52")]
    fn x(self, at: WallMs) -> f64 {
        let span = (self.to - self.from).max(1) as f64;
        LEFT + (WIDTH - LEFT - RIGHT) * (at - self.from) as f64 / span
    }

    fn y(self, value: f64) -> f64 {
        let part = if self.top > 0.0 { (value / self.top).clamp(0.0, 1.0) } else { 0.0 };
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * part
    }
}

/// One chart for each series, and one of the rollout.
pub fn charts(timeline: &Timeline) -> String {
    let Some((from, to)) = timeline.span() else { return String::new() };
    let mut out = String::new();
    for series in &timeline.series {
        let seen = series.points.iter().map(|point| point.value).fold(0.0, f64::max);
        let axes = Axes { from, to, top: seen.max(series.limit) * 1.1 };
        let title = format!("{} over time", series.guard);
        let told = described(series);
        figure(&mut out, &title, &told, |svg| {
            frame(svg, axes, &series.unit.format(axes.top), "0");
            let y = axes.y(series.limit);
            line(svg, "limit", (LEFT, y), (WIDTH - RIGHT, y));
            label(svg, "limit-label", (LEFT + 6.0, y - 4.0), "start", &series.limit_text);
            let points = series.points.iter().map(|p| (axes.x(p.at.0), axes.y(p.value)));
            polyline(svg, "value", points);
            marks(svg, timeline, axes);
        });
    }
    if !timeline.rollout.is_empty() {
        let axes = Axes { from, to, top: 1.0 };
        let last = timeline.rollout.last().map_or(0.0, |share| share.share * 100.0);
        let told = format!("The share of the traffic on the new path, at {last:.0}% in the end.");
        figure(&mut out, "rollout over time", &told, |svg| {
            frame(svg, axes, "100%", "0");
            let mut points = Vec::new();
            let mut before = 0.0;
            for share in &timeline.rollout {
                let x = axes.x(share.at.0);
                points.extend([(x, axes.y(before)), (x, axes.y(share.share))]);
                before = share.share;
            }
            points.push((axes.x(to), axes.y(before)));
            polyline(svg, "share", points.into_iter());
            marks(svg, timeline, axes);
        });
    }
    out
}

/// The phases as bars: in the plan's days, and as they went.
#[expect(clippy::cast_precision_loss, reason = "days and milliseconds are far below 2^52")]
pub fn phases(phases: &[PhaseEntry], now_ms: WallMs) -> String {
    let days = phases.iter().filter_map(|phase| phase.days).map(|(_, last)| last).max();
    let begun = phases.iter().filter_map(|phase| phase.begun).min();
    let end = |phase: &PhaseEntry| phase.ended.unwrap_or(Moment(now_ms));
    let ended = phases.iter().filter(|phase| phase.begun.is_some()).map(end).max();
    if days.is_none() && begun.is_none() {
        return String::new();
    }
    let row = 40.0;
    let height = TOP + row * phases.len() as f64 + BOTTOM;
    let (left, wide) = (150.0, WIDTH - 150.0 - RIGHT);
    let mut out = String::new();
    let told = "For each phase a light bar of its planned days, and below it a dark one of when it \
                was really under way. The two have scales of their own.";
    sized(&mut out, "phases, planned and actual", told, height, |svg| {
        for (index, phase) in phases.iter().enumerate() {
            let y = TOP + row * index as f64;
            let name = phase.id.as_ref().map_or_else(String::new, ToString::to_string);
            label(svg, "phase", (left - 8.0, y + 20.0), "end", &format!("{} {name}", phase.number));
            if let (Some((first, last)), Some(days)) = (phase.days, days) {
                let x = left + wide * f64::from(first.saturating_sub(1)) / f64::from(days);
                let to = left + wide * f64::from(last) / f64::from(days);
                bar(svg, "planned", (x, y + 4.0), (to - x, 11.0));
            }
            if let (Some(at), Some(Moment(from)), Some(Moment(to))) = (phase.begun, begun, ended) {
                let span = (to - from).max(1) as f64;
                let x = left + wide * (at.0 - from) as f64 / span;
                let end = left + wide * (end(phase).0 - from) as f64 / span;
                bar(svg, "actual", (x, y + 18.0), ((end - x).max(2.0), 11.0));
                label(svg, "note", (x, y + 38.0), "start", phase.status.words());
            }
        }
        let y = height - 8.0;
        let planned = days.map(|days| format!("planned: day 1 to {days}")).unwrap_or_default();
        label(svg, "axis", (left, y), "start", &planned);
        if let (Some(from), Some(to)) = (begun, ended) {
            let actual = format!("actual: {} to {}", words::minute(from.0), words::minute(to.0));
            label(svg, "axis", (WIDTH - RIGHT, y), "end", &actual);
        }
    });
    out
}

/// What a chart shows, for who cannot see it.
fn described(series: &Series) -> String {
    let values = series.points.iter().map(|point| point.value);
    let (least, most) =
        values.fold((f64::INFINITY, 0.0), |(l, m): (f64, f64), v| (l.min(v), m.max(v)));
    let unit = series.unit;
    format!(
        "{} readings from {} to {}; the limit is {}.",
        series.points.len(),
        unit.format(least.min(most)),
        unit.format(most),
        series.limit_text
    )
}

fn figure(out: &mut String, title: &str, told: &str, draw: impl FnOnce(&mut String)) {
    sized(out, title, told, HEIGHT, draw);
}

fn sized(out: &mut String, title: &str, told: &str, height: f64, draw: impl FnOnce(&mut String)) {
    let (title, told) = (escape(title), escape(told));
    let _ = write!(
        out,
        "<figure><figcaption>{title}</figcaption>\n<svg viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\" aria-label=\"{title}. {told}\">"
    );
    draw(out);
    out.push_str("</svg></figure>\n");
}

/// The axes: two lines, the ends of the values, the ends of time.
fn frame(svg: &mut String, axes: Axes, top: &str, bottom: &str) {
    let floor = HEIGHT - BOTTOM;
    line(svg, "frame", (LEFT, TOP), (LEFT, floor));
    line(svg, "frame", (LEFT, floor), (WIDTH - RIGHT, floor));
    label(svg, "axis", (LEFT - 6.0, TOP + 4.0), "end", top);
    label(svg, "axis", (LEFT - 6.0, floor), "end", bottom);
    label(svg, "axis", (LEFT, HEIGHT - 6.0), "start", &words::second(axes.from));
    label(svg, "axis", (WIDTH - RIGHT, HEIGHT - 6.0), "end", &words::second(axes.to));
}

/// A line for each mark, with a letter on top: `B`reach, `R`ollback, `C`onfirmed; steps have a
/// tick only.
fn marks(svg: &mut String, timeline: &Timeline, axes: Axes) {
    for mark in &timeline.marks {
        let x = axes.x(mark.at.0);
        let (class, letter) = match mark.kind {
            MarkKind::Step => {
                line(svg, "step", (x, HEIGHT - BOTTOM), (x, HEIGHT - BOTTOM + 5.0));
                continue;
            }
            MarkKind::Breach => ("breach", "B"),
            MarkKind::Rollback => ("rollback", "R"),
            MarkKind::Confirmed => ("confirmed", "C"),
        };
        line(svg, class, (x, TOP), (x, HEIGHT - BOTTOM));
        label(svg, class, (x, TOP - 5.0), "middle", letter);
    }
}

fn line(svg: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = write!(
        svg,
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
    );
}

fn bar(svg: &mut String, class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) {
    let _ = write!(
        svg,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
         height=\"{height:.1}\" rx=\"2\"/>"
    );
}

fn label(svg: &mut String, class: &str, (x, y): (f64, f64), anchor: &str, text: &str) {
    let text = escape(text);
    let _ = write!(
        svg,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}

fn polyline(svg: &mut String, class: &str, points: impl Iterator<Item = (f64, f64)>) {
    let points: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = write!(svg, "<polyline class=\"{class}\" points=\"{}\"/>", points.join(" "));
    // One point alone is no line.
    if let [point] = &points[..]
        && let Some((x, y)) = point.split_once(',')
    {
        let _ = write!(svg, "<circle class=\"{class}-dot\" cx=\"{x}\" cy=\"{y}\" r=\"2.5\"/>");
    }
}
