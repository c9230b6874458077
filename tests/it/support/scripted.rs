//! An HTTP server that answers as a test says, and remembers what it was sent.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// From a request's bytes as text to a status and a body.
type Script = dyn Fn(&str) -> (u16, String) + Send + Sync;

/// A running server; it goes with the test's process.
pub(crate) struct Scripted {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    pub(crate) fn start(script: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (all, script): (_, Arc<Script>) = (Arc::clone(&seen), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (all, script) = (Arc::clone(&all), Arc::clone(&script));
                thread::spawn(move || answer(&stream, &all, &*script));
            }
        });
        Self { addr, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Every request so far, head and body.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// Answers the requests of a connection until its client has no more.
fn answer(stream: &TcpStream, all: &Mutex<Vec<String>>, script: &Script) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        all.lock().unwrap().push(request.clone());
        let (status, body) = script(&request);
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n");
        let reply = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        if (&mut &*stream).write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl Read) -> Option<String> {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(b"\r\n\r\n") {
        reader.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    bytes.extend(body);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The value of a line in a request's head, by its name in any spelling.
pub(crate) fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let lines = request.lines().take_while(|line| !line.is_empty());
    let mut lines = lines.filter_map(|line| line.split_once(": "));
    lines.find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
}

/// Sends one request over a connection of its own, which stays open, and gives back the answer.
pub(crate) fn exchange(addr: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request).unwrap();
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !is_whole(&answer, request.starts_with(b"HEAD")) && stream.read(&mut byte).unwrap() > 0 {
        answer.push(byte[0]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn is_whole(answer: &[u8], to_head: bool) -> bool {
    let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return false;
    };
    let (head, body) = answer.split_at(head + 4);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    match length {
        _ if to_head => true,
        Some(length) => body.len() >= length.trim().parse().unwrap(),
        None => body.ends_with(b"0\r\n\r\n"),
    }
}
