//! The shape of a plan's tables: which keys, of which kind, and what they are for.
//!
//! Each reader keeps its shape beside it, and reads nothing that the shape does not name; the
//! JSON Schema is made from the same shapes. So a key is known to the parser, its messages and
//! the schema, or to none of them.

/// The keys of a table.
#[derive(Debug)]
pub(super) struct Shape {
    /// What the table is, as in "a step".
    pub(super) what: &'static str,
    pub(super) keys: &'static [Key],
}

/// One key of a table.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
    pub(super) doc: &'static str,
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
    Key { name, kind, required: true, doc }
}

/// A key that may be left out.
pub(super) const fn may(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, required: false, doc }
}
