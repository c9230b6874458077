//! A server that is as slow, as odd or as short of breath as a story needs, and notes everything.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

/// One request, as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Which connection it came on, from 0.
    pub(super) connection: usize,
    pub(super) arrived: Instant,
    /// When its answer left.
    pub(super) answered: Option<Instant>,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

/// What it does with a request.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// Answers so, after a wait.
    Answer { after: Duration, status: u16 },
    /// Sends these pieces, a little apart.
    Pieces(Vec<&'static str>),
    /// Sends this, and closes.
    Close(&'static str),
    /// Keeps silent as long as the client waits.
    Silence,
}

/// An answer at once.
pub(super) const AT_ONCE: Deed = Deed::Answer { after: Duration::ZERO, status: 200 };

type Script = dyn Fn(&Seen, Instant) -> Deed + Send + Sync;

/// A running server; it goes with the test's process.
pub(super) struct Server {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Answers everything at once.
    pub(super) fn prompt() -> Self {
        Self::start(|_, _| AT_ONCE)
    }

    /// Does nothing for a time, again and again, on all connections at once; the first time as
    /// long after the first request as it is good between two.
    pub(super) fn stalling(stall: Duration, good: Duration) -> Self {
        Self::start(move |seen, first| {
            let (cycle, since) = (stall + good, seen.arrived - first);
            let within = Duration::from_nanos(
                u64::try_from(since.as_nanos() % cycle.as_nanos()).unwrap_or_default(),
            );
            let after = if within < good { Duration::ZERO } else { cycle.saturating_sub(within) };
            Deed::Answer { after, status: 200 }
        })
    }

    /// Does what `script` says; it is told when the first request of all arrived.
    pub(super) fn start(script: impl Fn(&Seen, Instant) -> Deed + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (all, script): (_, Arc<Script>) = (Arc::clone(&seen), Arc::new(script));
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                let (all, script) = (Arc::clone(&all), Arc::clone(&script));
                thread::spawn(move || serve(&stream, connection, &all, &*script));
            }
        });
        Self { addr, seen }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Every request so far, in the order of their arrival.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// On how many connections requests came.
    pub(super) fn connections(&self) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|seen| seen.connection).collect::<std::collections::BTreeSet<_>>().len()
    }
}

fn serve(stream: &TcpStream, connection: usize, all: &Mutex<Vec<Seen>>, script: &Script) {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream);
    while let Some((head, body)) = read(&mut reader) {
        let seen = Seen { connection, arrived: Instant::now(), answered: None, head, body };
        let (first, index) = {
            let mut all = all.lock().unwrap();
            all.push(seen.clone());
            (all[0].arrived, all.len() - 1)
        };
        if act(stream, &script(&seen, first)).is_none() {
            return;
        }
        all.lock().unwrap()[index].answered = Some(Instant::now());
    }
}

#[expect(clippy::disallowed_methods, reason = "a slow server takes real time")]
fn act(mut stream: &TcpStream, deed: &Deed) -> Option<()> {
    match deed {
        Deed::Answer { after, status } => {
            thread::sleep(*after);
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\nok");
            stream.write_all(answer.as_bytes()).ok()
        }
        Deed::Pieces(pieces) => pieces.iter().try_for_each(|piece| {
            stream.write_all(piece.as_bytes()).ok()?;
            thread::sleep(Duration::from_millis(2));
            Some(())
        }),
        Deed::Close(last) => {
            let _ = stream.write_all(last.as_bytes());
            None
        }
        Deed::Silence => {
            let mut end = [0; 64];
            while stream.read(&mut end).is_ok_and(|n| n > 0) {}
            None
        }
    }
}

/// A request's head and body.
fn read(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}
