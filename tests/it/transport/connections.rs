//! How many connections there may be, and whose; and what slow ones cost.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ctx::control::config::Network;
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
    callers.go_on();
    let seen = callers.stop();
    assert_eq!(seen.failures, Vec::<String>::new(), "of {}", seen.acknowledged.len());
    let grown = during.saturating_sub(before);
    assert!(grown < 96 * 1024, "1,000 slow connections take {grown} KB");
    // Those that owe a head or a body are given up.
    for stream in slow.into_iter().step_by(97) {
        stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
        let mut all = Vec::new();
        if let Err(error) = stream.take(1 << 20).read_to_end(&mut all) {
            let over = [ErrorKind::ConnectionReset, ErrorKind::WouldBlock];
            assert!(over.contains(&error.kind()), "{error:?}");
        }
    }
}
