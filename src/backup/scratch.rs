//! Places to try things in, gone when dropped.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::ids::random_hex;

/// A folder that only its owner can enter. It is removed with all its contents when dropped,
/// unless it is kept.
#[derive(Debug)]
pub(super) struct Scratch {
    path: Option<PathBuf>,
}

impl Scratch {
    /// Makes the folder, which must not be there yet.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        DirBuilder::new().mode(0o700).create(path)?;
        Ok(Self { path: Some(path.to_path_buf()) })
    }

    /// Makes a folder among the system's temporary files.
    pub(super) fn elsewhere() -> io::Result<Self> {
        Self::at(&std::env::temp_dir().join(format!("ctx-{}", random_hex::<8>())))
    }

    pub(super) fn path(&self) -> &Path {
        self.path.as_deref().expect("it is there until it is dropped or kept")
    }

    /// Lets the folder stay.
    pub(super) fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Nothing depends on its being gone.
            let _ = fs::remove_dir_all(path);
        }
    }
}
