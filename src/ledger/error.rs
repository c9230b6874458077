//! What can go wrong with a ledger, and what to do then.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::fault::Fault;
use super::lock::Holder;
use crate::error::{Code, Failure};

/// Why the ledger could not be opened, read or appended to.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("there is no ledger at `{}`", .0.display())]
    Missing(PathBuf),
    #[error("there is a file at `{}` already", .0.display())]
    Exists(PathBuf),
    #[error("the ledger `{}` is in use{}", .path.display(), by(.holder.as_ref()))]
    Locked { path: PathBuf, holder: Option<Holder> },
    #[error(
        "the ledger `{}` has format {found}, and this ctx knows formats up to {known}",
        .path.display()
    )]
    TooNew { path: PathBuf, found: i64, known: u32 },
    #[error("`{}` is not a ledger: {why}", .path.display())]
    NotALedger { path: PathBuf, why: String },
    #[error("the ledger `{}` is damaged: {fault}", .path.display())]
    Damaged { path: PathBuf, fault: Fault },
    #[error("no space is left for the ledger `{}`", .path.display())]
    Full { path: PathBuf, source: rusqlite::Error },
    #[error("failed to {doing} in `{}`", .path.display())]
    Io { path: PathBuf, doing: &'static str, source: io::Error },
    #[error("failed to {doing} in the ledger `{}`", .path.display())]
    Sqlite { path: PathBuf, doing: &'static str, source: rusqlite::Error },
    /// A number in it is not finite, say; nothing was written.
    #[error("a fact `{0}` would not be the same when it is read again")]
    Unwritable(&'static str),
    /// A write failed before; what reached the disk is unknown until the ledger is opened again.
    #[error("the ledger `{}` takes no more entries after a failed write", .0.display())]
    Stopped(PathBuf),
    /// An export that does not prove itself; no ledger was made of it.
    #[error("line {line} of the export: {why}")]
    Export { line: u64, why: String },
    #[error("no run begins with `{0}`")]
    NoSuchRun(String),
    #[error("{count} runs begin with `{prefix}`")]
    Ambiguous { prefix: String, count: usize },
}

fn by(holder: Option<&Holder>) -> String {
    holder.map(|holder| format!(" by {holder}")).unwrap_or_default()
}

impl LedgerError {
    /// Classifies what SQLite said while `doing` something with the ledger at `path`.
    pub(super) fn sqlite(path: &Path, doing: &'static str, source: rusqlite::Error) -> Self {
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType,
            QueryReturnedNoRows, SqlInputError, Utf8Error,
        };
        let path = path.to_path_buf();
        // The statements are fixed, and so is the schema: where they do not fit, it is not ours.
        let unreadable = matches!(
            source,
            FromSqlConversionFailure(..)
                | IntegralValueOutOfRange(..)
                | InvalidColumnType(..)
                | QueryReturnedNoRows
                | SqlInputError { .. }
                | Utf8Error(..)
        );
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path, source },
            Some(ErrorCode::NotADatabase) => {
                Self::NotALedger { path, why: "it is not an SQLite database".to_owned() }
            }
            code if code == Some(ErrorCode::DatabaseCorrupt) || unreadable => {
                Self::Damaged { path, fault: Fault::Storage { detail: source.to_string() } }
            }
            _ => Self::Sqlite { path, doing, source },
        }
    }

    /// Whether it is unknown what reached the disk.
    pub(super) fn is_disk_failure(&self) -> bool {
        let failed = Some(ErrorCode::SystemIoFailure);
        matches!(self, Self::Sqlite { source, .. } if source.sqlite_error_code() == failed)
    }

    /// Whether the disk does not take what is written, now or at all.
    pub(super) fn is_of_the_disk(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        match self {
            Self::Full { .. } | Self::Stopped(_) => true,
            Self::Io { source, .. } => {
                let kinds = [PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull];
                kinds.contains(&source.kind())
                    || source.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
            }
            Self::Sqlite { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(
                    ErrorCode::CannotOpen
                        | ErrorCode::PermissionDenied
                        | ErrorCode::ReadOnly
                        | ErrorCode::SystemIoFailure
                )
            ),
            _ => false,
        }
    }

    /// The error and what is behind it, in one line.
    pub(super) fn with_cause(&self) -> String {
        match std::error::Error::source(self) {
            Some(source) if !matches!(self, Self::Full { .. }) => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }

    /// The exit code that goes with the error.
    pub const fn code(&self) -> Code {
        match self {
            Self::Missing(_) | Self::Full { .. } | Self::Io { .. } | Self::Sqlite { .. } => {
                Code::Failure
            }
            Self::Stopped(_) => Code::Failure,
            Self::Unwritable(_) => Code::Bug,
            Self::NoSuchRun(_) | Self::Ambiguous { .. } => Code::Usage,
            Self::Exists(_) => Code::Refused,
            Self::Locked { .. } => Code::Locked,
            Self::TooNew { .. }
            | Self::NotALedger { .. }
            | Self::Damaged { .. }
            | Self::Export { .. } => Code::LedgerDamaged,
        }
    }

    fn hint(&self) -> String {
        let keep = "keep the file as it is: it is evidence; nothing is written to it any more";
        match self {
            Self::Missing(_) => "name another with `--ledger PATH`; the first `ctx migrate` \
                                 makes one"
                .to_owned(),
            Self::Exists(_) => "it is left as it is; name another file for the new \
                                ledger"
                .to_owned(),
            Self::Locked { .. } => "wait until that process has ended; `ctx status` reads the \
                                    ledger meanwhile"
                .to_owned(),
            Self::TooNew { .. } => "use the ctx that wrote it, or a newer one".to_owned(),
            Self::NotALedger { .. } => "name the ledger with `--ledger PATH`; this file is left \
                                        as it is"
                .to_owned(),
            Self::Damaged { .. } => format!("{keep}; `ctx ledger verify` says more"),
            Self::Full { .. } => "free some space, then run it again".to_owned(),
            Self::Io { .. } | Self::Sqlite { .. } | Self::Stopped(_) => {
                "see to the disk and the file's permissions, then run it again".to_owned()
            }
            Self::Unwritable(_) => "this is a bug in ctx; please report it".to_owned(),
            Self::Export { .. } => {
                "no ledger was made of it; compare it with another copy, and its \
                                    head with one that was written down"
                    .to_owned()
            }
            Self::NoSuchRun(_) => "`ctx history` lists the runs".to_owned(),
            Self::Ambiguous { .. } => "give more digits of its id".to_owned(),
        }
    }
}

/// How to go on without a ledger that is damaged.
pub const ANEW: &str = "to go on, `ctx ledger rebuild --from-orchestrator` makes a new ledger of \
                        what the orchestrator knows; name it with `--ledger PATH` from then on";

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        let failure = Self::new(error.code(), error.to_string()).hint(error.hint());
        let failure = match &error {
            LedgerError::Damaged { .. } => failure.hint(ANEW),
            _ => failure,
        };
        match (&error, std::error::Error::source(&error)) {
            // SQLite only says the same in other words.
            (LedgerError::Full { .. }, _) | (_, None) => failure,
            (_, Some(source)) => failure.because(source),
        }
    }
}
