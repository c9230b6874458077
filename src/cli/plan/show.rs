//! A preview as text.

use serde_json::Value;

use crate::error::count;
use crate::plan::model::OnFailure;
use crate::plan::preview::{Change, Condition, PhasePreview, Preview, StepPreview};
use crate::ui::{Paint, Ui};
use crate::units::duration;

/// The whole preview, within the width of the terminal.
pub(in crate::cli) fn text(preview: &Preview, ui: &Ui) -> String {
    let mut page = Page { text: String::new(), ui };
    page.line(0, Paint::Strong, &format!("{}: {}", preview.name, preview.title));
    let steps = preview.phases.iter().map(|phase| phase.steps.len()).sum();
    let points: Vec<_> = preview.points_of_no_return().collect();
    let totals = [
        count(preview.phases.len(), "phase"),
        count(steps, "step"),
        format!("soaks of {}", duration::format(preview.soak())),
        match points.len() {
            0 => "no point of no return".to_owned(),
            1 => "1 POINT OF NO RETURN".to_owned(),
            n => format!("{n} POINTS OF NO RETURN"),
        },
    ];
    page.plain(0, &totals.join(", "));
    for phase in &preview.phases {
        page.phase(phase);
    }
    if !points.is_empty() {
        page.plain(0, "");
    }
    for (phase, step) in points {
        let text = format!(
            "POINT OF NO RETURN: step `{}` of phase {} `{}` cannot be undone",
            step.id, phase.number, phase.id
        );
        page.line(0, Paint::Bad, &text);
    }
    page.text
}

/// Text that grows by wrapped lines.
struct Page<'u> {
    text: String,
    ui: &'u Ui,
}

impl Page<'_> {
    fn phase(&mut self, phase: &PhasePreview) {
        self.plain(0, "");
        let days = phase.days.map(|(first, last)| format!(", days {first}-{last}"));
        let head = format!(
            "Phase {} `{}`: {}{}",
            phase.number,
            phase.id,
            phase.title,
            days.unwrap_or_default()
        );
        self.line(0, Paint::Strong, &head);
        if let Some(objective) = &phase.objective {
            self.plain(2, objective);
        }
        self.labelled(2, "soaks", &duration::format(phase.soak));
        self.labelled(2, "guards", &bounds(&phase.guards));
        self.labelled(2, "must meet", &bounds(&phase.criteria));
        let on_failure = match phase.on_failure {
            OnFailure::RollbackPhase => "this phase is rolled back",
            OnFailure::RollbackAll => "this phase and all before it are rolled back",
            OnFailure::Hold => "it stops; only what is provisional is reverted",
        };
        self.labelled(2, "on failure", on_failure);
        for (number, step) in (1..).zip(&phase.steps) {
            self.step(number, step);
        }
    }

    fn step(&mut self, number: u32, step: &StepPreview) {
        self.plain(0, "");
        let title = step.title.as_ref().map(|title| format!(": {title}")).unwrap_or_default();
        self.plain(2, &format!("{number}. `{}`{title}", step.id));
        self.labelled(5, "does", &step.what);
        for change in &step.changes {
            self.plain(7, &change_text(change));
        }
        if !step.soak.is_zero() {
            let soak = duration::format(step.soak);
            let each = format!("{soak} after each of {} parts", step.parts);
            self.labelled(5, "soaks", if step.parts > 1 { &each } else { &soak });
        }
        if !step.require.is_empty() {
            self.labelled(5, "requires", &bounds(&step.require));
        }
        match &step.inverse {
            Some(inverse) => self.labelled(5, "undo", inverse),
            None => self.line(5, Paint::Bad, "NO UNDO: this is a point of no return"),
        }
    }

    fn labelled(&mut self, indent: usize, label: &str, text: &str) {
        const LABEL: usize = 11;
        let label = format!("{:indent$}{label:<LABEL$}", "");
        // Every line stands behind the label, which is two columns further in than it is broken for.
        let (inner, room) = (indent + LABEL - 2, self.ui.width.saturating_sub(2));
        for (n, line) in wrap(text, inner, room).iter().enumerate() {
            let text = line.trim_start();
            let before = if n == 0 { label.clone() } else { " ".repeat(indent + LABEL) };
            self.text.push_str(format!("{before}{text}").trim_end());
            self.text.push('\n');
        }
    }

    fn plain(&mut self, indent: usize, text: &str) {
        for line in wrap(text, indent, self.ui.width) {
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }

    fn line(&mut self, indent: usize, paint: Paint, text: &str) {
        for line in wrap(text, indent, self.ui.width) {
            self.text.push_str(&self.ui.paint_out(paint, &line));
            self.text.push('\n');
        }
    }
}

/// `cache.mode  off -> read`.
fn change_text(change: &Change) -> String {
    let from = std::iter::once(&change.from);
    let values: Vec<String> = from.chain(&change.to).map(value_text).collect();
    format!("{}  {}", change.path, values.join(" -> "))
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Null => "absent".to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(map) => {
            let fields: Vec<String> =
                map.iter().map(|(key, value)| format!("{key} {}", value_text(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

fn bounds(conditions: &[Condition]) -> String {
    if conditions.is_empty() {
        return "none".to_owned();
    }
    conditions.iter().map(|condition| condition.bound.as_str()).collect::<Vec<_>>().join(", ")
}

/// Breaks a text between words; continuation lines stand two columns further in. A word that is
/// longer than a line stays whole.
fn wrap(text: &str, indent: usize, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = " ".repeat(indent);
    let mut empty = true;
    // Runs of spaces are kept: they align labels.
    for word in text.split_inclusive(' ') {
        let length = line.chars().count() + word.trim_end().chars().count();
        if !empty && length > width {
            lines.push(line.trim_end().to_owned());
            line = " ".repeat(indent + 2);
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line.trim_end().to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("one two three", 2, 9), ["  one two", "    three"]);
        assert_eq!(wrap("", 4, 80), [""]);
        assert_eq!(wrap("a-word-too-long", 0, 5), ["a-word-too-long"]);
    }
}
