//! What a judgement rests on, in words: over how long, on how many incidents, on which routes and
//! extensions. Pure.
//!
//! A number without this cannot be weighed: 100 % uptime over ten minutes and over ten weeks are
//! the same number. It explains a verdict and never changes it.

use std::time::Duration;

use super::measure::Query;
use super::{Metric, Verdict, promql};
use crate::control::observe::{ExtensionList, Health, Metrics, Shadow, Status};
use crate::error::count;
use crate::secret::shown_url;
use crate::units::duration;

/// What the orchestrator showed when a criterion was judged. What was not asked is absent.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub metrics: Metrics,
    pub health: Health,
    pub shadow: Option<Shadow>,
    pub extensions: Option<ExtensionList>,
}

/// The evidence for a reading of `metric`; empty where the reading says all.
pub fn of_metric(metric: Metric, seen: &Seen) -> String {
    match metric {
        Metric::ErrorRate
        | Metric::LatencyP50
        | Metric::LatencyP95
        | Metric::LatencyP99
        | Metric::Throughput
        | Metric::CacheHitRatio
        | Metric::PooledShare => window(&seen.metrics),
        Metric::Uptime | Metric::Mttr | Metric::Mtbf => incidents(&seen.health),
        Metric::Healthy => checks(&seen.health),
        Metric::Parity => {
            let within = window(&seen.metrics);
            let of_routes = seen.shadow.as_ref().map(parity);
            of_routes.map_or(within.clone(), |routes| format!("{within}; {routes}"))
        }
        Metric::ExtensionsUp => seen.extensions.as_ref().map(extensions).unwrap_or_default(),
        Metric::Cpu | Metric::Memory => String::new(),
    }
}

/// The evidence for what a query came to: who was asked, and how far back it looks.
pub fn of_query(query: &Query) -> String {
    let asked = format!("asked of {}", shown_url(&query.url));
    match promql::selected(&query.query).range {
        Some(range) => format!("{asked}, within {}", duration::format(range)),
        None => asked,
    }
}

/// The evidence for what is said of functions beside a suite: what shadow copies showed, and how
/// extensions are.
pub fn of_functions(seen: &Seen) -> String {
    let parts = [seen.shadow.as_ref().map(parity), seen.extensions.as_ref().map(extensions)];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// A verdict with the evidence for it.
pub fn with(verdict: Verdict, evidence: &str) -> Verdict {
    if evidence.is_empty() {
        return verdict;
    }
    let add = |why: String| format!("{why}; {evidence}");
    match verdict {
        Verdict::Pass(why) => Verdict::Pass(add(why)),
        Verdict::Fail(why) => Verdict::Fail(add(why)),
        Verdict::Inconclusive(why) => Verdict::Inconclusive(add(why)),
    }
}

fn window(metrics: &Metrics) -> String {
    let width = Duration::from_millis(metrics.to_ms.saturating_sub(metrics.from_ms));
    format!("within {}", duration::format(width))
}

fn incidents(health: &Health) -> String {
    let reliability = &health.reliability;
    let failures = usize::try_from(reliability.failures).unwrap_or(usize::MAX);
    let observed = Duration::try_from_secs_f64(reliability.observed_s).unwrap_or_default();
    let observed = Duration::from_secs(observed.as_secs());
    let observed = duration::format(observed);
    format!("{} recorded in {observed} of observation", count(failures, "incident"))
}

fn checks(health: &Health) -> String {
    let failing: Vec<&str> = health
        .checks
        .iter()
        .filter(|check| check.status == Status::Unhealthy)
        .map(|check| check.name.as_str())
        .collect();
    let checks = count(health.checks.len(), "check");
    match failing.as_slice() {
        [] => format!("{checks}, none fails"),
        failing => format!("of {checks} these fail: {}", failing.join(", ")),
    }
}

fn parity(shadow: &Shadow) -> String {
    let compared = shadow.routes.iter().filter(|(_, route)| route.compared > 0);
    let routes: Vec<String> = compared
        .map(|(name, route)| format!("`{name}` {} of {} equal", route.equal, route.compared))
        .collect();
    match routes.as_slice() {
        [] => "no shadow copies were compared".to_owned(),
        routes => format!("shadow copies: {}", routes.join(", ")),
    }
}

fn extensions(list: &ExtensionList) -> String {
    // An upstream's extension has no replicas of its own; its health is a check.
    let each: Vec<String> = list
        .extensions
        .iter()
        .filter(|one| one.wanted > 0)
        .map(|one| format!("`{}` {} of {} up", one.id, one.replicas, one.wanted))
        .collect();
    match each.as_slice() {
        [] => "no extension runs as a program".to_owned(),
        each => format!("extensions: {}", each.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::observe::ShadowRoute;

    #[test]
    fn reliability_names_its_incidents_and_how_long_it_was_observed() {
        let mut seen = Seen::default();
        seen.health.reliability.failures = 2;
        seen.health.reliability.observed_s = 7200.4;
        let evidence = of_metric(Metric::Uptime, &seen);
        assert_eq!(evidence, "2 incidents recorded in 2h of observation");
        let verdict = with(Verdict::Fail("uptime 90%, limit at least 99.9%".into()), &evidence);
        assert_eq!(
            verdict.why(),
            "uptime 90%, limit at least 99.9%; 2 incidents recorded in 2h of observation"
        );
        assert!(!verdict.passed(), "evidence changes no verdict");
    }

    #[test]
    fn performance_names_its_window() {
        let mut seen = Seen::default();
        (seen.metrics.from_ms, seen.metrics.to_ms) = (1000, 61_000);
        assert_eq!(of_metric(Metric::LatencyP95, &seen), "within 1m");
        assert_eq!(of_metric(Metric::Cpu, &seen), "");
    }

    #[test]
    fn a_query_names_its_server_and_how_far_back_it_looks() {
        let mut query = Query {
            query: "sum(rate(errors_total[5m]))".to_owned(),
            from: "prom".to_owned(),
            url: "http://127.0.0.1:9090".to_owned(),
            token: None,
            unit: crate::judge::Unit::Ratio,
        };
        assert_eq!(of_query(&query), "asked of http://127.0.0.1:9090, within 5m");
        query.query = "up".to_owned();
        assert_eq!(of_query(&query), "asked of http://127.0.0.1:9090");
    }

    #[test]
    fn functions_name_the_parity_of_each_route() {
        let mut shadow = Shadow::default();
        let route = ShadowRoute { compared: 120, equal: 118, ..ShadowRoute::default() };
        shadow.routes.insert("home".to_owned(), route);
        shadow.routes.insert("never".to_owned(), ShadowRoute::default());
        let seen = Seen {
            shadow: Some(shadow),
            extensions: Some(ExtensionList::default()),
            ..Seen::default()
        };
        assert_eq!(
            of_functions(&seen),
            "shadow copies: `home` 118 of 120 equal; no extension runs as a program"
        );
        assert_eq!(of_functions(&Seen::default()), "");
    }
}
