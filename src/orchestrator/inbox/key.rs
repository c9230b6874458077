//! The key that the gateway vouches for events with.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::super::store::{StoreError, inspect};
use crate::ids::random_hex;
use crate::secret::Secret;

/// The name of the key's file within the state folder.
const FILE: &str = "event.key";

/// Reads the key, or makes a new one that only its owner can read.
pub(super) fn load(folder: &Path) -> Result<Secret, StoreError> {
    let path = folder.join(FILE);
    let failed = |doing, source| StoreError::Io { doing, path: path.clone(), source };
    inspect(&path)?;
    match fs::read_to_string(&path) {
        Ok(text) if text.trim().len() == 64 => return Ok(Secret::new(text.trim())),
        // What an interrupted start has left.
        Ok(_) => fs::remove_file(&path).map_err(|source| failed("remove", source))?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(source) => return Err(failed("read", source)),
    }
    let key = random_hex::<32>();
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut file| {
        file.write_all(key.as_bytes())?;
        file.sync_all()
    })
    .map_err(|source| failed("write", source))?;
    Ok(Secret::new(key))
}
