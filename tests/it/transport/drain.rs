//! SIGTERM: first it says that it will go, then it goes, and nobody is cut off.

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use ctx::rehearsal::legacy::Legacy;
use rustix::process::Signal;

use super::callers::{Callers, answer};
use super::{asked, project};
use crate::support::serve::Serve;
use crate::support::until;

#[test]
fn a_process_that_will_stop_says_so_before_it_refuses_anybody() {
    let test = project();
    let legacy = Legacy::start().unwrap();
    let mut serve = Serve::start(&test, &legacy.url());
    serve.set(|config| config.limits.drain_delay = Duration::from_secs(4));
    assert_eq!(asked(&serve.control, "/readyz"), Some((200, "ready".to_owned())));
    serve.signal(Signal::TERM);
    let said = until("it is not ready", || {
        asked(&serve.control, "/readyz").filter(|(status, _)| *status == 503)
    });
    assert!(said.1.contains("it is about to stop"), "{said:?}");
    // Who was not told yet is served as before, and may stay.
    let (status, close) = get(&serve.data).unwrap();
    assert_eq!((status, close), (200, false));
    assert_eq!(asked(&serve.control, "/livez"), Some((200, "live".to_owned())));
    assert_eq!(until("it ends", || serve.ended()), 0);
    assert!(TcpStream::connect(&serve.data).is_err());
}

#[test]
fn a_pool_of_connections_is_never_reset_when_a_process_goes_and_another_comes() {
    let test = project().env("CONTEXTEN_ENHANCED_MODE", "true");
    let legacy = Legacy::start().unwrap();
    let mut serve = Serve::start(&test, &legacy.url());
    let callers = Callers::forgiving(&serve.data, "", 16);
    for _ in 0..3 {
        serve.signal(Signal::TERM);
        assert_eq!(until("it ends", || serve.ended()), 0);
        serve.restart(&test);
        callers.go_on();
    }
    let seen = callers.stop();
    assert_eq!(seen.failures, Vec::<String>::new());
    // Every connection that was kept was told of its end: none was reset.
    assert!(seen.closed >= 3 * 8, "{} connections were told to close", seen.closed);
    let all = seen.acknowledged.len();
    let handled = legacy.handled();
    let lost = handled.await_all(seen.acknowledged, Duration::from_secs(5));
    assert_eq!((lost, handled.repeated()), (Vec::new(), 0), "of {all}");
}

#[test]
fn a_connection_that_rests_gets_its_next_request_answered_while_it_drains() {
    let test = project();
    let legacy = Legacy::start().unwrap();
    let mut serve = Serve::start(&test, &legacy.url());
    serve.set(|config| {
        config.limits.drain_delay = Duration::ZERO;
        // It may rest for a fifth of that.
        config.limits.drain = Duration::from_secs(60);
    });
    let mut stream = BufReader::new(TcpStream::connect(&serve.data).unwrap());
    assert_eq!(ask(&mut stream, &serve.data).unwrap(), (200, false));
    serve.signal(Signal::TERM);
    until("nobody is let in", || TcpStream::connect(&serve.data).is_err().then_some(()));
    assert_eq!(ask(&mut stream, &serve.data).unwrap(), (200, true), "it is the last one");
    assert_eq!(until("it ends", || serve.ended()), 0);
}

fn get(addr: &str) -> std::io::Result<(u16, bool)> {
    ask(&mut BufReader::new(TcpStream::connect(addr)?), addr)
}

/// Asks over this connection: the status, and whether it ends.
fn ask(stream: &mut BufReader<TcpStream>, addr: &str) -> std::io::Result<(u16, bool)> {
    stream.get_mut().write_all(format!("GET / HTTP/1.1\r\nhost: {addr}\r\n\r\n").as_bytes())?;
    answer(stream)
}
