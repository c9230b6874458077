//! Making a backup: gather, pack, restore to prove it, and only then write the manifest.
//!
//! Everything happens in the backup's own folder. The manifest is written to a temporary file
//! there, synced, and renamed; whatever fails before that leaves nothing behind, and a process
//! that dies leaves a folder without a manifest. The configuration is read before and after the
//! other parts, so that all of them belong to one revision.

use std::fs::{self, File};
use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::error::{BackupError, EdgeError};
use super::folder::{self, MANIFEST};
use super::manifest::{Content, FORMAT, Manifest, Origin, Part, Sum, Tables};
use super::scratch::Scratch;
use super::{archive, blocking, sqlite, verify};
use crate::clock::{Clock, rfc3339};
use crate::control::config::Config;
use crate::control::observe::CacheSnapshot;
use crate::failpoint::{self, Point};
use crate::ids::{BackupId, PlanName, RunId};

/// Where the orchestrator's parts come from.
pub trait Source {
    /// The configuration in force, and whose it is.
    fn config(&self) -> impl Future<Output = Result<Captured, EdgeError>>;

    /// Writes a consistent snapshot of the orchestrator's own SQLite database to the new file
    /// `into`.
    fn database(&self, into: &Path) -> impl Future<Output = Result<(), EdgeError>>;

    /// Writes a consistent snapshot of the inbox's SQLite database to the new file `into`, which
    /// only its owner can read. Returns whether there is an inbox.
    fn inbox(&self, into: &Path) -> impl Future<Output = Result<bool, EdgeError>>;

    /// What the cache holds.
    fn cache(&self) -> impl Future<Output = Result<CacheSnapshot, EdgeError>>;
}

/// The configuration of an orchestrator at one revision.
#[derive(Clone, Debug, PartialEq)]
pub struct Captured {
    pub url: String,
    pub state_uuid: String,
    pub rev: u64,
    pub config: Config,
    /// As the orchestrator says; it must be the configuration's own.
    pub config_hash: String,
}

/// What to back up, and where to.
#[derive(Clone, Debug)]
pub struct Request {
    /// The folder that holds the ledger; the backup goes to `backups/ID/` in it.
    pub home: PathBuf,
    pub id: BackupId,
    pub plan: Option<PlanName>,
    pub run: Option<RunId>,
    /// The databases of the service.
    pub databases: Vec<ServiceDatabase>,
}

/// A database of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceDatabase {
    /// As the plan writes it.
    pub name: String,
    /// Where it is from here.
    pub path: PathBuf,
}

/// The inbox's file, here and in the state folder.
const INBOX: &str = "inbox.sqlite3";

/// Space that must stay free beside a backup: what other files on the disk may need meanwhile.
const RESERVE: u64 = 64 << 20;

/// A backup needs its parts as they are, compressed, and restored to be checked.
const COPIES: u64 = 3;

/// Makes a backup, and verifies it by restoring every part into a scratch folder.
///
/// Dropping the future leaves nothing that counts as a backup.
///
/// # Errors
/// When a part cannot be had, is not sound, or changed meanwhile, or the disk is full or fails.
/// There is no backup then.
pub async fn create(
    source: &impl Source,
    request: Request,
    clock: &dyn Clock,
) -> Result<Manifest, BackupError> {
    let all = folder::prepare(&request.home)?;
    let databases = request.databases.clone();
    let service = blocking(move || sizes(&databases)).await?;
    room(&all, service)?;
    let path = all.join(request.id.as_str());
    let backup = Scratch::at(&path).map_err(BackupError::io(&path, "make the folder"))?;
    let raw = path.join("scratch");
    let scratch = Scratch::at(&raw).map_err(BackupError::io(&raw, "make the folder"))?;

    failpoint::hit(Point::BackupBegun);
    let before = capture(source).await?;
    let (config, database, cache) =
        (raw.join("config.json"), raw.join("database.sqlite3"), raw.join("cache.json"));
    write(&config, &before.config.canonical())?;
    failpoint::hit(Point::BackupConfig);
    let failed = BackupError::edge("read the orchestrator's database");
    source.database(&database).await.map_err(failed)?;
    failpoint::hit(Point::BackupDatabase);
    let inbox = raw.join(INBOX);
    let stored = source.inbox(&inbox).await.map_err(BackupError::edge("read the inbox"))?;
    let answers = source.cache().await.map_err(BackupError::edge("read the cache"))?;
    let json = serde_json::to_vec(&answers).expect("a snapshot is plain data");
    write(&cache, &json)?;
    failpoint::hit(Point::BackupCache);
    let after = capture(source).await?;
    if (before.rev, &before.config_hash) != (after.rev, &after.config_hash) {
        return Err(BackupError::Moved { from: before.rev, to: after.rev });
    }

    let origin = Origin {
        url: before.url,
        state_uuid: before.state_uuid,
        rev: before.rev,
        config_hash: before.config_hash,
    };
    let mut manifest = Manifest {
        format: FORMAT,
        id: request.id,
        at: rfc3339(clock.wall()),
        plan: request.plan,
        run: request.run,
        ctx_version: env!("CARGO_PKG_VERSION").to_owned(),
        orchestrator: origin,
        parts: Vec::new(),
    };
    let entries = answers.entries.len() as u64;
    let (folder, databases) = (path.clone(), request.databases);
    let manifest = blocking(move || {
        let stored = if stored { size(&inbox)? } else { 0 };
        room(&folder, service + size(&database)? + stored + size(&cache)?)?;
        let packer = Packer { raw: &raw, folder: &folder };
        manifest.parts = packer.all(entries, &databases)?;
        prove(&folder, &manifest)?;
        Ok::<_, BackupError>(manifest)
    })
    .await?;
    drop(scratch);
    seal(&path, &manifest)?;
    backup.keep();
    Ok(manifest)
}

async fn capture(source: &impl Source) -> Result<Captured, BackupError> {
    let doing = "read the configuration";
    let captured = source.config().await.map_err(BackupError::edge(doing))?;
    if captured.config.hash() != captured.config_hash {
        let source = "the configuration that it sent does not have the hash that it says".into();
        return Err(BackupError::Edge { doing, source });
    }
    Ok(captured)
}

/// How many bytes the service's databases have together.
fn sizes(databases: &[ServiceDatabase]) -> Result<u64, BackupError> {
    databases.iter().try_fold(0, |sum, database| {
        let size = sqlite::size(&database.path);
        Ok(sum + size.map_err(BackupError::sqlite(&database.path, "read the database"))?)
    })
}

/// Refuses to begin what the disk has no room for.
fn room(path: &Path, bytes: u64) -> Result<(), BackupError> {
    let needed = needed(bytes);
    let stat = rustix::fs::statvfs(path)
        .map_err(|errno| BackupError::io(path, "ask for the free space of")(errno.into()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free < needed {
        return Err(BackupError::NoSpace { path: path.to_path_buf(), needed, free });
    }
    Ok(())
}

/// The free space that a backup of that many bytes asks for.
const fn needed(bytes: u64) -> u64 {
    bytes.saturating_mul(COPIES).saturating_add(RESERVE)
}

fn size(path: &Path) -> Result<u64, BackupError> {
    fs::metadata(path).map(|meta| meta.len()).map_err(BackupError::io(path, "read"))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), BackupError> {
    archive::new_file(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(BackupError::io(path, "write"))
}

/// Packs what was gathered in one folder into another.
struct Packer<'a> {
    raw: &'a Path,
    folder: &'a Path,
}

impl Packer<'_> {
    fn all(&self, entries: u64, service: &[ServiceDatabase]) -> Result<Vec<Part>, BackupError> {
        let tables = self.inspect("database.sqlite3", Path::new("the orchestrator's database"))?;
        let mut parts = vec![
            self.part("config.json", Content::Config)?,
            self.part("database.sqlite3", Content::Database { tables })?,
            self.part("cache.json", Content::Cache { entries })?,
        ];
        if self.raw.join(INBOX).exists() {
            let tables = self.inspect(INBOX, Path::new("the inbox"))?;
            let counted = sqlite::inbox_census(&self.raw.join(INBOX));
            let (pending, dead) =
                counted.map_err(|fault| unsound(Path::new("the inbox"), &fault))?;
            parts.push(self.part(INBOX, Content::Inbox { pending, dead, tables })?);
        }
        for (number, ServiceDatabase { name, path }) in (1..).zip(service) {
            let file = format!("service-{number}.sqlite3");
            sqlite::snapshot(path, &self.raw.join(&file)).map_err(|fault| unsound(path, &fault))?;
            let tables = self.inspect(&file, path)?;
            parts.push(self.part(&file, Content::Service { name: name.clone(), tables })?);
        }
        Ok(parts)
    }

    fn inspect(&self, file: &str, shown: &Path) -> Result<Tables, BackupError> {
        sqlite::inspect(&self.raw.join(file)).map_err(|fault| unsound(shown, &fault))
    }

    fn part(&self, file: &str, content: Content) -> Result<Part, BackupError> {
        let (raw, name) = (self.raw.join(file), format!("{file}.gz"));
        let to = self.folder.join(&name);
        failpoint::hit(Point::BackupPacks);
        let (original, compressed): (Sum, Sum) =
            archive::pack(&raw, &to).map_err(BackupError::io(&to, "write"))?;
        failpoint::hit(Point::BackupPacked);
        fs::remove_file(&raw).map_err(BackupError::io(&raw, "remove"))?;
        Ok(Part { file: name, content, original, compressed })
    }
}

fn unsound(path: &Path, fault: &sqlite::Fault) -> BackupError {
    BackupError::Unsound { path: path.to_path_buf(), why: fault.to_string() }
}

/// Restores every part and checks it; a backup counts only then.
fn prove(folder: &Path, manifest: &Manifest) -> Result<(), BackupError> {
    let path = folder.join("restored");
    let scratch = Scratch::at(&path).map_err(BackupError::io(&path, "make the folder"))?;
    failpoint::hit(Point::BackupProves);
    let report = verify::parts(folder, manifest, scratch.path());
    failpoint::hit(Point::BackupProved);
    if report.sound() { Ok(()) } else { Err(BackupError::Damaged(Box::new(report))) }
}

/// Writes the manifest, whole and on the disk or not at all.
fn seal(folder: &Path, manifest: &Manifest) -> Result<(), BackupError> {
    let (new, path) = (folder.join("manifest.new"), folder.join(MANIFEST));
    let sync = |path: &Path| File::open(path).and_then(|folder| folder.sync_all());
    archive::new_file(&new)
        .and_then(|mut file| {
            file.write_all(&manifest.render())?;
            file.sync_all()
        })
        // The parts' names are on the disk before the manifest's is.
        .and_then(|()| sync(folder))
        .inspect(|()| failpoint::hit(Point::BackupSeals))
        .and_then(|()| fs::rename(&new, &path))
        .inspect(|()| failpoint::hit(Point::BackupSealed))
        .and_then(|()| sync(folder))
        .and_then(|()| sync(folder.parent().unwrap_or(folder)))
        .map_err(BackupError::io(&path, "write the manifest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_asks_for_three_times_its_size_and_some_more() {
        assert_eq!(needed(0), 64 << 20);
        assert_eq!(needed(1 << 30), (3 << 30) + (64 << 20));
        assert_eq!(needed(u64::MAX), u64::MAX);
        let full = room(&std::env::temp_dir(), u64::MAX);
        assert!(matches!(full, Err(BackupError::NoSpace { .. })), "{full:?}");
    }
}
