//! `ctx serve` under a supervisor: whenever it dies it is started again, on the same ports and
//! state.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, ExitStatus, Stdio};
use std::time::Duration;

use ctx::failpoint::Point;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::tally::{Strike, Tally, armament};
use crate::support::Test;

/// How often a start is tried that fails because something else has the port for a moment.
const STARTS: usize = 40;

/// A supervised `ctx serve`. Killed when dropped, by its own process id.
#[derive(Debug)]
pub(super) struct Daemon {
    args: Vec<String>,
    /// What the next starts are armed with, the next one first.
    next: VecDeque<Strike>,
    /// What the process at hand is armed with.
    armed: Option<Point>,
    child: Option<Child>,
    /// Held open, so that nothing it prints can fail.
    stdout: Option<BufReader<ChildStdout>>,
    /// `HOST:PORT` of the gateway and of the control API, once known.
    at: Option<(String, String)>,
}

impl Daemon {
    /// Prepares one that runs with these arguments besides the addresses.
    pub(super) fn new(args: &[&str], strikes: Vec<Strike>) -> Self {
        let args = args.iter().map(ToString::to_string).collect();
        Self { args, next: strikes.into(), armed: None, child: None, stdout: None, at: None }
    }

    /// Arms one more of the next starts.
    pub(super) fn arm(&mut self, strike: Strike) {
        self.next.push_back(strike);
    }

    /// Where it takes events, and where it is controlled.
    pub(super) fn at(&self) -> (&str, &str) {
        let (data, control) = self.at.as_ref().expect("it was started");
        (data, control)
    }

    /// Starts it, again and again until it listens.
    ///
    /// # Panics
    /// When it does not, though nobody kills it.
    pub(super) fn start(&mut self, test: &Test, tally: &mut Tally) {
        let log = || OpenOptions::new().create(true).append(true).open(test.path("serve.log"));
        for _ in 0..STARTS {
            let any = || "127.0.0.1:0".to_owned();
            let (listen, control) = self.at.clone().unwrap_or_else(|| (any(), any()));
            let mut command = test.command(&["serve", "--json", "--listen", &listen]);
            command.args(["--control", &control]).args(&self.args);
            self.armed = self.next.pop_front().and_then(|strike| armament(&mut command, strike));
            let mut child = command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(log().unwrap())
                .spawn()
                .expect("the built binary starts");
            let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            if let Ok(listening) = serde_json::from_str::<Value>(&line) {
                let addr = |field: &str| {
                    let url = listening[field].as_str().expect("both addresses are there");
                    url.strip_prefix("http://").expect("it is a URL").to_owned()
                };
                self.at = Some((addr("data"), addr("control")));
                (self.child, self.stdout) = (Some(child), Some(stdout));
                return;
            }
            let status = child.wait().expect("it was spawned here");
            if !self.count(status, tally) {
                super::nap(Duration::from_millis(50));
            }
        }
        let log = std::fs::read_to_string(test.path("serve.log")).unwrap_or_default();
        let tail: Vec<_> = log.lines().rev().take(20).collect();
        panic!("`ctx serve` does not start:\n{}", tail.join("\n"));
    }

    /// Starts it again if it has died.
    pub(super) fn look_after(&mut self, test: &Test, tally: &mut Tally) {
        let status = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
        if let Some(status) = status {
            self.child = None;
            self.count(status, tally);
            self.start(test, tally);
        }
    }

    /// Ends it as `kill -9` does, and starts it again.
    pub(super) fn strike(&mut self, test: &Test, tally: &mut Tally) {
        self.kill(tally);
        self.start(test, tally);
    }

    /// Ends it as `kill -9` does.
    pub(super) fn kill(&mut self, tally: &mut Tally) {
        if let Some(mut child) = self.child.take() {
            let dead = child.try_wait().unwrap();
            child.kill().expect("it was spawned here");
            let status = child.wait().expect("it was spawned here");
            if dead.is_some() {
                self.count(status, tally);
            } else {
                tally.kills += 1;
            }
        }
    }

    /// Asks it to end, as a service manager does.
    pub(super) fn terminate(&self) {
        let id = self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok());
        if let Some(pid) = id.and_then(Pid::from_raw) {
            // It may have died this moment.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Counts a death, and says whether it was that of `kill -9`.
    fn count(&self, status: ExitStatus, tally: &mut Tally) -> bool {
        let killed = status.signal() == Some(Signal::KILL.as_raw());
        if killed {
            tally.struck(self.armed);
        }
        killed
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
