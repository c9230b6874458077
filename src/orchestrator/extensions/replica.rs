//! One running program: from its start to the end of everything that it started.
//!
//! The law: it is started with limits of the operating system and a cleaned environment, speaks
//! the protocol or is ended, and never outlives its orchestrator. What it was given and did not
//! answer is lost, and said to be; what it was not given yet is somebody else's.
//!
//! It runs below `ctx extension-host`, which sets the limits on itself and then becomes the
//! program, so that they hold from its first instruction.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::wire::{self, MAX_LINE, Reply, Said};
use super::{Programs, leftovers};
use crate::control::config::Process;
use crate::secret;
use crate::units::duration;

/// How long an idle replica goes without being asked for a sign of life.
const PING: Duration = Duration::from_secs(2);
/// How long a program may take to end: once it was told to, and once more after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);
/// The most bytes of a line of stderr that are logged.
const MAX_STDERR: u64 = 4096;

/// What a replica is started with.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) programs: Arc<Programs>,
    pub(super) id: Arc<str>,
    pub(super) version: String,
    pub(super) process: Process,
    pub(super) scratch: PathBuf,
    /// See [`Place`](super::keeper::Place).
    pub(super) _alive: mpsc::Sender<Infallible>,
}

/// An event on its way to a replica.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) line: Bytes,
    pub(super) reply: oneshot::Sender<Result<Reply, Gone>>,
}

/// Why an event was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// The replica was never given it.
    Untouched,
    /// It took too long.
    Late,
    /// It ended before it answered.
    Lost,
}

/// What becomes of a replica.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// It is ready and gave a sign of life.
    Open(u64),
    /// It is to be given nothing more, and why; it will end by itself.
    Doomed(u64, String),
    /// It has ended, and why.
    Ended(u64, String),
}

/// How a replica is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    No,
    Yes,
}

/// A replica's keeper's end of it. Dropped, the replica ends.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) jobs: mpsc::UnboundedSender<Job>,
    end: watch::Sender<Ending>,
}

impl Handle {
    /// Asks it to end.
    pub(super) fn end(&self) {
        self.end.send_replace(Ending::Yes);
    }
}

/// Starts a replica on this runtime; what becomes of it is told to `notes`.
pub(super) fn start(
    launch: Arc<Launch>,
    replica: u64,
    notes: impl Fn(Note) + Clone + 'static,
) -> Handle {
    let (jobs, taken) = mpsc::unbounded_channel();
    let (end, ending) = watch::channel(Ending::No);
    tokio::task::spawn_local(async move {
        let why = live(&launch, replica, taken, ending, notes.clone()).await;
        notes(Note::Ended(replica, why));
    });
    Handle { jobs, end }
}

/// A program and its pipes, once it runs.
struct Running {
    group: Group,
    said: mpsc::Receiver<Result<Said, String>>,
    /// Lines on their way to it; dropped, its stdin ends.
    lines: Option<mpsc::UnboundedSender<Bytes>>,
    complaint: Arc<Mutex<String>>,
}

/// What it is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has until then to be ready.
    Starting,
    /// It was asked for its first sign of life.
    Probed,
    Serving,
}

async fn live(
    launch: &Launch,
    replica: u64,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    ending: watch::Receiver<Ending>,
    notes: impl Fn(Note),
) -> String {
    let mut running = match Running::start(launch) {
        Ok(running) => running,
        Err(why) => return why,
    };
    let config = launch.process.configuration();
    // A new version beside the installed one runs as `ID@VERSION`, and need not know.
    let id = launch.id.split_once('@').map_or(&*launch.id, |(id, _)| id);
    running.say(wire::start(id, &launch.version, replica, &config));
    let mut pending = Pending::default();
    let why = serve(launch, replica, &mut running, &mut jobs, ending, &mut pending, notes).await;
    pending.lose(Gone::Lost);
    jobs.close();
    while let Ok(job) = jobs.try_recv() {
        let _ = job.reply.send(Err(Gone::Untouched));
    }
    running.end(why).await
}

/// Events that were handed over and not answered, the oldest first.
#[derive(Default)]
struct Pending {
    replies: HashMap<u64, oneshot::Sender<Result<Reply, Gone>>>,
    deadlines: VecDeque<(Instant, u64)>,
}

impl Pending {
    fn put(&mut self, job: Job, deadline: Instant) {
        self.replies.insert(job.id, job.reply);
        self.deadlines.push_back((deadline, job.id));
    }

    fn answer(&mut self, id: u64, reply: Result<Reply, Gone>) -> bool {
        let Some(waiting) = self.replies.remove(&id) else { return false };
        // Whoever asked may have gone away.
        let _ = waiting.send(reply);
        true
    }

    /// When the oldest one is late.
    fn deadline(&mut self) -> Option<Instant> {
        while self.deadlines.front().is_some_and(|(_, id)| !self.replies.contains_key(id)) {
            self.deadlines.pop_front();
        }
        self.deadlines.front().map(|(deadline, _)| *deadline)
    }

    fn lose(&mut self, gone: Gone) {
        for (_, waiting) in self.replies.drain() {
            let _ = waiting.send(Err(gone));
        }
    }
}

/// Hands events over until it is told to end, or has to be ended; says why.
async fn serve(
    launch: &Launch,
    replica: u64,
    running: &mut Running,
    jobs: &mut mpsc::UnboundedReceiver<Job>,
    mut ending: watch::Receiver<Ending>,
    pending: &mut Pending,
    notes: impl Fn(Note),
) -> Option<String> {
    let limit = launch.process.limits.timeout;
    let mut stage = Stage::Starting;
    let mut doomed: Option<String> = None;
    // When it must have given a sign of life, and which ping asks for it.
    let mut patience = Instant::now() + launch.process.start_timeout;
    let mut pings = 0;
    let mut asked = false;
    loop {
        if doomed.is_some() && pending.replies.is_empty() {
            return doomed;
        }
        let late = pending.deadline();
        let wake = late.map_or(patience, |late| late.min(patience));
        tokio::select! {
            biased;
            _ = ending.wait_for(|ending| *ending == Ending::Yes) => return None,
            said = running.said.recv() => match said {
                None => return Some("it ended".to_owned()),
                Some(Err(why)) => return Some(why),
                Some(Ok(Said::Failed(detail))) => return Some(format!("it cannot start: {detail}")),
                Some(Ok(Said::Ready)) if stage == Stage::Starting => {
                    (stage, asked) = (Stage::Probed, true);
                    patience = Instant::now() + limit;
                    running.say(wire::ping(pings));
                }
                Some(Ok(Said::Pong(id))) if asked && id == pings => {
                    (pings, asked) = (pings + 1, false);
                    patience = Instant::now() + PING;
                    if stage == Stage::Probed {
                        stage = Stage::Serving;
                        notes(Note::Open(replica));
                    }
                }
                Some(Ok(Said::Answer(id, reply))) => {
                    // It may be late, and nobody wait for it any more.
                    if pending.answer(id, Ok(reply)) && !asked {
                        patience = Instant::now() + PING;
                    }
                }
                Some(Ok(odd)) => return Some(format!("a line out of turn: {odd:?}")),
            },
            Some(job) = jobs.recv() => {
                running.say(job.line.clone());
                pending.put(job, Instant::now() + limit);
            }
            () = sleep_until(wake) => {
                let now = Instant::now();
                if let Some((deadline, id)) = pending.deadlines.front().copied()
                    && deadline <= now
                    && pending.answer(id, Err(Gone::Late))
                {
                    let why = format!("an event took longer than {}", duration::format(limit));
                    if doomed.is_none() {
                        notes(Note::Doomed(replica, why.clone()));
                    }
                    doomed = Some(why);
                }
                if patience <= now {
                    match stage {
                        Stage::Starting => {
                            let limit = duration::format(launch.process.start_timeout);
                            return Some(format!("it was not ready within {limit}"));
                        }
                        // One that is busy answers for itself, or is late.
                        _ if asked && pending.replies.is_empty() => {
                            let limit = duration::format(limit);
                            return Some(format!("it gave no sign of life within {limit}"));
                        }
                        _ if asked || !pending.replies.is_empty() => patience = now + PING,
                        _ => {
                            asked = true;
                            patience = now + limit;
                            running.say(wire::ping(pings));
                        }
                    }
                }
            }
        }
    }
}

impl Running {
    fn start(launch: &Launch) -> Result<Self, String> {
        let shown = launch.process.command.join(" ");
        let mut child =
            spawn(launch).map_err(|error| format!("failed to start `{shown}`: {error}"))?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (lines, to_say) = mpsc::unbounded_channel();
        let (hears, said) = mpsc::channel(64);
        let complaint = Arc::<Mutex<String>>::default();
        if let Some(stdin) = stdin {
            tokio::task::spawn_local(write(stdin, to_say));
        }
        if let Some(stdout) = stdout {
            tokio::task::spawn_local(read(stdout, hears));
        }
        if let Some(stderr) = stderr {
            let (id, complaint) = (Arc::clone(&launch.id), Arc::clone(&complaint));
            tokio::task::spawn_local(async move { log(stderr, &id, &complaint).await });
        }
        Ok(Self { group: Group::of(child), said, lines: Some(lines), complaint })
    }

    /// Queues a line. To one that has ended, nothing is said.
    fn say(&self, line: Bytes) {
        let _ = self.lines.as_ref().map(|lines| lines.send(line));
    }

    /// Ends it and all that it started; says how it ended, and why it had to.
    async fn end(mut self, why: Option<String>) -> String {
        self.say(wire::stop());
        self.lines = None;
        let mut quiet = false;
        for signal in [None, Some(Signal::TERM)] {
            if let Some(signal) = signal {
                self.group.signal(signal);
            }
            let silence = async { while self.said.recv().await.is_some() {} };
            if timeout(GRACE, silence).await.is_ok() {
                quiet = true;
                break;
            }
        }
        // One that has closed its stdout may need a moment to be gone.
        let status = self.group.end(if quiet { GRACE } else { Duration::ZERO }).await;
        let complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match why {
            None => format!("told to end: {status}"),
            Some(why) if complaint.is_empty() => format!("{why}: {status}"),
            Some(why) => format!("{why}: {status}: {complaint}"),
        }
    }
}

/// A program and what it started: one process group.
struct Group {
    child: Child,
    /// Absent once it is reaped: its number may be somebody else's then.
    group: Option<Pid>,
}

impl Group {
    fn of(child: Child) -> Self {
        let group = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        Self { child, group }
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // Those who are gone need none.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Waits for it to end by itself, then ends whatever is left of the group.
    async fn end(&mut self, grace: Duration) -> String {
        let exited = timeout(grace, exit(self.group)).await;
        drop(exited);
        // Before it is reaped, while its number is still its own.
        self.signal(Signal::KILL);
        self.group = None;
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => format!("its end cannot be told: {error}"),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Waits until a process has ended, and leaves it to be reaped.
async fn exit(pid: Option<Pid>) {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let Some(pid) = pid else { return };
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    while matches!(waitid(WaitId::Pid(pid), look), Ok(None)) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn spawn(launch: &Launch) -> std::io::Result<Child> {
    let Launch { programs, process, scratch, .. } = launch;
    std::fs::create_dir_all(scratch)?;
    let limits = &process.limits;
    let mut command = Command::new(&programs.host);
    command
        .arg("extension-host")
        .args(["--parent", &std::process::id().to_string()])
        .args(["--memory", &limits.memory.to_string()])
        .args(["--open-files", &limits.open_files.to_string()]);
    if let Some(seconds) = limits.cpu_seconds {
        command.args(["--cpu-seconds", &seconds.to_string()]);
    }
    if let Some(processes) = limits.processes {
        command.args(["--processes", &processes.to_string()]);
    }
    command.arg("--").args(process.command.iter().map(|word| programs.find(word)));
    command.env_clear();
    let names =
        ["PATH", "LANG"].into_iter().chain(process.permissions.env.iter().map(String::as_str));
    for name in names {
        if let Some(value) = (programs.environment)(name) {
            command.env(name, value);
        }
    }
    command
        .env(leftovers::MARK, scratch)
        .current_dir(scratch)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

async fn write(mut stdin: ChildStdin, mut lines: mpsc::UnboundedReceiver<Bytes>) {
    while let Some(line) = lines.recv().await {
        if stdin.write_all(&line).await.is_err() {
            // It has ended, or soon will have: what it says, or does not, tells.
            return;
        }
    }
}

/// Reads lines until there are no more, or one that is none.
async fn read(mut stdout: impl AsyncRead + Unpin, hears: mpsc::Sender<Result<Said, String>>) {
    let mut buffer = BytesMut::with_capacity(16 << 10);
    let mut seen = 0;
    loop {
        if let Some(at) = buffer[seen..].iter().position(|byte| *byte == b'\n') {
            let line = buffer.split_to(seen + at + 1);
            seen = 0;
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let heard = wire::hear(line);
            let fault = heard.is_err();
            if hears.send(heard).await.is_err() || fault {
                return;
            }
            continue;
        }
        seen = buffer.len();
        if seen > MAX_LINE {
            let why = format!("a line of more than {} MiB", MAX_LINE >> 20);
            let _ = hears.send(Err(why)).await;
            return;
        }
        if !matches!(stdout.read_buf(&mut buffer).await, Ok(1..)) {
            return;
        }
    }
}

/// Passes on to the log what it complains about, and keeps the last of it.
async fn log(stderr: impl AsyncRead + Unpin, id: &str, last: &Mutex<String>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        if !matches!((&mut stderr).take(MAX_STDERR).read_until(b'\n', &mut line).await, Ok(1..)) {
            return;
        }
        let text = String::from_utf8_lossy(line.trim_ascii());
        let text = secret::redacted(&text).into_owned();
        if !text.is_empty() {
            tracing::info!(extension = id, "{text}");
            *last.lock().unwrap_or_else(PoisonError::into_inner) = text;
        }
    }
}
