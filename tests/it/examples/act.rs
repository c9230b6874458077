//! One example: how it is typed, and what has to come of it.

use ctx::error::Code;

use super::scene::Scene;

/// An example, in its place in a script.
pub(super) struct Act {
    /// As `--help` prints it.
    pub(super) line: &'static str,
    /// What happens before it.
    pub(super) before: fn(&mut Scene),
    /// What is typed once something is shown.
    pub(super) typed: &'static [(&'static str, &'static str)],
    pub(super) ends: Code,
    /// What it shows, wherever its lines are broken.
    pub(super) shows: &'static str,
    /// A file that it writes.
    pub(super) leaves: Option<&'static str>,
    /// Whether what it prints is for a program: lines may be as long as they are.
    pub(super) verbatim: bool,
}

/// An example that ends well and shows this.
pub(super) const fn act(line: &'static str, shows: &'static str) -> Act {
    Act { line, before: |_| {}, typed: &[], ends: Code::Done, shows, leaves: None, verbatim: false }
}

impl Act {
    pub(super) const fn after(self, before: fn(&mut Scene)) -> Self {
        Self { before, ..self }
    }

    /// Types the second once the first is shown, in order.
    pub(super) const fn typing(self, typed: &'static [(&'static str, &'static str)]) -> Self {
        Self { typed, ..self }
    }

    /// Says yes to its question.
    pub(super) const fn confirmed(self) -> Self {
        self.typing(&[("[y/N] ", "y\n")])
    }

    pub(super) const fn ends(self, ends: Code) -> Self {
        Self { ends, ..self }
    }

    pub(super) const fn leaves(self, file: &'static str) -> Self {
        Self { leaves: Some(file), ..self }
    }

    pub(super) const fn verbatim(self) -> Self {
        Self { verbatim: true, ..self }
    }
}
