//! Breakers, from outside: who is asked while an upstream fails, and when again.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use ctx::clock::{Clock, ManualClock};
use ctx::control::config::{Config, Extension, Mode, Platform, UpstreamPool, flag};
use ctx::control::observe::BreakerState;
use http_body_util::Full;
use hyper::{Response, StatusCode};

use super::harness::{
    PATIENCE, RawUpstream, Upstream, World, connect, flag_on, nowhere, upstream_at,
};

/// An upstream whose status can be changed.
async fn fickle() -> (Upstream, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(200));
    let said = Arc::clone(&status);
    let upstream = Upstream::start(move |_| {
        let mut response = Response::new(Full::from("said"));
        *response.status_mut() = StatusCode::from_u16(said.load(Ordering::SeqCst)).unwrap();
        response
    });
    (upstream.await, status)
}

fn breaking(config: &mut Config) {
    flag_on(config, flag::CIRCUIT_BREAKING, 100);
    config.breaker.min_requests = 5;
    config.breaker.open_for = Duration::from_secs(5);
    config.breaker.probes = 2;
}

#[tokio::test]
async fn a_failing_upstream_is_left_alone_and_asked_again_little_by_little() {
    let (upstream, status) = fickle().await;
    let clock = Arc::new(ManualClock::default());
    let world = World::timed(Arc::clone(&clock) as Arc<dyn Clock>, upstream.addr, breaking);
    status.store(500, Ordering::SeqCst);
    for _ in 0..5 {
        assert_eq!(world.get("/x").await.0, 500, "the upstream's own answer");
    }
    let asked = upstream.seen().len();
    for _ in 0..3 {
        let answer = world.client.get(world.url("/x")).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["retry-after"]),
            (503, &"1".parse().unwrap())
        );
    }
    assert_eq!(upstream.seen().len(), asked, "nobody asked it");
    let metrics = world.until("they are counted", |metrics| metrics.counts.broken == 3).await;
    assert_eq!(metrics.breakers[0].state, BreakerState::Open);

    // A probe finds it as it was: open for twice as long.
    clock.advance(Duration::from_secs(5));
    assert_eq!(world.get("/x").await.0, 500);
    clock.advance(Duration::from_secs(9));
    assert_eq!(world.get("/x").await.0, 503);

    status.store(200, Ordering::SeqCst);
    clock.advance(Duration::from_secs(1));
    for _ in 0..4 {
        assert_eq!(world.get("/x").await.0, 200);
    }
    assert_eq!(world.metrics().breakers[0].state, BreakerState::Closed);
}

#[tokio::test]
async fn without_the_flag_everything_is_asked() {
    let (upstream, status) = fickle().await;
    let world = World::new(&upstream, |config| {
        breaking(config);
        flag_on(config, flag::CIRCUIT_BREAKING, 0);
    });
    status.store(500, Ordering::SeqCst);
    for _ in 0..20 {
        assert_eq!(world.get("/x").await.0, 500);
    }
    assert_eq!((upstream.seen().len(), world.metrics().counts.broken), (20, 0));
    assert!(world.metrics().breakers.is_empty());
}

#[tokio::test]
async fn while_an_extensions_breaker_is_open_its_events_fall_back() {
    let legacy = Upstream::saying("legacy").await;
    let world = World::new(&legacy, |config| {
        breaking(config);
        config.breaker.open_for = Duration::from_hours(1);
        config.mode = Mode::Enhanced;
        config.upstreams.insert("new".to_owned(), upstream_at(nowhere()));
        let extension: Extension = serde_json::from_value(serde_json::json!({
            "name": "GitHub", "version": "1.0.0", "category": "platform_integration",
            "platform": Platform::Github, "upstream": "new", "path": "/in",
        }))
        .unwrap();
        config.extensions.insert("github".parse().unwrap(), extension);
        flag_on(config, flag::EXTENSION_MANAGEMENT, 100);
    });
    for _ in 0..12 {
        assert_eq!(
            world.post("/github/events", &[], "{}").await,
            (StatusCode::OK, "legacy".into())
        );
    }
    let metrics = world.metrics();
    assert_eq!((metrics.counts.fallback, metrics.counts.broken), (12, 7));
    let new = metrics.breakers.iter().find(|view| view.upstream == "new").unwrap();
    assert_eq!(new.state, BreakerState::Open);
}

#[tokio::test]
async fn an_answer_that_is_cut_short_is_a_failure() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nfew";
    let upstream = RawUpstream::start("\r\n\r\n", answer, true);
    let world = World::at(upstream.addr, breaking);
    for _ in 0..5 {
        let answer = world.client.get(world.url("/x")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "its head is good");
        assert!(answer.bytes().await.is_err());
    }
    world.until("it opens", |metrics| metrics.breakers[0].state == BreakerState::Open).await;
    assert_eq!(world.get("/x").await.0, 503);
    assert_eq!(upstream.seen().len(), 5);
}

#[tokio::test]
async fn a_probe_whose_client_leaves_does_not_keep_the_next_one_waiting() {
    let status = Arc::new(AtomicU16::new(500));
    let said = Arc::clone(&status);
    let upstream = Upstream::slow(Duration::from_millis(200), move |_| {
        let mut response = Response::new(Full::from("said"));
        *response.status_mut() = StatusCode::from_u16(said.load(Ordering::SeqCst)).unwrap();
        response
    })
    .await;
    let clock = Arc::new(ManualClock::default());
    let world = World::timed(Arc::clone(&clock) as Arc<dyn Clock>, upstream.addr, breaking);
    for _ in 0..5 {
        assert_eq!(world.get("/x").await.0, 500);
    }
    assert_eq!(world.get("/x").await.0, 503);
    status.store(200, Ordering::SeqCst);
    clock.advance(Duration::from_secs(5));
    let impatient = world.client.get(world.url("/x")).timeout(Duration::from_millis(50));
    impatient.send().await.unwrap_err();
    // The clock stands still: only the gateway's noticing that the client left lets this by.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while world.get("/x").await.0 != 200 {
        assert!(tokio::time::Instant::now() < deadline, "the probe is waited for");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// At most so many connections, which nobody waits for.
fn at_most(max: u32) -> impl Fn(&mut Config) {
    move |config| {
        let wait = Some(Duration::from_millis(20));
        let pool = UpstreamPool { max: Some(max), wait, ..UpstreamPool::default() };
        config.upstreams.get_mut("legacy").unwrap().pool = Some(pool);
    }
}

/// Has a connection to the upstream kept, by a request of which the end is yet to come.
async fn hold(world: &World) -> TcpStream {
    let mut held = connect(world.addr);
    held.write_all(b"POST /held HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n").unwrap();
    world.until("it is held", |metrics| metrics.pools.iter().any(|pool| pool.busy == 1)).await;
    held
}

const CROWDED: &str = "as many connections to the upstream are in use as there may be\n";

#[tokio::test]
async fn a_probe_that_finds_no_free_connection_makes_room_for_the_next() {
    let (upstream, status) = fickle().await;
    let clock = Arc::new(ManualClock::default());
    let world = World::timed(Arc::clone(&clock) as Arc<dyn Clock>, upstream.addr, |config| {
        breaking(config);
        flag_on(config, flag::CONNECTION_POOLING, 0);
        at_most(2)(config);
    });
    let held = hold(&world).await;
    status.store(500, Ordering::SeqCst);
    for _ in 0..5 {
        assert_eq!(world.get("/x").await.0, 500);
    }
    assert_ne!(world.get("/x").await.1, CROWDED, "it is open");
    world.set(at_most(1));
    status.store(200, Ordering::SeqCst);
    clock.advance(Duration::from_secs(5));
    let asked = upstream.seen().len();
    for _ in 0..3 {
        assert_eq!(world.get("/x").await, (StatusCode::SERVICE_UNAVAILABLE, CROWDED.to_owned()));
    }
    assert_eq!(world.metrics().breakers[0].state, BreakerState::HalfOpen);
    assert_eq!(upstream.seen().len(), asked, "nobody asked it");
    drop(held);
    world.until("it is free", |metrics| metrics.pools.iter().all(|pool| pool.busy == 0)).await;
    // The clock stands still: only a probe that gave its place back lets these by.
    for _ in 0..2 {
        assert_eq!(world.get("/x").await.0, 200);
    }
    assert_eq!(world.metrics().breakers[0].state, BreakerState::Closed);
}

#[tokio::test]
async fn a_limit_of_ours_is_no_failure_of_the_upstream() {
    let (upstream, _) = fickle().await;
    for pooled in [0, 100] {
        let world = World::new(&upstream, |config| {
            breaking(config);
            flag_on(config, flag::CONNECTION_POOLING, pooled);
            at_most(1)(config);
        });
        let _held = hold(&world).await;
        for _ in 0..8 {
            assert_eq!(world.get("/x").await.1, CROWDED, "pooled by {pooled} %");
        }
        let breakers = world.metrics().breakers;
        let failures: u32 = breakers.iter().map(|view| view.failures).sum();
        assert_eq!(failures, 0, "pooled by {pooled} %: {breakers:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_has_moved_is_asked_where_it_is_now() {
    let (sick, status) = fickle().await;
    let well = Upstream::saying("well").await;
    let world = World::new(&sick, breaking);
    status.store(500, Ordering::SeqCst);
    for _ in 0..5 {
        assert_eq!(world.get("/x").await.0, 500);
    }
    assert_eq!(world.get("/x").await.0, 503);
    world.set(|config| config.upstreams.get_mut("legacy").unwrap().url = well.config().url);
    assert_eq!(world.get("/x").await, (StatusCode::OK, "well".to_owned()));
    let breakers = world.metrics().breakers;
    assert_eq!(breakers.len(), 1, "{breakers:?}");
    assert_eq!((breakers[0].state, breakers[0].failures), (BreakerState::Closed, 0));
}
