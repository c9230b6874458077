use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::control::observe::Counts;

fn names() -> [Arc<str>; 4] {
    ["github", "home", OTHER, "legacy"].map(Arc::from)
}

fn record(shard: &Shard, route: &Arc<str>, status: u16, ms: u64, now_ms: u64) {
    let arm = Arc::from("legacy");
    let counts = Counts { pooled: 1, ..Counts::default() };
    let outcome = Outcome {
        route,
        arm: &arm,
        status: Some(status),
        error: status >= 500,
        latency: Duration::from_millis(ms),
        counts,
    };
    shard.record(&outcome, now_ms);
}

#[test]
fn a_window_tells_routes_and_arms_apart_and_leaves_other_out_of_the_total() {
    let registry = Registry::default();
    let (one, two) = (registry.shard(), registry.shard());
    let [github, home, other, _] = names();
    record(&one, &github, 200, 10, 1_000);
    record(&two, &github, 503, 30, 1_100);
    record(&one, &home, 200, 20, 1_300);
    record(&two, &other, 200, 900, 1_300);
    let metrics = registry.snapshot(None, 2_000);
    assert_eq!((metrics.total.requests, metrics.total.errors), (3, 1));
    assert_eq!(metrics.routes["github"].requests, 2);
    assert_eq!(metrics.routes[OTHER].requests, 1);
    assert_eq!(metrics.arms["legacy"].requests, 4);
    assert_eq!(metrics.counts.pooled, 4);
    let max = metrics.total.latency.unwrap().max_ms;
    assert!((max - 30.0).abs() < 1e-9, "{max}");
}

#[test]
fn a_window_without_a_beginning_is_the_last_five_seconds() {
    let registry = Registry::default();
    let shard = registry.shard();
    let [github, ..] = names();
    record(&shard, &github, 200, 1, 1_000);
    record(&shard, &github, 200, 1, 7_000);
    assert_eq!(registry.snapshot(None, 8_000).total.requests, 1);
    assert_eq!(registry.snapshot(Some(0), 8_000).total.requests, 2);
}

#[test]
fn what_is_older_than_ten_minutes_is_forgotten() {
    let registry = Registry::default();
    let shard = registry.shard();
    let [github, ..] = names();
    record(&shard, &github, 200, 1, 1_000);
    record(&shard, &github, 200, 1, 700_000);
    assert_eq!(registry.snapshot(Some(0), 700_001).total.requests, 1);
}

#[test]
fn names_beyond_the_bound_are_counted_as_other() {
    let registry = Registry::default();
    let shard = registry.shard();
    for n in 0..400 {
        record(&shard, &Arc::from(format!("route-{n}")), 200, 1, 1_000);
    }
    let metrics = registry.snapshot(None, 1_000);
    assert_eq!(metrics.arms.values().map(|window| window.requests).sum::<u64>(), 400);
    assert_eq!(metrics.routes.len(), 257);
    assert_eq!(metrics.routes[OTHER].requests, 144);
}

#[test]
fn the_exposition_is_complete_and_its_histograms_add_up() {
    let registry = Registry::default();
    let shard = registry.shard();
    record(&shard, &Arc::from("a\"b"), 200, 3, 1_000);
    record(&shard, &Arc::from("a\"b"), 502, 20_000, 1_000);
    let text = registry.prometheus();
    let has = |line: &str| assert!(text.lines().any(|l| l == line), "no `{line}` in\n{text}");
    has("# TYPE ctx_requests_total counter");
    has(r#"ctx_requests_total{route="a\"b",arm="legacy",code_class="2xx"} 1"#);
    has(r#"ctx_requests_total{route="a\"b",arm="legacy",code_class="5xx"} 1"#);
    has(r#"ctx_request_duration_seconds_bucket{route="a\"b",arm="legacy",le="0.0025"} 0"#);
    has(r#"ctx_request_duration_seconds_bucket{route="a\"b",arm="legacy",le="0.005"} 1"#);
    has(r#"ctx_request_duration_seconds_bucket{route="a\"b",arm="legacy",le="+Inf"} 2"#);
    has(r#"ctx_request_duration_seconds_count{route="a\"b",arm="legacy"} 2"#);
    has(r#"ctx_request_duration_seconds_sum{route="a\"b",arm="legacy"} 20.003000"#);
    has(r#"ctx_upstream_requests_total{connection="pooled"} 2"#);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("ctx_") && value.parse::<f64>().is_ok(), "{line}");
    }
}

proptest! {
    /// Whatever the clock does and whoever else asks in between, windows that continue each other
    /// count every request once.
    #[test]
    fn continued_windows_count_every_request_once(
        steps in proptest::collection::vec((0u64..400, 0u8..4, 0usize..2), 1..200),
    ) {
        let registry = Registry::default();
        let shards = [registry.shard(), registry.shard()];
        let [github, ..] = names();
        let (mut now, mut from, mut seen, mut sent) = (0, 0, 0, 0);
        for (later, what, shard) in steps {
            now += later;
            match what {
                0 => {
                    let metrics = registry.snapshot(Some(from), now);
                    prop_assert_eq!(metrics.from_ms, from);
                    prop_assert!(metrics.to_ms >= from);
                    from = metrics.to_ms;
                    seen += metrics.total.requests;
                }
                1 => drop(registry.snapshot(None, now)),
                // A worker that read the clock a while before it got to record.
                _ => {
                    record(&shards[shard], &github, 200, 1, now.saturating_sub(later / 2));
                    sent += 1;
                }
            }
        }
        seen += registry.snapshot(Some(from), now).total.requests;
        prop_assert_eq!(seen, sent);
    }
}
