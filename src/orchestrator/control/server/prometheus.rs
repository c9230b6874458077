//! `GET /metrics`: the gateway's exposition, and after it what the control side knows.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use super::Shared;
use crate::control::observe::{BreakerState, ExtensionView, PoolView};

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
    add(
        "ctx_alerts_total",
        "counter",
        "Incidents that raised an alert, and escalations.",
        float(alerts),
    );
    let escalations = float(shared.vitals.escalations());
    let help = "Alerts because self-healing did not help.";
    add("ctx_healing_escalations_total", "counter", help, escalations);
    let overrides = plane.overrides();
    let left_out = float(overrides.left_out.len() as u64);
    let help = "Extensions that self-healing leaves out now.";
    add("ctx_healing_extensions_left_out", "gauge", help, left_out);
    let withdrawn = float(overrides.canary_withdrawn.is_some().into());
    let help = "1 while self-healing keeps the canary at 0%.";
    add("ctx_healing_canary_withdrawn", "gauge", help, withdrawn);
    let help = "The share of new events that self-healing refuses.";
    add("ctx_healing_shed_ratio", "gauge", help, Some(overrides.shed.ratio()));
    let in_flight = float(plane.load.in_flight().into());
    add("ctx_events_in_flight", "gauge", "Events in flight or waiting for a worker.", in_flight);
    let wait = f64::from(plane.load.last_wait_ms()) / 1000.0;
    let help = "The longest wait of an event for a worker within the last second.";
    add("ctx_event_queue_delay_seconds", "gauge", help, Some(wait));
    let doors = &plane.doors;
    add("ctx_connections", "gauge", "Connections of senders.", float(doors.open()));
    add(
        "ctx_connections_refused_total",
        "counter",
        "Connections closed because their address had too many.",
        float(doors.refused()),
    );
    add(
        "ctx_connections_shed_total",
        "counter",
        "Connections that rested and were ended to make room.",
        float(doors.made_room()),
    );
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
    extensions(shared, &mut text);
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

/// How busy the programs of extensions are.
fn extensions(shared: &Shared, text: &mut String) {
    type Reading = fn(&ExtensionView) -> u64;
    let views = shared.plane.extensions.views();
    let families: [(&str, &str, &str, Reading); 6] = [
        ("ctx_extension_replicas", "gauge", "Replicas that take events.", |v| v.replicas.into()),
        ("ctx_extension_replicas_wanted", "gauge", "Replicas there should be.", |v| {
            v.wanted.into()
        }),
        ("ctx_extension_busy", "gauge", "Events that replicas are busy with.", |v| v.busy.into()),
        ("ctx_extension_capacity", "gauge", "Events that replicas take at once.", |v| {
            v.capacity.into()
        }),
        ("ctx_extension_waiting", "gauge", "Events that wait for a replica.", |v| v.waiting.into()),
        ("ctx_extension_restarts_total", "counter", "Replicas that were started again.", |v| {
            v.restarts
        }),
    ];
    for (name, kind, help, reading) in families {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for view in &views {
            let _ = writeln!(text, "{name}{{extension=\"{}\"}} {}", view.id, reading(view));
        }
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
