//! How many connections there may be, and whose; and what slow ones cost.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use ctx::control::config::{Network, Upstream};
use ctx::rehearsal::legacy::Legacy;
use socket2::{Domain, Socket, Type};

use super::callers::{Callers, answer};
use super::{asked, project};
use crate::support::serve::Serve;
use crate::support::{Test, until};

/// A connection from another address of this machine.
fn from(address: &str, to: &str) -> BufReader<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(address.parse().unwrap(), 0).into()).unwrap();
    socket.connect(&to.parse::<SocketAddr>().unwrap().into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    BufReader::new(stream)
}

/// Asks over this connection and keeps it; whether there was an answer.
fn served(stream: &mut BufReader<TcpStream>) -> bool {
    let asked = stream.get_mut().write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    matches!(asked.and_then(|()| answer(stream)), Ok((200, false)))
}

/// A line of `/metrics`.
fn metric(serve: &Serve, name: &str) -> u64 {
    let (_, text) = asked(&serve.control, "/metrics").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} "))).unwrap();
    line.parse().unwrap()
}

fn start(test: &Test, legacy: &Legacy) -> Serve {
    Serve::with(test, &legacy.url(), &["--workers", "2"])
}

#[test]
fn one_address_has_so_many_connections_and_leaves_the_rest_to_others() {
    let test = project();
    let legacy = Legacy::start().unwrap();
    let serve = start(&test, &legacy);
    let trusted: Network = "127.0.0.3".parse().unwrap();
    serve.set(|config| config.limits.trusted = vec![trusted]);
    // The default, over all workers.
    let mut held: Vec<_> = (0..64).map(|_| from("127.0.0.1", &serve.data)).collect();
    assert!(held.iter_mut().all(served));
    assert!(!served(&mut from("127.0.0.1", &serve.data)), "it has 64");
    assert!(served(&mut from("127.0.0.2", &serve.data)), "another address has its own");
    let mut proxied: Vec<_> = (0..70).map(|_| from("127.0.0.3", &serve.data)).collect();
    assert!(proxied.iter_mut().all(served), "a trusted one has as many as it likes");
    assert!(metric(&serve, "ctx_connections") >= 134);
    assert_eq!(metric(&serve, "ctx_connections_refused_total"), 1);
    // A place that is given back can be taken, and those that were let in keep theirs.
    drop(held.pop());
    until("there is a place again", || {
        let mut one = from("127.0.0.1", &serve.data);
        served(&mut one).then(|| held.push(one))
    });
    assert!(held.iter_mut().all(served));
    // The machine itself is trusted unless told otherwise.
    serve.set(|config| config.limits = ctx::control::config::Limits::default());
    assert!((0..80).map(|_| from("127.0.0.1", &serve.data)).all(|mut one| served(&mut one)));
}

#[test]
fn who_comes_when_all_places_are_taken_gets_that_of_whoever_has_rested_longest() {
    let test = project();
    let legacy = Legacy::start().unwrap();
    let serve = Serve::with(&test, &legacy.url(), &["--workers", "1"]);
    serve.set(|config| config.limits.connections = 8);
    let mut held: Vec<_> = (0..8).map(|_| from("127.0.0.1", &serve.data)).collect();
    for one in &mut held {
        assert!(served(one));
    }
    let mut late = from("127.0.0.1", &serve.data);
    assert!(served(&mut late));
    let mut byte = [0];
    let ended = held[0].read(&mut byte);
    assert!(matches!(&ended, Ok(0)), "the oldest is told: {ended:?}");
    assert!(held[1..].iter_mut().all(served) && served(&mut late), "all others stay");
    assert_eq!(metric(&serve, "ctx_connections_shed_total"), 1);
    assert_eq!(metric(&serve, "ctx_connections"), 8);
}

/// Kilobytes of memory that a process has in use.
fn resident_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_thousand_slow_connections_cost_little_and_hurt_nobody() {
    let test = project().env("CONTEXTEN_ENHANCED_MODE", "true");
    let legacy = Legacy::start().unwrap();
    let serve = start(&test, &legacy);
    let callers = Callers::start(&serve.data, "", 8);
    let before = resident_kb(serve.id());
    // A third sends a head that does not end, a third a body, and a third reads no answer.
    let slow: Vec<_> = (0..1000)
        .map(|n| {
            let mut stream = TcpStream::connect(&serve.data).unwrap();
            let bytes: &[u8] = match n % 3 {
                0 => b"GET / HTTP/1.1\r\nhost: a\r\nx-slow: ",
                1 => b"POST /github/events HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n{",
                _ => b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            };
            stream.write_all(bytes).unwrap();
            stream
        })
        .collect();
    callers.go_on();
    let during = resident_kb(serve.id());
    assert_eq!(asked(&serve.control, "/v1/state").unwrap().0, 200, "an operator gets in");
    callers.go_on();
    let seen = callers.stop();
    assert_eq!(seen.failures, Vec::<String>::new(), "of {}", seen.acknowledged.len());
    let grown = during.saturating_sub(before);
    assert!(grown < 96 * 1024, "1,000 slow connections take {grown} KB");
    // Those that owe a head or a body are given up, and those that read nothing hold nothing.
    for stream in
        slow.into_iter().enumerate().filter(|(n, _)| n % 3 < 2).map(|(_, s)| s).step_by(61)
    {
        stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
        let mut all = Vec::new();
        let ended = stream.take(1 << 20).read_to_end(&mut all).map_err(|error| error.kind());
        assert!(matches!(ended, Ok(_) | Err(ErrorKind::ConnectionReset)), "{ended:?}");
    }
}

#[test]
fn clients_that_read_no_large_answer_hold_little_of_it() {
    let test = project();
    let large = LargeApp::start(8 << 20);
    let serve = start(&test, &large.legacy);
    serve.set(|config| {
        let app = Upstream::at(&format!("http://{}", large.addr));
        config.upstreams.insert("legacy".to_owned(), app);
    });
    let before = resident_kb(serve.id());
    let unread: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(&serve.data).unwrap();
            stream.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
            // The answer has begun.
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            stream.read_exact(&mut [0; 64]).unwrap();
            stream
        })
        .collect();
    let mut whole = from("127.0.0.1", &serve.data);
    whole.get_mut().write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    assert_eq!(answer(&mut whole).unwrap().0, 200, "who reads gets all of it");
    let grown = resident_kb(serve.id()).saturating_sub(before);
    // 800 MB would have to be somewhere, if not with the app.
    assert!(grown < 128 * 1024, "{grown} KB are held");
    drop(unread);
}

#[test]
fn a_redirect_is_the_senders_business() {
    let test = project();
    let (legacy, elsewhere) = (Legacy::start().unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    elsewhere.set_nonblocking(true).unwrap();
    let serve = start(&test, &legacy);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let to = elsewhere.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let head = format!("HTTP/1.1 302 Found\r\nlocation: http://{to}/\r\n");
        let _ = stream.write_all(format!("{head}content-length: 0\r\n\r\n").as_bytes());
    });
    serve.set(|config| {
        config.upstreams.insert("legacy".to_owned(), Upstream::at(&format!("http://{addr}")));
    });
    let mut stream = from("127.0.0.1", &serve.data);
    stream.get_mut().write_all(b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    assert_eq!(answer(&mut stream).unwrap().0, 302);
    let asked = elsewhere.accept().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(asked, Err(ErrorKind::WouldBlock), "nobody went there");
}

/// An app whose one answer is large, and another that the orchestrator starts with.
struct LargeApp {
    addr: SocketAddr,
    legacy: Legacy,
}

impl LargeApp {
    fn start(bytes: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let body: Arc<[u8]> = vec![b'x'; bytes].into();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, body) = (stream.unwrap(), Arc::clone(&body));
                std::thread::spawn(move || {
                    let _ = stream.read(&mut [0; 4096]);
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                    let _ = stream.write_all(head.as_bytes());
                    let _ = stream.write_all(&body);
                });
            }
        });
        Self { addr, legacy: Legacy::start().unwrap() }
    }
}
