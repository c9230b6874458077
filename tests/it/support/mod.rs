//! The harness: a project in a folder of its own, the built binary, and programs beside it.

pub(crate) mod peer;
pub(crate) mod served;
pub(crate) mod uvicorn;

use std::ffi::OsStr;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use ctx::error::Code;
use tempfile::TempDir;

/// How long one run of the binary may take.
const LIMIT: Duration = Duration::from_secs(120);

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
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("it is within the project")).unwrap();
        std::fs::write(path, text).unwrap();
        self
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
        self.run_as(args, env!("CARGO_BIN_EXE_ctx").as_ref(), &[])
    }

    /// Runs `ctx` as the program at the end of another one's command line, such as `prlimit`.
    #[track_caller]
    pub(crate) fn run_under(&self, wrapper: &[&str], args: &[&str]) -> Ran {
        let (program, before) = wrapper.split_first().expect("a wrapper is a program");
        self.run_as(args, program.as_ref(), &[before, &[env!("CARGO_BIN_EXE_ctx")]].concat())
    }

    /// `ctx` with these arguments, about to be run in the project.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.prepare(args, env!("CARGO_BIN_EXE_ctx").as_ref(), &[])
    }

    fn prepare(&self, args: &[&str], program: &OsStr, before: &[&str]) -> Command {
        let home = self.folder.path();
        let mut command = Command::new(program);
        command
            .args(before)
            .args(args)
            .current_dir(home)
            .env_clear()
            .envs(ctx::settings::environment("PATH").map(|path| ("PATH", path)))
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    #[track_caller]
    fn run_as(&self, args: &[&str], program: &OsStr, before: &[&str]) -> Ran {
        let mut child =
            self.prepare(args, program, before).spawn().expect("the built binary starts");
        let stdout = read_aside(child.stdout.take().expect("it is piped"));
        let stderr = read_aside(child.stderr.take().expect("it is piped"));
        let texts = stdout.recv_timeout(LIMIT).and_then(|o| Ok((o, stderr.recv_timeout(LIMIT)?)));
        let Ok((stdout, stderr)) = texts else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("`ctx {}` did not end within {LIMIT:?}", args.join(" "));
        };
        let code = child.wait().expect("it was spawned here").code();
        Ran { command: format!("ctx {}", args.join(" ")), code, stdout, stderr }
    }
}

/// What a run of `ctx` left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    command: String,
    /// Absent when a signal ended it.
    code: Option<i32>,
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

    /// Checks that stdout has each of these texts.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stdout.contains(text), "`{text}` is not said by {self:#?}");
        }
        self
    }

    /// Checks that stderr has each of these texts.
    #[track_caller]
    pub(crate) fn warns(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "`{text}` is not said by {self:#?}");
        }
        self
    }

    /// The one JSON document on stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{}: {error} in `{}`", self.command, self.stdout))
    }
}

/// Reads a pipe to its end on a thread of its own, so that neither pipe can fill up.
fn read_aside(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}
