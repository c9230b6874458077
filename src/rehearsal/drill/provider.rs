//! A monitoring server that a drill can take away.
//!
//! It speaks as much of Prometheus' API as a guard asks for, and answers every query with nought.
//! Once it is down, its port refuses connections, as that of a server that is away does.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use serde_json::json;

use crate::clock::{Clock, SystemClock};

/// How long a question may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The longest question.
const MAX_QUESTION: u64 = 64 * 1024;

/// A running server. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Provider {
    address: SocketAddr,
    down: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Provider {
    /// Starts one on a free port.
    pub(super) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let down = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&down);
        let thread = Builder::new().name("provider".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                if seen.load(Ordering::SeqCst) {
                    return;
                }
                // Who breaks off asks again.
                let _ = stream.and_then(|stream| answer(&stream));
            }
        })?;
        Ok(Self { address, down, thread: Some(thread) })
    }

    /// Where its API is.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Refuses connections from now on.
    pub(super) fn take_down(&mut self) {
        self.down.store(true, Ordering::SeqCst);
        let Some(thread) = self.thread.take() else { return };
        // It waits for a connection; this is one.
        let woken = TcpStream::connect_timeout(&self.address, TIMEOUT);
        if woken.is_ok() {
            // Its panic was printed by its own thread.
            let _ = thread.join();
        }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.take_down();
    }
}

/// Answers one question, and hangs up.
fn answer(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut reader = BufReader::new(stream.take(MAX_QUESTION));
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line)? > 2 {
        let length_line = line.to_ascii_lowercase();
        if let Some(value) = length_line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    // What is not read would be a reset for who sent it.
    io::copy(&mut reader.take(length), &mut io::sink())?;
    let now = SystemClock.wall().timestamp();
    let data = json!({ "resultType": "scalar", "result": [now, "0"] });
    let body = json!({ "status": "success", "data": data }).to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
    let mut stream = stream;
    stream.write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it answers a question with.
    fn ask(address: SocketAddr) -> io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"POST /api/v1/query HTTP/1.1\r\nContent-Length: 9\r\n\r\nquery=one")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn it_answers_every_question_until_it_is_down() {
        let mut provider = Provider::start().unwrap();
        for _ in 0..2 {
            let answer = ask(provider.address).unwrap();
            assert!(
                answer.contains("\"status\":\"success\"") && answer.contains(",\"0\"]"),
                "{answer}"
            );
        }
        provider.take_down();
        let refused = ask(provider.address).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}
