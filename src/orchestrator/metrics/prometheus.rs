//! Totals since the start in the Prometheus text exposition format, version 0.0.4.
//!
//! Names: prefix `ctx_`, base units, `_total` for counters. Labels are names of the configuration
//! and classes of status codes, nothing that a sender chooses. For a histogram, the bucket
//! `le="+Inf"` equals `_count`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::window::{Lookups, add_counts};
use crate::control::observe::Counts;

/// Upper bounds of the latency histogram, in microseconds, with their text in seconds.
const BOUNDS: [(u64, &str); 14] = [
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
];

/// The classes of status codes, by the first digit; 0 stands for no answer.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// A latency histogram with the bounds that Prometheus sees. Not cumulative until rendered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    /// The last one is for everything above the greatest bound.
    buckets: [u64; BOUNDS.len() + 1],
    sum_us: u64,
}

impl Bounds {
    pub(super) fn add(&mut self, us: u64) {
        let at = BOUNDS.iter().position(|(bound, _)| us <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[at] += 1;
        self.sum_us = self.sum_us.saturating_add(us);
    }
}

type RouteAndArm = (Arc<str>, Arc<str>);

/// A counter's name, its help, and its samples by their labels.
type Family<'a> = (&'a str, &'a str, &'a [(&'a str, u64)]);

/// Everything that was recorded since the start.
#[derive(Debug, Default)]
pub(super) struct Totals {
    series: BTreeMap<RouteAndArm, ([u64; 6], Bounds)>,
    /// Of the cache, by route.
    lookups: BTreeMap<Arc<str>, Lookups>,
    counts: Counts,
    in_flight: u64,
}

impl Totals {
    pub(super) fn add_in_flight(&mut self, requests: u64) {
        self.in_flight += requests;
    }

    pub(super) fn add_counts(&mut self, counts: &Counts) {
        add_counts(&mut self.counts, counts);
    }

    pub(super) fn add_series(
        &mut self,
        route: &Arc<str>,
        arm: &Arc<str>,
        classes: &[u64; 6],
        bounds: &Bounds,
    ) {
        let key = (Arc::clone(route), Arc::clone(arm));
        let (all_classes, all_bounds) = self.series.entry(key).or_default();
        let sums = all_classes.iter_mut().chain(&mut all_bounds.buckets);
        for (sum, more) in sums.zip(classes.iter().chain(&bounds.buckets)) {
            *sum += more;
        }
        all_bounds.sum_us = all_bounds.sum_us.saturating_add(bounds.sum_us);
    }

    pub(super) fn add_lookups(&mut self, route: &Arc<str>, lookups: Lookups) {
        if lookups != Lookups::default() {
            self.lookups.entry(Arc::clone(route)).or_default().add(lookups);
        }
    }

    pub(super) fn render(&self) -> String {
        const NAME: &str = "ctx_requests_in_flight";
        let mut text = String::new();
        self.requests(&mut text);
        self.durations(&mut text);
        self.counters(&mut text);
        self.cache(&mut text);
        head(&mut text, NAME, "gauge", "Requests that have begun and not ended.");
        let _ = writeln!(text, "{NAME} {}", self.in_flight);
        text
    }

    fn cache(&self, text: &mut String) {
        const NAME: &str = "ctx_cache_lookups_total";
        head(text, NAME, "counter", "Reads that the cache was asked for, by route.");
        for (route, Lookups { hits, misses }) in &self.lookups {
            let route = label(route);
            for (result, count) in [("hit", hits), ("miss", misses)] {
                let _ = writeln!(text, "{NAME}{{route=\"{route}\",result=\"{result}\"}} {count}");
            }
        }
    }

    fn requests(&self, text: &mut String) {
        const NAME: &str = "ctx_requests_total";
        head(text, NAME, "counter", "Requests that ended, by who was asked and how they ended.");
        for ((route, arm), (classes, _)) in &self.series {
            let (route, arm) = (label(route), label(arm));
            for (class, count) in CLASSES.iter().zip(classes).filter(|(_, count)| **count > 0) {
                let _ = writeln!(
                    text,
                    "{NAME}{{route=\"{route}\",arm=\"{arm}\",code_class=\"{class}\"}} {count}"
                );
            }
        }
    }

    fn durations(&self, text: &mut String) {
        const NAME: &str = "ctx_request_duration_seconds";
        head(text, NAME, "histogram", "Time from a request's first byte to its answer's last.");
        for ((route, arm), (_, bounds)) in &self.series {
            let labels = format!("route=\"{}\",arm=\"{}\"", label(route), label(arm));
            let mut count = 0;
            let names = BOUNDS.iter().map(|(_, name)| *name).chain(["+Inf"]);
            for (name, bucket) in names.zip(bounds.buckets) {
                count += bucket;
                let _ = writeln!(text, "{NAME}_bucket{{{labels},le=\"{name}\"}} {count}");
            }
            let (seconds, rest) = (bounds.sum_us / 1_000_000, bounds.sum_us % 1_000_000);
            let _ = writeln!(text, "{NAME}_sum{{{labels}}} {seconds}.{rest:06}");
            let _ = writeln!(text, "{NAME}_count{{{labels}}} {count}");
        }
    }

    fn counters(&self, text: &mut String) {
        let c = &self.counts;
        let families: [Family<'_>; 6] = [
            (
                "ctx_upstream_requests_total",
                "Requests sent to upstreams, by the kind of connection.",
                &[("connection=\"pooled\"", c.pooled), ("connection=\"own\"", c.unpooled)],
            ),
            (
                "ctx_events_total",
                "Events, by who processed them.",
                &[
                    ("path=\"legacy\"", c.legacy),
                    ("path=\"enhanced\"", c.enhanced),
                    ("path=\"extension\"", c.extension),
                    ("path=\"fallback\"", c.fallback),
                ],
            ),
            (
                "ctx_duplicate_deliveries_total",
                "Repeated deliveries answered with the first answer.",
                &[("", c.duplicates)],
            ),
            (
                "ctx_inbox_events_total",
                "Events of the inbox, by what became of them.",
                &[
                    ("step=\"stored\"", c.stored),
                    ("step=\"delivered\"", c.delivered),
                    ("step=\"retried\"", c.retried),
                    ("step=\"dead\"", c.dead),
                ],
            ),
            (
                "ctx_breaker_rejected_total",
                "Requests that a breaker kept from an upstream.",
                &[("", c.broken)],
            ),
            ("ctx_shed_total", "Requests refused because of too much load.", &[("", c.shed)]),
        ];
        for (name, help, samples) in families {
            head(text, name, "counter", help);
            for (labels, count) in samples {
                let _ = match *labels {
                    "" => writeln!(text, "{name} {count}"),
                    labels => writeln!(text, "{name}{{{labels}}} {count}"),
                };
            }
        }
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// A label's value, escaped as the format asks.
fn label(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}
