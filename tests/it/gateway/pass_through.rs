//! Legacy mode: what passes through unchanged, and what the gateway says when it cannot.

use std::time::Duration;

use http_body_util::Full;
use hyper::{Response, StatusCode};

use super::harness::{RawUpstream, Upstream, World, nowhere, upstream_at};

/// The lines of a head, without the four that the gateway adds.
fn head_of(request: &str) -> Vec<&str> {
    let (head, _) = request.split_once("\r\n\r\n").unwrap();
    let added = |line: &&str| ["x-forwarded-", "x-request-id"].iter().any(|a| line.starts_with(a));
    head.lines().filter(|line| !added(line)).collect()
}

#[tokio::test]
async fn a_request_and_its_answer_pass_byte_for_byte() {
    let answer = b"HTTP/1.1 207 Quite Fine\r\nX-OdD-cAsE: 1\r\nServer: uvicorn\r\n\
        Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 5\r\n\r\n\x00\xffa\r\n";
    let upstream = RawUpstream::start("\r\n\r\nhello", answer, false);
    let world = World::at(upstream.addr, |_| {});
    let got = world
        .raw(
            "POST /some/path?q=%20&x=1 HTTP/1.1\r\nHost: app.example:8080\r\nX-CuStOm: Value\r\n\
            Accept: a\r\nAccept: b\r\nAuthorization: Bearer t\r\nConnection: close\r\n\
            Content-Length: 5\r\n\r\nhello",
        )
        .await;
    let seen = upstream.seen().remove(0);
    assert_eq!(
        head_of(&seen),
        [
            "POST /some/path?q=%20&x=1 HTTP/1.1",
            "Host: app.example:8080",
            "X-CuStOm: Value",
            "Accept: a",
            "Accept: b",
            "Authorization: Bearer t",
            "Content-Length: 5",
            // The default is a connection for each request, as the legacy client did.
            "Connection: close",
        ]
    );
    for line in ["x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http"] {
        assert!(seen.lines().any(|l| l == line), "{seen}");
    }
    assert!(seen.contains("\r\nx-forwarded-host: app.example:8080\r\n"), "{seen}");
    let id = seen.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
    assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{seen}");
    let expected = b"HTTP/1.1 207 Quite Fine\r\nX-OdD-cAsE: 1\r\nServer: uvicorn\r\n\
        Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 5\r\nconnection: close\r\n\r\n\
        \x00\xffa\r\n";
    assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(expected));
    let metrics = world.metrics();
    assert_eq!(metrics.routes["other"].requests, 1);
    assert_eq!(metrics.total.requests, 0);
}

#[tokio::test]
async fn an_upstream_that_is_down_is_a_502_and_an_error() {
    let world = World::at(nowhere(), |_| {});
    let (status, text) = world.get("/").await;
    assert_eq!((status, &text[..]), (StatusCode::BAD_GATEWAY, "the upstream cannot be reached\n"));
    let metrics = world.metrics();
    assert_eq!((metrics.total.requests, metrics.total.errors), (1, 1));
    assert_eq!(metrics.arms["legacy"].errors, 1);
}

#[tokio::test]
async fn an_error_of_the_upstream_passes_through_and_counts() {
    let upstream = Upstream::start(|_| {
        let body = Full::from("the app's own words");
        Response::builder().status(500).header("x-trace", "7").body(body).unwrap()
    })
    .await;
    let world = World::new(&upstream, |_| {});
    let answer = world.client.get(world.url("/")).send().await.unwrap();
    assert_eq!(
        (answer.status(), &answer.headers()["x-trace"]),
        (StatusCode::INTERNAL_SERVER_ERROR, &"7".parse().unwrap())
    );
    assert_eq!(answer.text().await.unwrap(), "the app's own words");
    assert_eq!(world.metrics().routes["home"].errors, 1);
}

#[tokio::test]
async fn an_upstream_that_is_too_slow_is_a_504() {
    let upstream = Upstream::slow(Duration::from_secs(60), |_| unreachable!()).await;
    let world = World::new(&upstream, |config| {
        let mut legacy = upstream_at(upstream.addr);
        legacy.timeout = Duration::from_millis(50);
        config.upstreams.insert("legacy".to_owned(), legacy);
    });
    let (status, _) = world.get("/").await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(world.metrics().total.errors, 1);
}

#[tokio::test]
async fn chunked_bodies_pass_both_ways() {
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let upstream = RawUpstream::start("\r\n0\r\n\r\n", answer, false);
    let world = World::at(upstream.addr, |_| {});
    let got = world
        .raw(
            "POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
            5\r\nhello\r\n0\r\n\r\n",
        )
        .await;
    let got = String::from_utf8(got).unwrap();
    let (head, body) = got.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Transfer-Encoding: chunked"), "{head}");
    assert!(!head.to_lowercase().contains("content-length"), "{head}");
    let chunks: String = body.split("\r\n").skip(1).step_by(2).collect();
    assert_eq!(chunks, "abcde", "{body:?}");
    let seen = upstream.seen().remove(0);
    assert!(seen.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "{seen:?}");
    assert!(!seen.to_lowercase().contains("content-length"), "{seen}");
}

#[tokio::test]
async fn a_large_body_streams_through_unchanged() {
    let upstream = Upstream::start(|request| Response::new(Full::from(request.body.clone()))).await;
    let world = World::new(&upstream, |_| {});
    let body: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_le_bytes).collect();
    let answer = world.client.put(world.url("/files/x")).body(body.clone()).send().await.unwrap();
    assert!(answer.bytes().await.unwrap() == body, "the bytes differ");
}

#[tokio::test]
async fn an_answer_to_head_keeps_its_length_and_has_no_body() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n";
    let upstream = RawUpstream::start("\r\n\r\n", answer, false);
    let world = World::at(upstream.addr, |_| {});
    let got = world.raw("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(
        String::from_utf8(got).unwrap(),
        "HTTP/1.1 200 OK\r\nContent-Length: 42\r\nconnection: close\r\n\r\n"
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this";
    let upstream = RawUpstream::start("\r\n\r\n", answer, true);
    let world = World::at(upstream.addr, |_| {});
    let answer = world.client.get(world.url("/")).send().await.unwrap();
    assert!(answer.text().await.is_err());
    let metrics = world.until("recorded", |metrics| metrics.total.requests == 1).await;
    assert_eq!(metrics.total.errors, 1);
}
