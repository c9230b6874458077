//! Verification: each part is restored into a scratch folder and checked there.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::BackupError;
use super::manifest::{Content, Manifest, Origin, Part, Tables};
use super::scratch::Scratch;
use super::{archive, folder, sqlite};
use crate::control::config::Config;
use crate::control::observe::CacheSnapshot;
use crate::ids::BackupId;

/// What is wrong with a part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartFault {
    #[error("it is missing")]
    Missing,
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    #[error("it is not the file that was written: {found} bytes, {expected} were written")]
    Changed { expected: u64, found: u64 },
    #[error("{0}")]
    Content(String),
}

/// What a verification found, part by part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    pub id: BackupId,
    pub parts: Vec<PartReport>,
}

/// What was found about one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartReport {
    pub part: String,
    pub file: String,
    /// Its size before compression.
    pub bytes: u64,
    /// What is wrong; absent when it was restored and is what was backed up.
    pub fault: Option<String>,
}

impl Report {
    /// Whether every part is what was backed up.
    pub fn sound(&self) -> bool {
        self.faults().next().is_none()
    }

    /// The parts that are not, and why.
    pub fn faults(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parts.iter().filter_map(|part| Some((part.part.as_str(), part.fault.as_deref()?)))
    }
}

/// Verifies the backup in `path`: every part is restored among the temporary files and checked.
///
/// # Errors
/// When there is no backup, it is incomplete, or its manifest does not count. What is wrong with
/// a part is in the report.
pub fn verify(path: &Path) -> Result<Report, BackupError> {
    let manifest = folder::load(path)?;
    let scratch =
        Scratch::elsewhere().map_err(BackupError::io(&std::env::temp_dir(), "make a folder in"))?;
    Ok(parts(path, &manifest, scratch.path()))
}

/// Restores all parts into `scratch`, one after the other, and checks them.
pub(super) fn parts(path: &Path, manifest: &Manifest, scratch: &Path) -> Report {
    let report = |part: &Part| {
        let restored = restore(path, part, &manifest.orchestrator, scratch);
        let fault = match restored {
            Ok(restored) => fs::remove_file(restored).err().map(|error| error.to_string()),
            Err(fault) => Some(fault.to_string()),
        };
        let (file, bytes) = (part.file.clone(), part.original.bytes);
        PartReport { part: part.label(), file, bytes, fault }
    };
    Report { id: manifest.id.clone(), parts: manifest.parts.iter().map(report).collect() }
}

/// Restores one part into `scratch` and checks that it is what was backed up.
pub(super) fn restore(
    path: &Path,
    part: &Part,
    origin: &Origin,
    scratch: &Path,
) -> Result<PathBuf, PartFault> {
    let restored = scratch.join(part.restored_name());
    archive::unpack(path, part, &restored)?;
    let wrong = |what: &str| Err(PartFault::Content(what.to_owned()));
    match &part.content {
        Content::Config => {
            let config: Config = json(&restored)?;
            if config.hash() != origin.config_hash {
                return wrong("it is not the configuration that was backed up");
            }
        }
        Content::Cache { entries } => {
            let cache: CacheSnapshot = json(&restored)?;
            if cache.entries.len() as u64 != *entries {
                return wrong("it does not hold as many answers as were backed up");
            }
        }
        Content::Inbox { pending, dead, tables } => {
            database(&restored, tables)?;
            let counted = sqlite::inbox_census(&restored)
                .map_err(|fault| PartFault::Content(fault.to_string()))?;
            if counted != (*pending, *dead) {
                return wrong("it does not hold as many events as were backed up");
            }
        }
        Content::Database { tables } | Content::Service { tables, .. } => {
            database(&restored, tables)?;
        }
    }
    Ok(restored)
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, PartFault> {
    let bytes = fs::read(path).map_err(|error| PartFault::Unreadable(error.to_string()))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| PartFault::Content(format!("it is not what it should be: {error}")))
}

fn database(path: &Path, expected: &Tables) -> Result<(), PartFault> {
    let found = sqlite::inspect(path).map_err(|fault| PartFault::Content(fault.to_string()))?;
    if found == *expected {
        return Ok(());
    }
    let table = expected
        .rows
        .iter()
        .find(|(table, rows)| found.rows.get(*table) != Some(rows))
        .map_or("another table", |(table, _)| table);
    Err(PartFault::Content(format!("`{table}` does not hold the rows that were backed up")))
}
