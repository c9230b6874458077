//! Connections to an upstream: how many there are, who waits for one, and which are kept open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ctx::control::config::{Config, UpstreamPool, flag};
use ctx::control::observe::PoolView;
use hyper::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::harness::{Upstream, World, flag_on};
use crate::support::uvicorn::Uvicorn;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

fn limit(config: &mut Config, change: impl FnOnce(&mut UpstreamPool)) {
    let legacy = config.upstreams.get_mut("legacy").unwrap();
    change(legacy.pool.get_or_insert_default());
}

fn pool_of(world: &World) -> PoolView {
    world.metrics().pools.into_iter().find(|pool| pool.upstream == "legacy").unwrap()
}

/// Waits until the pool is as it should be.
async fn until(world: &World, what: &str, holds: impl Fn(&PoolView) -> bool) -> PoolView {
    let metrics = world.until(what, |metrics| metrics.pools.iter().any(&holds)).await;
    metrics.pools.into_iter().find(|pool| holds(pool)).unwrap()
}

/// An upstream that counts the requests it is busy with, and answers when it is let.
struct Counting {
    addr: SocketAddr,
    most: Arc<AtomicUsize>,
    seen: Arc<AtomicUsize>,
    /// One permit for each answer.
    may_answer: Arc<Semaphore>,
}

impl Counting {
    async fn start(pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let busy = Arc::<AtomicUsize>::default();
        let upstream = Self {
            addr,
            most: Arc::default(),
            seen: Arc::default(),
            may_answer: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        };
        let (most, seen) = (Arc::clone(&upstream.most), Arc::clone(&upstream.seen));
        let may_answer = Arc::clone(&upstream.may_answer);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (busy, most, seen) = (Arc::clone(&busy), Arc::clone(&most), Arc::clone(&seen));
                let may_answer = Arc::clone(&may_answer);
                tokio::spawn(async move {
                    while request(&mut stream).await.is_some() {
                        seen.fetch_add(1, Ordering::SeqCst);
                        let now = busy.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        tokio::time::sleep(pause).await;
                        may_answer.acquire().await.unwrap().forget();
                        busy.fetch_sub(1, Ordering::SeqCst);
                        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                        if stream.write_all(answer).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        upstream
    }

    /// From now on it answers only so many requests.
    fn answers_only(&self, requests: usize) {
        self.may_answer.forget_permits(Semaphore::MAX_PERMITS);
        self.may_answer.add_permits(requests);
    }

    async fn until_seen(&self, count: usize) {
        while self.seen.load(Ordering::SeqCst) < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Reads a request without a body; `None` when the peer hangs up.
async fn request(stream: &mut TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(())
}

#[tokio::test]
async fn the_share_of_pooled_requests_follows_the_percentage() {
    let upstream = Upstream::saying("hello").await;
    let world = World::new(&upstream, |_| {});
    let mut before = world.metrics().counts;
    for (percent, least, most) in [(0, 0, 0), (50, 120, 280), (100, 400, 400)] {
        world.set(|config| flag_on(config, flag::CONNECTION_POOLING, percent));
        for _ in 0..400 {
            assert_eq!(world.get("/").await.0, StatusCode::OK);
        }
        let now = world.metrics().counts;
        let (pooled, unpooled) = (now.pooled - before.pooled, now.unpooled - before.unpooled);
        assert_eq!(pooled + unpooled, 400);
        // Eight standard deviations.
        assert!((least..=most).contains(&pooled), "{percent} %: {pooled} of 400");
        before = now;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_has_never_more_than_max_and_everybody_gets_a_turn() {
    let upstream = Counting::start(Duration::from_millis(5)).await;
    let world = Arc::new(World::at(upstream.addr, |config| {
        flag_on(config, flag::CONNECTION_POOLING, 50);
        limit(config, |pool| {
            pool.max = Some(4);
            pool.wait = Some(Duration::from_secs(5));
        });
    }));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let world = Arc::clone(&world);
        clients.spawn(async move {
            // Connections of its own, so that both gateway workers have some.
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            for _ in 0..10 {
                let answer = client.get(world.url("/any")).send().await.unwrap();
                assert_eq!(answer.status(), StatusCode::OK);
                let PoolView { idle, busy, .. } = pool_of(&world);
                assert!(idle + busy <= 4, "{idle} idle and {busy} busy");
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    assert_eq!(upstream.seen.load(Ordering::SeqCst), 400);
    assert_eq!(upstream.most.load(Ordering::SeqCst), 4, "as many as may be, and no more");
    let pool = pool_of(&world);
    assert!(pool.waits > 0 && pool.timeouts == 0, "{pool:?}");
}

#[tokio::test]
async fn who_waits_too_long_is_told_to_come_again() {
    let upstream = Counting::start(Duration::ZERO).await;
    upstream.answers_only(0);
    let world = Arc::new(World::at(upstream.addr, |config| {
        limit(config, |pool| {
            pool.max = Some(1);
            pool.wait = Some(Duration::from_millis(50));
        });
    }));
    let held = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.get("/").await }
    });
    upstream.until_seen(1).await;
    let answer = world.client.get(world.url("/")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "1");
    let text = answer.text().await.unwrap();
    assert_eq!(text, "as many connections to the upstream are in use as there may be\n");
    let pool = pool_of(&world);
    assert_eq!((pool.busy, pool.idle, pool.waits, pool.timeouts), (1, 0, 1, 1));
    assert_eq!(upstream.seen.load(Ordering::SeqCst), 1, "the upstream never heard of it");

    upstream.answers_only(2);
    assert_eq!(held.await.unwrap().0, StatusCode::OK);
    assert_eq!(world.get("/").await.0, StatusCode::OK);
}

#[tokio::test]
async fn nobody_waits_while_another_worker_has_an_idle_connection() {
    let upstream = Counting::start(Duration::ZERO).await;
    let world = World::at(upstream.addr, |config| {
        flag_on(config, flag::CONNECTION_POOLING, 100);
        config.pool.idle_timeout = LONG;
        limit(config, |pool| {
            pool.max = Some(1);
            pool.wait = Some(Duration::from_secs(4));
        });
    });
    for _ in 0..40 {
        // A new connection each time: the kernel picks one of the two workers.
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(world.url("/")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let pool = pool_of(&world);
    assert_eq!(pool.timeouts, 0, "{pool:?}");
    assert!(pool.waits > 0, "both workers had their turn: {pool:?}");
}

#[tokio::test]
async fn a_limit_that_is_set_later_counts_the_connections_that_are_there() {
    let upstream = Counting::start(Duration::ZERO).await;
    let world = World::at(upstream.addr, |config| {
        flag_on(config, flag::CONNECTION_POOLING, 100);
        config.pool.idle_timeout = LONG;
    });
    assert_eq!(world.get("/").await.0, StatusCode::OK);
    let short_way = until(&world, "one is idle", |pool| pool.idle == 1).await;
    assert_eq!(short_way.opened, 1);
    world.set(|config| limit(config, |pool| pool.max = Some(1)));
    // The connection was made on the short way; requests take the general one from now on.
    for _ in 0..3 {
        assert_eq!(world.get("/").await.0, StatusCode::OK);
    }
    assert_eq!(pool_of(&world).opened, 1, "the same client, the same worker, the same connection");
}

#[tokio::test]
async fn the_least_is_kept_open_also_after_a_rebuild() {
    let upstream = Upstream::saying("hello").await;
    let world = World::new(&upstream, |config| {
        config.pool.idle_timeout = LONG;
        limit(config, |pool| pool.min = Some(3));
    });
    // Nobody is pooled yet: nothing is kept open.
    assert_eq!(world.get("/").await.0, StatusCode::OK);
    assert_eq!(pool_of(&world).idle, 0);
    world.set(|config| flag_on(config, flag::CONNECTION_POOLING, 100));
    let before = until(&world, "three are kept open", |pool| pool.idle == 3).await;
    world.plane.rebuild_pools();
    let after = until(&world, "three new ones are open", |pool| {
        pool.opened >= before.opened + 3 && pool.idle == 3
    })
    .await;
    for _ in 0..5 {
        assert_eq!(world.get("/").await.0, StatusCode::OK);
    }
    assert_eq!(pool_of(&world).opened, after.opened, "a request makes use of what is open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_dies_of_a_connection_that_uvicorn_closes() {
    let Some(app) = Uvicorn::with(&["--timeout-keep-alive", "1"]) else { return };
    let addr: SocketAddr = app.url().trim_start_matches("http://").parse().unwrap();
    let world = Arc::new(World::at(addr, |config| {
        flag_on(config, flag::CONNECTION_POOLING, 100);
        limit(config, |pool| pool.idle_timeout = Some(Duration::from_millis(800)));
    }));
    let mut clients = tokio::task::JoinSet::new();
    for n in 0..16 {
        let world = Arc::clone(&world);
        clients.spawn(async move {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            // Around the end of the app's patience, where a connection is closed or not.
            for pause in [700, 790, 810, 950, 990, 1000, 1010] {
                // A request with effects, which nobody would send twice.
                let answer = client.post(world.url("/any")).body("{}").send().await.unwrap();
                assert!(answer.status().as_u16() < 500, "{}", answer.status());
                tokio::time::sleep(Duration::from_millis(pause + n % 5)).await;
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    let metrics = world.metrics();
    assert_eq!(metrics.arms["legacy"].errors, 0, "{metrics:?}");
    assert_eq!(metrics.arms["legacy"].requests, 16 * 7);
    assert!(pool_of(&world).opened < 16 * 7, "some were used again");
}
