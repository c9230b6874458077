//! Programs of a plan: run without a shell, ended with everything they started, and found again
//! when the process that watched them was killed.
//!
//! A program goes on when ctx is killed. Beside its second run, or beside its undo, it would do
//! harm, so it is written down as soon as it runs, and ended before anything else is started for
//! the run. What names it is its number and its start time within this boot of the machine: a
//! number alone is soon somebody else's.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal as Kill, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::lease::Lease;
use super::local::tail;
use super::{Executor, Hands, Signal, Stop, Stopper};
use crate::failpoint::{self, Point};
use crate::ledger::fact::{At, Fact};
use crate::plan::model::Argv;
use crate::secret;
use crate::units::duration;

/// How much of a program's output is kept.
const KEPT_OUTPUT: usize = 2000;
/// How long a program that has to go may take to clean up after itself.
const GRACE: Duration = Duration::from_secs(10);
/// The same for a process that was asked to stop itself.
const HURRY: Duration = Duration::from_millis(1500);
/// How long a process that was asked to stop waits for a program to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time between two looks whether it has gone.
const STRIDE: Duration = Duration::from_millis(50);

impl<H: Hands> Executor<'_, H> {
    /// Runs a program to its end; `Err` inside says why it failed.
    ///
    /// The guards are watched meanwhile if it is a step, `at`, and not if it undoes one.
    pub(super) async fn run_program(
        &mut self,
        argv: &Argv,
        timeout: Duration,
        at: Option<&At>,
    ) -> Result<Result<String, String>, Stop> {
        let shown = argv.join(" ");
        if self.world.rehearsal {
            return Ok(Ok(format!("`{shown}` is not run in a rehearsal")));
        }
        self.end_orphan().await?;
        failpoint::hit(Point::ProgramSpawns);
        let running = match Running::start(argv) {
            Ok(running) => running,
            Err(why) => return Ok(Err(why)),
        };
        let group = running.group();
        if let Some((pid, started)) = &group {
            self.record(&Fact::ProgramStarted { pid: *pid, started: started.clone() })?;
        }
        let (program, late) = (running.ends(), tokio::time::sleep(timeout));
        tokio::pin!(program, late);
        let stopper = self.world.stopper.clone();
        let mut grace = GRACE;
        let ended = loop {
            let watching = self.watch.until_breach(self.world.client, &*self.world.clock);
            let breach = tokio::select! {
                result = &mut program => return self.program_ended(result, at).await,
                signal = impatient(&stopper), if at.is_some() => {
                    // Not done, as far as the ledger goes: it is done again.
                    grace = HURRY;
                    break Err(Stop::Interrupted(signal));
                }
                () = &mut late => {
                    break Ok(Err(format!("`{shown}` was ended after {}", duration::format(timeout))));
                }
                breach = watching, if at.is_some() => Some(breach),
                () = lost(self.lease.as_ref()) => None,
            };
            if let (Some(breach), Some(at)) = (breach, at) {
                break self.breached(at, breach, &format!("`{shown}`"));
            }
            self.lose_lease();
            self.agree().await?;
        };
        if let Some((pid, started)) = group {
            end_group(pid, &started, grace).await;
        }
        ended
    }

    /// A program that a signal has ended, which was meant for all of us, is left to be done again.
    async fn program_ended(
        &mut self,
        result: Result<String, Failed>,
        at: Option<&At>,
    ) -> Result<Result<String, String>, Stop> {
        let failed = match result {
            Ok(detail) => return Ok(Ok(detail)),
            Err(failed) => failed,
        };
        if at.is_some() && failed.by_signal {
            // It may have died before our own handler has run.
            tokio::time::sleep(STRIDE).await;
            if let Some(signal) = self.world.stopper.asked() {
                return Err(Stop::Interrupted(signal));
            }
        }
        Ok(Err(failed.why))
    }

    /// Ends a program that an earlier process of this run has left behind, if it still runs.
    pub(super) async fn end_orphan(&mut self) -> Result<(), Stop> {
        let Some((pid, started)) = self.state().program.clone() else { return Ok(()) };
        if is_running(pid, &started) {
            self.pause(Duration::ZERO, format!("ending process {pid} of an earlier try")).await?;
            end_group(pid, &started, GRACE).await;
        }
        Ok(())
    }
}

/// Waits until the lease is lost.
async fn lost(lease: Option<&Lease>) {
    if let Some(lease) = lease {
        lease.lost().await;
    }
}

/// Waits for a signal, and then a while for the program to end by itself.
async fn impatient(stopper: &Stopper) -> Signal {
    let signal = stopper.wait().await;
    tokio::time::sleep(PATIENCE).await;
    signal
}

/// A program that did not succeed.
#[derive(Debug)]
struct Failed {
    why: String,
    /// A signal ended it.
    by_signal: bool,
}

/// A program that was started.
struct Running {
    child: Child,
    shown: String,
}

impl Running {
    /// Starts a program without a shell and without anything to read.
    fn start(argv: &Argv) -> Result<Self, String> {
        let (program, arguments) = argv.split_first().ok_or("there is no program to run")?;
        let shown = argv.join(" ");
        let mut command = Command::new(program);
        for name in secret::variables() {
            // What ctx is trusted with is not for every program of a plan.
            command.env_remove(name);
        }
        let child = command
            .args(arguments)
            // Ctrl-C on the terminal is for ctx, which waits for the program and stops then.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("failed to start `{shown}`: {error}"))?;
        failpoint::hit(Point::ProgramSpawned);
        Ok(Self { child, shown })
    }

    /// What finds the program again: its number, which is also its group's, and when it started.
    fn group(&self) -> Option<(u32, String)> {
        let pid = self.child.id()?;
        Some((pid, started(pid)?))
    }

    async fn ends(mut self) -> Result<String, Failed> {
        let shown = self.shown;
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let (status, out, err) = tokio::join!(self.child.wait(), read(stdout), read(stderr));
        failpoint::hit(Point::ProgramEnded);
        let status = status.map_err(|error| {
            let why = format!("failed to wait for `{shown}`: {error}");
            Failed { why, by_signal: false }
        })?;
        if status.success() {
            return Ok(format!("`{shown}` succeeded"));
        }
        let said = if err.is_empty() { &out } else { &err };
        // Redacted before it is cut: half a secret would not be recognised.
        let said = secret::redacted(&String::from_utf8_lossy(said)).into_owned();
        let said = tail(said.as_bytes(), KEPT_OUTPUT);
        let colon = if said.is_empty() { "" } else { ": " };
        let why = format!("`{shown}` ended with {status}{colon}{said}");
        Err(Failed { why, by_signal: status.signal().is_some() })
    }
}

/// Output is a courtesy; the exit status is what counts.
async fn read(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let _ = pipe.read_to_end(&mut bytes).await;
    }
    bytes
}

/// When a process started: the boot of the machine, and clock ticks since then.
///
/// Field 22 of `/proc/PID/stat`, counted from behind the name, which may contain anything
/// (proc(5)). `None` when there is no such process, or it has ended and only waits to be reaped.
fn started(pid: u32) -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let alive = fields.next().filter(|state| !matches!(*state, "Z" | "X"));
    let ticks = alive.and_then(|_| fields.nth(18))?;
    Some(format!("{}.{ticks}", boot.trim()))
}

fn is_running(pid: u32, since: &str) -> bool {
    started(pid).is_some_and(|started| started == since)
}

/// Ends a program and what it started: asked first, then made to.
async fn end_group(pid: u32, since: &str, grace: Duration) {
    let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    for signal in [Kill::TERM, Kill::KILL] {
        if !is_running(pid, since) {
            return;
        }
        tracing::info!(pid, ?signal, "ending a program of the plan");
        if kill_process_group(group, signal).is_err() {
            return;
        }
        let mut waited = Duration::ZERO;
        while is_running(pid, since) && waited < grace {
            tokio::time::sleep(STRIDE).await;
            waited += STRIDE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> Argv {
        words.iter().map(ToString::to_string).collect()
    }

    async fn run_to_end(argv: &Argv) -> Result<String, String> {
        Running::start(argv)?.ends().await.map_err(|failed| failed.why)
    }

    #[tokio::test]
    async fn a_program_is_run_without_a_shell() {
        assert!(run_to_end(&argv(&["true"])).await.is_ok());
        let why = run_to_end(&argv(&["ls", "/nowhere; rm -rf x"])).await.unwrap_err();
        assert!(why.contains("nowhere; rm -rf x"), "{why}");
        let why = run_to_end(&argv(&["surely-no-such-program"])).await.unwrap_err();
        assert!(why.starts_with("failed to start"), "{why}");
    }

    #[tokio::test]
    async fn a_program_is_ended_together_with_what_it_started() {
        let running = Running::start(&argv(&["sh", "-c", "sleep 600 & echo $!; wait"])).unwrap();
        let (pid, since) = running.group().unwrap();
        let mut running = running;
        let mut line = Vec::new();
        let mut stdout = running.child.stdout.take().unwrap();
        while !line.ends_with(b"\n") {
            line.push(stdout.read_u8().await.unwrap());
        }
        let child: u32 = String::from_utf8(line).unwrap().trim().parse().unwrap();
        let child_since = started(child).unwrap();
        let ending = tokio::join!(end_group(pid, &since, GRACE), running.child.wait());
        assert!(!ending.1.unwrap().success());
        while is_running(child, &child_since) {
            tokio::time::sleep(STRIDE).await;
        }
        assert!(!is_running(pid, &since));
    }

    #[test]
    fn a_number_that_was_given_out_again_is_somebody_else() {
        let this = std::process::id();
        assert!(is_running(this, &started(this).unwrap()));
        assert!(!is_running(this, "another-boot.1"));
    }
}
