//! The generator against servers that behave in every way a server can.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::{HeaderMap, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::*;
use crate::rehearsal::legacy::{Faults, Legacy};

struct Home;

impl Source for Home {
    fn next(&mut self) -> Outgoing {
        let (method, path) = (Method::GET, "/".to_owned());
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        Outgoing { method, path, headers, body, expect: 200, delivery: None }
    }
}

fn scenario(url: &str, rate: f64, lasts_ms: u64) -> Scenario {
    let rate = Rate::per_second(rate).unwrap();
    let mut scenario = Scenario::new(url.parse().unwrap(), rate, Box::new(Home));
    scenario.lasts = Some(Duration::from_millis(lasts_ms));
    scenario
}

async fn apply(scenario: Scenario) -> Outcome {
    let (_never_told, stop) = watch::channel(false);
    run(scenario, stop).await
}

/// A server that does `each` with every connection; gives its URL and how many there were.
async fn server<F>(each: impl Fn(TcpStream) -> F + Send + 'static) -> (String, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(each(stream));
        }
    });
    (url, connections)
}

/// Answers that many requests of a connection, then closes it.
async fn answer(mut stream: TcpStream, requests: usize, with: &'static str) {
    let mut request = [0; 1024];
    for _ in 0..requests {
        match stream.read(&mut request).await {
            Ok(1..) if stream.write_all(with.as_bytes()).await.is_ok() => {}
            _ => return,
        }
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn every_request_leaves_and_connections_are_kept() {
    let (url, connections) = server(|stream| answer(stream, usize::MAX, OK)).await;
    let mut scenario = scenario(&url, 200.0, 300);
    scenario.max_in_flight = 8;
    let outcome = apply(scenario).await;
    assert_eq!((outcome.sent, outcome.answered, outcome.errors()), (60, 60, 0), "{outcome:?}");
    assert!(outcome.lasted >= Duration::from_millis(300));
    assert!(connections.load(Ordering::Relaxed) <= 8);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_costs_no_request() {
    let (url, connections) = server(|stream| answer(stream, 1, OK)).await;
    let outcome = apply(scenario(&url, 50.0, 200)).await;
    assert_eq!((outcome.answered, outcome.errors()), (10, 0), "{outcome:?}");
    assert_eq!(connections.load(Ordering::Relaxed), 10);
}

#[tokio::test]
async fn a_stall_is_charged_to_every_request_that_waited() {
    let legacy = Legacy::start().unwrap();
    legacy.inject(Faults { latency: Duration::from_millis(50), ..Faults::default() });
    let mut scenario = scenario(&legacy.url(), 100.0, 200);
    scenario.max_in_flight = 1;
    let outcome = apply(scenario).await;
    // Twenty requests, each 50 ms, one at a time: the n-th waits n * 40 ms. A closed loop would
    // report 50 ms for each.
    assert_eq!(outcome.answered, 20, "{outcome:?}");
    let latency = outcome.latency.unwrap();
    assert!(latency.p50_ms > 350.0, "{latency:?}");
    assert!(latency.max_ms > 750.0, "{latency:?}");
}

#[tokio::test]
async fn what_cannot_begin_in_time_is_dropped_and_counted() {
    let legacy = Legacy::start().unwrap();
    legacy.inject(Faults { latency: Duration::from_millis(600), ..Faults::default() });
    let mut scenario = scenario(&legacy.url(), 50.0, 400);
    scenario.max_in_flight = 1;
    let outcome = apply(scenario).await;
    assert_eq!(outcome.sent + outcome.dropped, 20, "{outcome:?}");
    assert!(outcome.dropped >= 15, "{outcome:?}");
    assert_eq!(outcome.answered, outcome.sent);
}

#[tokio::test]
async fn each_failure_has_its_kind() {
    let only = async |scenario: Scenario, kind| {
        let outcome = apply(scenario).await;
        assert_eq!(outcome.failures.keys().collect::<Vec<_>>(), [&kind], "{outcome:?}");
        assert_eq!((outcome.answered, outcome.failed()), (0, outcome.sent));
        assert_eq!(outcome.latency, None);
    };
    let legacy = Legacy::start().unwrap();
    let url = legacy.url();
    legacy.inject(Faults { latency: Duration::from_secs(60), ..Faults::default() });
    let timeout = Duration::from_millis(50);
    only(Scenario { timeout, ..scenario(&url, 50.0, 100) }, FailureKind::AnswerTimeout).await;
    legacy.stop();
    only(scenario(&url, 50.0, 100), FailureKind::Refused).await;
    let (url, _) = server(|stream| answer(stream, 0, "")).await;
    only(scenario(&url, 50.0, 100), FailureKind::Reset).await;
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";
    let (url, _) = server(move |stream| answer(stream, 1, half)).await;
    only(scenario(&url, 50.0, 100), FailureKind::Reset).await;
    let (url, _) = server(|stream| answer(stream, 1, "220 not HTTP\r\n\r\n")).await;
    only(scenario(&url, 50.0, 100), FailureKind::Other).await;
}

#[tokio::test]
async fn it_stops_when_told_and_when_nobody_is_left_to_tell_it() {
    let legacy = Legacy::start().unwrap();
    for drop_it in [false, true] {
        let (tell, stop) = watch::channel(false);
        let mut endless = scenario(&legacy.url(), 100.0, 0);
        endless.lasts = None;
        let counters = Arc::clone(&endless.counters);
        let running = tokio::spawn(run(endless, stop));
        while counters.outcome(Duration::ZERO).answered < 3 {
            tokio::task::yield_now().await;
        }
        if drop_it {
            drop(tell);
        } else {
            tell.send(true).unwrap();
        }
        let outcome = running.await.unwrap();
        assert_eq!(outcome.sent, outcome.answered);
    }
}
