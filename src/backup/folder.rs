//! The folder of backups: what is in it, complete or not.

use std::fs::{self, DirBuilder};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::archive::open_file;
use super::error::BackupError;
use super::manifest::Manifest;

/// The name of the file that makes a folder a backup.
pub(super) const MANIFEST: &str = "manifest.json";

/// No manifest is nearly as long.
const MANIFEST_LIMIT: u64 = 64 << 20;

/// A folder among the backups.
#[derive(Debug)]
pub enum Found {
    Complete(Box<Manifest>),
    /// It was never finished: it has no manifest.
    Incomplete {
        id: String,
    },
    /// Its manifest does not count.
    Damaged {
        id: String,
        why: BackupError,
    },
}

impl Found {
    pub fn id(&self) -> &str {
        match self {
            Self::Complete(manifest) => manifest.id.as_str(),
            Self::Incomplete { id } | Self::Damaged { id, .. } => id,
        }
    }
}

/// The folder of all backups beside the ledger.
pub fn all(home: &Path) -> PathBuf {
    home.join("backups")
}

/// Makes the folder of all backups where it is not there yet.
pub(super) fn prepare(home: &Path) -> Result<PathBuf, BackupError> {
    let folder = all(home);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.map_err(BackupError::io(&folder, "make the folder"))?;
    Ok(folder)
}

/// All folders among the backups, the newest first. Parts are not read.
///
/// # Errors
/// When the folder cannot be read; none at all is no error.
pub fn list(home: &Path) -> Result<Vec<Found>, BackupError> {
    let folder = all(home);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(BackupError::io(&folder, "read the folder")(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(BackupError::io(&folder, "read the folder"))?.path();
        if path.is_dir() {
            found.push(match load(&path) {
                Ok(manifest) => Found::Complete(Box::new(manifest)),
                Err(BackupError::Incomplete(id)) => Found::Incomplete { id },
                Err(why) => Found::Damaged { id: name(&path), why },
            });
        }
    }
    found.sort_by(|a, b| b.id().cmp(a.id()));
    Ok(found)
}

/// Reads the manifest of the backup in `path`.
///
/// # Errors
/// When there is no such folder, no manifest in it, or one that does not count.
pub fn load(path: &Path) -> Result<Manifest, BackupError> {
    let (id, file) = (name(path), path.join(MANIFEST));
    let mut bytes = Vec::new();
    let read = open_file(&file)
        .and_then(|file| file.take(MANIFEST_LIMIT).read_to_end(&mut bytes).map(drop));
    match read {
        Ok(()) => {
            Manifest::parse(&bytes, &id).map_err(|source| BackupError::Manifest { id, source })
        }
        Err(error) if error.kind() == ErrorKind::NotFound && path.is_dir() => {
            Err(BackupError::Incomplete(id))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(BackupError::Missing(id)),
        Err(error) => Err(BackupError::io(&file, "read the manifest")(error)),
    }
}

/// The folder's own name, which is the backup's id.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
