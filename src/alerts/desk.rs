//! The queues between a run and its sinks, and the thread that empties them.
//!
//! The run's side never waits: a queue that is full loses the alert, and says so at the end. On
//! the other side each sink is a task of its own, so one that hangs holds up nobody else. At the
//! end the run waits for a moment, and then goes.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc as queue, oneshot};
use tokio::task::JoinSet;

use super::alert::Alert;
use super::journal::{Journal, Outcome};
use super::post::{Unsent, deliver};
use super::routing::goes_to;
use crate::error::count;
use crate::plan::alerts::AlertSink;
use crate::ui::Ui;
use crate::units::duration;

/// More than a run has to tell; a sink that is this far behind is out of reach anyway.
const WAITING: usize = 256;
/// How long the end of a run waits for what is still to be sent.
const FLUSH: Duration = Duration::from_secs(5);
/// How long the thread may take to drop what it has in its hands.
const DROP: Duration = Duration::from_secs(1);

/// Takes alerts, and sends them beside whoever made them.
#[derive(Debug)]
pub struct Desk {
    lines: Vec<Line>,
    sending: Option<Sending>,
    ui: Ui,
}

/// The run's end of a queue.
#[derive(Debug)]
struct Line {
    sink: AlertSink,
    queue: queue::Sender<Alert>,
    /// Alerts that were neither delivered nor given up yet, or were lost.
    left: Arc<AtomicUsize>,
}

/// The thread.
#[derive(Debug)]
struct Sending {
    give_up: oneshot::Sender<()>,
    ended: mpsc::Receiver<()>,
}

impl Desk {
    /// Begins to wait for alerts. What was delivered before is looked up, and put down, in
    /// `folder`.
    pub fn open(sinks: Vec<AlertSink>, folder: PathBuf, ui: &Ui) -> Self {
        let mut desk = Self { lines: Vec::new(), sending: None, ui: ui.clone() };
        if sinks.is_empty() {
            return desk;
        }
        let mut ends = Vec::new();
        for sink in sinks {
            let (sender, receiver) = queue::channel(WAITING);
            let left = Arc::new(AtomicUsize::new(0));
            ends.push((sink.clone(), receiver, Arc::clone(&left)));
            desk.lines.push(Line { sink, queue: sender, left });
        }
        let (give_up, given_up) = oneshot::channel();
        let (end, ended) = mpsc::channel();
        let ui = ui.clone();
        let thread = std::thread::Builder::new().name("ctx-alerts".to_owned());
        let started = thread.spawn(move || {
            work(ends, &folder, &ui, given_up);
            let _ = end.send(());
        });
        match started {
            Ok(_) => desk.sending = Some(Sending { give_up, ended }),
            Err(error) => {
                desk.lines.clear();
                desk.ui.note(format!("warning: nobody will be alerted: no thread: {error}"));
            }
        }
        desk
    }

    /// Puts an alert into the queue of each sink that it goes to. Never waits.
    pub fn put(&self, alert: &Alert) {
        for line in self.lines.iter().filter(|line| goes_to(alert, &line.sink)) {
            line.left.fetch_add(1, Ordering::Relaxed);
            // What a full queue does not take stays counted as left.
            let _ = line.queue.try_send(alert.clone().redacted());
        }
    }

    /// Waits a moment for what is still to be sent, and says what is not.
    pub fn close(self) {
        let Some(Sending { give_up, ended }) = self.sending else { return };
        let lines: Vec<_> = self.lines.into_iter().map(|line| (line.sink.id, line.left)).collect();
        if let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(FLUSH) {
            let _ = give_up.send(());
            let _ = ended.recv_timeout(DROP);
        }
        for (sink, left) in lines {
            let left = left.load(Ordering::Relaxed);
            if left > 0 {
                let (alerts, within) = (count(left, "alert"), duration::format(FLUSH));
                self.ui.note(format!(
                    "warning: alert sink `{sink}`: {alerts} not delivered within {within}"
                ));
            }
        }
    }
}

type End = (AlertSink, queue::Receiver<Alert>, Arc<AtomicUsize>);

/// The thread: one task for each sink, until all queues are closed and empty.
fn work(ends: Vec<End>, folder: &std::path::Path, ui: &Ui, given_up: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else {
        ui.note("warning: nobody will be alerted: failed to start the asynchronous runtime");
        return;
    };
    let journal = Arc::new(Mutex::new(Journal::open(folder)));
    runtime.block_on(async {
        let mut sinks = JoinSet::new();
        for (sink, alerts, left) in ends {
            sinks.spawn(serve(sink, alerts, left, Arc::clone(&journal), ui.clone()));
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
    left: Arc<AtomicUsize>,
    journal: Arc<Mutex<Journal>>,
    ui: Ui,
) {
    let journal = || journal.lock().unwrap_or_else(PoisonError::into_inner);
    let mut warned = false;
    while let Some(alert) = alerts.recv().await {
        let known = journal().has(&sink.id, &alert);
        if !known {
            match deliver(&sink, &alert).await {
                Ok(()) => journal().note(&sink.id, &alert.id, Outcome::Delivered, None),
                Err((Unsent { why, .. }, tried)) => {
                    journal().note(&sink.id, &alert.id, Outcome::Failed, Some(&why));
                    if !warned {
                        let tries = count(tried, "attempt");
                        let id = &sink.id;
                        ui.note(format!("warning: alert sink `{id}` failed after {tries}: {why}"));
                    }
                    warned = true;
                }
            }
        }
        left.fetch_sub(1, Ordering::Relaxed);
    }
}
