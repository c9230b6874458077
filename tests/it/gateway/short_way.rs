//! The short way and the general one: whoever looks from outside cannot tell them apart.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ctx::control::config::{Canary, Config, Mode};
use ctx::control::observe::BreakerState;
use ctx::units::Percent;

use super::harness::{RawUpstream, Upstream, World, connect, flag_on, nowhere, upstream_at};

/// Plain requests go the short way.
fn short(config: &mut Config) {
    flag_on(config, "connection_pooling", 100);
}

/// With a canary that gets nothing and whose breaker is open, everything goes the general way.
fn general(config: &mut Config) {
    short(config);
    let nobody = config.upstreams["legacy"].clone();
    config.upstreams.insert("nobody".to_owned(), nobody);
    config.canary = Some(Canary { upstream: "nobody".to_owned(), weight: Percent::ZERO });
}

fn open_breaker(world: &World) {
    let (plane, hour) = (&world.plane, Duration::from_secs(3600));
    plane.breakers.force_open("nobody", plane.clock.boot(), hour);
}

/// One answer to a request over a connection that stays open; fewer bytes if the gateway ends it.
fn exchange(stream: &mut TcpStream, request: &str) -> Vec<u8> {
    stream.write_all(request.as_bytes()).unwrap();
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !is_whole(&answer, request.starts_with("HEAD")) && stream.read(&mut byte).unwrap() > 0 {
        answer.push(byte[0]);
    }
    answer
}

fn is_whole(answer: &[u8], to_head: bool) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    match length {
        _ if to_head || head.starts_with("http/1.1 204") => true,
        Some(length) => body.len() >= length.parse().unwrap(),
        None => body.ends_with("0\r\n\r\n"),
    }
}

async fn both(
    change: fn(&mut Config),
    upstream: impl Fn() -> RawUpstream,
    request: &'static str,
) -> [(Vec<String>, String); 2] {
    let mut seen = Vec::new();
    for way in [short as fn(&mut Config), general] {
        let upstream = upstream();
        let world = World::at(upstream.addr, |config| {
            way(config);
            change(config);
        });
        open_breaker(&world);
        let addr = world.addr;
        let talk = move || {
            let mut stream = connect(addr);
            [exchange(&mut stream, request), exchange(&mut stream, request)].concat()
        };
        let told = tokio::task::spawn_blocking(talk).await.unwrap();
        let metrics = world.metrics();
        let told = format!(
            "{}\n{:?} {:?}",
            String::from_utf8_lossy(&told),
            metrics.counts,
            metrics.arms.iter().map(|(arm, window)| (arm, window.requests)).collect::<Vec<_>>(),
        );
        // Names of headers mean the same in any spelling.
        let saw = upstream.seen().iter().map(|request| unnamed(request)).collect();
        seen.push((saw, unnamed(&told)));
    }
    seen.try_into().unwrap()
}

/// What was sent, in lower case, with the same name for every request and trace that was named
/// here.
fn unnamed(sent: &str) -> String {
    let line = |line: &str| {
        let line = line.to_ascii_lowercase();
        match line.split_once(": ") {
            Some(("x-request-id", id)) if is_hex(id, 32) => "x-request-id: #".to_owned(),
            Some(("traceparent", parent)) if is_made(parent) => "traceparent: #".to_owned(),
            _ => line,
        }
    };
    sent.split("\r\n").map(line).collect::<Vec<_>>().join("\r\n")
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether a trace began here: it is not sampled, as the senders' are.
fn is_made(parent: &str) -> bool {
    let parts: Vec<&str> = parent.split('-').collect();
    matches!(parts[..], ["00", trace, span, "00"] if is_hex(trace, 32) && is_hex(span, 16))
}

const POST: &str = "POST /github/events?a=%20b HTTP/1.1\r\nHost: app.example\r\nX-GitHub-Event: push\r\n\
    X-CuStOm:  two  words \r\nAccept: a\r\nAccept: b\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=x\r\n\
    Ctx-Anything: 1\r\nConnection: keep-alive\r\nContent-Length: 6\r\n\r\nhello!";

#[tokio::test]
async fn what_the_upstream_sees_is_the_same() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let get = "GET /some/path?q=1 HTTP/1.1\r\nhost: a\r\nCookie: x=y\r\n\r\n";
    for mode in [|_: &mut Config| {}, |config: &mut Config| config.mode = Mode::Enhanced] {
        for (request, ends_with) in [(POST, "!"), (get, "\r\n\r\n")] {
            let [short, general] =
                both(mode, || RawUpstream::start(ends_with, answer, false), request).await;
            assert_eq!(short.0.len(), 2);
            assert_eq!(short, general, "{request}");
        }
    }
}

#[tokio::test]
async fn a_request_is_called_the_same() {
    let named = "POST /github/events HTTP/1.1\r\nHost: a\r\nX-Request-ID: mine-1\r\nA: b\r\n\
        TraceParent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
        Tracestate: a=1\r\nContent-Length: 6\r\n\r\nhello!";
    let badly = "POST /github/events HTTP/1.1\r\nHost: a\r\nx-request-id: <b>\r\n\
        X-Request-ID: two\r\nA: b\r\ntraceparent: 00-nonsense\r\nC: d\r\ntracestate: a=1\r\nE: f\r\n\
        Content-Length: 6\r\n\r\nhello!";
    let answer =
        b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-Request-Id: app\r\nX-B: 2\r\nContent-Length: 2\r\n\r\nok";
    let telling = |config: &mut Config| config.tracing.answer_request_id = true;
    let tracing = |config: &mut Config| {
        config.tracing.start_trace = true;
        config.tracing.trust_request_id = false;
    };
    let silent = |config: &mut Config| config.tracing.request_id = false;
    for change in [|_: &mut Config| {}, telling, tracing, silent] {
        for request in [POST, named, badly] {
            let [short, general] =
                both(change, || RawUpstream::start("!", answer, false), request).await;
            assert_eq!(short, general, "{request}");
        }
    }
    let [(saw, told), _] = both(telling, || RawUpstream::start("!", answer, false), named).await;
    assert!(saw[0].contains("x-request-id: mine-1\r\na: b\r\ntraceparent: 00-4bf92"), "{saw:?}");
    assert!(told.contains("x-a: 1\r\nx-request-id: mine-1\r\nx-b: 2"), "{told}");
    let [(saw, told), _] = both(tracing, || RawUpstream::start("!", answer, false), badly).await;
    assert!(saw[0].contains("x-request-id: #\r\na: b\r\ntraceparent: #\r\nc: d"), "{saw:?}");
    assert!(!saw[0].contains("tracestate") && told.contains("x-request-id: app"), "{saw:?} {told}");
}

#[tokio::test]
async fn what_the_client_is_told_is_the_same() {
    let answers: [&'static [u8]; 9] = [
        b"HTTP/1.1 207 Quite Fine\r\nX-OdD: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n",
        b"HTTP/1.1 500 Oh\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbad",
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, x-mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
        b"nonsense\r\n\r\n",
    ];
    for answer in answers {
        // It hangs up only where it says so: who is told too late is told by chance.
        let start = || RawUpstream::start("!", answer, answer.starts_with(b"HTTP/1.1 500"));
        let [short, general] = both(|_| {}, start, POST).await;
        assert_eq!(short, general, "{}", String::from_utf8_lossy(answer));
    }
    let head = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n";
    let [short, general] =
        both(|_| {}, || RawUpstream::start("\r\n\r\n", answer, false), head).await;
    assert_eq!(short, general);
}

#[tokio::test]
async fn who_cannot_be_answered_is_told_the_same() {
    let nobody = |way: fn(&mut Config), change: fn(&mut Config)| async move {
        let world = World::at(nowhere(), |config| {
            way(config);
            change(config);
        });
        open_breaker(&world);
        let addr = world.addr;
        let talk = move || exchange(&mut connect(addr), POST);
        let told = tokio::task::spawn_blocking(talk).await.unwrap();
        let metrics = world.metrics();
        // The general way has not read the body yet, and says that the connection ends.
        let told = String::from_utf8(told).unwrap().replace("connection: close\r\n", "");
        (unnamed(&told), metrics.total.errors, metrics.counts)
    };
    let unsigned = |config: &mut Config| {
        config.mode = Mode::Enhanced;
        config.routes.get_mut("github").unwrap().secret = Some("env:PATH".to_owned());
    };
    for change in [|_: &mut Config| {}, unsigned] {
        let (short, general) = (nobody(short, change).await, nobody(general, change).await);
        assert_eq!(short, general);
        assert!(short.0.starts_with("http/1.1 502") || short.0.starts_with("http/1.1 401"));
    }
}

#[tokio::test]
async fn a_connection_goes_on_the_general_way_after_something_odd() {
    let upstream = Upstream::saying("ok").await;
    let world = World::new(&upstream, short);
    let addr = world.addr;
    let talk = move || {
        let mut stream = connect(addr);
        for round in 0..3 {
            assert!(exchange(&mut stream, POST).ends_with(b"ok"), "{round}");
        }
        let odd = "DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n";
        assert!(exchange(&mut stream, odd).ends_with(b"ok"));
        assert!(exchange(&mut stream, POST).ends_with(b"ok"));
        // Two at once are answered one after the other.
        stream.write_all(&[POST, POST].concat().into_bytes()).unwrap();
        assert!(exchange(&mut stream, "").ends_with(b"ok"));
        assert!(exchange(&mut stream, "").ends_with(b"ok"));
    };
    tokio::task::spawn_blocking(talk).await.unwrap();
    assert_eq!(upstream.seen().len(), 7);
    // The general way takes over the connection that the short one has left.
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a sender that pauses, in real time")]
async fn a_request_in_pieces_arrives_as_one() {
    let upstream = Upstream::saying("ok").await;
    let world = World::new(&upstream, short);
    let addr = world.addr;
    let talk = move || {
        let mut stream = connect(addr);
        stream.set_nodelay(true).unwrap();
        for cut in [1, 20, POST.len() - 7, POST.len() - 3] {
            let (first, last) = POST.split_at(cut);
            stream.write_all(first.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(20));
            assert!(exchange(&mut stream, last).ends_with(b"ok"), "{cut}");
        }
        // Slower than the short way waits for.
        let (first, last) = POST.split_at(40);
        stream.write_all(first.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(1200));
        assert!(exchange(&mut stream, last).ends_with(b"ok"));
    };
    tokio::task::spawn_blocking(talk).await.unwrap();
    let seen = upstream.seen();
    assert!(seen.len() == 5 && seen.iter().all(|seen| &seen.body[..] == b"hello!"), "{seen:?}");
}

#[tokio::test]
async fn an_upstream_that_never_answers_is_a_504_and_one_that_breaks_off_is_cut() {
    let mute = RawUpstream::start("never", b"", false);
    let world = World::at(mute.addr, |config| {
        short(config);
        let mut legacy = upstream_at(mute.addr);
        legacy.timeout = Duration::from_millis(100);
        config.upstreams.insert("legacy".to_owned(), legacy);
    });
    let addr = world.addr;
    let talk = move || {
        let mut stream = connect(addr);
        let told = exchange(&mut stream, POST);
        assert!(told.starts_with(b"HTTP/1.1 504"), "{}", String::from_utf8_lossy(&told));
        assert!(exchange(&mut stream, POST).starts_with(b"HTTP/1.1 504"), "the connection lives");
    };
    tokio::task::spawn_blocking(talk).await.unwrap();
    assert_eq!(world.metrics().total.errors, 2);

    let short_of =
        RawUpstream::start("!", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nonly", true);
    let world = World::at(short_of.addr, short);
    let addr = world.addr;
    let told =
        tokio::task::spawn_blocking(move || exchange(&mut connect(addr), POST)).await.unwrap();
    assert!(told.ends_with(b"\r\n\r\nonly"), "{}", String::from_utf8_lossy(&told));
    world.until("recorded", |metrics| metrics.total.errors == 1).await;
}

#[tokio::test]
async fn a_breaker_hears_of_what_goes_the_short_way() {
    let sick = RawUpstream::start("!", b"HTTP/1.1 500 Oh\r\nContent-Length: 3\r\n\r\nbad", false);
    let world = World::at(sick.addr, |config| {
        short(config);
        flag_on(config, "circuit_breaking", 100);
        config.breaker.min_requests = 5;
    });
    let addr = world.addr;
    let talk = move || {
        let mut stream = connect(addr);
        let told: Vec<Vec<u8>> = (0..6).map(|_| exchange(&mut stream, POST)).collect();
        told.iter().filter(|told| told.starts_with(b"HTTP/1.1 500")).count()
    };
    assert_eq!(tokio::task::spawn_blocking(talk).await.unwrap(), 5);
    assert_eq!(sick.seen().len(), 5, "the sixth is refused, on the general way");
    let breakers = world.metrics().breakers;
    assert_eq!((breakers[0].state, world.metrics().counts.broken), (BreakerState::Open, 1));
}
