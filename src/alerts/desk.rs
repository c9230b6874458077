//! The queues between a run and its sinks, and the thread that empties them.
//!
//! The run's side never waits: a queue that is full loses the alert, and says so at the end. On
//! the other side each sink is a task of its own, so one that hangs holds up nobody else. At the
//! end the run waits for a moment, and then goes; for a sink that hung all the while, hardly at
//! all.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc as queue, oneshot};
use tokio::task::JoinSet;

use super::alert::Alert;
use super::journal::{Journal, Outcome};
use super::post::{Unsent, deliver};
use super::routing::goes_to;
use crate::clock::{Clock, SystemClock};
use crate::error::count;
use crate::plan::alerts::AlertSink;
use crate::ui::Ui;
use crate::units::duration;

/// More than a run has to tell; a sink that is this far behind is out of reach anyway.
const WAITING: usize = 256;
/// How long a sink has for an alert at the end of a run.
const FLUSH: Duration = Duration::from_secs(3);
/// How long the end waits for a sink that has had this time for one alert already.
const LAST_MOMENT: Duration = Duration::from_millis(500);
/// How long the thread may take to drop what it has in its hands.
const DROP: Duration = Duration::from_millis(500);

/// Who hears of a sink that fails.
#[derive(Clone, Debug)]
pub enum Voice {
    Terminal(Ui),
    /// The log of a process that serves.
    Log,
}

impl Voice {
    fn warn(&self, text: &str) {
        match self {
            Self::Terminal(ui) => ui.note(format!("warning: {text}")),
            Self::Log => tracing::warn!("{text}"),
        }
    }
}

/// Takes alerts, and sends them beside whoever made them.
#[derive(Debug)]
pub struct Desk {
    lines: Vec<Line>,
    sending: Option<Sending>,
    voice: Voice,
}

/// The run's end of a queue.
#[derive(Debug)]
struct Line {
    sink: AlertSink,
    queue: queue::Sender<Alert>,
    progress: Arc<Progress>,
}

/// How far a sink is.
#[derive(Debug, Default)]
struct Progress {
    /// Alerts that were neither delivered nor given up yet, or were lost.
    left: AtomicUsize,
    /// Since when it is being given the same alert, in milliseconds of the monotonic clock; 0 when
    /// it is not.
    since_ms: AtomicU64,
}

impl Progress {
    /// How much longer the end waits for the sink.
    fn patience(&self, now: Duration) -> Duration {
        if self.left.load(Ordering::Relaxed) == 0 {
            return Duration::ZERO;
        }
        match self.since_ms.load(Ordering::Relaxed) {
            0 => FLUSH,
            since => (Duration::from_millis(since) + FLUSH).saturating_sub(now).max(LAST_MOMENT),
        }
    }
}

/// The time since the machine was started.
fn now() -> Duration {
    SystemClock.boot()
}

/// The thread.
#[derive(Debug)]
struct Sending {
    give_up: oneshot::Sender<()>,
    /// Read by [`Desk::close`] alone; behind a lock because a desk is lent to a run's observer.
    ended: Mutex<mpsc::Receiver<()>>,
}

impl Desk {
    /// Begins to wait for alerts. What was delivered before is looked up, and put down, in
    /// `folder`.
    pub fn open(sinks: Vec<AlertSink>, folder: PathBuf, voice: &Voice) -> Self {
        let mut desk = Self { lines: Vec::new(), sending: None, voice: voice.clone() };
        if sinks.is_empty() {
            return desk;
        }
        let mut ends = Vec::new();
        for sink in sinks {
            let (sender, receiver) = queue::channel(WAITING);
            let progress = Arc::<Progress>::default();
            ends.push((sink.clone(), receiver, Arc::clone(&progress)));
            desk.lines.push(Line { sink, queue: sender, progress });
        }
        let (give_up, given_up) = oneshot::channel();
        let (end, ended) = mpsc::channel();
        let voice = voice.clone();
        let thread = std::thread::Builder::new().name("ctx-alerts".to_owned());
        let started = thread.spawn(move || {
            work(ends, &folder, &voice, given_up);
            let _ = end.send(());
        });
        match started {
            Ok(_) => desk.sending = Some(Sending { give_up, ended: Mutex::new(ended) }),
            Err(error) => {
                desk.lines.clear();
                desk.voice.warn(&format!("nobody will be alerted: no thread: {error}"));
            }
        }
        desk
    }

    /// Puts an alert into the queue of each sink that it goes to. Never waits.
    pub fn put(&self, alert: &Alert) {
        for line in self.lines.iter().filter(|line| goes_to(alert, &line.sink)) {
            line.progress.left.fetch_add(1, Ordering::Relaxed);
            // What a full queue does not take stays counted as left.
            let _ = line.queue.try_send(alert.clone().redacted());
        }
    }

    /// Waits a moment for what is still to be sent, and says what is not.
    pub fn close(self) {
        let Some(Sending { give_up, ended }) = self.sending else { return };
        let ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
        let line = |line: Line| (line.sink.id, line.progress);
        let lines: Vec<_> = self.lines.into_iter().map(line).collect();
        let now = now();
        let patience = lines.iter().map(|(_, progress)| progress.patience(now)).max();
        let patience = patience.unwrap_or_default().max(LAST_MOMENT);
        if let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(patience) {
            let _ = give_up.send(());
            let _ = ended.recv_timeout(DROP);
        }
        for (sink, progress) in lines {
            let left = progress.left.load(Ordering::Relaxed);
            if left > 0 {
                let (alerts, within) = (count(left, "alert"), duration::format(FLUSH));
                let what = format!("alert sink `{sink}`: {alerts} not delivered within {within}");
                self.voice.warn(&what);
            }
        }
    }
}

type End = (AlertSink, queue::Receiver<Alert>, Arc<Progress>);

/// The thread: one task for each sink, until all queues are closed and empty.
fn work(ends: Vec<End>, folder: &std::path::Path, voice: &Voice, given_up: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else {
        voice.warn("nobody will be alerted: failed to start the asynchronous runtime");
        return;
    };
    let journal = Arc::new(Mutex::new(Journal::open(folder)));
    runtime.block_on(async {
        let mut sinks = JoinSet::new();
        for (sink, alerts, progress) in ends {
            sinks.spawn(serve(sink, alerts, progress, Arc::clone(&journal), voice.clone()));
        }
        tokio::select! {
            () = async { while sinks.join_next().await.is_some() {} } => {}
            _ = given_up => {}
        }
        // Dropped here: programs that still run are killed.
    });
    // A name that is being looked up must not hold up the end.
    runtime.shutdown_background();
}

/// Sends what one sink gets, in order.
async fn serve(
    sink: AlertSink,
    mut alerts: queue::Receiver<Alert>,
    progress: Arc<Progress>,
    journal: Arc<Mutex<Journal>>,
    voice: Voice,
) {
    let journal = || journal.lock().unwrap_or_else(PoisonError::into_inner);
    let mut warned = false;
    while let Some(alert) = alerts.recv().await {
        let known = journal().has(&sink.id, &alert);
        if !known {
            let since = u64::try_from(now().as_millis()).unwrap_or(u64::MAX);
            progress.since_ms.store(since.max(1), Ordering::Relaxed);
            match deliver(&sink, &alert).await {
                Ok(()) => {
                    journal().note(&sink.id, &alert.id, Outcome::Delivered, None);
                    warned = false;
                }
                Err((Unsent { why, .. }, tried)) => {
                    journal().note(&sink.id, &alert.id, Outcome::Failed, Some(&why));
                    if !warned {
                        let tries = count(tried, "attempt");
                        let id = &sink.id;
                        voice.warn(&format!("alert sink `{id}` failed after {tries}: {why}"));
                    }
                    warned = true;
                }
            }
        }
        progress.since_ms.store(0, Ordering::Relaxed);
        progress.left.fetch_sub(1, Ordering::Relaxed);
    }
}
