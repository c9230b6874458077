//! How what is printed reaches its reader.
//!
//! A reader that is there and does not read (Ctrl-S, an ssh that hangs) makes a write wait for as
//! long as it likes. A command that drives a run must not stand still with it, so it queues what it
//! prints, and a thread writes it. The queue is bounded by its bytes: signs of life are left out
//! soon, records late, results never.

use std::collections::VecDeque;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use super::outlet::Worth;
use crate::clock::{Clock, SystemClock};
use crate::error::count;

/// Unread bytes beyond which signs of life are left out: what a pipe holds by itself.
const CROWDED: usize = 64 << 10;
/// Unread bytes beyond which records are left out.
const FULL: usize = 8 << 20;
/// How long to wait before a stream that said `would block` is tried again.
const AGAIN: Duration = Duration::from_millis(20);

/// Where to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

/// The way to stdout and stderr: direct, or over a queue once a run is driven.
#[derive(Clone, Debug, Default)]
pub(super) struct View(Arc<OnceLock<Vec<Arc<Lane>>>>);

impl View {
    /// Queues what is printed from now on.
    pub(super) fn begin(&self) {
        self.0.get_or_init(|| {
            // On one terminal the order of the two streams is part of what is said; two pipes must
            // not wait for each other.
            let n = if same(std::io::stdout().as_fd(), std::io::stderr().as_fd()) { 1 } else { 2 };
            let lanes: Option<Vec<_>> = (0..n).map(|_| Lane::start(write_to)).collect();
            lanes.unwrap_or_default()
        });
    }

    /// Prints a text, or says that it was left out.
    pub(super) fn put(&self, stream: Stream, worth: Worth, text: &[u8]) -> bool {
        match self.0.get().map(Vec::as_slice) {
            None | Some([]) => {
                write_now(stream, text);
                true
            }
            Some([lane]) => lane.put(stream, worth, text),
            Some([out, err, ..]) => {
                let lane = if stream == Stream::Out { out } else { err };
                lane.put(stream, worth, text)
            }
        }
    }

    /// Waits until everything is written, at most this long.
    pub(super) fn finish(&self, patience: Duration) {
        let until = SystemClock.boot() + patience;
        for lane in self.0.get().into_iter().flatten() {
            lane.finish(until.saturating_sub(SystemClock.boot()));
        }
    }
}

/// A queue and the thread that empties it.
#[derive(Debug, Default)]
struct Lane {
    queue: Mutex<Queue>,
    more: Condvar,
    empty: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    texts: VecDeque<(Stream, Vec<u8>)>,
    /// Of all texts, and of the one that is being written.
    bytes: usize,
    /// Lines for people that found no room, and are not told of yet.
    left_out: usize,
}

impl Lane {
    /// `None` when the machine has no thread for it.
    fn start(mut write: impl FnMut(Stream, &[u8]) + Send + 'static) -> Option<Arc<Self>> {
        let lane = Arc::new(Self::default());
        let writing = Arc::clone(&lane);
        let thread = thread::Builder::new().name("ctx-view".to_owned());
        let spawned = thread.spawn(move || {
            loop {
                let (stream, text) = writing.next();
                write(stream, &text);
                writing.written(text.len());
            }
        });
        spawned.ok().map(|_| lane)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, stream: Stream, worth: Worth, text: &[u8]) -> bool {
        let mut queue = self.queue();
        let room = match worth {
            Worth::Picture | Worth::Passing => CROWDED,
            Worth::Record => FULL,
            Worth::Result => usize::MAX,
        };
        if queue.bytes.saturating_add(text.len()) > room {
            // A program's records are numbered, and whoever writes them counts.
            let told = stream == Stream::Err && worth != Worth::Picture;
            queue.left_out += usize::from(told);
            return false;
        }
        queue.tell_left_out();
        queue.push(stream, text.to_vec());
        self.more.notify_one();
        true
    }

    /// Waits for the next text.
    fn next(&self) -> (Stream, Vec<u8>) {
        let mut queue = self.queue();
        loop {
            if let Some(text) = queue.texts.pop_front() {
                return text;
            }
            queue = self.more.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn written(&self, bytes: usize) {
        let mut queue = self.queue();
        queue.bytes -= bytes;
        if queue.texts.is_empty() {
            // The reader came back, and there may be nothing more to say.
            queue.tell_left_out();
        }
        if queue.bytes == 0 {
            self.empty.notify_all();
        }
    }

    fn finish(&self, patience: Duration) {
        let unread = |queue: &mut Queue| queue.bytes > 0;
        let _ = self.empty.wait_timeout_while(self.queue(), patience, unread);
    }
}

impl Queue {
    fn push(&mut self, stream: Stream, text: Vec<u8>) {
        self.bytes += text.len();
        self.texts.push_back((stream, text));
    }

    fn tell_left_out(&mut self) {
        if self.left_out > 0 {
            let lines = count(std::mem::take(&mut self.left_out), "line");
            let note = format!("note: {lines} left out while nobody read; the ledger has it all\n");
            self.push(Stream::Err, note.into_bytes());
        }
    }
}

/// Writes everything, however long it takes. A reader that is gone is no error of ours.
fn write_to(stream: Stream, text: &[u8]) {
    let (out, err) = (std::io::stdout(), std::io::stderr());
    let fd = if stream == Stream::Out { out.as_fd() } else { err.as_fd() };
    let mut rest = text;
    while !rest.is_empty() {
        match rustix::io::write(fd, rest) {
            Ok(n) => rest = &rest[n..],
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => thread::park_timeout(AGAIN),
            Err(_) => return,
        }
    }
}

/// Writes without a queue.
fn write_now(stream: Stream, text: &[u8]) {
    let write = |to: &mut dyn Write| to.write_all(text).and_then(|()| to.flush());
    // A closed pipe is not an error of ours.
    let _ = match stream {
        Stream::Out => write(&mut std::io::stdout().lock()),
        Stream::Err => write(&mut std::io::stderr().lock()),
    };
}

/// Whether both lead to the same place.
fn same(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> bool {
    let place = |fd| rustix::fs::fstat(fd).map(|file| (file.st_dev, file.st_ino));
    matches!((place(a), place(b)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A lane whose reader takes a text each time that it is let.
    fn lane() -> (Arc<Lane>, mpsc::Sender<()>, mpsc::Receiver<String>) {
        let (let_go, may) = mpsc::channel::<()>();
        let (tell, read) = mpsc::channel();
        let lane = Lane::start(move |_, text| {
            let _ = may.recv();
            let _ = tell.send(String::from_utf8_lossy(text).into_owned());
        });
        (lane.unwrap(), let_go, read)
    }

    fn text(bytes: usize) -> Vec<u8> {
        vec![b'x'; bytes]
    }

    #[test]
    fn signs_of_life_are_left_out_first_then_records_and_results_never() {
        let (lane, let_go, _read) = lane();
        assert!(lane.put(Stream::Err, Worth::Passing, &text(CROWDED)));
        assert!(!lane.put(Stream::Err, Worth::Passing, b"alive\n"));
        assert!(!lane.put(Stream::Err, Worth::Picture, b"[==]\n"));
        assert!(lane.put(Stream::Out, Worth::Record, b"applied\n"));
        lane.put(Stream::Out, Worth::Result, &text(FULL));
        assert!(!lane.put(Stream::Out, Worth::Record, b"applied\n"));
        assert!(lane.put(Stream::Err, Worth::Result, b"error: so it failed\n"));
        drop(let_go);
        lane.finish(Duration::from_secs(30));
        assert_eq!(lane.queue().bytes, 0);
    }

    #[test]
    fn what_was_left_out_is_told_when_the_reader_comes_back() {
        let (lane, let_go, read) = lane();
        lane.put(Stream::Err, Worth::Passing, &text(CROWDED));
        for _ in 0..3 {
            lane.put(Stream::Err, Worth::Passing, b"alive\n");
            lane.put(Stream::Err, Worth::Picture, b"[==]\n");
        }
        drop(let_go);
        assert_eq!(read.recv().unwrap().len(), CROWDED);
        let told = "note: 3 lines left out while nobody read; the ledger has it all\n";
        assert_eq!(read.recv().unwrap(), told);
    }

    #[test]
    fn the_end_waits_for_a_reader_but_not_for_long() {
        let (lane, _let_go, _read) = lane();
        lane.put(Stream::Err, Worth::Result, b"error: so it failed\n");
        lane.finish(Duration::from_millis(1));
        assert_ne!(lane.queue().bytes, 0);
    }
}
