//! The control API's own limits: an operator gets in, whoever else is there.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ctx::rehearsal::legacy::Legacy;

use super::callers::answer;
use super::{asked, project};
use crate::support::serve::{Serve, TOKEN};

/// The connections that the control API keeps, and those that it has for one request each.
const PLACES: usize = 64;
const SPARE: usize = 8;

fn connect(serve: &Serve) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(&serve.control).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    BufReader::new(stream)
}

fn say(stream: &mut BufReader<TcpStream>, text: &str) -> std::io::Result<(u16, bool)> {
    stream.get_mut().write_all(text.as_bytes())?;
    answer(stream)
}

const LIVE: &str = "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[test]
fn an_operator_gets_in_past_a_hundred_idle_connections() {
    let test = project();
    let legacy = Legacy::start().unwrap();
    let serve = Serve::start(&test, &legacy.url());
    // Idle after a request, and idle from the beginning.
    let mut idle: Vec<_> = (0..200).map(|_| connect(&serve)).collect();
    for one in &mut idle[..100] {
        let _ = say(one, LIVE);
    }
    for _ in 0..20 {
        assert_eq!(asked(&serve.control, "/v1/state").unwrap().0, 200);
    }
    drop(idle);
}

#[test]
fn an_operator_gets_in_while_every_place_is_busy() {
    let test = project();
    let legacy = Legacy::start().unwrap();
    let serve = Serve::start(&test, &legacy.url());
    // Each is in the middle of a request: its body is on its way.
    let half = format!(
        "PUT /v1/lease HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
    );
    let mut busy: Vec<_> = (0..PLACES).map(|_| connect(&serve)).collect();
    for one in &mut busy {
        one.get_mut().write_all(half.as_bytes()).unwrap();
    }
    for _ in 0..2 * SPARE {
        let mut spare = connect(&serve);
        let (status, _) = say(&mut spare, LIVE).unwrap();
        assert_eq!(status, 200);
    }
    drop(busy);
}

#[test]
fn a_head_that_does_not_end_and_one_that_is_too_large_are_given_up() {
    let test = project();
    let legacy = Legacy::start().unwrap();
    let serve = Serve::start(&test, &legacy.url());
    let lines = "x-a: b\r\n".repeat(70);
    let many = format!("GET /livez HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n");
    assert_eq!(say(&mut connect(&serve), &many).unwrap().0, 431);
    let large = format!("GET /livez HTTP/1.1\r\nhost: localhost\r\nx-a: {}", "b".repeat(40_000));
    assert_eq!(say(&mut connect(&serve), &large).unwrap().0, 431);
    let mut slow = connect(&serve);
    slow.get_mut().write_all(b"GET /livez HTTP/1.1\r\nhost: local").unwrap();
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty(), "{rest:?}");
}

#[test]
fn a_browser_and_a_stranger_are_kept_out_and_a_write_is_json() {
    let test = project();
    let legacy = Legacy::start().unwrap();
    let serve = Serve::start(&test, &legacy.url());
    let auth = format!("authorization: Bearer {TOKEN}\r\n");
    let post = "POST /v1/inbox/dead/replay HTTP/1.1\r\n";
    for (request, headers, expect) in [
        ("GET /v1/state HTTP/1.1\r\n", "host: localhost\r\n", 200),
        ("GET /v1/state HTTP/1.1\r\n", "host: localhost\r\norigin: http://localhost\r\n", 403),
        ("GET /livez HTTP/1.1\r\n", "host: localhost\r\norigin: null\r\n", 403),
        ("GET /v1/state HTTP/1.1\r\n", "host: evil.example\r\n", 403),
        ("GET /v1/state HTTP/1.1\r\n", "host: localhost\r\nhost: localhost\r\n", 403),
        (post, "host: localhost\r\ncontent-length: 10\r\n", 415),
        (post, "host: localhost\r\ncontent-type: text/plain\r\ncontent-length: 10\r\n", 415),
        (post, "host: localhost\r\ncontent-type: application/json\r\ncontent-length: 10\r\n", 200),
    ] {
        let body = if request == post { "{\"ids\":[]}" } else { "" };
        let text = format!("{request}{headers}{auth}\r\n{body}");
        let (status, _) = say(&mut connect(&serve), &text).unwrap();
        assert_eq!(status, expect, "{text}");
    }
}
