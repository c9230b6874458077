//! The thread that writes the inbox: whatever has queued up goes into one transaction.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::store::{Batch, Event, Inbox, Mark, Put, Returned};
use super::{NotRestored, Refused};
use crate::clock::WallMs;
use crate::failpoint::{self, Point};
use crate::orchestrator::store::StoreError;

/// The most changes of one transaction.
const BATCH: usize = 512;
/// How long it waits to try again what the disk did not take.
const PAUSE: Duration = Duration::from_millis(500);

/// What is to be written, and who is told when it is.
pub(super) enum Command {
    Put(Box<Event>, oneshot::Sender<Result<Put, Refused>>),
    Mark(u64, Mark, oneshot::Sender<()>),
    Replay(Option<Vec<u64>>, WallMs, oneshot::Sender<Result<u64, Refused>>),
    Discard(Vec<u64>, oneshot::Sender<Result<u64, Refused>>),
    Restore {
        begins: bool,
        events: Vec<Returned>,
        now_ms: WallMs,
        done: oneshot::Sender<Result<u64, NotRestored>>,
    },
    Tidy {
        before_ms: WallMs,
        latest_ms: WallMs,
    },
    /// Another process has written, too.
    Recount,
    /// Nobody asks any more.
    Close,
}

/// What came of a command within a transaction that is not committed yet.
enum Done {
    Put(Put),
    Count(u64),
    /// How many events were taken out of a backup, and how many of those wait.
    Restored(u64, u64),
    InUse(u64),
    Nothing,
}

pub(super) struct Writer {
    folder: PathBuf,
    /// Absent after the disk failed: what reached it is only known when it is opened again.
    database: Option<Inbox>,
    pending: Arc<AtomicI64>,
    /// How many events of the database this process knows to wait.
    stored: i64,
}

impl Writer {
    pub(super) fn new(
        folder: &Path,
        database: Inbox,
        stored: i64,
        pending: Arc<AtomicI64>,
    ) -> Self {
        Self { folder: folder.to_path_buf(), database: Some(database), stored, pending }
    }

    /// Writes until nobody is left who could ask for it.
    pub(super) fn run(mut self, queue: &Receiver<Command>) {
        // What must be written and could not be yet.
        let mut owed = Vec::new();
        loop {
            let first = if owed.is_empty() {
                queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                queue.recv_timeout(PAUSE)
            };
            match first {
                Ok(command) => owed.push(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let room = BATCH.saturating_sub(owed.len());
            owed.extend(queue.try_iter().take(room));
            let last = owed.iter().any(|command| matches!(command, Command::Close));
            owed = self.write(owed);
            if last {
                return;
            }
        }
    }

    /// Writes a batch, and tells everybody. Returns what must be tried again.
    fn write(&mut self, batch: Vec<Command>) -> Vec<Command> {
        failpoint::hit(Point::InboxWrites);
        match self.attempt(&batch) {
            Ok(done) => {
                failpoint::hit(Point::InboxWritten);
                let mut recounts = false;
                for (command, done) in batch.into_iter().zip(done) {
                    recounts |= matches!(command, Command::Recount);
                    self.tell(command, &done);
                }
                // What is found holds the whole batch: all of it must be known by then, or it
                // would be counted twice.
                if recounts {
                    self.recount();
                }
                Vec::new()
            }
            Err(error) => {
                tracing::error!(%error, changes = batch.len(), "the inbox was not written");
                // Not even SQLite knows what reached the disk: it is opened again.
                self.database = None;
                batch.into_iter().filter_map(|command| self.refuse(command)).collect()
            }
        }
    }

    fn attempt(&mut self, commands: &[Command]) -> Result<Vec<Done>, StoreError> {
        let database = match &mut self.database {
            Some(database) => database,
            none => none.insert(Inbox::open(&self.folder)?),
        };
        database.write(|batch| commands.iter().map(|command| perform(batch, command)).collect())
    }

    fn tell(&mut self, command: Command, done: &Done) {
        let count = if let Done::Count(count) = done { *count } else { 0 };
        // Whoever does not listen any more has gone away; what was written stays written.
        match (command, done) {
            (Command::Put(_, told), Done::Put(put)) => {
                if *put == Put::Known {
                    self.pending.fetch_sub(1, Ordering::Relaxed);
                } else {
                    self.stored += 1;
                }
                let _ = told.send(Ok(*put));
            }
            (Command::Mark(_, mark, told), _) => {
                if !matches!(mark, Mark::Retry { .. }) {
                    self.pending.fetch_sub(1, Ordering::Relaxed);
                    self.stored -= 1;
                }
                let _ = told.send(());
            }
            (Command::Replay(_, _, told), _) => {
                let more = i64::try_from(count).unwrap_or(i64::MAX);
                self.pending.fetch_add(more, Ordering::Relaxed);
                self.stored += more;
                let _ = told.send(Ok(count));
            }
            (Command::Discard(_, told), _) => {
                let _ = told.send(Ok(count));
            }
            (Command::Restore { done: told, .. }, Done::Restored(restored, waiting)) => {
                let more = waiting.cast_signed();
                self.pending.fetch_add(more, Ordering::Relaxed);
                self.stored += more;
                let _ = told.send(Ok(*restored));
            }
            (Command::Restore { done: told, .. }, Done::InUse(events)) => {
                let _ = told.send(Err(NotRestored::InUse(*events)));
            }
            (
                Command::Put(..)
                | Command::Restore { .. }
                | Command::Tidy { .. }
                | Command::Recount
                | Command::Close,
                _,
            ) => {}
        }
    }

    /// Takes what is stored for what waits; what is about to be stored stays counted.
    fn recount(&mut self) {
        let census = self.database.as_ref().map(Inbox::census);
        if let Some(Ok(census)) = census {
            let found = i64::try_from(census.pending).unwrap_or(i64::MAX);
            self.pending.fetch_add(found - self.stored, Ordering::Relaxed);
            self.stored = found;
        }
    }

    /// Tells that it was not written, but for what an attempt has shown: that is kept.
    fn refuse(&self, command: Command) -> Option<Command> {
        match command {
            Command::Put(_, told) => {
                self.pending.fetch_sub(1, Ordering::Relaxed);
                let _ = told.send(Err(Refused::Failed));
            }
            Command::Replay(_, _, told) | Command::Discard(_, told) => {
                let _ = told.send(Err(Refused::Failed));
            }
            Command::Restore { done, .. } => {
                let _ = done.send(Err(Refused::Failed.into()));
            }
            Command::Tidy { .. } | Command::Recount | Command::Close => {}
            mark @ Command::Mark(..) => return Some(mark),
        }
        None
    }
}

fn perform(batch: &Batch<'_>, command: &Command) -> Result<Done, StoreError> {
    match command {
        Command::Put(event, _) => batch.put(event).map(Done::Put),
        Command::Mark(id, mark, _) => batch.mark(*id, mark).map(|()| Done::Nothing),
        Command::Replay(ids, now_ms, _) => batch.replay(ids.as_deref(), *now_ms).map(Done::Count),
        Command::Discard(ids, _) => batch.discard(ids).map(Done::Count),
        Command::Restore { begins, events, now_ms, .. } => restore(batch, *begins, events, *now_ms),
        Command::Tidy { before_ms, latest_ms } => {
            batch.forget(*before_ms)?;
            batch.bring_forward(*latest_ms)?;
            Ok(Done::Nothing)
        }
        Command::Recount | Command::Close => Ok(Done::Nothing),
    }
}

fn restore(
    batch: &Batch<'_>,
    begins: bool,
    events: &[Returned],
    now_ms: WallMs,
) -> Result<Done, StoreError> {
    let others = if begins { batch.count()? } else { 0 };
    if others > 0 {
        return Ok(Done::InUse(others));
    }
    let (mut restored, mut waiting) = (0, 0);
    for returned in events {
        if batch.bring_back(returned, now_ms)? != Put::Known {
            restored += 1;
            waiting += u64::from(returned.dead.is_none());
        }
    }
    Ok(Done::Restored(restored, waiting))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(delivery: &str) -> Box<Event> {
        Box::new(Event {
            source: "github".to_owned(),
            delivery: Some(delivery.to_owned()),
            body_hash: "h".to_owned(),
            target: "/github/events".to_owned(),
            headers: Vec::new(),
            body: b"{}".to_vec(),
            received_ms: 1000,
        })
    }

    #[test]
    fn what_is_written_with_a_recount_is_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let database = Inbox::open(folder.path()).unwrap();
        let pending = Arc::new(AtomicI64::new(0));
        let mut writer = Writer::new(folder.path(), database, 0, Arc::clone(&pending));
        let mut put = |first: Command, delivery| {
            // As whoever asks for it counts it, see `Inbox::put`.
            pending.fetch_add(1, Ordering::Relaxed);
            let batch = vec![first, Command::Put(event(delivery), oneshot::channel().0)];
            assert!(writer.write(batch).is_empty());
            (pending.load(Ordering::Relaxed), writer.stored)
        };
        assert_eq!(put(Command::Recount, "1"), (1, 1));
        let id = Inbox::open(folder.path()).unwrap().due(1000, 1).unwrap()[0];
        assert_eq!(put(Command::Recount, "2"), (2, 2));
        assert_eq!(put(Command::Mark(id, Mark::Handled, oneshot::channel().0), "3"), (2, 2));
        let handled = Command::Mark(id + 1, Mark::Handled, oneshot::channel().0);
        assert!(writer.write(vec![Command::Recount, handled]).is_empty());
        assert_eq!((pending.load(Ordering::Relaxed), writer.stored), (1, 1));
    }
}
