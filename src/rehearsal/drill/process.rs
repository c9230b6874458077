//! The processes of a drill: `ctx serve`, and `ctx` for an operator. Each is this very program.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::clock::{Clock, SystemClock};

/// How often a start is tried that fails because something else has the port for a moment.
const STARTS: u32 = 40;
/// Variables that would reach into a drill from outside.
const OUTSIDE: [&str; 8] = [
    "CTX_PLAN",
    "CTX_LEDGER",
    "CTX_ORCHESTRATOR",
    "CTX_TOKEN",
    "CTX_FAILPOINT",
    "CONTEXTEN_ENHANCED_MODE",
    "CONTEXTEN_LEGACY_FALLBACK",
    "CTX_LOG",
];

/// What `ctx` is run with, whatever it does.
#[derive(Clone, Debug)]
pub(super) struct Company {
    /// Where the staging's instructions are.
    pub(super) staging: PathBuf,
    /// The folder that the plan's programs run in.
    pub(super) work: PathBuf,
    /// What processes say besides their result.
    pub(super) log: PathBuf,
}

impl Company {
    fn spawn(&self, args: &[String]) -> io::Result<(Child, BufReader<ChildStdout>)> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(std::env::current_exe()?);
        for name in OUTSIDE {
            command.env_remove(name);
        }
        let mut child = command
            .arg("--staging")
            .arg(&self.staging)
            .args(args)
            .current_dir(&self.work)
            // Nobody's own settings.
            .env("XDG_CONFIG_HOME", self.work.join(".config"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            // A Ctrl-C of the terminal is for the drill, which ends the others.
            .process_group(0)
            .spawn()?;
        let stdout = child.stdout.take().map(BufReader::new).ok_or(io::ErrorKind::BrokenPipe)?;
        Ok((child, stdout))
    }

    /// The end of what the processes said, for messages.
    pub(super) fn said(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let tail: Vec<_> = log.lines().rev().take(6).collect();
        tail.into_iter().rev().collect::<Vec<_>>().join("; ")
    }
}

/// `ctx serve`. Killed when dropped.
#[derive(Debug)]
pub(super) struct Server {
    args: Vec<String>,
    child: Child,
    /// Held open, so that nothing it prints can fail.
    _stdout: BufReader<ChildStdout>,
    /// `HOST:PORT` of the gateway.
    pub(super) data: String,
    /// `HOST:PORT` of the control API.
    pub(super) control: String,
}

impl Server {
    /// Starts one on free ports.
    pub(super) fn start(company: &Company, args: Vec<String>) -> Result<Self, String> {
        let any = "127.0.0.1:0".to_owned();
        Self::on(company, args, &any, &any)
    }

    fn on(company: &Company, args: Vec<String>, data: &str, control: &str) -> Result<Self, String> {
        let mut all: Vec<String> =
            ["serve", "--json", "--listen", data, "--control", control].map(str::to_owned).into();
        all.extend(args.iter().cloned());
        for _ in 0..STARTS {
            let started = company.spawn(&all);
            let (mut child, mut stdout) =
                started.map_err(|error| format!("`ctx serve` does not start: {error}"))?;
            let mut line = String::new();
            let _ = stdout.read_line(&mut line);
            let listening: Value = serde_json::from_str(&line).unwrap_or_default();
            let at = |field: &str| {
                let url = listening[field].as_str()?;
                Some(url.strip_prefix("http://")?.to_owned())
            };
            if let (Some(data), Some(control)) = (at("data"), at("control")) {
                return Ok(Self { args, child, _stdout: stdout, data, control });
            }
            let _ = child.kill();
            let _ = child.wait();
            std::thread::park_timeout(Duration::from_millis(50));
        }
        Err(format!("`ctx serve` does not start: {}", company.said()))
    }

    /// Ends it as `kill -9` does, and starts it again on the same ports and state.
    pub(super) fn crash(&mut self, company: &Company) -> Result<(), String> {
        self.kill();
        let args = std::mem::take(&mut self.args);
        *self = Self::on(company, args, &self.data.clone(), &self.control.clone())?;
        Ok(())
    }

    /// Ends it as `kill -9` does.
    pub(super) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A record that a run has printed, and when it came.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) at: Duration,
    pub(super) record: Value,
}

impl Event {
    /// What happened.
    pub(super) fn kind(&self) -> &str {
        self.record["type"].as_str().unwrap_or_default()
    }

    /// The sentence about it.
    pub(super) fn message(&self) -> String {
        self.record["message"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether it is about this part of this step.
    pub(super) fn is_at(&self, step: &str, part: u32) -> bool {
        let at = &self.record["data"]["at"];
        let (named, number) = (&at["step"], &at["part"]);
        named.as_str() == Some(step) && number.as_u64().is_none_or(|n| n == u64::from(part))
    }
}

/// A command of an operator that prints records. Killed when dropped.
#[derive(Debug)]
pub(super) struct Run {
    child: Child,
    events: Receiver<Event>,
    /// Why it ended, as it said itself.
    pub(super) why: String,
}

impl Run {
    /// Starts one.
    pub(super) fn start(company: &Company, args: &[String]) -> Result<Self, String> {
        let (child, stdout) =
            company.spawn(args).map_err(|error| format!("`ctx` does not start: {error}"))?;
        let (tell, events) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let at = SystemClock.boot();
                let record = serde_json::from_str(&line).unwrap_or_default();
                if tell.send(Event { at, record }).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, events, why: String::new() })
    }

    /// The next record; `None` once there are no more, or after `patience`.
    pub(super) fn next(&mut self, patience: Duration) -> Result<Option<Event>, String> {
        match self.events.recv_timeout(patience) {
            Ok(event) => {
                if event.kind() == "run_end" {
                    self.why = event.message();
                }
                Ok(Some(event))
            }
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("`ctx` said nothing for {} s", patience.as_secs()))
            }
        }
    }

    /// Its exit code; -1 when a signal ended it.
    pub(super) fn code(&mut self) -> i32 {
        self.child.wait().ok().and_then(|status| status.code()).unwrap_or(-1)
    }

    /// Ends it as `kill -9` does.
    pub(super) fn crash(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop at a safe point, as Ctrl-C does.
    pub(super) fn interrupt(&self) {
        // It may have ended this moment.
        let _ = kill_process(Pid::from_child(&self.child), Signal::INT);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.crash();
    }
}

/// A path as an argument.
pub(super) fn text(path: &Path) -> String {
    path.display().to_string()
}
