//! What is refused, and how.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::time::Duration;

use ctx::control::config::Mode;
use hyper::StatusCode;
use socket2::{Domain, Socket, Type};
use tokio::time::Instant;

use super::harness::{PATIENCE, RawUpstream, Upstream, World, connect, read_until, upstream_at};

/// The status of the answer to raw bytes.
async fn status(world: &World, bytes: &str) -> u16 {
    let answer = String::from_utf8(world.raw(bytes).await).unwrap();
    let code = answer.split(' ').nth(1).unwrap_or_else(|| panic!("no answer to {bytes:?}"));
    code.parse().unwrap()
}

#[tokio::test]
async fn a_request_that_could_be_read_in_two_ways_is_refused() {
    let upstream = Upstream::saying("ok").await;
    let world = World::new(&upstream, |_| {});
    for bad in [
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET /a//b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /a/../github/events HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /github%2fevents HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /%2e%2e/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    ] {
        assert_eq!(status(&world, bad).await, 400, "{bad:?}");
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_length_beside_chunks_is_one_request_and_the_connection_ends() {
    let upstream = Upstream::saying("ok").await;
    let world = World::new(&upstream, |_| {});
    let smuggled = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\
        Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(status(&world, smuggled).await, 200);
    let seen = upstream.seen();
    assert_eq!((seen.len(), &seen[0].body[..]), (1, &b"ab"[..]));
    assert!(!seen[0].headers.contains_key("content-length"));
}

#[tokio::test]
async fn a_head_with_too_many_lines_is_refused() {
    let upstream = Upstream::saying("ok").await;
    let world = World::new(&upstream, |_| {});
    let lines = "X-A: b\r\n".repeat(64);
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    assert_eq!(status(&world, &request).await, 431);
}

#[tokio::test]
async fn an_event_larger_than_its_platform_sends_is_refused() {
    let upstream = Upstream::saying("ok").await;
    let world = World::new(&upstream, |config| config.mode = Mode::Enhanced);
    let mib = 1024 * 1024;
    for (path, size, expect) in [
        ("/slack/events", mib, StatusCode::OK),
        ("/slack/events", mib + 1, StatusCode::PAYLOAD_TOO_LARGE),
        ("/linear/events", 2 * mib, StatusCode::OK),
        ("/linear/events", 2 * mib + 1, StatusCode::PAYLOAD_TOO_LARGE),
        ("/github/events", 2 * mib + 1, StatusCode::OK),
    ] {
        let request = world.client.post(world.url(path)).body(vec![b'x'; size]);
        // An answer may overtake a body that nobody reads any more.
        match request.send().await {
            Ok(answer) => assert_eq!(answer.status(), expect, "{path} {size}"),
            Err(error) => assert_eq!(expect, StatusCode::PAYLOAD_TOO_LARGE, "{error}"),
        }
    }
    assert_eq!(upstream.seen().len(), 3);
}

#[tokio::test]
async fn a_client_whose_body_is_not_read_is_told_that_the_connection_ends() {
    let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    let upstream = RawUpstream::start("\r\n\r\n", answer, false);
    let world = World::at(upstream.addr, |_| {});
    let request = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";
    let mut client = connect(world.addr);
    client.write_all(request.as_bytes()).unwrap();
    let got = read_until(&mut client, "\r\n\r\n").unwrap();
    assert!(got.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{got}");
    assert!(got.contains("\r\nconnection: close\r\n"), "{got}");
}

#[tokio::test]
async fn a_client_that_says_who_forwarded_it_is_not_believed() {
    let upstream = Upstream::saying("ok").await;
    let world = World::new(&upstream, |_| {});
    let headers = [
        ("x-forwarded-for", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("x-ctx-anything", "1"),
        ("ctx-shadow", "1"),
    ];
    world.post("/x", &headers, "").await;
    let seen = upstream.seen().remove(0).headers;
    assert_eq!(seen["x-forwarded-for"], "127.0.0.1");
    for gone in ["forwarded", "x-ctx-anything", "ctx-shadow"] {
        assert!(!seen.contains_key(gone), "{gone}");
    }
}

#[tokio::test]
async fn a_flood_is_told_when_to_come_back() {
    let upstream = Upstream::slow(PATIENCE, |_| unreachable!()).await;
    let world = World::new(&upstream, |config| {
        config.mode = Mode::Enhanced;
        let mut legacy = upstream_at(upstream.addr);
        legacy.timeout = Duration::from_secs(4);
        config.upstreams.insert("legacy".to_owned(), legacy);
    });
    // The least: for each of two gateway workers one in flight, and two that wait for it.
    world.plane.workers.store(0, Ordering::SeqCst);
    let posts = (0..12).map(|_| {
        let request = world.client.post(world.url("/github/events")).body("{}");
        tokio::spawn(async move {
            let began = Instant::now();
            (request.send().await.unwrap(), began.elapsed())
        })
    });
    let (mut begun, mut at_once) = (0, 0);
    for post in posts.collect::<Vec<_>>() {
        let (answer, took) = post.await.unwrap();
        let refused = answer.status() == StatusCode::SERVICE_UNAVAILABLE;
        assert!(refused || answer.status() == StatusCode::GATEWAY_TIMEOUT, "{answer:?}");
        assert_eq!(answer.headers().contains_key("retry-after"), refused, "{answer:?}");
        begun += usize::from(!refused);
        at_once += usize::from(took < Duration::from_millis(1500));
    }
    assert!(at_once >= 6, "{at_once} did not have to wait for two seconds");
    assert!((1..=2).contains(&begun), "{begun} were let in");
    assert_eq!(upstream.seen().len(), begun, "what was refused was not begun");
}

#[tokio::test]
async fn a_head_that_does_not_end_is_not_waited_for() {
    let upstream = Upstream::saying("ok").await;
    let world = World::new(&upstream, |_| {});
    let began = Instant::now();
    let slow = world.raw("GET / HTTP/1.1\r\nHost: a\r\nX-And-So: on");
    let good = async {
        for _ in 0..10 {
            assert_eq!(world.get("/").await.0, StatusCode::OK);
        }
        began.elapsed()
    };
    let (answer, good) = tokio::join!(slow, good);
    let took = began.elapsed();
    assert!(answer.is_empty(), "{answer:?}");
    assert!((Duration::from_secs(4)..Duration::from_secs(12)).contains(&took), "{took:?}");
    assert!(good < took, "others are served meanwhile");
}

#[tokio::test]
async fn an_upstream_that_accepts_nobody_is_given_up_in_time() {
    let (full, _held) = full();
    let world = World::at(full, |config| {
        let mut legacy = upstream_at(full);
        legacy.connect_timeout = Duration::from_millis(300);
        config.upstreams.insert("legacy".to_owned(), legacy);
    });
    let began = Instant::now();
    assert_eq!(world.get("/").await.0, StatusCode::GATEWAY_TIMEOUT);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// A listener whose backlog is full: the kernel does not even answer the next one.
fn full() -> (SocketAddr, (Socket, Vec<TcpStream>)) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap().as_socket().unwrap();
    let mut held = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&addr, Duration::from_millis(200)) {
        held.push(stream);
        assert!(held.len() < 16, "its backlog does not fill up");
    }
    (addr, (listener, held))
}

#[tokio::test]
async fn a_thousand_slow_senders_hurt_nobody() {
    let upstream = Upstream::saying("served").await;
    let world = World::new(&upstream, |_| {});
    let mut slow = Vec::new();
    for n in 0..1000 {
        let mut stream = tokio::net::TcpStream::connect(world.addr).await.unwrap();
        // Half a head, or a head and half a body.
        let bytes: &[u8] = if n % 2 == 0 {
            b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "
        } else {
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nslow"
        };
        tokio::io::AsyncWriteExt::write_all(&mut stream, bytes).await.unwrap();
        slow.push(stream);
    }
    for _ in 0..200 {
        assert_eq!(world.get("/x").await, (StatusCode::OK, "served".to_owned()));
    }
    drop(slow);
}

#[tokio::test]
async fn a_head_has_a_size_and_a_number_of_lines() {
    let upstream = Upstream::saying("served").await;
    let world = World::new(&upstream, |_| {});
    let head = |lines: usize, length: usize| {
        let value = "x".repeat(length);
        let lines: Vec<_> = (0..lines).map(|n| format!("X-{n}: {value}\r\n")).collect();
        let lines = lines.concat();
        format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n")
    };
    for (lines, length, status) in
        [(60, 10, "200"), (65, 10, "431"), (30, 1000, "200"), (40, 1000, "431")]
    {
        let answer = String::from_utf8(world.raw(head(lines, length)).await).unwrap();
        assert_eq!(&answer[9..12], status, "{lines} lines of {length} bytes: {answer}");
    }
    let target = format!("/{}", "x".repeat(9000));
    let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = String::from_utf8(world.raw(request).await).unwrap();
    assert_eq!(&answer[9..12], "414", "{answer}");
    assert_eq!(upstream.seen().len(), 2);
}
