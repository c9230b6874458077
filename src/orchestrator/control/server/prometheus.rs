//! `GET /metrics`: the gateway's exposition, and after it what the control side knows.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use super::Shared;
use crate::control::observe::{BreakerState, PoolView};

/// The text exposition format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn text(shared: &Shared) -> String {
    let plane = &shared.plane;
    let mut text = plane.metrics.prometheus();
    let mut add = |name: &str, kind: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
        }
    };
    let host = shared.vitals.host();
    #[expect(clippy::cast_precision_loss, reason = "Prometheus knows floats only")]
    let float = |n: u64| Some(n as f64);
    let workers = plane.workers.load(Ordering::Relaxed).into();
    let alerts = shared.vitals.alerts();
    add("ctx_revision", "gauge", "The revision in force.", float(plane.active().rev));
    add("ctx_event_workers", "gauge", "Event workers now.", float(workers));
    add("ctx_cache_entries", "gauge", "Answers in the cache.", float(plane.cache.len()));
    let evicted = float(plane.cache.evicted());
    let help = "Answers that the cache dropped for want of room.";
    add("ctx_cache_evictions_total", "counter", help, evicted);
    add("ctx_host_cpu_ratio", "gauge", "Processor use, 1 = all cores.", host.cpu);
    add("ctx_host_memory_ratio", "gauge", "Memory use.", host.memory);
    add("ctx_alerts_total", "counter", "Incidents that raised an alert.", float(alerts));
    let census = plane
        .inbox
        .get()
        .and_then(|inbox| inbox.read(crate::orchestrator::store::inbox::Inbox::census).ok());
    add(
        "ctx_inbox_pending",
        "gauge",
        "Stored events that wait.",
        census.and_then(|c| float(c.pending)),
    );
    add("ctx_inbox_dead", "gauge", "Dead letters.", census.and_then(|c| float(c.dead)));
    breakers(shared, &mut text);
    pools(shared, &mut text);
    guards(shared, &mut text);
    text
}

/// How the breakers stand: 0 closed, 1 half open, 2 open.
fn breakers(shared: &Shared, text: &mut String) {
    const NAME: &str = "ctx_breaker_state";
    let plane = &shared.plane;
    let settings = &plane.active().config.breaker;
    let help = "The breaker of an upstream: 0 closed, 1 half open, 2 open.";
    let _ = write!(text, "# HELP {NAME} {help}\n# TYPE {NAME} gauge\n");
    for view in plane.breakers.view(settings, plane.clock.boot()) {
        let value = match view.state {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        };
        let _ = writeln!(text, "{NAME}{{upstream=\"{}\"}} {value}", view.upstream);
    }
}

/// The connections to each upstream.
fn pools(shared: &Shared, text: &mut String) {
    let pools = shared.plane.pools();
    let mut family = |name: &str, kind: &str, help: &str, of: &dyn Fn(&PoolView) -> u64| {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for pool in &pools {
            let _ = writeln!(text, "{name}{{upstream=\"{}\"}} {}", pool.upstream, of(pool));
        }
    };
    let gauge = "gauge";
    let help = "Connections to an upstream that nobody uses.";
    family("ctx_upstream_connections_idle", gauge, help, &|pool| pool.idle.into());
    let help = "Connections to an upstream that are in use.";
    family("ctx_upstream_connections_busy", gauge, help, &|pool| pool.busy.into());
    let help = "Connections to an upstream that were opened.";
    family("ctx_upstream_connections_opened_total", "counter", help, &|pool| pool.opened);
    let help = "Requests that had to wait for a connection.";
    family("ctx_upstream_waits_total", "counter", help, &|pool| pool.waits);
    let help = "Requests that were refused because they got no connection in time.";
    family("ctx_upstream_wait_timeouts_total", "counter", help, &|pool| pool.timeouts);
}

/// What is armed, and how near each guard is to a breach.
fn guards(shared: &Shared, text: &mut String) {
    let (armed, _) = shared.desk.watched();
    let tripped = armed.as_ref().is_some_and(|armed| armed.tripped.is_some());
    let count = armed.as_ref().map_or(0, |armed| armed.guards.len());
    let mut head = |name: &str, help: &str, samples: &[(String, u64)]| {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let plain = |value: u64| [(String::new(), value)];
    head("ctx_guard_armed", "Guards of a phase that are armed.", &plain(count as u64));
    let help = "1 when a phase was taken back and is not cleared away yet.";
    head("ctx_guard_tripped", help, &plain(tripped.into()));
    let Some(armed) = armed else { return };
    let streaks = shared.guards.breaches(&armed).into_iter();
    let streaks: Vec<_> =
        streaks.map(|(id, n)| (format!("{{guard=\"{id}\"}}"), n.into())).collect();
    head("ctx_guard_breaches", "Breaches of a guard in a row.", &streaks);
}
