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
