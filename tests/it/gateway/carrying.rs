//! How requests are carried: pooled connections, the canary's share, changes under load, drain.

use std::collections::BTreeSet;
use std::time::Duration;

use ctx::control::config::{Canary, Mode};
use ctx::units::Percent;
use hyper::StatusCode;

use super::harness::{PATIENCE, RawUpstream, Upstream, World, connect, flag_on};

#[tokio::test]
async fn the_share_of_pooled_connections_is_what_the_flag_says() {
    for percent in [0, 50, 100] {
        let upstream = Upstream::saying("hello").await;
        let world = World::new(&upstream, |config| {
            flag_on(config, "connection_pooling", percent);
        });
        for _ in 0..60 {
            assert_eq!(world.get("/").await.0, StatusCode::OK);
        }
        let counts = world.metrics().counts;
        assert_eq!(counts.pooled + counts.unpooled, 60);
        let connections = u64::try_from(upstream.connections()).unwrap();
        match percent {
            0 => assert_eq!((counts.pooled, connections), (0, 60)),
            100 => assert_eq!((counts.unpooled, connections), (0, 1)),
            _ => {
                assert!((10..50).contains(&counts.pooled), "{counts:?}");
                assert_eq!(connections, counts.unpooled + 1);
            }
        }
    }
}

#[tokio::test]
async fn no_request_is_lost_when_the_upstream_hangs_up_on_idle_connections() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let upstream = RawUpstream::start("!", answer, true);
    let world = World::at(upstream.addr, |config| flag_on(config, "connection_pooling", 100));
    for n in 1..=200 {
        let (status, text) = world.post("/github/events", &[], format!("event {n}!")).await;
        assert_eq!((status, &text[..]), (StatusCode::OK, "ok"), "request {n}");
        // It has hung up by now; whether the gateway has noticed is what is tested.
        upstream.until_closed(n).await;
    }
    assert_eq!(upstream.seen().len(), 200);
    assert_eq!(world.metrics().total.errors, 0);
}

#[tokio::test]
async fn rebuilt_pools_use_no_old_connection() {
    let upstream = Upstream::saying("hello").await;
    let world = World::new(&upstream, |config| flag_on(config, "connection_pooling", 100));
    world.get("/").await;
    world.get("/").await;
    assert_eq!(upstream.connections(), 1);
    world.plane.rebuild_pools();
    world.get("/").await;
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn the_canary_gets_its_share_and_a_sender_stays_on_its_side() {
    let (legacy, canary) = (Upstream::saying("old").await, Upstream::saying("new").await);
    let world = World::new(&legacy, |config| {
        config.upstreams.insert("next".to_owned(), canary.config());
        config.canary = Some(Canary { upstream: "next".to_owned(), weight: Percent::whole(30) });
    });
    let mut sides = Vec::new();
    for round in 0..2 {
        for sender in 0..150 {
            let sender = sender.to_string();
            let headers = [("x-github-hook-id", sender.as_str())];
            sides.push(world.post("/github/events", &headers, "{}").await.1);
        }
        assert_eq!(sides[..150], sides[150 * round..], "round {round}");
    }
    let on_canary = sides[..150].iter().filter(|side| *side == "new").count();
    assert!((25..65).contains(&on_canary), "{on_canary} of 150 at 30%");
    let arms = world.metrics().arms;
    assert_eq!(arms["next"].requests, 2 * on_canary as u64);
    assert_eq!(arms["next"].requests + arms["legacy"].requests, 300);
    world.set(|config| config.canary = None);
    let seen = canary.seen().len();
    for sender in 0..50 {
        let headers = [("x-github-hook-id", sender.to_string())];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert_eq!(world.post("/github/events", &headers, "{}").await.1, "old");
    }
    assert_eq!(canary.seen().len(), seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changing_the_configuration_under_load_loses_nothing() {
    let upstream = Upstream::saying("ok").await;
    let world = World::new(&upstream, |_| {});
    let senders: Vec<_> = (0..8)
        .map(|sender| {
            let (client, url) = (world.client.clone(), world.url("/github/events"));
            tokio::spawn(async move {
                for n in 0..60 {
                    let body = format!("{sender}-{n}");
                    let answer = client.post(&url).body(body).send().await.unwrap();
                    assert_eq!(answer.status(), StatusCode::OK);
                }
            })
        })
        .collect();
    let (mut change, mut from, mut measured) = (0, 0, 0);
    while !senders.iter().all(tokio::task::JoinHandle::is_finished) {
        change += 1;
        world.set(|config| {
            config.mode = if change % 2 == 0 { Mode::Legacy } else { Mode::Enhanced };
            flag_on(config, "connection_pooling", change * 17 % 101);
        });
        world.plane.rebuild_pools();
        let window = world.plane.observe(Some(from));
        (from, measured) = (window.to_ms, measured + window.total.requests);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for sender in senders {
        sender.await.unwrap();
    }
    let bodies: Vec<_> = upstream.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!((bodies.len(), bodies.iter().collect::<BTreeSet<_>>().len()), (480, 480));
    let metrics = world.metrics();
    assert_eq!((metrics.total.requests, metrics.total.errors), (480, 0));
    assert_eq!(metrics.counts.enhanced + metrics.counts.legacy, 480);
    measured += world.plane.observe(Some(from)).total.requests;
    assert_eq!(measured, 480, "continued windows count every request once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_requests_in_flight_end_and_takes_no_more() {
    let upstream = Upstream::slow(Duration::from_millis(300), |_| {
        hyper::Response::new(http_body_util::Full::from("in time"))
    })
    .await;
    let mut world = World::new(&upstream, |_| {});
    // A client that is connected and says nothing must not hold up the stop.
    let idle = connect(world.addr);
    let request = tokio::spawn(world.client.get(world.url("/")).send());
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while upstream.seen().is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "the request never arrived");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::task::block_in_place(|| world.stop(Duration::from_secs(20)));
    let answer = request.await.unwrap().unwrap();
    assert_eq!(answer.text().await.unwrap(), "in time");
    assert!(std::net::TcpStream::connect(world.addr).is_err());
    drop(idle);
    assert_eq!(world.metrics().total.requests, 1);
}
