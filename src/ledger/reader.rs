//! Reading the ledger: any number of readers, beside the writer or without one, which change
//! nothing.
//!
//! SQLite keeps two files beside a database in WAL mode while it is in use. Where the log is
//! there, a reader joins in read-only. Where it is not, nobody writes, and the file is opened as
//! immutable, so that not even those two files appear. A writer that arrives meanwhile makes
//! itself known by the log or by the file's stamp; the reader then opens the file again and
//! repeats what it was asked.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, ToSql, params};

use super::chain::Hash;
use super::error::LedgerError;
use super::fact::{Fact, Recorded, RunBegun};
use super::fault::Fault;
use super::lock::beside;
use super::rows;
use super::schema;
use super::store::failed;
use super::verify;
use super::view::{
    BackupRow, CriterionRow, Entry, Info, IssueRow, MilestoneRow, OrchestratorRow, PhaseRow,
    RunRow, StepRow,
};
use crate::ids::{PhaseId, PlanName, RunId};

/// How many entries a reader checks before it shows anything.
const GLANCE: u64 = 100;

/// How often a read is repeated when a writer comes and goes in between.
const TRIES: usize = 5;

/// The ledger, open for reading.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    open: RefCell<Open>,
}

/// A connection, and what the file looked like if it is taken to be immutable.
#[derive(Debug)]
struct Open {
    connection: Connection,
    stamp: Option<Stamp>,
}

/// What changes when a database file is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    log: Option<u64>,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Reader {
    /// Opens the ledger at `path` for reading.
    ///
    /// # Errors
    /// When there is none, or it is damaged, newer than this ctx, or no ledger.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let open = open(path)?;
        schema::check(&open.connection, path)?;
        Ok(Self { path: path.to_path_buf(), open: RefCell::new(open) })
    }

    /// What is wrong with the newest entries or the head, at a glance; `verify` looks at everything.
    pub fn damage(&self) -> Option<Fault> {
        let tail = |connection: &Connection| {
            verify::tail(connection, GLANCE).map_err(failed(&self.path, "check"))
        };
        match self.connection(tail) {
            Ok(fault) => fault,
            Err(LedgerError::Damaged { fault, .. }) => Some(fault),
            // Whoever reads next is told.
            Err(_) => None,
        }
    }

    /// Reads through the writer's own connection.
    pub(super) fn over(path: &Path, connection: Connection) -> Self {
        let open = Open { connection, stamp: None };
        Self { path: path.to_path_buf(), open: RefCell::new(open) }
    }

    /// The ledger's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Asks for something, again if the file was changed under an immutable connection.
    pub(super) fn connection<T>(
        &self,
        ask: impl Fn(&Connection) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut answer = ask(&self.open.borrow().connection);
        for _ in 0..TRIES {
            let stamp = self.open.borrow().stamp;
            if stamp.is_none_or(|stamp| Stamp::of(&self.path).is_ok_and(|now| now == stamp)) {
                break;
            }
            self.open.replace(open(&self.path)?);
            answer = ask(&self.open.borrow().connection);
        }
        answer
    }

    fn all<T>(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, LedgerError> {
        self.connection(|connection| {
            let rows = || -> rusqlite::Result<Vec<T>> {
                connection.prepare_cached(sql)?.query_map(params, read)?.collect()
            };
            rows().map_err(failed(&self.path, "read"))
        })
    }

    fn one<T>(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, LedgerError> {
        self.connection(|connection| {
            let row = || connection.prepare_cached(sql)?.query_row(params, read).optional();
            row().map_err(failed(&self.path, "read"))
        })
    }

    /// Who the ledger is, and how far it goes.
    pub fn info(&self) -> Result<Info, LedgerError> {
        let uuid = self.one("SELECT uuid FROM ledger", &[], |row| row.get(0))?;
        let (entries, head) = self.head()?;
        let at = |sql| self.one(sql, &[], |row| row.get(0));
        Ok(Info {
            uuid: uuid.ok_or_else(|| self.no_head())?,
            format: schema::FORMAT,
            entries,
            head: head.to_string(),
            first_ms: at("SELECT at_ms FROM entry ORDER BY seq LIMIT 1")?,
            last_ms: at("SELECT at_ms FROM entry ORDER BY seq DESC LIMIT 1")?,
            bytes: fs::metadata(&self.path).map(|meta| meta.len()).unwrap_or_default(),
        })
    }

    /// The newest entry's number, 0 in an empty ledger, and its hash.
    pub fn head(&self) -> Result<(u64, Hash), LedgerError> {
        self.connection(|connection| {
            head_of(connection).map_err(failed(&self.path, "read the head"))
        })
    }

    fn no_head(&self) -> LedgerError {
        let fault = Fault::Storage { detail: "the row that names the ledger is gone".to_owned() };
        LedgerError::Damaged { path: self.path.clone(), fault }
    }

    /// The newest runs first.
    pub fn runs(&self, limit: u32) -> Result<Vec<RunRow>, LedgerError> {
        self.all("SELECT * FROM run ORDER BY first_seq DESC LIMIT ?1", params![limit], rows::run)
    }

    /// The one run whose id begins with `prefix`.
    ///
    /// # Errors
    /// Also when there is none, or more than one.
    pub fn run(&self, prefix: &str) -> Result<RunRow, LedgerError> {
        let mut found = self.all(
            // Ids are hex digits: everything that begins with the prefix sorts before its `g`.
            "SELECT * FROM run WHERE run >= ?1 AND run < ?1 || 'g' ORDER BY first_seq",
            params![prefix],
            rows::run,
        )?;
        match (found.len(), found.pop()) {
            (1, Some(run)) => Ok(run),
            (0, _) | (_, None) => Err(LedgerError::NoSuchRun(prefix.to_owned())),
            (count, _) => Err(LedgerError::Ambiguous { prefix: prefix.to_owned(), count }),
        }
    }

    /// The newest run that was begun and has not ended.
    pub fn open_run(&self) -> Result<Option<RunRow>, LedgerError> {
        let sql = "SELECT * FROM run WHERE ended_ms IS NULL ORDER BY first_seq DESC LIMIT 1";
        self.one(sql, &[], rows::run)
    }

    /// The id that a run was going to have whose process was killed before the run began.
    pub fn planned_run(&self) -> Result<Option<RunId>, LedgerError> {
        let sql = "SELECT * FROM entry WHERE kind IN ('run_planned', 'run_begun')
                   ORDER BY seq DESC LIMIT 1";
        let last = self.one(sql, &[], rows::recorded)?;
        Ok(last.and_then(|recorded| match recorded.fact {
            Fact::RunPlanned { run } => Some(run),
            _ => None,
        }))
    }

    /// The newest run that migrated a phase, whatever became of it.
    pub fn last_migration(
        &self,
        plan: &PlanName,
        phase: &PhaseId,
    ) -> Result<Option<RunRow>, LedgerError> {
        self.one(
            "SELECT * FROM run WHERE plan = ?1 AND phase = ?2 AND kind = 'migrate'
             ORDER BY first_seq DESC LIMIT 1",
            params![plan.as_str(), phase.as_str()],
            rows::run,
        )
    }

    /// The phases of a plan that were ever run, in the plan's order.
    pub fn phases(&self, plan: &PlanName) -> Result<Vec<PhaseRow>, LedgerError> {
        let sql = "SELECT * FROM phase WHERE plan = ?1 ORDER BY number, phase";
        self.all(sql, params![plan.as_str()], rows::phase)
    }

    /// The steps of a run in the order in which they began.
    pub fn steps(&self, run: &RunId) -> Result<Vec<StepRow>, LedgerError> {
        let sql = "SELECT * FROM step WHERE run = ?1 ORDER BY first_seq";
        self.all(sql, params![run.as_str()], rows::step)
    }

    /// All backups that were ever completed, the newest first.
    pub fn backups(&self) -> Result<Vec<BackupRow>, LedgerError> {
        self.all("SELECT * FROM backup ORDER BY seq DESC", &[], rows::backup)
    }

    /// The latest backups, at most `limit` of them, the newest first.
    ///
    /// Ids begin with the time, so their order finds the latest without looking at all of them.
    pub fn latest_backups(&self, limit: u32) -> Result<Vec<BackupRow>, LedgerError> {
        let sql = "SELECT * FROM (SELECT * FROM backup ORDER BY backup DESC LIMIT ?1)
                   ORDER BY seq DESC";
        self.all(sql, params![limit], rows::backup)
    }

    /// The milestones of a plan that were reached, in that order.
    pub fn milestones(&self, plan: &PlanName) -> Result<Vec<MilestoneRow>, LedgerError> {
        let sql = "SELECT * FROM milestone WHERE plan = ?1 ORDER BY seq";
        self.all(sql, params![plan.as_str()], rows::milestone)
    }

    /// The latest judgement of each criterion of a plan.
    pub fn criteria(&self, plan: &PlanName) -> Result<Vec<CriterionRow>, LedgerError> {
        let sql = "SELECT * FROM criterion WHERE plan = ?1 ORDER BY criterion";
        self.all(sql, params![plan.as_str()], rows::criterion)
    }

    /// What went wrong, the newest first.
    pub fn issues(&self, plan: &PlanName, limit: u32) -> Result<Vec<IssueRow>, LedgerError> {
        let sql = "SELECT * FROM issue WHERE plan = ?1 ORDER BY seq DESC LIMIT ?2";
        self.all(sql, params![plan.as_str(), limit], rows::issue)
    }

    /// What was last seen of an orchestrator, if anything was.
    pub fn orchestrator(&self, state_uuid: &str) -> Result<Option<OrchestratorRow>, LedgerError> {
        let sql = "SELECT * FROM orchestrator WHERE state_uuid = ?1";
        self.one(sql, params![state_uuid], rows::orchestrator)
    }

    /// Everything that a run recorded, in order.
    pub fn facts(&self, run: &RunId) -> Result<Vec<Recorded>, LedgerError> {
        let sql = "SELECT * FROM entry WHERE run = ?1 ORDER BY seq";
        self.all(sql, params![run.as_str()], rows::recorded)
    }

    /// What a run began with.
    ///
    /// # Errors
    /// Also when there is no such run.
    pub fn begun(&self, run: &RunId) -> Result<RunBegun, LedgerError> {
        let sql =
            "SELECT entry.* FROM run JOIN entry ON entry.seq = run.first_seq WHERE run.run = ?1";
        match self.one(sql, params![run.as_str()], rows::recorded)?.map(|recorded| recorded.fact) {
            Some(Fact::RunBegun(begun)) => Ok(*begun),
            _ => Err(LedgerError::NoSuchRun(run.as_str().to_owned())),
        }
    }

    /// Entries after `seq`, at most `limit` of them.
    pub fn entries(&self, after_seq: u64, limit: u32) -> Result<Vec<Entry>, LedgerError> {
        let after = i64::try_from(after_seq).unwrap_or(i64::MAX);
        let sql = "SELECT * FROM entry WHERE seq > ?1 ORDER BY seq LIMIT ?2";
        self.all(sql, params![after, limit], rows::entry)
    }
}

#[cfg(test)]
impl Reader {
    /// Counts how many steps SQLite's machine takes for what is asked from now on: a few for each
    /// row that is looked at, whether or not it is among the answers.
    pub(crate) fn counting_steps(&self) -> std::sync::Arc<std::sync::atomic::AtomicU64> {
        let steps = std::sync::Arc::<std::sync::atomic::AtomicU64>::default();
        let counted = std::sync::Arc::clone(&steps);
        let count = move || {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            false
        };
        let mut open = self.open.borrow_mut();
        open.connection.progress_handler(1, Some(count)).expect("it can be counted");
        steps
    }
}

/// The head as the ledger's own row has it.
pub(super) fn head_of(connection: &Connection) -> rusqlite::Result<(u64, Hash)> {
    connection
        .prepare_cached("SELECT head_seq, head_hash FROM ledger")?
        .query_row([], |row| Ok((rows::count(row, "head_seq")?, Hash(row.get(1)?))))
}

impl Stamp {
    fn of(path: &Path) -> std::io::Result<Self> {
        let log = fs::metadata(beside(path, "-wal")).ok().map(|meta| meta.len());
        let meta = fs::metadata(path)?;
        let modified = (meta.mtime(), meta.mtime_nsec());
        Ok(Self { log, inode: meta.ino(), bytes: meta.len(), modified })
    }
}

/// Opens a connection that changes nothing.
fn open(path: &Path) -> Result<Open, LedgerError> {
    let stamp = match Stamp::of(path) {
        Ok(stamp) => stamp,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(LedgerError::Missing(path.to_path_buf()));
        }
        Err(source) => {
            let doing = "open the ledger";
            return Err(LedgerError::Io { path: path.to_path_buf(), doing, source });
        }
    };
    if path.is_dir() {
        let why = "it is a directory".to_owned();
        return Err(LedgerError::NotALedger { path: path.to_path_buf(), why });
    }
    if stamp.log.is_some() {
        // A folder that cannot be written to may lack the log's index: then read without the log.
        match connect(path, false) {
            Ok(connection) => return Ok(Open { connection, stamp: None }),
            Err(LedgerError::Sqlite { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Open { connection: connect(path, true)?, stamp: Some(stamp) })
}

pub(super) fn connect(path: &Path, immutable: bool) -> Result<Connection, LedgerError> {
    let failed = failed(path, "open the database");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let query = if immutable { "?immutable=1" } else { "" };
    let connection = Connection::open_with_flags(uri(path, query), flags).map_err(&failed)?;
    connection
        .execute_batch("PRAGMA busy_timeout = 5000; PRAGMA trusted_schema = OFF;")
        .and_then(|()| connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())))
        .map_err(&failed)?;
    Ok(connection)
}

/// A path as SQLite's URI, with the characters escaped that mean something there.
fn uri(path: &Path, query: &str) -> PathBuf {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut uri = b"file:".to_vec();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'%' | b'?' | b'#' => uri.extend(format!("%{byte:02x}").into_bytes()),
            byte => uri.push(*byte),
        }
    }
    uri.extend(query.bytes());
    PathBuf::from(std::ffi::OsString::from_vec(uri))
}
