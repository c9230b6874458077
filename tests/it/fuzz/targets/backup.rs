//! A backup's files, one of them replaced by anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ctx::backup::{self, Captured, EdgeError, Manifest, Request, ServiceDatabase, Source, verify};
use ctx::clock::ManualClock;
use ctx::control::config::Config;
use ctx::control::observe::{CacheEntry, CacheSnapshot};
use ctx::ledger::Ledger;
use ctx::orchestrator::store::inbox::Inbox;
use tempfile::TempDir;

/// The backup's id.
const ID: &str = "b-1";

/// The files of a real backup, by their names, the manifest first.
pub fn files() -> &'static [(String, Vec<u8>)] {
    static FILES: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    FILES.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = make(&folder);
        let manifest = backup::load(&path).expect("it was just made");
        let parts = manifest.parts.iter().map(|part| part.file.clone());
        let read = |name: String| {
            let bytes = fs::read(path.join(&name)).expect("it was just made");
            (name, bytes)
        };
        std::iter::once("manifest.json".to_owned()).chain(parts).map(read).collect()
    })
}

/// The first byte chooses a file of a real backup, the rest becomes its content.
///
/// Laws: nothing panics; the backup is sound only if the content is what it was; a manifest that
/// is accepted is written the same again.
pub fn check(bytes: &[u8]) {
    let Some((choice, content)) = bytes.split_first() else { return };
    if let Ok(manifest) = Manifest::parse(content, ID) {
        assert_eq!(manifest.render(), content);
    }
    let files = files();
    let replaced = usize::from(*choice) % files.len();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = backup::folder::all(folder.path()).join(ID);
    fs::create_dir_all(&path).expect("a folder can be made");
    for (index, (name, whole)) in files.iter().enumerate() {
        let content = if index == replaced { content } else { whole };
        fs::write(path.join(name), content).expect("it can be written");
    }
    let sound = verify::verify(&path).is_ok_and(|report| report.sound());
    let (name, whole) = &files[replaced];
    let harmless = content == whole;
    assert_eq!(sound, harmless, "`{name}` was replaced, and the backup counts as sound: {sound}");
    let listed = backup::list(folder.path()).expect("it can be listed");
    assert_eq!(listed.len(), 1);
}

/// Makes a backup in `folder`; returns where it is.
fn make(folder: &TempDir) -> PathBuf {
    let app = folder.path().join("app.db");
    drop(Ledger::open(&app).expect("any database will do, and this is one"));
    let request = Request {
        home: folder.path().to_path_buf(),
        id: ID.parse().expect("it is an id"),
        plan: None,
        run: None,
        databases: vec![ServiceDatabase { name: "app.db".to_owned(), path: app }],
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be had");
    let made = runtime.block_on(backup::create(&Still, request, &ManualClock::default()));
    made.expect("nothing is in the way");
    backup::folder::all(folder.path()).join(ID)
}

/// An orchestrator of which nothing moves.
struct Still;

impl Source for Still {
    async fn config(&self) -> Result<Captured, EdgeError> {
        let config = Config::legacy("http://127.0.0.1:8000");
        Ok(Captured {
            url: "http://127.0.0.1:7700".to_owned(),
            state_uuid: "5eed".repeat(8),
            rev: 41,
            config_hash: config.hash(),
            config,
        })
    }

    async fn database(&self, into: &Path) -> Result<(), EdgeError> {
        drop(Ledger::open(into)?);
        Ok(())
    }

    async fn inbox(&self, into: &Path) -> Result<bool, EdgeError> {
        let folder = into.parent().expect("it is a file in a folder");
        drop(Inbox::open(folder)?);
        Ok(true)
    }

    async fn cache(&self) -> Result<CacheSnapshot, EdgeError> {
        let entry = CacheEntry {
            key: "GET /".to_owned(),
            status: 200,
            headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
            body: "00ff".to_owned(),
            ttl_ms: 60_000,
            age_ms: 0,
        };
        Ok(CacheSnapshot { entries: vec![entry] })
    }
}
