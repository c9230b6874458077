//! Legacy mode: the answer of a real app, byte for byte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::Test;
use crate::support::serve::{Serve, TOKEN};
use crate::support::uvicorn::Uvicorn;

/// What may differ from one hop to the next, or from one second to the next.
const OF_ONE_HOP: [&str; 4] = ["connection", "keep-alive", "transfer-encoding", "date"];

/// An answer as it came over the wire.
#[derive(Debug, PartialEq)]
struct Answer {
    status_line: String,
    /// In their order and their case.
    headers: Vec<String>,
    body: Vec<u8>,
}

/// Sends a request over a connection of its own.
fn send(addr: &str, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head has an end");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n").map(str::to_owned);
    let status_line = lines.next().unwrap();
    let passes = |line: &String| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        !OF_ONE_HOP.contains(&name.as_str())
    };
    Answer { status_line, headers: lines.filter(passes).collect(), body: bytes[end + 4..].into() }
}

fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\
        Content-Length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

#[test]
fn every_answer_passes_through_as_the_app_gave_it() {
    let Some(app) = Uvicorn::start() else { return };
    let test = Test::new().env("CTX_TOKEN", TOKEN);
    let serve = Serve::start(&test, app.url());
    let direct = app.url().strip_prefix("http://").unwrap();
    let json = "Content-Type: application/json\r\n";
    let push = format!("{json}X-GitHub-Event: push\r\nX-GitHub-Delivery: g-1\r\n");
    let issue = r#"{"type":"Issue","action":"create","data":{"id":"é"}}"#;
    let requests = [
        request("GET", "/", "", ""),
        request("HEAD", "/", "", ""),
        request("GET", "/?a=%20&b=1", "X-Odd-Case: 1\r\n", ""),
        request("POST", "/linear/events", json, issue),
        request("POST", "/linear/events", json, r#"{"action":"create"}"#),
        request("POST", "/github/events", &push, "{}"),
        request("POST", "/github/events", json, "not JSON"),
        request("POST", "/slack/events", json, r#"{"type":"url_verification","challenge":"c"}"#),
        request("PUT", "/slack/events", json, "{}"),
        request("GET", "/nowhere", "", ""),
        request("GET", "/openapi.json", "Accept-Encoding: gzip\r\n", ""),
    ];
    let mut statuses = std::collections::BTreeSet::new();
    for request in requests {
        let (expect, got) = (send(direct, &request), send(&serve.data, &request));
        assert_eq!(got, expect, "{}", String::from_utf8_lossy(&request));
        statuses.insert(got.status_line);
    }
    assert_eq!(statuses.len(), 4, "200, 404, 405 and 500: {statuses:?}");
}
