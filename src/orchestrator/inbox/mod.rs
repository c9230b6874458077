//! The durable inbox: events that are acknowledged because they are stored, and handled after.
//!
//! The law: an event is acknowledged after it was stored or after its handler answered, never
//! before; and one that was acknowledged is handled at least once, or stands in the dead letters
//! with the reason. A handler may therefore see an event twice: `Ctx-Event-Attempt` and the
//! platform's delivery id tell.
//!
//! [`Inbox`] is the handle that everybody shares. One thread writes: what has queued up while the
//! disk was busy goes into one transaction, so that a hundred events cost as much as one. The
//! gateway's dispatcher asks for what is due and says what became of it; what follows from that is
//! decided in [`outcome`], which is pure.

mod key;
pub mod outcome;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use tokio::sync::{Notify, oneshot};

use self::writer::{Command, Writer};
pub use super::store::inbox::{Census, Event, Kept, Line, Mark, Put, Returned};
use super::store::{Snapshot, StoreError, inbox as store};
use crate::clock::WallMs;
use crate::secret::Secret;

/// Why an event is not stored. It is not acknowledged then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("as many events wait as may")]
    Full,
    #[error("the disk did not take it")]
    Failed,
}

/// Why events out of a backup are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRestored {
    #[error("there are {0} events in it already")]
    InUse(u64),
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// The inbox of an orchestrator. Dropping it ends the thread that writes.
pub struct Inbox {
    commands: mpsc::Sender<Command>,
    /// Events that wait or are being handled. Below zero for as long as another process stores
    /// events that this one handles.
    pending: Arc<AtomicI64>,
    /// Told when something has become due.
    due: Arc<Notify>,
    reader: Mutex<store::Inbox>,
    folder: PathBuf,
    key: Secret,
}

impl Inbox {
    /// Opens the inbox in the state `folder`, and starts the thread that writes.
    ///
    /// # Errors
    /// When the database or the key cannot be opened or made.
    pub fn open(folder: &Path) -> Result<(Self, JoinHandle<()>), StoreError> {
        let key = key::load(folder)?;
        let database = store::Inbox::open(folder)?;
        let reader = store::Inbox::open(folder)?;
        let stored = i64::try_from(reader.census()?.pending).unwrap_or(i64::MAX);
        let pending = Arc::new(AtomicI64::new(stored));
        let (commands, queue) = mpsc::channel();
        let writer = Writer::new(folder, database, stored, Arc::clone(&pending));
        let thread = thread::Builder::new()
            .name("ctx-inbox-disk".to_owned())
            .spawn(move || writer.run(&queue))
            .map_err(|source| StoreError::Io {
                doing: "start the writer of",
                path: folder.to_path_buf(),
                source,
            })?;
        let reader = Mutex::new(reader);
        let folder = folder.to_path_buf();
        Ok((Self { commands, pending, due: Arc::default(), reader, folder, key }, thread))
    }

    /// Stores an event, unless `capacity` events wait already. Returns when it is on the disk.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn put(&self, event: Event, capacity: u64) -> Result<Put, Refused> {
        // Counted before it is there, so that many at once cannot pass the limit together.
        let before = self.pending.fetch_add(1, Ordering::Relaxed);
        if u64::try_from(before).unwrap_or(0) >= capacity {
            self.pending.fetch_sub(1, Ordering::Relaxed);
            return Err(Refused::Full);
        }
        let (done, told) = oneshot::channel();
        if self.commands.send(Command::Put(Box::new(event), done)).is_err() {
            self.pending.fetch_sub(1, Ordering::Relaxed);
            return Err(Refused::Failed);
        }
        // Who writes takes back what was counted too much: the sender may go away meanwhile.
        let put = told.await.unwrap_or(Err(Refused::Failed));
        self.due.notify_one();
        put
    }

    /// Notes what became of an attempt. Returns when it is on the disk, however long that takes:
    /// until then the event must not be taken again.
    pub async fn mark(&self, id: u64, mark: Mark) {
        let (done, told) = oneshot::channel();
        if self.commands.send(Command::Mark(id, mark, done)).is_ok() {
            // The thread ends only with the process; what it has not written is done again.
            let _ = told.await;
        }
    }

    /// Makes dead letters pending again: these, or all. Returns how many there were.
    ///
    /// # Errors
    /// When the disk did not take it.
    pub async fn replay(&self, ids: Option<Vec<u64>>, now_ms: WallMs) -> Result<u64, Refused> {
        let (done, told) = oneshot::channel();
        let sent = self.commands.send(Command::Replay(ids, now_ms, done));
        sent.map_err(|_| Refused::Failed)?;
        let replayed = told.await.unwrap_or(Err(Refused::Failed));
        self.due.notify_one();
        replayed
    }

    /// Deletes dead letters. Returns how many there were.
    ///
    /// # Errors
    /// When the disk did not take it.
    pub async fn discard(&self, ids: Vec<u64>) -> Result<u64, Refused> {
        let (done, told) = oneshot::channel();
        self.commands.send(Command::Discard(ids, done)).map_err(|_| Refused::Failed)?;
        told.await.unwrap_or(Err(Refused::Failed))
    }

    /// Takes events out of a backup, those whose deliveries are not known. With `begins`, only if
    /// there are no others. Returns how many were taken.
    ///
    /// # Errors
    /// [`NotRestored`] says why none was.
    pub async fn restore(
        &self,
        begins: bool,
        events: Vec<Returned>,
        now_ms: WallMs,
    ) -> Result<u64, NotRestored> {
        let (done, told) = oneshot::channel();
        let sent = self.commands.send(Command::Restore { begins, events, now_ms, done });
        sent.map_err(|_| NotRestored::Refused(Refused::Failed))?;
        let restored = told.await.unwrap_or(Err(NotRestored::Refused(Refused::Failed)));
        self.due.notify_one();
        restored
    }

    /// Something that copies the database while it is used.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn snapshots(&self) -> Result<Snapshot, StoreError> {
        store::Inbox::snapshots(&self.folder)
    }

    /// Forgets deliveries from before `before_ms`, and lets nothing be due later than `latest_ms`.
    pub fn tidy(&self, before_ms: WallMs, latest_ms: WallMs) {
        let _ = self.commands.send(Command::Tidy { before_ms, latest_ms });
    }

    /// Counts what is stored, after another process has written here.
    pub fn recount(&self) {
        let _ = self.commands.send(Command::Recount);
        self.due.notify_one();
    }

    /// Ends the thread that writes, when it has written what it was asked to.
    pub fn close(&self) {
        let _ = self.commands.send(Command::Close);
    }

    /// Waits until something has become due.
    pub async fn wake(&self) {
        self.due.notified().await;
    }

    /// Events that wait or are being handled.
    pub fn pending(&self) -> u64 {
        u64::try_from(self.pending.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Another connection, for whoever reads all the time.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn reader(&self) -> Result<store::Inbox, StoreError> {
        store::Inbox::open(&self.folder)
    }

    /// Reads with the shared connection.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn read<T>(
        &self,
        ask: impl FnOnce(&store::Inbox) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        ask(&self.reader.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What events are vouched for with when they are handed to a handler late: the content of
    /// `event.key` in the state folder.
    pub fn key(&self) -> &Secret {
        &self.key
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("pending", &self.pending()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn event(delivery: &str) -> Event {
        Event {
            source: "github".to_owned(),
            delivery: Some(delivery.to_owned()),
            body_hash: "h".to_owned(),
            target: "/github/events".to_owned(),
            headers: Vec::new(),
            body: b"{}".to_vec(),
            received_ms: 1000,
        }
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_there_after_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let (inbox, _thread) = Inbox::open(folder.path()).unwrap();
        for n in 0..50 {
            assert_eq!(inbox.put(event(&n.to_string()), 1000).await, Ok(Put::Stored));
        }
        // Nothing is closed: what another process would find.
        let found = store::Inbox::open(folder.path()).unwrap();
        assert_eq!((found.census().unwrap().pending, inbox.pending()), (50, 50));
    }

    #[tokio::test]
    async fn a_full_inbox_refuses_and_takes_again_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let (inbox, _thread) = Inbox::open(folder.path()).unwrap();
        assert_eq!(inbox.put(event("1"), 2).await, Ok(Put::Stored));
        assert_eq!(inbox.put(event("1"), 2).await, Ok(Put::Known));
        assert_eq!(inbox.put(event("2"), 2).await, Ok(Put::Stored));
        assert_eq!(inbox.put(event("3"), 2).await, Err(Refused::Full));
        let id = inbox.read(|store| store.due(1000, 1)).unwrap()[0];
        inbox.mark(id, Mark::Handled).await;
        assert_eq!(inbox.put(event("3"), 2).await, Ok(Put::Stored));
    }

    #[test]
    fn the_key_stays_the_same_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let key = || Inbox::open(folder.path()).unwrap().0.key().expose().to_owned();
        let first = key();
        assert_eq!((first.len(), key()), (64, first));
        let mode = std::fs::metadata(folder.path().join("event.key")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }
}
