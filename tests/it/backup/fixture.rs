//! A service with two databases, and an orchestrator that only exists in memory.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use ctx::backup::{
    BackupError, Captured, EdgeError, Manifest, Request, ServiceDatabase, Sink, Source, create,
};
use ctx::clock::ManualClock;
use ctx::control::config::Config;
use ctx::control::inbox::InboxRestored;
use ctx::control::observe::{CacheEntry, CacheSnapshot};
use rusqlite::Connection;
use tempfile::TempDir;

/// The names of the service's databases.
const DATABASES: [&str; 2] = ["app.db", "data/visits.db"];

/// A service, its orchestrator, and a folder for both.
pub(super) struct Service {
    folder: TempDir,
    pub source: Memory,
}

/// An orchestrator in memory.
#[derive(Default)]
pub(super) struct Memory(RefCell<Option<State>>);

pub(super) struct State {
    pub config: Config,
    pub rev: u64,
    pub cache: CacheSnapshot,
    /// What goes wrong.
    pub fails: Option<&'static str>,
}

impl Service {
    pub(super) fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap())
    }

    pub(super) fn at(folder: TempDir) -> Self {
        std::fs::create_dir_all(folder.path().join("data")).unwrap();
        let [app, visits] =
            DATABASES.map(|name| Connection::open(folder.path().join(name)).unwrap());
        app.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA foreign_keys = OFF;
             CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
             CREATE TABLE notes (user REFERENCES users, \"odd \"\"name\" TEXT);
             INSERT INTO users (name) VALUES ('ada'), ('grace');
             INSERT INTO notes VALUES (1, 'first'), (99, 'nobody wrote this one');",
        )
        .unwrap();
        visits
            .execute_batch("CREATE TABLE visits (at TEXT); INSERT INTO visits VALUES ('now')")
            .unwrap();
        let entry = |key: &str| CacheEntry {
            key: key.to_owned(),
            status: 200,
            headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
            body: "00ff".to_owned(),
            ttl_ms: 60_000,
            age_ms: 0,
        };
        let state = State {
            config: Config::legacy("http://127.0.0.1:8000"),
            rev: 41,
            cache: CacheSnapshot { entries: vec![entry("GET /"), entry("GET /x")] },
            fails: None,
        };
        Self { folder, source: Memory(RefCell::new(Some(state))) }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn home(&self) -> PathBuf {
        self.path(".ctx")
    }

    pub(super) fn backup(&self, id: &str) -> PathBuf {
        self.home().join("backups").join(id)
    }

    pub(super) fn databases(&self) -> Vec<ServiceDatabase> {
        let database =
            |name: &&str| ServiceDatabase { name: (*name).to_owned(), path: self.path(name) };
        DATABASES.iter().map(database).collect()
    }

    pub(super) fn request(&self, id: &str) -> Request {
        Request {
            home: self.home(),
            id: id.parse().unwrap(),
            plan: Some("contexten".parse().unwrap()),
            run: None,
            databases: self.databases(),
        }
    }

    pub(super) async fn back_up(&self, id: &str) -> Result<Manifest, BackupError> {
        create(&self.source, self.request(id), &ManualClock::default()).await
    }

    /// Everything that a restore can bring back, as text.
    pub(super) fn content(&self) -> Vec<String> {
        let (config, cache) = self
            .source
            .with(|state| (state.config.hash(), serde_json::to_string(&state.cache).unwrap()));
        let app = self.path("app.db");
        let tables = rows(&app, "SELECT name || sql FROM sqlite_schema ORDER BY name");
        let users = rows(&app, "SELECT id || name FROM users ORDER BY id");
        let visits = rows(&self.path("data/visits.db"), "SELECT at FROM visits");
        [vec![config, cache], tables, users, visits].concat()
    }
}

impl Memory {
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        change(self.0.borrow_mut().as_mut().unwrap());
    }

    fn with<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(self.0.borrow().as_ref().unwrap())
    }

    pub(super) fn config(&self) -> Config {
        self.with(|state| state.config.clone())
    }

    fn fails(&self, what: &str) -> bool {
        self.with(|state| state.fails == Some(what))
    }

    fn check(&self, what: &'static str) -> Result<(), EdgeError> {
        if self.fails(what) { Err(format!("{what} broke off").into()) } else { Ok(()) }
    }
}

impl Source for Memory {
    async fn config(&self) -> Result<Captured, EdgeError> {
        self.check("config")?;
        if self.fails("moved") {
            self.change(|state| state.rev += 1);
        }
        let lie = self.fails("hash");
        Ok(self.with(|state| Captured {
            url: "http://127.0.0.1:7700".to_owned(),
            state_uuid: "5eed".repeat(8),
            rev: state.rev,
            config: state.config.clone(),
            config_hash: if lie { "00".repeat(32) } else { state.config.hash() },
        }))
    }

    async fn database(&self, into: &Path) -> Result<(), EdgeError> {
        self.check("database")?;
        if self.fails("garbage") {
            return Ok(std::fs::write(into, "garbage".repeat(1000))?);
        }
        let rev = self.with(|state| state.rev);
        let connection = Connection::open(into)?;
        connection.execute_batch("CREATE TABLE revision (rev INTEGER)")?;
        connection.execute("INSERT INTO revision VALUES (?1)", [rev.cast_signed()])?;
        Ok(())
    }

    async fn inbox(&self, _: &Path) -> Result<bool, EdgeError> {
        Ok(false)
    }

    async fn cache(&self) -> Result<CacheSnapshot, EdgeError> {
        self.check("cache")?;
        if self.fails("hangs") {
            std::future::pending::<()>().await;
        }
        Ok(self.with(|state| state.cache.clone()))
    }
}

impl Sink for Memory {
    async fn config(&self, config: Config, reason: &str) -> Result<(), EdgeError> {
        self.check("put config")?;
        assert!(reason.starts_with("restore of backup b-"), "{reason}");
        self.change(|state| {
            state.config = config;
            state.rev += 1;
        });
        Ok(())
    }

    async fn inbox(&self, _: PathBuf) -> Result<InboxRestored, EdgeError> {
        Err("there is no inbox here".into())
    }

    async fn cache(&self, cache: CacheSnapshot) -> Result<(), EdgeError> {
        self.change(|state| state.cache = cache);
        Ok(())
    }
}

/// The first column of a query, as text.
pub(super) fn rows(path: &Path, sql: &str) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut select = connection.prepare(sql).unwrap();
    let text = |row: &rusqlite::Row<'_>| {
        row.get::<_, rusqlite::types::Value>(0).map(|value| match value {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => format!("{other:?}"),
        })
    };
    select.query_map([], text).unwrap().map(Result::unwrap).collect()
}

/// The names in a folder, in order.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<_> = folder.read_dir().unwrap().map(name).collect();
    names.sort();
    names
}
