//! What a route's cache policy and RFC 9111 make of a read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ctx::clock::{Clock, ManualClock};
use ctx::control::config::{CacheMode, CachePolicy, Config, Query, flag};
use http_body_util::Full;
use hyper::{Response, StatusCode};

use super::harness::{Upstream, World, flag_on};
use crate::support::uvicorn::Uvicorn;

const SECOND: Duration = Duration::from_secs(1);

fn cached(config: &mut Config, change: impl FnOnce(&mut CachePolicy)) {
    flag_on(config, flag::CACHING_LAYER, 100);
    config.cache.mode = CacheMode::Read;
    let home = config.routes.get_mut("home").unwrap();
    home.shadow = false;
    let mut policy = CachePolicy::default();
    change(&mut policy);
    home.cache_policy = Some(policy);
}

/// An upstream with the time that a test sets, whose answers are numbered and have these header
/// lines.
async fn numbered(lines: &'static [(&'static str, &'static str)]) -> (Arc<ManualClock>, Upstream) {
    let (count, clock) = (AtomicU32::new(0), Arc::new(ManualClock::default()));
    let its_own = Arc::clone(&clock);
    let upstream = Upstream::start(move |_| {
        let n = count.fetch_add(1, Ordering::SeqCst) + 1;
        let date = httpdate::fmt_http_date(its_own.wall().into());
        let mut answer = Response::builder().header("date", date);
        for (name, value) in lines {
            answer = answer.header(*name, *value);
        }
        answer.body(Full::from(Bytes::from(n.to_string()))).unwrap()
    });
    (clock, upstream.await)
}

/// A world with the time that a test sets.
fn timed(
    clock: &Arc<ManualClock>,
    upstream: &Upstream,
    change: impl FnOnce(&mut CachePolicy),
) -> World {
    let clock = Arc::clone(clock);
    World::timed(clock, upstream.addr, |config| cached(config, change))
}

/// Status, age and body of the answer to a read with these lines.
async fn read(
    world: &World,
    path: &str,
    lines: &[(&str, &str)],
) -> (StatusCode, Option<u64>, String) {
    let mut request = world.client.get(world.url(path));
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let age = answer.headers().get("age").map(|age| age.to_str().unwrap().parse().unwrap());
    (answer.status(), age, answer.text().await.unwrap())
}

#[tokio::test]
async fn a_policy_says_what_an_answer_depends_on() {
    let (clock, upstream) = numbered(&[("vary", "accept-language")]).await;
    let world = timed(&clock, &upstream, |policy| {
        policy.query = Query::Only(vec!["page".to_owned()]);
        policy.vary = vec!["accept-language".to_owned()];
    });
    let say = async |path, language| read(&world, path, &[("accept-language", language)]).await.2;
    assert_eq!(say("/?page=1&utm=a", "de").await, "1");
    assert_eq!(say("/?utm=b&page=1", "de").await, "1");
    assert_eq!(say("/?page=2", "de").await, "2");
    assert_eq!(say("/?page=1", "en").await, "3");
    assert_eq!(say("/?page=1", "de").await, "1");
    assert_eq!(upstream.seen()[0].uri, "/?page=1&utm=a", "it is asked for all of it");
    // Without that policy, what the answer depends on is not what it is kept under.
    world.set(|config| cached(config, |_| {}));
    assert_eq!(say("/?page=1", "de").await, "4");
    assert_eq!(say("/?page=1", "de").await, "5");
}

#[tokio::test]
async fn an_answer_is_not_given_under_another_policy_than_it_was_kept_by() {
    let (clock, upstream) = numbered(&[]).await;
    let world = timed(&clock, &upstream, |policy| policy.query = Query::None);
    assert_eq!(read(&world, "/?x=1", &[]).await.2, "1");
    assert_eq!(read(&world, "/", &[]).await.2, "1");
    world.set(|config| cached(config, |_| {}));
    assert_eq!(read(&world, "/", &[]).await.2, "2", "it was the answer to another question");
    let vary = |name: &'static str| move |policy: &mut CachePolicy| policy.vary = vec![name.into()];
    world.set(|config| cached(config, vary("x-colour")));
    assert_eq!(read(&world, "/", &[("x-colour", "a")]).await.2, "3");
    world.set(|config| cached(config, vary("x-tenant")));
    assert_eq!(read(&world, "/", &[("x-tenant", "a")]).await.2, "4");
    assert_eq!(read(&world, "/", &[("x-tenant", "a")]).await.2, "4");
}

#[tokio::test]
async fn a_route_has_a_time_to_live_of_its_own_and_says_how_old_an_answer_is() {
    let (clock, upstream) = numbered(&[]).await;
    let world = timed(&clock, &upstream, |policy| policy.ttl = Some(SECOND * 300));
    assert_eq!(read(&world, "/", &[]).await, (StatusCode::OK, None, "1".to_owned()));
    // Longer than `cache.ttl`, which is a minute.
    clock.advance(SECOND * 299);
    assert_eq!(read(&world, "/", &[]).await, (StatusCode::OK, Some(299), "1".to_owned()));
    // A reader may want a younger one.
    let young = [("cache-control", "max-age=100")];
    assert_eq!(read(&world, "/", &young).await.2, "2");
    clock.advance(SECOND * 10);
    world.set(|config| cached(config, |policy| policy.ttl = Some(SECOND * 10)));
    assert_eq!(read(&world, "/", &[]).await.2, "3", "a shorter time holds for what is kept");
}

#[tokio::test]
async fn an_answer_is_kept_for_no_longer_than_its_sender_allows() {
    let (clock, upstream) = numbered(&[("cache-control", "max-age=30"), ("age", "10")]).await;
    let world = timed(&clock, &upstream, |_| {});
    assert_eq!(read(&world, "/", &[]).await.2, "1");
    clock.advance(SECOND * 19);
    let (_, age, body) = read(&world, "/", &[]).await;
    assert_eq!((age, body.as_str()), (Some(29), "1"));
    clock.advance(SECOND);
    assert_eq!(read(&world, "/", &[]).await.2, "2");
}

#[tokio::test]
async fn a_reader_who_has_the_answer_is_told_so_without_asking_anybody() {
    let (clock, upstream) = numbered(&[("etag", "\"v1\""), ("cache-control", "max-age=60")]).await;
    let world = timed(&clock, &upstream, |_| {});
    assert_eq!(read(&world, "/", &[]).await.2, "1");
    clock.advance(SECOND * 5);
    let request = world.client.get(world.url("/")).header("if-none-match", "W/\"v1\", \"v0\"");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
    let line = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!((line("etag"), line("age")), ("\"v1\"".to_owned(), "5".to_owned()));
    assert_eq!(line("cache-control"), "max-age=60");
    assert!(!answer.headers().contains_key("content-type"));
    // The connection goes on after an answer without a body.
    let (status, _, body) = read(&world, "/", &[("if-none-match", "\"v0\"")]).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "1"));
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn statuses_and_sizes_are_the_routes_own() {
    let clock = Arc::new(ManualClock::default());
    let upstream = Upstream::start(|request| {
        let large = request.uri.query() == Some("large");
        let body = if large { "x".repeat(100) } else { "gone".to_owned() };
        Response::builder().status(404).body(Full::from(body)).unwrap()
    })
    .await;
    let world = timed(&clock, &upstream, |policy| {
        policy.statuses = vec![404];
        policy.max_body = Some(50);
    });
    for _ in 0..2 {
        assert_eq!(read(&world, "/", &[]).await.0, StatusCode::NOT_FOUND);
        assert_eq!(read(&world, "/?large", &[]).await.0, StatusCode::NOT_FOUND);
    }
    assert_eq!(upstream.seen().len(), 3, "the small one once, the large one each time");
}

#[tokio::test]
async fn many_who_miss_at_once_ask_once() {
    let upstream =
        Upstream::slow(Duration::from_millis(200), |_| Response::new(Full::from("hello"))).await;
    let world = Arc::new(World::new(&upstream, |config| cached(config, |_| {})));
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let world = Arc::clone(&world);
        readers.spawn(async move { world.get("/").await });
    }
    while let Some(read) = readers.join_next().await {
        assert_eq!(read.unwrap(), (StatusCode::OK, "hello".to_owned()));
    }
    assert_eq!(upstream.seen().len(), 1);
    let lookups = world.metrics().cache["home"];
    assert_eq!((lookups.hits, lookups.misses), (19, 1));
}

#[tokio::test]
async fn many_who_miss_what_may_not_be_kept_each_get_an_answer_of_their_own() {
    let upstream = Upstream::slow(Duration::from_millis(50), |_| {
        Response::builder().header("set-cookie", "a=b").body(Full::from("yours")).unwrap()
    })
    .await;
    let world = Arc::new(World::new(&upstream, |config| cached(config, |_| {})));
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let world = Arc::clone(&world);
        readers.spawn(async move { world.get("/").await.1 });
    }
    while let Some(read) = readers.join_next().await {
        assert_eq!(read.unwrap(), "yours");
    }
    assert_eq!(upstream.seen().len(), 10);
}

#[tokio::test]
async fn a_write_outdates_what_was_read_before() {
    let (clock, upstream) = numbered(&[]).await;
    let world = timed(&clock, &upstream, |_| {});
    assert_eq!(read(&world, "/", &[]).await.2, "1");
    clock.advance(SECOND);
    assert_eq!(world.post("/", &[], "new").await.1, "2");
    clock.advance(SECOND);
    assert_eq!(read(&world, "/", &[]).await.2, "3");
    assert_eq!(read(&world, "/", &[]).await.2, "3");
}

#[tokio::test]
async fn a_write_of_somebody_without_the_cache_outdates_it_too() {
    let (clock, upstream) = numbered(&[]).await;
    let world = timed(&clock, &upstream, |_| {});
    world.set(|config| {
        flag_on(config, flag::CONNECTION_POOLING, 100);
        flag_on(config, flag::CACHING_LAYER, 50);
        config.routes.get_mut("home").unwrap().sticky = Some("x-user".to_owned());
    });
    // One whom the flag includes and one whom it does not: the arm of a second read tells.
    let mut sides = [None, None];
    for user in 0.. {
        let name = user.to_string();
        read(&world, &format!("/?{user}"), &[("x-user", &name)]).await;
        let kept = read(&world, &format!("/?{user}"), &[("x-user", &name)]).await.1.is_some();
        sides[usize::from(kept)].get_or_insert(name);
        if sides.iter().all(Option::is_some) {
            break;
        }
    }
    let [without, with] = sides.map(Option::unwrap);
    let first = read(&world, "/?x", &[("x-user", &with)]).await.2;
    assert_eq!(read(&world, "/?x", &[("x-user", &with)]).await.2, first);
    clock.advance(SECOND);
    world.post("/", &[("x-user", &without)], "new").await;
    clock.advance(SECOND);
    assert_ne!(read(&world, "/?x", &[("x-user", &with)]).await.2, first);
}

#[tokio::test]
async fn hits_are_counted_by_route_and_what_had_no_room_is_counted_too() {
    let (clock, upstream) = numbered(&[]).await;
    let world = timed(&clock, &upstream, |_| {});
    read(&world, "/", &[]).await;
    read(&world, "/", &[]).await;
    read(&world, "/", &[]).await;
    let metrics = world.metrics();
    let lookups = metrics.cache["home"];
    assert_eq!((lookups.hits, lookups.misses, metrics.cache.len()), (2, 1, 1));
    let text = world.plane.metrics.prometheus();
    for line in [
        r#"ctx_cache_lookups_total{route="home",result="hit"} 2"#,
        r#"ctx_cache_lookups_total{route="home",result="miss"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
    }
    world.set(|config| config.cache.capacity = 4);
    for n in 0..20 {
        read(&world, &format!("/?{n}"), &[]).await;
    }
    let metrics = world.metrics();
    assert!(metrics.cache_entries <= 4, "{}", metrics.cache_entries);
    assert_eq!(metrics.cache_evicted + metrics.cache_entries, 21);
}

#[tokio::test]
async fn a_restored_answer_is_as_old_as_it_was_and_ends_when_it_would_have() {
    let (clock, upstream) = numbered(&[("x-a", "1"), ("x-a", "2"), ("etag", "\"v1\"")]).await;
    let world = timed(&clock, &upstream, |policy| policy.ttl = Some(SECOND * 100));
    read(&world, "/", &[]).await;
    clock.advance(SECOND * 40);
    let snapshot = world.plane.cache.snapshot();
    let bytes = serde_json::to_vec(&snapshot).unwrap();
    world.plane.cache.clear();
    world.plane.cache.restore(serde_json::from_slice(&bytes).unwrap()).unwrap();
    let answer = world.client.get(world.url("/")).send().await.unwrap();
    assert_eq!(answer.headers()["age"], "40");
    assert_eq!(answer.headers().get_all("x-a").iter().count(), 2);
    assert_eq!(read(&world, "/", &[("if-none-match", "\"v1\"")]).await.0, StatusCode::NOT_MODIFIED);
    clock.advance(SECOND * 59);
    assert_eq!(read(&world, "/", &[]).await.2, "1");
    clock.advance(SECOND);
    assert_eq!(read(&world, "/", &[]).await.2, "2");
}

#[tokio::test]
async fn the_fastapi_app_is_asked_once_for_what_the_cache_has() {
    let Some(app) = Uvicorn::start() else { return };
    let addr = app.url().trim_start_matches("http://").parse().unwrap();
    let world = World::at(addr, |config| cached(config, |policy| policy.query = Query::None));
    let first = read(&world, "/", &[]).await;
    let second = read(&world, "/?utm=x", &[]).await;
    assert_eq!((first.0, &first.2), (StatusCode::OK, &second.2));
    assert!(first.1.is_none() && second.1.is_some(), "only the kept one has an age");
    let metrics = world.metrics();
    assert_eq!((metrics.arms["legacy"].requests, metrics.arms["cache"].requests), (1, 1));
}
