//! Where the operators' token comes from: a file, the environment, or the state folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Args;
use crate::error::{Code, Failure, Result};
use crate::failpoint::{self, Point};
use crate::ids::random_hex;
use crate::secret::{Secret, SecretError, SecretRef};
use crate::settings::environment;

/// Where the operators' token comes from; what is in a file may be another one later.
pub(super) enum TokenSource {
    Named(String),
    Environment(Secret),
    /// In the state folder, where the first start puts a new one.
    Kept(PathBuf),
}

impl TokenSource {
    pub(super) fn of(args: &Args) -> Self {
        match (&args.token, environment("CTX_TOKEN")) {
            (Some(reference), _) => Self::Named(reference.clone()),
            (None, Some(token)) => Self::Environment(Secret::new(token)),
            (None, None) => Self::Kept(args.state.clone()),
        }
    }

    pub(super) fn read(&self) -> Result<Secret> {
        match self {
            Self::Named(reference) => resolve("--token", reference),
            Self::Environment(token) => Ok(token.clone()),
            Self::Kept(folder) => kept_token(folder),
        }
    }
}

pub(super) fn resolve(flag: &str, reference: &str) -> Result<Secret> {
    let reference: SecretRef = reference.parse().map_err(|error| bad_secret(flag, &error))?;
    reference.resolve().map_err(|error| bad_secret(flag, &error))
}

pub(super) fn bad_secret(flag: &str, error: &SecretError) -> Failure {
    Failure::new(Code::Usage, format!("`{flag}` names no secret"))
        .because(error)
        .hint("write `env:NAME` or `file:PATH`; the secret itself never goes on a command line")
}

/// The token that an earlier start left in the state folder, or a new one put there.
fn kept_token(folder: &Path) -> Result<Secret> {
    let path = token_file(folder);
    let fault = |error: &dyn std::error::Error| {
        Failure::new(Code::Failure, format!("failed to keep the token in `{}`", path.display()))
            .because(error)
            .hint("name a writable folder with `--state DIR`, or a token with `--token REF`")
    };
    crate::orchestrator::store::prepare(folder).map_err(|error| fault(&error))?;
    // A name more is what an interrupted start has left.
    if path.is_symlink() {
        return Err(Failure::new(Code::Failure, format!("`{}` is a link", path.display()))
            .hint("name where the token really is with `--token file:PATH`"));
    }
    if !path.exists() {
        make_token(folder, &path).map_err(|error| fault(&error))?;
    }
    let reference = SecretRef::File(path.display().to_string());
    reference.resolve().map_err(|error| fault(&error))
}

/// Puts a new token at `path`, whole or not at all; one that is there already stays.
fn make_token(folder: &Path, path: &Path) -> io::Result<()> {
    let new = folder.join("token.new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(random_hex::<32>().as_bytes())?;
    file.sync_all()?;
    failpoint::hit(Point::TokenWritten);
    match fs::hard_link(&new, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    failpoint::hit(Point::TokenKept);
    fs::remove_file(&new)?;
    File::open(folder)?.sync_all()
}

pub(super) fn token_file(folder: &Path) -> PathBuf {
    folder.join("token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_made_once_and_kept_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let (first, second) = (kept_token(&state).unwrap(), kept_token(&state).unwrap());
        assert_eq!(first, second);
        assert_eq!(first.expose().len(), 64);
        assert_eq!(
            std::fs::metadata(token_file(&state)).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
