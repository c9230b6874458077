//! The shape of a plan's tables: which keys, of which kind, what they are for, and what holds
//! where they are left out.
//!
//! Each reader keeps its shape beside it, and reads nothing that the shape does not name; the
//! JSON Schema and `docs/plan.md` are made from the same shapes. So a key is known to the parser,
//! its messages, the schema and the reference, or to none of them.

use super::usual::{Literal, Range, Usual};

/// The keys of a table.
#[derive(Debug)]
pub(super) struct Shape {
    /// What the table is, as in "a step".
    pub(super) what: &'static str,
    /// What an operator should know before the single keys, in whole sentences.
    pub(super) about: &'static str,
    pub(super) keys: &'static [Key],
}

/// One key of a table.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
    /// What it is for, in a few words: messages show it.
    pub(super) doc: &'static str,
    /// What else there is to know, in whole sentences; may be empty.
    pub(super) more: &'static str,
    /// What holds where it is left out.
    pub(super) usual: Usual,
    pub(super) range: Range,
}

/// What a value must be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    /// An id that people write.
    Name,
    /// `500ms`, `1h30m`.
    Duration,
    /// `25%`, or a fraction such as `0.25`.
    Share,
    /// `512MiB`.
    Size,
    /// `true` or `false`.
    Bool,
    /// A whole number from 0.
    Count,
    Number,
    /// A bound, in the unit of the metric beside it.
    Limit,
    /// `15-28`.
    Days,
    Metric,
    /// A query to a Prometheus server.
    Query,
    /// Where a secret is: `env:NAME` or `file:PATH`.
    Reference,
    /// `http://` or `https://`, without credentials.
    Url,
    Choice(&'static [&'static str]),
    Texts,
    Names,
    Shares,
    /// Any value of the configuration or of JSON.
    Any,
    Table(&'static Shape),
    /// `[[...]]`, or an array of inline tables.
    Tables(&'static Shape),
    /// A table whose keys the plan chooses.
    Map(&'static Self),
}

impl Shape {
    /// The key of this name.
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }
}

/// A key that must be there.
pub(super) const fn need(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { required: true, ..may(name, kind, doc) }
}

/// A key that may be left out.
pub(super) const fn may(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, required: false, doc, more: "", usual: Usual::Nothing, range: Range::All }
}

impl Key {
    /// What the key is when it is left out.
    pub(super) const fn usually(self, usual: Literal) -> Self {
        Self { usual: Usual::Is(usual), ..self }
    }

    /// What holds when the key is left out, where that depends on others.
    pub(super) const fn otherwise(self, words: &'static str) -> Self {
        Self { usual: Usual::Said(words), ..self }
    }

    /// Which values it takes.
    pub(super) const fn within(self, range: Range) -> Self {
        Self { range, ..self }
    }

    /// What else there is to know.
    pub(super) const fn more(self, more: &'static str) -> Self {
        Self { more, ..self }
    }
}
