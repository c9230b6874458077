//! Senders that keep asking, at a constant rate, and forgive nothing.
//!
//! Each is a thread with its own schedule. Half of them keep a connection for as long as they may,
//! the others make a new one each time. None of them ever sends an event twice: what a library
//! would quietly repeat is a failure here.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use ctx::clock::{Clock, SystemClock};
use ctx::control::config::Platform;
use ctx::ids::random_hex;
use ctx::load::sign;
use tokio::time::Instant;

use super::secret;
use crate::support::until;

/// The time between two requests of one sender.
const EVERY: Duration = Duration::from_millis(20);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What all senders share.
#[derive(Debug)]
struct Shared {
    addr: String,
    /// What events are signed with now.
    secret: Mutex<String>,
    /// Whether a sender that is refused a connection may try again.
    forgiving: bool,
    stop: AtomicBool,
    /// The rounds that each sender has made.
    rounds: Vec<AtomicU64>,
    acknowledged: Mutex<Vec<String>>,
    failures: Mutex<Vec<String>>,
    /// Connections that were refused, where that is forgiven.
    refused: AtomicU64,
    /// Connections that ended because the gateway had said so.
    closed: AtomicU64,
}

/// Senders at work. They stop when dropped.
#[derive(Debug)]
pub(super) struct Callers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What they have seen.
#[derive(Debug)]
pub(super) struct Seen {
    /// Deliveries that were answered with 2xx.
    pub(super) acknowledged: Vec<String>,
    pub(super) failures: Vec<String>,
    pub(super) refused: u64,
    pub(super) closed: u64,
}

impl Callers {
    /// `count` senders of signed GitHub events.
    #[track_caller]
    pub(super) fn start(addr: &str, secret: &str, count: usize) -> Self {
        Self::begin(addr, secret, count, false)
    }

    /// As [`Callers::start`]; a connection that is refused is tried again, because nobody listens
    /// between the end of a process and the start of the next.
    #[track_caller]
    pub(super) fn forgiving(addr: &str, secret: &str, count: usize) -> Self {
        Self::begin(addr, secret, count, true)
    }

    #[track_caller]
    fn begin(addr: &str, secret: &str, count: usize, forgiving: bool) -> Self {
        let shared = Arc::new(Shared {
            addr: addr.to_owned(),
            secret: Mutex::new(secret.to_owned()),
            forgiving,
            stop: AtomicBool::new(false),
            rounds: (0..count).map(|_| AtomicU64::new(0)).collect(),
            acknowledged: Mutex::default(),
            failures: Mutex::default(),
            refused: AtomicU64::new(0),
            closed: AtomicU64::new(0),
        });
        let threads = (0..count).map(|number| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.call(number))
        });
        let callers = Self { threads: threads.collect(), shared };
        callers.go_on();
        callers
    }

    /// From now on events are signed with this; when it returns, nothing else is under way.
    #[track_caller]
    pub(super) fn sign_with(&self, secret: &str) {
        secret.clone_into(&mut self.shared.secret.lock().unwrap());
        self.go_on();
    }

    /// Waits until each sender has made some more requests.
    #[track_caller]
    pub(super) fn go_on(&self) {
        let rounds = || self.shared.rounds.iter().map(|n| n.load(Ordering::SeqCst));
        let before: Vec<_> = rounds().collect();
        until("every sender goes on", || {
            let on = rounds().zip(&before).all(|(now, before)| now > before + 2);
            (on || !self.shared.failures.lock().unwrap().is_empty()).then_some(())
        });
    }

    /// Stops them.
    pub(super) fn stop(mut self) -> Seen {
        self.end();
        let take = |list: &Mutex<Vec<String>>| std::mem::take(&mut *list.lock().unwrap());
        Seen {
            acknowledged: take(&self.shared.acknowledged),
            failures: take(&self.shared.failures),
            refused: self.shared.refused.load(Ordering::SeqCst),
            closed: self.shared.closed.load(Ordering::SeqCst),
        }
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn call(&self, number: usize) {
        let keep = number.is_multiple_of(2);
        let mut kept: Option<BufReader<TcpStream>> = None;
        let mut next = Instant::now();
        while !self.stop.load(Ordering::SeqCst) {
            let reused = kept.is_some();
            let delivery = random_hex::<8>();
            let sent = match kept.take().map_or_else(|| self.connect(), Ok) {
                Ok(stream) => self.send(stream, &delivery, keep),
                Err(error) if self.forgiving && error.kind() == ErrorKind::ConnectionRefused => {
                    self.refused.fetch_add(1, Ordering::SeqCst);
                    pause(EVERY);
                    continue;
                }
                Err(error) => Err(error),
            };
            match sent {
                Ok((200..300, stream)) => {
                    self.acknowledged.lock().unwrap().push(delivery);
                    kept = stream.filter(|_| keep);
                    if keep && kept.is_none() {
                        self.closed.fetch_add(1, Ordering::SeqCst);
                    }
                }
                Ok((status, _)) => self.fail(format!("{delivery}: {status}, reused {reused}")),
                Err(error) => self.fail(format!("{delivery}: {error:?}, reused {reused}")),
            }
            self.rounds[number].fetch_add(1, Ordering::SeqCst);
            // By the schedule, whatever the last answer took.
            next += EVERY;
            pause(next.saturating_duration_since(Instant::now()));
        }
    }

    fn fail(&self, why: String) {
        self.failures.lock().unwrap().push(why);
    }

    fn connect(&self) -> io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(&self.addr)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(BufReader::new(stream))
    }

    /// Sends one event, and gives the status with the connection, if that stays.
    fn send(
        &self,
        mut stream: BufReader<TcpStream>,
        delivery: &str,
        keep: bool,
    ) -> io::Result<(u16, Option<BufReader<TcpStream>>)> {
        let body = format!(r#"{{"zen":"Half measures are as bad as nothing.","n":"{delivery}"}}"#);
        let secret = secret(&self.secret.lock().unwrap());
        let at = SystemClock.wall();
        let signed = sign::headers(Platform::Github, Some(&secret), body.as_bytes(), at);
        let mut head = format!(
            "POST /github/events HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             x-github-event: ping\r\nx-github-delivery: {delivery}\r\ncontent-length: {}\r\n",
            self.addr,
            body.len()
        );
        for (name, value) in signed {
            head = format!("{head}{name}: {value}\r\n");
        }
        if !keep {
            head = format!("{head}connection: close\r\n");
        }
        stream.get_mut().write_all(format!("{head}\r\n{body}").as_bytes())?;
        let (status, close) = answer(&mut stream)?;
        Ok((status, (!close).then_some(stream)))
    }
}

/// Reads an answer to its end: its status, and whether the connection ends with it.
pub(super) fn answer(stream: &mut impl BufRead) -> io::Result<(u16, bool)> {
    let broken = || io::Error::new(ErrorKind::InvalidData, "no answer");
    let mut line = || {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::Error::from(ErrorKind::UnexpectedEof));
        }
        Ok(line.trim_end().to_ascii_lowercase())
    };
    let first = line()?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
    let (mut length, mut close, mut chunked) = (0, false, false);
    loop {
        let line = line()?;
        match line.split_once(": ") {
            None => break,
            Some(("content-length", value)) => length = value.parse().map_err(|_| broken())?,
            Some(("connection", value)) => close = value == "close",
            Some(("transfer-encoding", _)) => chunked = true,
            Some(_) => {}
        }
    }
    if !chunked {
        io::copy(&mut stream.take(length), &mut io::sink())?;
        return Ok((status, close));
    }
    loop {
        let mut size = String::new();
        stream.read_line(&mut size)?;
        let size = u64::from_str_radix(size.trim(), 16).map_err(|_| broken())?;
        io::copy(&mut stream.take(size + 2), &mut io::sink())?;
        if size == 0 {
            return Ok((status, close));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "senders have a schedule")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
