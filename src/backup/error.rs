//! What can go wrong with a backup, and what to do then.

use std::io;
use std::path::{Path, PathBuf};

use super::manifest::ManifestError;
use super::verify::Report;
use crate::error::{Code, Failure, count};
use crate::ids::BackupId;

/// What a [`super::Source`] or a [`super::Sink`] fails with.
pub type EdgeError = Box<dyn std::error::Error + Send + Sync>;

/// Why a backup could not be made, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("failed to {doing} `{}`", .path.display())]
    Io { path: PathBuf, doing: &'static str, source: io::Error },
    #[error("failed to {doing} `{}`", .path.display())]
    Sqlite { path: PathBuf, doing: &'static str, source: rusqlite::Error },
    #[error("`{}` is not sound: {why}", .path.display())]
    Unsound { path: PathBuf, why: String },
    #[error("failed to {doing}")]
    Edge { doing: &'static str, source: EdgeError },
    #[error(
        "not enough space in `{}`: {} MiB are needed and {} MiB are free",
        .path.display(), .needed.div_ceil(1 << 20), .free >> 20
    )]
    NoSpace { path: PathBuf, needed: u64, free: u64 },
    #[error("the configuration moved from revision {from} to {to} while the backup was made")]
    Moved { from: u64, to: u64 },
    #[error("there is no backup `{0}`")]
    Missing(String),
    #[error("backup `{0}` is incomplete: it has no manifest")]
    Incomplete(String),
    #[error("the manifest of backup `{id}` does not count")]
    Manifest { id: String, source: ManifestError },
    #[error("backup `{}` is damaged", .0.id)]
    Damaged(Box<Report>),
    #[error("the safety backup `{safety}` does not hold `{part}`")]
    NoSafety { safety: BackupId, part: String },
    #[error("the plan names no database `{0}`")]
    UnknownDatabase(String),
    #[error("the folder `{}` is not empty", .0.display())]
    NotEmpty(PathBuf),
    #[error("restored {}, then failed to restore {part}", restored(.done))]
    Partial { done: Vec<String>, part: String, source: Box<Self> },
}

fn restored(done: &[String]) -> String {
    if done.is_empty() { "nothing".to_owned() } else { done.join(", ") }
}

impl BackupError {
    pub(super) fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, doing, source }
    }

    pub(super) fn sqlite(path: &Path, doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Sqlite { path, doing, source }
    }

    pub(super) fn edge(doing: &'static str) -> impl FnOnce(EdgeError) -> Self {
        move |source| Self::Edge { doing, source }
    }

    /// The exit code that goes with the error.
    pub fn code(&self) -> Code {
        match self {
            Self::Partial { source, .. } => source.code(),
            Self::Missing(_) | Self::UnknownDatabase(_) | Self::NotEmpty(_) => Code::Usage,
            Self::Incomplete(_)
            | Self::Manifest { .. }
            | Self::Damaged(_)
            | Self::NoSafety { .. }
            | Self::Moved { .. } => Code::Refused,
            Self::Io { .. }
            | Self::Sqlite { .. }
            | Self::Unsound { .. }
            | Self::NoSpace { .. }
            | Self::Edge { .. } => Code::Failure,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoSpace { .. } => "free some space; nothing was changed",
            Self::Moved { .. } => "another run changes it; wait for its end, then try again",
            Self::Missing(_) => "`ctx backup list` shows the backups",
            Self::Incomplete(_) | Self::Manifest { .. } | Self::Damaged(_) => {
                "restore another one: `ctx backup list`"
            }
            Self::UnknownDatabase(_) => "name it in the plan's `[backup] databases`",
            Self::NotEmpty(_) => "name a folder that is empty or not there yet",
            Self::Unsound { .. } => "repair the database first: a backup of it would be no use",
            Self::Partial { .. } => {
                "what was restored stays so; repeat it, or restore the safety backup"
            }
            Self::Io { .. } | Self::Sqlite { .. } | Self::Edge { .. } | Self::NoSafety { .. } => {
                return None;
            }
        })
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let mut failure = Self::new(error.code(), error.to_string());
        if let BackupError::Damaged(report) = &error {
            let faults: Vec<_> = report.faults().collect();
            failure = failure.why(format!("{} found", count(faults.len(), "fault")));
            for (part, fault) in faults {
                failure = failure.why(format!("{part}: {fault}"));
            }
        }
        if let Some(source) = std::error::Error::source(&error) {
            failure = failure.because(source);
        }
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
