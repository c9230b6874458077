//! One kept connection, with one request at a time on it.
//!
//! It never blocks: it goes as far as the socket lets it, and on at the next edge. A request costs
//! one write and one read. A connection that the server closed while it was idle is made anew; a
//! request of which a byte may have left never goes out twice.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::poller::{Edge, Poller};
use super::wire::Reader;
use crate::load::counters::FailureKind;

/// A connection that is made when it is needed.
#[derive(Debug)]
pub(super) struct Link {
    id: usize,
    addresses: Arc<[SocketAddr]>,
    /// Which address is dialled next, and how many have failed for this request.
    address: usize,
    tried: usize,
    stream: Option<TcpStream>,
    at: At,
    /// The bytes of the request, where each has its own.
    pub(super) own: Vec<u8>,
    written: usize,
    reader: Reader,
    /// What has arrived of an answer's head that is not whole yet.
    kept: Vec<u8>,
    /// What happened while nobody looked at it.
    seen: Edge,
}

/// Where a link is with its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Rest,
    Connecting,
    /// Whether the connection has served before.
    Writing {
        kept: bool,
    },
    Reading,
}

/// How far it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It goes on at the next edge.
    Waits,
    /// With the status of the answer, or why there is none.
    Ended(Result<u16, FailureKind>),
}

/// What the links of a thread share.
#[derive(Debug)]
pub(super) struct Tools<'a> {
    pub(super) poller: &'a Poller,
    /// The request of every link that has none of its own.
    pub(super) same: &'a [u8],
    /// Room for an answer's head, and for a piece of its body.
    pub(super) buffer: &'a mut [u8],
}

impl Link {
    /// One that connects to the first address that lets it; `id` is what the poller tells of it as.
    pub(super) fn new(id: usize, addresses: Arc<[SocketAddr]>) -> Self {
        Self {
            id,
            addresses,
            address: 0,
            tried: 0,
            stream: None,
            at: At::Rest,
            own: Vec::new(),
            written: 0,
            reader: Reader::new(false),
            kept: Vec::new(),
            seen: Edge::default(),
        }
    }

    /// Whether nothing of the request can have left.
    pub(super) fn is_connecting(&self) -> bool {
        self.at == At::Connecting
    }

    /// Begins the next request, whose bytes are its own or the same as all others'.
    pub(super) fn begin(&mut self, head_only: bool, tools: &mut Tools<'_>) -> Progress {
        self.reader = Reader::new(head_only);
        (self.written, self.tried) = (0, 0);
        if self.stream.is_some() {
            self.at = At::Writing { kept: true };
            self.write(tools)
        } else {
            self.connect(FailureKind::Other, tools)
        }
    }

    /// Goes on after something happened to the socket.
    pub(super) fn go_on(&mut self, edge: Edge, tools: &mut Tools<'_>) -> Progress {
        match self.at {
            // Its end, or bytes that nobody asked for.
            At::Rest if edge.readable => self.close(),
            At::Connecting | At::Writing { .. } => {
                self.seen.readable |= edge.readable;
                self.seen.ended |= edge.ended;
                if edge.writable {
                    return match self.at {
                        At::Connecting => self.connected(tools),
                        _ => self.write(tools),
                    };
                }
            }
            At::Reading if edge.readable => {
                self.seen.ended |= edge.ended;
                return self.read(tools);
            }
            At::Rest | At::Reading => {}
        }
        Progress::Waits
    }

    /// Gives up the request and its connection.
    pub(super) fn close(&mut self) {
        self.stream = None;
        self.at = At::Rest;
        self.kept.clear();
        self.seen = Edge::default();
    }

    fn fail(&mut self, kind: FailureKind) -> Progress {
        self.close();
        Progress::Ended(Err(kind))
    }

    /// Dials the next address; `failure` is why the one before did not do.
    fn connect(&mut self, mut failure: FailureKind, tools: &Tools<'_>) -> Progress {
        self.close();
        while self.tried < self.addresses.len() {
            let dialled = dial(self.addresses[self.address]).and_then(|stream| {
                tools.poller.add(&stream, self.id)?;
                Ok(stream)
            });
            match dialled {
                Ok(stream) => {
                    self.stream = Some(stream);
                    self.at = At::Connecting;
                    return Progress::Waits;
                }
                Err(error) => failure = self.unreachable(&error),
            }
        }
        self.fail(failure)
    }

    fn connected(&mut self, tools: &mut Tools<'_>) -> Progress {
        let Some(stream) = &self.stream else { return Progress::Waits };
        let made = stream.take_error().and_then(|error| match error {
            Some(error) => Err(error),
            None => stream.set_nodelay(true),
        });
        match made {
            Ok(()) => {
                self.at = At::Writing { kept: false };
                self.write(tools)
            }
            Err(error) => {
                let failure = self.unreachable(&error);
                self.connect(failure, tools)
            }
        }
    }

    /// Turns to the next address; all that follows keeps to the one that did.
    fn unreachable(&mut self, error: &io::Error) -> FailureKind {
        self.tried += 1;
        self.address = (self.address + 1) % self.addresses.len();
        classify(error)
    }

    fn write(&mut self, tools: &mut Tools<'_>) -> Progress {
        let Some(stream) = &mut self.stream else { return Progress::Waits };
        let request = if self.own.is_empty() { tools.same } else { &self.own };
        while self.written < request.len() {
            match stream.write(&request[self.written..]) {
                Ok(0) => return self.fail(FailureKind::Reset),
                Ok(n) => self.written += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Waits,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if self.written == 0 && self.at == (At::Writing { kept: true }) => {
                    return self.connect(classify(&error), tools);
                }
                Err(error) => return self.fail(classify(&error)),
            }
        }
        self.at = At::Reading;
        if self.seen.readable {
            self.seen.readable = false;
            return self.read(tools);
        }
        Progress::Waits
    }

    fn read(&mut self, tools: &mut Tools<'_>) -> Progress {
        let Some(stream) = &mut self.stream else { return Progress::Waits };
        loop {
            let before = self.kept.len();
            let filled = match stream.read(&mut tools.buffer[before..]) {
                // The end of the connection, which is the end of some answers.
                Ok(0) => {
                    let answer = self.reader.closed().map(|answer| answer.status);
                    self.close();
                    return Progress::Ended(answer.ok_or(FailureKind::Reset));
                }
                Ok(n) => before + n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Waits,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return self.fail(classify(&error)),
            };
            tools.buffer[..before].copy_from_slice(&self.kept);
            self.kept.clear();
            let Ok((used, answer)) = self.reader.take(&tools.buffer[..filled]) else {
                return self.fail(FailureKind::Other);
            };
            if let Some(answer) = answer {
                // Bytes behind the answer belong to nobody.
                if answer.keep && used == filled && !self.seen.ended {
                    self.at = At::Rest;
                } else {
                    self.close();
                }
                return Progress::Ended(Ok(answer.status));
            }
            if filled - used == tools.buffer.len() {
                return self.fail(FailureKind::Other);
            }
            self.kept.extend_from_slice(&tools.buffer[used..filled]);
            // What did not fill the room was all there was: what follows is told of.
            if filled < tools.buffer.len() && !self.seen.ended {
                return Progress::Waits;
            }
        }
    }
}

/// Begins to connect.
fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error),
        _ => Ok(socket.into()),
    }
}

fn classify(error: &io::Error) -> FailureKind {
    use ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, NotConnected, TimedOut,
        UnexpectedEof,
    };
    match error.kind() {
        ConnectionRefused => FailureKind::Refused,
        TimedOut => FailureKind::ConnectTimeout,
        ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof | NotConnected => {
            FailureKind::Reset
        }
        _ => FailureKind::Other,
    }
}
