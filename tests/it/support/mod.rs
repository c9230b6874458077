//! The harness: a project in a folder of its own, the built binary, and programs beside it.

pub(crate) mod beside;
pub(crate) mod junit;
pub(crate) mod markdown;
pub(crate) mod peer;
pub(crate) mod plans;
pub(crate) mod prometheus;
pub(crate) mod proxy;
mod running;
pub(crate) mod scripted;
pub(crate) mod serve;
pub(crate) mod terminal;
pub(crate) mod traffic;
pub(crate) mod uvicorn;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use ctx::error::Code;
use ctx::ledger::fact::Fact;
use ctx::ledger::{Ledger, LedgerError};
use tempfile::TempDir;
use tokio::time::Instant;

pub(crate) use running::Running;

/// How long to ask for something that should happen soon.
const PATIENCE: Duration = Duration::from_secs(30);

/// A project folder and the environment that `ctx` sees in it.
pub(crate) struct Test {
    folder: TempDir,
    env: Vec<(String, String)>,
}

impl Test {
    /// An empty project. Nothing of the caller's environment reaches it but `PATH`.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), env: Vec::new() }
    }

    /// Writes a file of the project, and the folders above it.
    pub(crate) fn file(self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    /// Writes a file of the project later on.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("it is within the project")).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A path within the project.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Runs `ctx` in the project to its end.
    ///
    /// # Panics
    /// When it does not end within two minutes.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.spawn(args).ends()
    }

    /// As [`Test::run`], with more in the environment.
    #[track_caller]
    pub(crate) fn run_with(&self, args: &[&str], env: &[(&str, String)]) -> Ran {
        let mut command = self.command(args);
        command.envs(env.iter().map(|(name, value)| (name, value)));
        Running::start(command, format!("ctx {}", args.join(" "))).ends()
    }

    /// Begins a run of `ctx` in the project, with more in the environment.
    pub(crate) fn spawn_with(&self, args: &[&str], env: &[(&str, &str)]) -> Running {
        let mut command = self.command(args);
        command.envs(env.iter().copied());
        Running::start(command, format!("ctx {}", args.join(" ")))
    }

    /// Begins a run of `ctx` in the project.
    pub(crate) fn spawn(&self, args: &[&str]) -> Running {
        Running::start(self.command(args), format!("ctx {}", args.join(" ")))
    }

    /// Every fact of the project's ledger, in order; none while there is no ledger.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        let read = || {
            let reader = Ledger::read(&self.path(".ctx/ledger.sqlite3"))?;
            let runs = reader.runs(u32::MAX)?;
            let facts = runs.iter().rev().map(|run| reader.facts(&run.run));
            facts.collect::<Result<Vec<_>, LedgerError>>()
        };
        match read() {
            Ok(runs) => runs.into_iter().flatten().map(|recorded| recorded.fact).collect(),
            Err(LedgerError::Missing(_)) => Vec::new(),
            Err(error) => panic!("{error}"),
        }
    }

    /// How many facts of this kind the ledger holds.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.facts().iter().filter(|fact| fact.kind() == kind).count()
    }

    /// Waits until the ledger holds `n` facts of this kind.
    #[track_caller]
    pub(crate) fn until_recorded(&self, n: usize, kind: &str) {
        until(&format!("{n} `{kind}`"), || (self.count(kind) >= n).then_some(()));
    }

    /// `ctx` in the project.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let home = self.folder.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ctx"));
        command
            .args(args)
            .current_dir(home)
            .env_clear()
            .envs(ctx::settings::environment("PATH").map(|path| ("PATH", path)))
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .envs(self.env.iter().cloned());
        command
    }
}

/// What a run of `ctx` left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    command: String,
    /// Absent when a signal ended it.
    pub(crate) code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Checks the exit code, and shows everything when it is another one.
    #[track_caller]
    pub(crate) fn exits(self, code: Code) -> Self {
        assert_eq!(self.code, Some(i32::from(code.number())), "{self:#?}");
        self
    }

    /// Whether it exited with this code.
    pub(crate) fn is(&self, code: Code) -> bool {
        self.code == Some(i32::from(code.number()))
    }

    /// Checks that stdout has each of these texts, wherever its lines are broken.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(has(&self.stdout, text), "`{text}` is not said by {self:#?}");
        }
        self
    }

    /// Checks that stderr has each of these texts, wherever its lines are broken.
    #[track_caller]
    pub(crate) fn warns(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(has(&self.stderr, text), "`{text}` is not said by {self:#?}");
        }
        self
    }

    /// The JSON records on stdout, one a line.
    #[track_caller]
    pub(crate) fn records(&self) -> Vec<serde_json::Value> {
        let record = |line: &str| serde_json::from_str(line);
        let records = self.stdout.lines().map(record).collect::<Result<_, _>>();
        records.unwrap_or_else(|error| panic!("{}: {error} in `{}`", self.command, self.stdout))
    }

    /// The one JSON document on stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{}: {error} in `{}`", self.command, self.stdout))
    }
}

/// Whether `told` has `text`, as it stands or with every break of a line as one space.
fn has(told: &str, text: &str) -> bool {
    told.contains(text) || told.split_whitespace().collect::<Vec<_>>().join(" ").contains(text)
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none within half a minute.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        #[expect(clippy::disallowed_methods, reason = "the pause between two questions")]
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs the asynchronous part of a test that is not.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be had").block_on(work)
}
