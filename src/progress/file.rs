//! The records of a run in a file, beside whatever is shown: `--json-into`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::secret::redacted;
use crate::ui::{Sink, Worth};

/// A file that records are written to as they come.
#[derive(Debug)]
pub(super) struct Records(File);

impl Records {
    /// Begins an empty file. Only a regular file never makes a run wait for whoever reads it.
    ///
    /// # Errors
    /// When it cannot be written to, or is something else.
    pub(super) fn begin(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(there) if !there.is_file() => Err(io::Error::other("it is not a regular file")),
            _ => File::create(path).map(Self),
        }
    }
}

impl Sink for Records {
    fn put(&mut self, _: Worth, text: &str) -> bool {
        // The run goes on when the disk is full; the ledger has it all.
        self.0.write_all(redacted(text).as_bytes()).is_ok()
    }
}
