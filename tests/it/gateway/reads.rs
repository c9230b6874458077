//! Reads: the cache, byte for byte, and shadow copies.

use bytes::Bytes;
use ctx::control::config::{CacheMode, Canary, Config};
use ctx::units::Percent;
use http_body_util::Full;
use hyper::Response;

use super::harness::{PATIENCE, RawUpstream, Upstream, World, flag_on};

fn cached(config: &mut Config) {
    flag_on(config, "caching_layer", 100);
    config.cache.mode = CacheMode::Read;
}

#[tokio::test]
async fn a_cached_answer_is_the_first_answer_byte_for_byte() {
    let answer = b"HTTP/1.1 200 Alright\r\nX-OdD: 1\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
        X-OdD: 2\r\nContent-Length: 5\r\n\r\nhello";
    let upstream = RawUpstream::start("\r\n\r\n", answer, false);
    let world = World::at(upstream.addr, |config| {
        cached(config);
        config.routes.get_mut("home").unwrap().shadow = false;
    });
    let ask = "GET /?q HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let (first, second) = (world.raw(ask).await, world.raw(ask).await);
    let (first, second) = (String::from_utf8(first).unwrap(), String::from_utf8(second).unwrap());
    let age = second.lines().find(|line| line.starts_with("age: ")).expect("it says how old it is");
    assert_eq!(first, second.replace(&format!("{age}\r\n"), ""));
    assert_eq!(upstream.seen().len(), 1);
    let metrics = world.metrics();
    assert_eq!((metrics.counts.cache_misses, metrics.counts.cache_hits), (1, 1));
    assert_eq!((metrics.arms["legacy"].requests, metrics.arms["cache"].requests), (1, 1));
    world.raw(ask.replace("?q", "?r")).await;
    world.raw(ask.replace("Host: a", "Host: b")).await;
    world.raw(ask.replace("Host: a", "Host: a\r\nCookie: c=d")).await;
    assert_eq!(upstream.seen().len(), 4);
}

#[tokio::test]
async fn a_cache_that_is_off_or_not_for_this_request_keeps_nothing() {
    let upstream = Upstream::saying("hello").await;
    let world = World::new(&upstream, |config| {
        cached(config);
        config.cache.mode = CacheMode::Off;
    });
    world.get("/").await;
    world.get("/").await;
    world.set(|config| {
        cached(config);
        flag_on(config, "caching_layer", 0);
    });
    world.get("/").await;
    world.get("/").await;
    assert_eq!(upstream.seen().len(), 4);
    let metrics = world.metrics();
    assert_eq!((metrics.cache_entries, metrics.counts.cache_misses), (0, 0));
}

#[tokio::test]
async fn an_answer_for_one_reader_is_not_kept() {
    let upstream = Upstream::start(|_| {
        Response::builder().header("set-cookie", "a=b").body(Full::from("yours")).unwrap()
    })
    .await;
    let world = World::new(&upstream, cached);
    world.get("/").await;
    world.get("/").await;
    assert_eq!((upstream.seen().len(), world.metrics().cache_entries), (2, 0));
}

#[tokio::test]
async fn a_shadow_copy_tells_whether_legacy_would_have_said_the_same() {
    let count = std::sync::atomic::AtomicU32::new(0);
    let upstream = Upstream::start(move |request| {
        // The second shadow copy finds another answer.
        let shadow = request.headers.contains_key("ctx-shadow");
        let n = if shadow { count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) } else { 0 };
        Response::new(Full::from(Bytes::from(format!("answer {}", n.min(1)))))
    })
    .await;
    let world = World::new(&upstream, cached);
    world.get("/").await;
    // The first of ten reads is copied, in whichever worker it is.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while world.metrics().counts.shadow_compared < 2 {
        assert!(tokio::time::Instant::now() < deadline, "two were never compared");
        assert_eq!(world.get("/").await.1, "answer 0");
        tokio::task::yield_now().await;
    }
    let metrics = world.metrics();
    assert_eq!(metrics.counts.shadow_equal, 1);
    assert_eq!(metrics.arms["legacy"].requests, 1, "copies are nobody's requests");
}

#[tokio::test]
async fn a_canary_s_read_is_compared_too() {
    let (legacy, canary) = (Upstream::saying("same").await, Upstream::saying("same").await);
    let world = World::new(&legacy, |config| {
        config.upstreams.insert("next".to_owned(), canary.config());
        config.canary = Some(Canary { upstream: "next".to_owned(), weight: Percent::ALL });
    });
    assert_eq!(world.get("/").await.1, "same");
    let metrics = world.until("compared", |metrics| metrics.counts.shadow_compared == 1).await;
    assert_eq!(metrics.counts.shadow_equal, 1);
    let copy = legacy.seen().remove(0);
    assert_eq!(copy.headers["ctx-shadow"], "1");
}

#[tokio::test]
async fn a_copy_is_compared_by_what_means_something() {
    // A time that never stands still, and a price.
    let app = |price: u32| {
        let clock = std::sync::atomic::AtomicU32::new(price);
        move |_: &super::harness::Seen| {
            let at = clock.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Response::new(Full::from(Bytes::from(format!(r#"{{"at":{at},"price":{price}}}"#))))
        }
    };
    let legacy = Upstream::start(app(100)).await;
    let (same, other) = (Upstream::start(app(100)).await, Upstream::start(app(200)).await);
    let world = World::new(&legacy, |config| {
        config.upstreams.insert("next".to_owned(), same.config());
        config.canary = Some(Canary { upstream: "next".to_owned(), weight: Percent::ALL });
    });
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while world.metrics().counts.shadow_compared < 3 {
        assert!(tokio::time::Instant::now() < deadline, "three were never compared");
        world.get("/").await;
        tokio::task::yield_now().await;
    }
    let view = world.plane.parity.view();
    assert_eq!((view["home"].parity, view["home"].differences.len()), (Some(1.0), 0));
    world.set(|config| {
        config.upstreams.insert("next".to_owned(), other.config());
    });
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while world.plane.parity.view()["home"].differences.is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "no difference was found");
        world.get("/").await;
        tokio::task::yield_now().await;
    }
    let view = &world.plane.parity.view()["home"];
    let difference = &view.differences[0];
    assert_eq!(difference.place, "/price", "and the time is not spoken of");
    assert_eq!((difference.enhanced.as_str(), difference.legacy.as_str()), ("200", "100"));
    assert!(view.parity.unwrap() < 1.0);
}
