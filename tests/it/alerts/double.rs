//! Something that takes alerts over HTTP and answers as a test wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// What was asked for, and the document.
type Taken = Arc<Mutex<Vec<(String, Value)>>>;

/// A server on a free port. Its threads end with the test's process.
#[derive(Debug)]
pub(super) struct Double {
    addr: SocketAddr,
    taken: Taken,
}

impl Double {
    /// Answers the request of each number, from 0, with a status; 0 is no answer at all.
    pub(super) fn answering(status: impl Fn(usize) -> u16 + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let taken = Taken::default();
        let (status, all) = (Arc::new(status), Arc::clone(&taken));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (status, all) = (Arc::clone(&status), Arc::clone(&all));
                std::thread::spawn(move || answer(stream, &*status, &all));
            }
        });
        Self { addr, taken }
    }

    /// Takes everything.
    pub(super) fn start() -> Self {
        Self::answering(|_| 200)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Every document so far that was sent to `path`, in order.
    pub(super) fn documents(&self, path: &str) -> Vec<Value> {
        let taken = self.taken.lock().unwrap();
        taken.iter().filter(|(to, _)| to == path).map(|(_, document)| document.clone()).collect()
    }
}

fn answer(mut stream: TcpStream, status: &dyn Fn(usize) -> u16, taken: &Taken) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    // A connection may carry more than one request.
    while let Some((path, document)) = request(&mut reader) {
        let number = {
            let mut taken = taken.lock().unwrap();
            taken.push((path, document));
            taken.len() - 1
        };
        match status(number) {
            0 => drop(reader.read(&mut [0; 1])),
            status => {
                let head = format!("HTTP/1.1 {status} Answered\r\ncontent-length: 5\r\n\r\nsaid\n");
                if stream.write_all(head.as_bytes()).is_err() {
                    return;
                }
            }
        }
    }
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, Value)> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|n| *n > 0)?;
    let path = first.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(given) = line.strip_prefix("content-length:") {
            length = given.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, serde_json::from_slice(&body).unwrap()))
}
