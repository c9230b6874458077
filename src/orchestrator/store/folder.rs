//! The state folder: private to its owner, and used by one orchestrator at a time.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::{FILE, StoreError};

/// Beginning of the names of unfinished snapshots.
pub(super) const SNAPSHOT: &str = "snapshot-";

/// Proof that nobody else uses the folder.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("lock");
        let file = private(&path).map_err(|source| failed("open", &path, source))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::Locked(folder.to_path_buf())),
            Err(error) => Err(failed("lock", &path, error.into())),
        }
    }
}

/// Makes the folder, or makes sure that it is closed to others.
///
/// One that is ours, or empty, is closed; one with somebody's files in it is refused, because
/// closing it could take those files from others.
///
/// # Errors
/// When it cannot be made or closed.
pub fn prepare(folder: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| failed("create", folder, source))?;
    let about = fs::metadata(folder).map_err(|source| failed("inspect", folder, source))?;
    let mode = about.permissions().mode() & 0o777;
    let others = mode & 0o077;
    if others == 0 {
        return Ok(());
    }
    let mut entries = fs::read_dir(folder).map_err(|source| failed("read", folder, source))?;
    if entries.next().is_some() && !folder.join(FILE).exists() {
        return Err(StoreError::Exposed { path: folder.to_path_buf(), mode });
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
        .map_err(|source| failed("close to others", folder, source))
}

/// Makes an empty file that only its owner can read, unless it is there.
pub(super) fn create_private(path: &Path) -> Result<(), StoreError> {
    private(path).map(|_| ()).map_err(|source| failed("open", path, source))
}

/// Removes what an interrupted snapshot has left.
pub(super) fn sweep(folder: &Path) -> Result<(), StoreError> {
    let entries = fs::read_dir(folder).map_err(|source| failed("read", folder, source))?;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(SNAPSHOT) {
            remove(&path)?;
        }
    }
    Ok(())
}

pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(failed("remove", path, source)),
        _ => Ok(()),
    }
}

pub(super) fn failed(doing: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { doing, path: PathBuf::from(path), source }
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
