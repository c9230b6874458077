//! Faults as text: the message, the place, the source line with carets, the hint.

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

use super::fault::Fault;

/// Renders one fault, headed by `error:`, without a newline at its end.
pub fn fault(fault: &Fault, color: bool) -> String {
    render(fault, Level::ERROR, color)
}

/// Renders one fault without a heading and without colour, as a cause of something else.
pub fn cause(fault: &Fault) -> String {
    render(fault, Level::ERROR.no_name(), false)
}

fn render(fault: &Fault, level: Level<'_>, color: bool) -> String {
    let title = level.primary_title(&fault.message);
    let snippet = Snippet::source(&fault.excerpt)
        .line_start(fault.line)
        .annotation(AnnotationKind::Primary.span(fault.mark.clone()));
    let seen = fault.excerpt[..fault.mark.start].chars().count() + 1;
    let mut group = if seen == fault.column && !fault.excerpt.is_empty() {
        title.element(snippet.path(&fault.file))
    } else {
        // A part of a long line, or nothing at all, does not know its own column.
        let place = Origin::path(&fault.file).line(fault.line).char_column(fault.column);
        let group = title.element(place);
        if fault.excerpt.is_empty() { group } else { group.element(snippet) }
    };
    if let Some(hint) = &fault.hint {
        group = group.element(Level::HELP.with_name("hint").message(hint));
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}
