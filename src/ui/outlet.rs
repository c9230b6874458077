//! One of the two streams, as a run's observer writes to it.

use super::view::{Stream, View};
use crate::secret::redacted;

/// How much it matters that a text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// A picture that the next one replaces.
    Picture,
    /// A sign of life.
    Passing,
    /// A record of something that happened; the ledger has it, too.
    Record,
    /// A result, a question or a failure.
    Result,
}

/// Where an observer writes.
pub trait Sink: std::fmt::Debug + Send {
    /// Writes a text, line ends included. Says whether it was taken: it is not where nobody has
    /// read for long.
    fn put(&mut self, worth: Worth, text: &str) -> bool;
}

/// A stream of this process.
#[derive(Clone, Debug)]
pub struct Outlet {
    view: View,
    stream: Stream,
}

impl Outlet {
    pub(super) fn new(view: &View, stream: Stream) -> Self {
        Self { view: view.clone(), stream }
    }
}

impl Sink for Outlet {
    fn put(&mut self, worth: Worth, text: &str) -> bool {
        self.view.put(self.stream, worth, redacted(text).as_bytes())
    }
}

#[cfg(test)]
impl Sink for Vec<u8> {
    fn put(&mut self, _: Worth, text: &str) -> bool {
        self.extend_from_slice(text.as_bytes());
        true
    }
}
