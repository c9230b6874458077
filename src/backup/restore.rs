//! Restoring a backup: a person's decision, part by part.
//!
//! The whole backup is verified again before anything is written, and a safety backup of what is
//! there now must hold every part that is about to be replaced. The service's databases come
//! first, the configuration that sends traffic to them last. The orchestrator's own database is
//! restored offline only, by [`extract`]: a running orchestrator cannot be given another past.

use std::fs::{self, File};
use std::future::Future;
use std::path::{Path, PathBuf};

use super::create::ServiceDatabase;
use super::error::{BackupError, EdgeError};
use super::manifest::{Content, Kind, Manifest, Part};
use super::restoration::Restoration;
use super::scratch::Scratch;
use super::{blocking, folder, sqlite, verify};
use crate::control::config::Config;
use crate::control::inbox::InboxRestored;
use crate::control::observe::CacheSnapshot;
use crate::failpoint::{self, Point};

/// Where the parts of a running service are put back.
pub trait Sink {
    /// Puts a configuration in force and confirms it.
    fn config(&self, config: Config, reason: &str) -> impl Future<Output = Result<(), EdgeError>>;

    /// Puts answers back into the cache.
    fn cache(&self, cache: CacheSnapshot) -> impl Future<Output = Result<(), EdgeError>>;

    /// Puts the events of an inbox's database in the file `restored` back into the inbox, if that
    /// is empty.
    fn inbox(&self, restored: PathBuf) -> impl Future<Output = Result<InboxRestored, EdgeError>>;

    /// Replaces what is in a database of the service by what is in the file `restored`.
    fn service(
        &self,
        restored: PathBuf,
        into: PathBuf,
    ) -> impl Future<Output = Result<(), EdgeError>> {
        async move {
            let replaced = blocking(move || sqlite::replace(&restored, &into)).await;
            replaced.map_err(Into::into)
        }
    }
}

/// A restore that was decided on.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// The backup's folder.
    pub path: &'a Path,
    /// What is about to be done, from [`super::restoration::plan_restore`].
    pub restoration: &'a Restoration,
    /// A backup of what is there now.
    pub safety: &'a Manifest,
    /// Where the service's databases are.
    pub databases: &'a [ServiceDatabase],
}

/// Performs a restore, and says which parts it has restored.
///
/// # Errors
/// Before anything is written: when the backup is not sound, the safety backup lacks a part, or
/// nobody knows where a database belongs. After that, [`BackupError::Partial`] says what was
/// done.
pub async fn restore(sink: &impl Sink, decision: Decision<'_>) -> Result<Vec<String>, BackupError> {
    let manifest = folder::load(decision.path)?;
    let scratch =
        Scratch::elsewhere().map_err(BackupError::io(&std::env::temp_dir(), "make a folder in"))?;
    let (path, whole, place) =
        (decision.path.to_path_buf(), manifest.clone(), scratch.path().to_path_buf());
    let report = blocking(move || verify::parts(&path, &whole, &place)).await;
    if !report.sound() {
        return Err(BackupError::Damaged(Box::new(report)));
    }
    let mut parts = Vec::new();
    for change in decision.restoration.changes() {
        let part = manifest.parts.iter().find(|part| part.file == change.file);
        let part = part.expect("a restoration is planned from the manifest");
        check_safety(part, &decision)?;
        parts.push((part, place_of(part, decision.databases)?));
    }
    // Data first, then the configuration that makes use of it, then the events that need both.
    parts.sort_by_key(|(part, _)| match part.content.kind() {
        Kind::Service => 0,
        Kind::Cache => 1,
        Kind::Config | Kind::Database => 2,
        Kind::Inbox => 3,
    });
    let mut done = Vec::new();
    for (part, into) in parts {
        failpoint::hit(Point::RestorePuts);
        let restored = one(sink, &manifest, part, into, decision.path, scratch.path()).await;
        if let Err(error) = restored {
            let source = Box::new(error);
            return Err(BackupError::Partial { done, part: part.label(), source });
        }
        failpoint::hit(Point::RestorePut);
        done.push(part.label());
    }
    Ok(done)
}

/// What is about to be lost must be in the safety backup.
fn check_safety(part: &Part, decision: &Decision<'_>) -> Result<(), BackupError> {
    let label = part.label();
    let held = decision.safety.parts.iter().any(|held| held.label() == label);
    let gone = decision
        .databases
        .iter()
        .any(|database| label == format!("service {}", database.name) && !database.path.exists());
    if held || gone {
        return Ok(());
    }
    Err(BackupError::NoSafety { safety: decision.safety.id.clone(), part: label })
}

/// Where a database of the service belongs.
fn place_of<'a>(
    part: &Part,
    databases: &'a [ServiceDatabase],
) -> Result<Option<&'a Path>, BackupError> {
    let Content::Service { name, .. } = &part.content else { return Ok(None) };
    let database = databases.iter().find(|database| database.name == *name);
    let database = database.ok_or_else(|| BackupError::UnknownDatabase(name.clone()))?;
    Ok(Some(&database.path))
}

async fn one(
    sink: &impl Sink,
    manifest: &Manifest,
    part: &Part,
    into: Option<&Path>,
    path: &Path,
    scratch: &Path,
) -> Result<(), BackupError> {
    let restored = unpacked(manifest, part, path, scratch).await?;
    let read = || fs::read(&restored).map_err(BackupError::io(&restored, "read"));
    match (&part.content, into) {
        (Content::Config, _) => {
            let config = serde_json::from_slice(&read()?).expect("it was verified");
            let reason = format!("restore of backup {}", manifest.id);
            let put = sink.config(config, &reason).await;
            put.map_err(BackupError::edge("put the configuration back"))
        }
        (Content::Cache { .. }, _) => {
            let cache = serde_json::from_slice(&read()?).expect("it was verified");
            sink.cache(cache).await.map_err(BackupError::edge("put the cache back"))
        }
        (Content::Inbox { .. }, _) => {
            let put = sink.inbox(restored).await;
            put.map(drop).map_err(BackupError::edge("put the stored events back"))
        }
        (Content::Service { .. }, Some(into)) => {
            let put = sink.service(restored, into.to_path_buf()).await;
            put.map_err(BackupError::edge("replace the database"))
        }
        (Content::Service { .. } | Content::Database { .. }, _) => {
            unreachable!("a restoration writes databases of the service only, at a known place")
        }
    }
}

/// Restores one part into `scratch`, and checks it.
async fn unpacked(
    manifest: &Manifest,
    part: &Part,
    path: &Path,
    scratch: &Path,
) -> Result<PathBuf, BackupError> {
    let (origin, part, path, scratch) =
        (manifest.orchestrator.clone(), part.clone(), path.to_path_buf(), scratch.to_path_buf());
    blocking(move || {
        verify::restore(&path, &part, &origin, &scratch).map_err(|fault| {
            let why = format!("{}: {fault}", part.label());
            BackupError::Unsound { path, why }
        })
    })
    .await
}

/// Restores parts of the backup in `path` into the folder `to`, without any orchestrator.
///
/// Returns the files that were made. This is the one way to restore the orchestrator's own
/// database.
///
/// # Errors
/// When the backup is not sound, or `to` is there and not empty.
pub fn extract(path: &Path, to: &Path, wanted: &[Kind]) -> Result<Vec<PathBuf>, BackupError> {
    let manifest = folder::load(path)?;
    match fs::read_dir(to) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(BackupError::NotEmpty(to.to_path_buf()));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            fs::create_dir_all(to).map_err(BackupError::io(to, "make the folder"))?;
        }
        Err(error) => return Err(BackupError::io(to, "read the folder")(error)),
    }
    // Checked in a folder of its own: what SQLite leaves beside a database stays there.
    let place = to.join("scratch");
    let scratch = Scratch::at(&place).map_err(BackupError::io(&place, "make the folder"))?;
    let report = verify::parts(path, &manifest, scratch.path());
    if !report.sound() {
        return Err(BackupError::Damaged(Box::new(report)));
    }
    let is_wanted = |part: &&Part| wanted.is_empty() || wanted.contains(&part.content.kind());
    let mut made = Vec::new();
    for part in manifest.parts.iter().filter(is_wanted) {
        let restored = verify::restore(path, part, &manifest.orchestrator, scratch.path());
        let restored = restored.map_err(|fault| {
            let why = format!("{}: {fault}", part.label());
            BackupError::Unsound { path: path.to_path_buf(), why }
        })?;
        let file = to.join(part.restored_name());
        fs::rename(&restored, &file)
            .and_then(|()| File::open(&file)?.sync_all())
            .map_err(BackupError::io(&file, "write"))?;
        made.push(file);
    }
    Ok(made)
}
