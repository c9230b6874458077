//! The state folder: private to its owner, and used by one orchestrator at a time.
//!
//! A file in it that is a link, has a second name, or is somebody else's was not put there by this
//! program; nothing is read from it, and nothing written through it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::process::geteuid;

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
        inspect(&path)?;
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
    if about.uid() != geteuid().as_raw() {
        return Err(StoreError::Strange { path: folder.to_path_buf(), what: "is another user's" });
    }
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
    inspect(path)?;
    let file = private(path).map_err(|source| failed("open", path, source))?;
    let about = file.metadata().map_err(|source| failed("inspect", path, source))?;
    let others = about.permissions().mode() & 0o077;
    if others == 0 {
        return Ok(());
    }
    // The folder was closed to others; what was copied into it is, too.
    file.set_permissions(fs::Permissions::from_mode(0o600))
        .map_err(|source| failed("close to others", path, source))
}

/// Makes sure that what is at `path`, if anything, is a file of ours with one name.
///
/// # Errors
/// When it is not.
pub(crate) fn inspect(path: &Path) -> Result<(), StoreError> {
    let about = match fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed("inspect", path, source)),
    };
    let what = match () {
        () if about.is_symlink() => "is a link",
        () if !about.is_file() => "is no file",
        () if about.uid() != geteuid().as_raw() => "is another user's",
        () if about.nlink() > 1 => "has a second name elsewhere",
        () => return Ok(()),
    };
    Err(StoreError::Strange { path: path.to_path_buf(), what })
}

/// As [`inspect`], for a database and the files that SQLite keeps beside it.
pub(super) fn inspect_database(path: &Path) -> Result<(), StoreError> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        inspect(Path::new(&name))?;
    }
    Ok(())
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
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
}
