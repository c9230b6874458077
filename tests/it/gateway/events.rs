//! The own processor: signatures, repeated deliveries, extensions, fallback.

use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use ctx::control::config::{self, CacheMode, Category, Config, Extension, Kind, Mode, Platform};
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::Full;
use hyper::{Response, StatusCode};
use sha2::Sha256;
use tempfile::NamedTempFile;

use super::harness::{Upstream, World, flag_on, nowhere, upstream_at};

type Header<'a> = (&'a str, &'a str);

fn enhanced(config: &mut Config) {
    config.mode = Mode::Enhanced;
}

/// Installs an extension for GitHub's events that answers at `/handle` of `upstream`.
fn with_extension(config: &mut Config, upstream: config::Upstream) {
    enhanced(config);
    flag_on(config, "extension_management", 100);
    config.upstreams.insert("handlers".to_owned(), upstream);
    let extension = Extension {
        name: "GitHub".to_owned(),
        version: "1.0.0".to_owned(),
        category: Category::PlatformIntegration,
        platform: Platform::Github,
        depends_on: Vec::new(),
        kind: Kind::Http { upstream: "handlers".to_owned(), path: "/handle".to_owned() },
    };
    config.extensions.insert("github-integration".parse().unwrap(), extension);
}

#[tokio::test]
async fn an_enhanced_event_is_answered_by_legacy_s_own_answer() {
    let upstream = Upstream::start(|_| {
        Response::builder().status(202).header("x-id", "7").body(Full::from("taken")).unwrap()
    })
    .await;
    let world = World::new(&upstream, enhanced);
    let request = world.client.post(world.url("/linear/events?a=b")).body("{\"x\":1}");
    let answer = request.send().await.unwrap();
    assert_eq!(
        (answer.status(), answer.headers()["x-id"].to_str().unwrap()),
        (StatusCode::ACCEPTED, "7")
    );
    assert_eq!(answer.text().await.unwrap(), "taken");
    let seen = upstream.seen().remove(0);
    assert_eq!(
        (seen.uri.to_string().as_str(), &seen.body[..]),
        ("/linear/events?a=b", &b"{\"x\":1}"[..])
    );
    let counts = world.metrics().counts;
    assert_eq!((counts.enhanced, counts.legacy), (1, 0));
}

#[tokio::test]
async fn the_flag_takes_its_share_while_the_mode_is_still_legacy() {
    let upstream = Upstream::saying("ok").await;
    let world = World::new(&upstream, |config| flag_on(config, "enhanced_event_processing", 40));
    for sender in 0..100 {
        let sender = sender.to_string();
        world.post("/github/events", &[("x-github-hook-id", &sender)], "{}").await;
    }
    let counts = world.metrics().counts;
    assert_eq!(counts.enhanced + counts.legacy, 100);
    assert!((22..60).contains(&counts.enhanced), "{counts:?}");
}

#[tokio::test]
async fn only_what_its_platform_signed_is_processed() {
    let secret = NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "hush\n").unwrap();
    let upstream = Upstream::saying("ok").await;
    let world = World::new(&upstream, |config| {
        enhanced(config);
        for route in config.routes.values_mut().filter(|route| route.platform.is_some()) {
            route.secret = Some(format!("file:{}", secret.path().display()));
        }
    });
    let sign = |text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"hush").unwrap();
        mac.update(text.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    };
    let now = Utc::now();
    let (seconds, body) = (now.timestamp().to_string(), "{\"event_id\":\"E1\"}");
    let linear_body = format!("{{\"webhookTimestamp\":{}}}", now.timestamp_millis());
    let github = format!("sha256={}", sign(body));
    let slack = format!("v0={}", sign(&format!("v0:{seconds}:{body}")));
    let linear = sign(&linear_body);
    let cases: [(&str, &[Header<'_>], &str); 3] = [
        ("/github/events", &[("x-hub-signature-256", &github)], body),
        (
            "/slack/events",
            &[("x-slack-request-timestamp", &seconds), ("x-slack-signature", &slack)],
            body,
        ),
        ("/linear/events", &[("linear-signature", &linear)], &linear_body),
    ];
    for (path, headers, body) in cases {
        let (status, _) = world.post(path, headers, body.to_owned()).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        let forged = format!("{body} ");
        let (status, text) = world.post(path, headers, forged).await;
        assert_eq!((status, &text[..]), (StatusCode::UNAUTHORIZED, "unauthorized\n"), "{path}");
        let (status, _) = world.post(path, &[], body.to_owned()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(upstream.seen().len(), 3);
    let metrics = world.metrics();
    assert_eq!((metrics.total.requests, metrics.total.errors), (9, 0));
    assert_eq!(metrics.arms["gateway"].requests, 6);
}

#[tokio::test]
async fn an_event_whose_secret_is_missing_is_refused_and_never_let_through() {
    let upstream = Upstream::saying("ok").await;
    let world = World::new(&upstream, |config| {
        enhanced(config);
        config.routes.get_mut("github").unwrap().secret = Some("file:/nowhere/at/all".to_owned());
    });
    let (status, _) = world.post("/github/events", &[], "{}").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(upstream.seen().is_empty());
    world.set(|config| config.mode = Mode::Legacy);
    assert_eq!(world.post("/github/events", &[], "{}").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_repeated_delivery_gets_the_first_answer_and_runs_nothing() {
    let count = std::sync::atomic::AtomicU32::new(0);
    let upstream = Upstream::start(move |request| {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let status = if request.body.starts_with(b"fail") { 503 } else { 201 };
        let body = Bytes::from(format!("answer {n}"));
        Response::builder().status(status).body(Full::from(body)).unwrap()
    })
    .await;
    let world = World::new(&upstream, |config| {
        enhanced(config);
        flag_on(config, "caching_layer", 100);
        config.cache.mode = CacheMode::Write;
    });
    let send = |id: &'static str, body: &'static str| {
        let world = &world;
        async move { world.post("/github/events", &[("x-github-delivery", id)], body).await.1 }
    };
    assert_eq!(send("d-1", "{}").await, "answer 0");
    assert_eq!(send("d-1", "{}").await, "answer 0");
    assert_eq!(send("d-1", "{\"other\":1}").await, "answer 1", "same id, other body");
    assert_eq!(send("d-2", "{}").await, "answer 2");
    assert_eq!(send("d-3", "fail").await, "answer 3");
    assert_eq!(send("d-3", "fail").await, "answer 4", "a failure is not an answer to repeat");
    assert_eq!(send("d-1", "{}").await, "answer 0");
    let metrics = world.metrics();
    assert_eq!((metrics.counts.duplicates, metrics.arms["cache"].requests), (2, 2));
    assert_eq!(metrics.cache_entries, 3);
    // A backup knows the deliveries too.
    let snapshot = world.plane.cache.snapshot();
    world.plane.cache.clear();
    world.plane.cache.restore(snapshot).unwrap();
    assert_eq!(send("d-2", "{}").await, "answer 2");
    world.set(|config| config.cache.mode = CacheMode::Read);
    assert_eq!(send("d-2", "{}").await, "answer 5");
}

#[tokio::test]
async fn an_extension_takes_the_events_of_its_platform() {
    let legacy = Upstream::saying("legacy").await;
    let handlers = Upstream::saying("extension").await;
    let world = World::new(&legacy, |config| with_extension(config, handlers.config()));
    assert_eq!(world.post("/github/events?x=1", &[], "{}").await.1, "extension");
    assert_eq!(world.post("/linear/events", &[], "{}").await.1, "legacy");
    assert_eq!(handlers.seen()[0].uri, "/handle?x=1");
    let metrics = world.metrics();
    assert_eq!(metrics.arms["github-integration"].requests, 1);
    assert_eq!((metrics.counts.extension, metrics.counts.enhanced), (1, 2));
    world.set(|config| config.mode = Mode::Legacy);
    assert_eq!(world.post("/github/events", &[], "{}").await.1, "legacy");
}

#[tokio::test]
async fn an_extension_that_cannot_be_reached_costs_no_event() {
    let legacy = Upstream::saying("legacy").await;
    let world = World::new(&legacy, |config| with_extension(config, upstream_at(nowhere())));
    let (status, text) = world.post("/github/events?x=1", &[], "event").await;
    assert_eq!((status, &text[..]), (StatusCode::OK, "legacy"));
    let seen = legacy.seen().remove(0);
    assert_eq!(
        (seen.uri.to_string().as_str(), &seen.body[..]),
        ("/github/events?x=1", &b"event"[..])
    );
    let metrics = world.metrics();
    assert_eq!((metrics.counts.fallback, metrics.counts.extension), (1, 0));
    assert_eq!((metrics.arms["legacy"].requests, metrics.total.errors), (1, 0));
    world.set(|config| config.legacy_fallback = false);
    assert_eq!(world.post("/github/events", &[], "event").await.0, StatusCode::BAD_GATEWAY);
    assert_eq!(world.metrics().arms["github-integration"].errors, 1);
}

#[tokio::test]
async fn an_event_that_an_extension_may_have_begun_goes_to_nobody_else() {
    let legacy = Upstream::saying("legacy").await;
    let failing = Upstream::start(|_| {
        Response::builder().status(500).body(Full::from("its own error")).unwrap()
    })
    .await;
    let world = World::new(&legacy, |config| with_extension(config, failing.config()));
    let (status, text) = world.post("/github/events", &[], "{}").await;
    assert_eq!((status, &text[..]), (StatusCode::INTERNAL_SERVER_ERROR, "its own error"));
    let slow = Upstream::slow(Duration::from_secs(60), |_| unreachable!()).await;
    world.set(|config| {
        let mut upstream = slow.config();
        upstream.timeout = Duration::from_millis(50);
        config.upstreams.insert("handlers".to_owned(), upstream);
    });
    assert_eq!(world.post("/github/events", &[], "{}").await.0, StatusCode::GATEWAY_TIMEOUT);
    assert!(legacy.seen().is_empty());
    assert_eq!(world.metrics().counts.fallback, 0);
}
