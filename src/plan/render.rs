//! Faults as text: the message, the place, the source line with carets, the hint.

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

use super::fault::Fault;
use crate::error::count;

/// The most faults that are shown as text; the count is always that of all.
const SHOWN: usize = 100;

/// Renders one fault, without a newline at its end.
pub fn fault(fault: &Fault, color: bool) -> String {
    let title = Level::ERROR.primary_title(&fault.message);
    let mut group = if fault.excerpt.is_empty() {
        let origin = Origin::path(&fault.file).line(fault.line).char_column(fault.column);
        title.element(origin)
    } else {
        let snippet = Snippet::source(&fault.excerpt)
            .line_start(fault.line)
            .path(&fault.file)
            .annotation(AnnotationKind::Primary.span(fault.mark.clone()));
        title.element(snippet)
    };
    if let Some(hint) = &fault.hint {
        group = group.element(Level::HELP.with_name("hint").message(hint));
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// Renders faults one below the other, with an empty line between.
pub fn faults(faults: &[Fault], color: bool) -> String {
    let mut parts: Vec<String> = faults.iter().take(SHOWN).map(|f| fault(f, color)).collect();
    if let Some(more) = faults.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        parts.push(format!("and {} more", count(more, "fault")));
    }
    parts.join("\n\n")
}
