//! `GET /metrics`: the gateway's exposition, and after it what the control side knows.

mod page;

use std::sync::atomic::Ordering;

pub(super) use self::page::Format;
use self::page::{Page, float, labels};
use super::Shared;
use crate::control::observe::{BreakerState, ExtensionView, PoolView, Status};
use crate::orchestrator::metrics::Process;
use crate::orchestrator::store::inbox::Inbox;

pub(super) fn text(shared: &Shared, format: Format) -> String {
    let mut page = Page(shared.plane.metrics.prometheus());
    configuration(shared, &mut page);
    host(shared, &mut page);
    checks(shared, &mut page);
    cures(shared, &mut page);
    doors(shared, &mut page);
    inbox(shared, &mut page);
    shadow(shared, &mut page);
    breakers(shared, &mut page);
    extensions(shared, &mut page);
    pools(shared, &mut page);
    guards(shared, &mut page);
    process(shared, &mut page);
    format.of(page.0)
}

/// What is in force, who may change it, and how far it is rolled out.
fn configuration(shared: &Shared, page: &mut Page) {
    let plane = &shared.plane;
    let active = plane.active();
    let config = &active.config;
    let build = [(labels(&[("version", env!("CARGO_PKG_VERSION"))]), 1.0)];
    page.family("ctx_build_info", "gauge", "The version of ctx that runs.", &build);
    page.gauge("ctx_config_revision", "The revision in force.", float(active.rev));
    let (provisional, leased) = shared.desk.standing();
    let help = "1 while the revision in force is reverted unless it is confirmed.";
    page.gauge("ctx_config_provisional", help, f64::from(u8::from(provisional)));
    page.gauge("ctx_lease_held", "1 while somebody holds the lease.", f64::from(u8::from(leased)));
    let share = |enabled: bool, percent: f64| if enabled { percent } else { 0.0 };
    let flags = config.flags.iter();
    let flags: Vec<_> = flags
        .map(|(name, flag)| {
            (labels(&[("flag", name)]), share(flag.enabled, flag.percentage.ratio()))
        })
        .collect();
    let help = "The share of keys that a flag includes; 0 while it is off.";
    page.family("ctx_flag_rollout_ratio", "gauge", help, &flags);
    let canary = config.compared().into_iter();
    let canary: Vec<_> =
        canary.map(|it| (labels(&[("upstream", &it.canary)]), it.weight.ratio())).collect();
    page.family("ctx_canary_weight_ratio", "gauge", "The canary's share of the traffic.", &canary);
}

/// How the machine and the parts of the service are doing.
fn host(shared: &Shared, page: &mut Page) {
    let plane = &shared.plane;
    let (host, alerts) = (shared.vitals.host(), shared.vitals.alerts());
    let workers = plane.workers.load(Ordering::Relaxed);
    page.gauge("ctx_event_workers", "Event workers now.", f64::from(workers));
    let help = "Events that are handled or wait for a worker.";
    page.gauge("ctx_events_in_flight", help, f64::from(plane.load.in_flight()));
    let wait = f64::from(plane.load.last_wait_ms()) / 1000.0;
    let help = "The longest wait of an event for a worker within the last second.";
    page.gauge("ctx_event_queue_delay_seconds", help, wait);
    let help = "Answers that the cache dropped for want of room.";
    page.counter("ctx_cache_evictions_total", help, float(plane.cache.evicted()));
    page.gauge("ctx_cache_entries", "Answers in the cache.", float(plane.cache.len()));
    page.gauge("ctx_host_cpu_ratio", "Processor use, 1 = all cores.", host.cpu);
    page.gauge("ctx_host_memory_ratio", "Memory use.", host.memory);
    let help = "Incidents that raised an alert, and escalations.";
    page.counter("ctx_alerts_total", help, float(alerts));
}

/// What the newest round of health checks found; nothing while there is none, or it is too old.
fn checks(shared: &Shared, page: &mut Page) {
    let plane = &shared.plane;
    let (status, checks) =
        shared.vitals.checks(&plane.active().config, plane.tempo, plane.clock.boot());
    if status == Status::Unknown {
        return;
    }
    let known = checks.iter().filter(|check| check.status != Status::Unknown);
    let samples: Vec<_> = known
        .map(|check| {
            let healthy = f64::from(u8::from(check.status == Status::Healthy));
            (labels(&[("check", &check.name)]), healthy)
        })
        .collect();
    let help = "1 where a health check passes, 0 where it fails.";
    page.family("ctx_health_check_healthy", "gauge", help, &samples);
}

/// What went wrong, and what self-healing does about it.
fn cures(shared: &Shared, page: &mut Page) {
    let help = "Alerts because self-healing did not help.";
    page.counter("ctx_healing_escalations_total", help, float(shared.vitals.escalations()));
    let overrides = shared.plane.overrides();
    let left_out = float(overrides.left_out.len() as u64);
    let help = "Extensions that self-healing leaves out now.";
    page.gauge("ctx_healing_extensions_left_out", help, left_out);
    let withdrawn = f64::from(u8::from(overrides.canary_withdrawn.is_some()));
    let help = "1 while self-healing keeps the canary at 0%.";
    page.gauge("ctx_healing_canary_withdrawn", help, withdrawn);
    let help = "The share of new events that self-healing refuses.";
    page.gauge("ctx_healing_shed_ratio", help, overrides.shed.ratio());
    let Ok((failures, actions)) = shared.desk.sums() else { return };
    let help = "Incidents since the state was made, but for a busy processor or a full memory.";
    page.counter("ctx_incidents_total", help, float(failures));
    let help = "Actions of self-healing since the state was made, with those it only proposed.";
    page.counter("ctx_healing_actions_total", help, float(actions));
}

/// The connections of senders.
fn doors(shared: &Shared, page: &mut Page) {
    let doors = &shared.plane.doors;
    page.gauge("ctx_connections", "Connections of senders.", float(doors.open()));
    let help = "Connections closed because their address had too many.";
    page.counter("ctx_connections_refused_total", help, float(doors.refused()));
    let help = "Connections that rested and were ended to make room.";
    page.counter("ctx_connections_shed_total", help, float(doors.made_room()));
}

fn inbox(shared: &Shared, page: &mut Page) {
    let plane = &shared.plane;
    let census = plane.inbox.get().and_then(|inbox| inbox.read(Inbox::census).ok());
    let Some(census) = census else { return };
    page.gauge("ctx_inbox_pending", "Stored events that wait.", float(census.pending));
    page.gauge("ctx_inbox_dead", "Dead letters.", float(census.dead));
    let now_ms = plane.clock.wall().timestamp_millis();
    let oldest = census.oldest_ms.map_or(0, |since| now_ms.saturating_sub(since));
    let oldest = float(u64::try_from(oldest).unwrap_or(0)) / 1000.0;
    let help = "How long the oldest stored event has waited; 0 when none waits.";
    page.gauge("ctx_inbox_oldest_age_seconds", help, oldest);
}

/// What shadow copies showed, by route.
fn shadow(shared: &Shared, page: &mut Page) {
    let (mut answers, mut parity) = (Vec::new(), Vec::new());
    let mut seen = shared.plane.parity.view();
    // A series that is there from the start has a rate from its first step on.
    for (name, _) in shared.plane.active().config.routes.iter().filter(|(_, route)| route.shadow) {
        seen.entry(name.clone()).or_default();
    }
    for (name, route) in seen {
        let results = [
            ("equal", route.equal - route.noisy),
            ("noise", route.noisy),
            ("different", route.compared - route.equal),
        ];
        answers.extend(
            results.map(|(result, n)| (labels(&[("route", &name), ("result", result)]), float(n))),
        );
        parity.extend(route.parity.map(|parity| (labels(&[("route", &name)]), parity)));
    }
    let help = "Shadow copies, by how their answers compared; noise counts as equal.";
    page.family("ctx_shadow_answers_total", "counter", help, &answers);
    let help = "Shadow copies with equal answers per copy, since the start.";
    page.family("ctx_shadow_parity_ratio", "gauge", help, &parity);
}

/// How the breakers stand: 0 closed, 1 half open, 2 open.
fn breakers(shared: &Shared, page: &mut Page) {
    let plane = &shared.plane;
    let views = plane.breakers.view(&plane.active().config.breaker, plane.clock.boot());
    let samples: Vec<_> = views
        .into_iter()
        .map(|view| {
            let value = match view.state {
                BreakerState::Closed => 0.0,
                BreakerState::HalfOpen => 1.0,
                BreakerState::Open => 2.0,
            };
            (labels(&[("upstream", &view.upstream)]), value)
        })
        .collect();
    let help = "The breaker of an upstream: 0 closed, 1 half open, 2 open.";
    page.family("ctx_breaker_state", "gauge", help, &samples);
}

/// How busy the programs of extensions are.
fn extensions(shared: &Shared, page: &mut Page) {
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
        let sample = |view: &ExtensionView| {
            (labels(&[("extension", view.id.as_str())]), float(reading(view)))
        };
        page.family(name, kind, help, &views.iter().map(sample).collect::<Vec<_>>());
    }
}

/// The connections to each upstream.
fn pools(shared: &Shared, page: &mut Page) {
    type Reading = fn(&PoolView) -> u64;
    let pools = shared.plane.pools();
    let families: [(&str, &str, &str, Reading); 5] = [
        (
            "ctx_upstream_connections_idle",
            "gauge",
            "Connections to an upstream that nobody uses.",
            |pool| pool.idle.into(),
        ),
        (
            "ctx_upstream_connections_busy",
            "gauge",
            "Connections to an upstream that are in use.",
            |pool| pool.busy.into(),
        ),
        (
            "ctx_upstream_connections_opened_total",
            "counter",
            "Connections to an upstream that were opened.",
            |pool| pool.opened,
        ),
        (
            "ctx_upstream_waits_total",
            "counter",
            "Requests that had to wait for a connection.",
            |pool| pool.waits,
        ),
        (
            "ctx_upstream_wait_timeouts_total",
            "counter",
            "Requests that were refused because they got no connection in time.",
            |pool| pool.timeouts,
        ),
    ];
    for (name, kind, help, reading) in families {
        let sample =
            |pool: &PoolView| (labels(&[("upstream", &pool.upstream)]), float(reading(pool)));
        let samples: Vec<_> = pools.iter().map(sample).collect();
        page.family(name, kind, help, &samples);
    }
}

/// What is armed, and how near each guard is to a breach.
fn guards(shared: &Shared, page: &mut Page) {
    let (armed, _) = shared.desk.watched();
    let tripped = armed.as_ref().is_some_and(|armed| armed.tripped.is_some());
    let count = armed.as_ref().map_or(0, |armed| armed.guards.len());
    page.gauge("ctx_guard_armed", "Guards of a phase that are armed.", float(count as u64));
    let help = "1 when a phase was taken back and is not cleared away yet.";
    page.gauge("ctx_guard_tripped", help, f64::from(u8::from(tripped)));
    let Some(armed) = armed else { return };
    let streaks = shared.guards.breaches(&armed).into_iter();
    let streaks: Vec<_> =
        streaks.map(|(id, n)| (labels(&[("guard", id.as_str())]), f64::from(n))).collect();
    page.family("ctx_guard_breaches", "gauge", "Breaches of a guard in a row.", &streaks);
}

/// The process, under the names that every client library gives these.
fn process(shared: &Shared, page: &mut Page) {
    let process = Process::read();
    let help = "Processor time of this process in seconds.";
    page.counter("process_cpu_seconds_total", help, process.cpu_s);
    let gauges = [
        ("process_resident_memory_bytes", "Memory that is resident.", process.resident_bytes),
        ("process_virtual_memory_bytes", "Address space.", process.virtual_bytes),
        ("process_threads", "Threads.", process.threads),
        ("process_open_fds", "Open file descriptors.", process.open_fds),
        ("process_max_fds", "The most file descriptors that may be open.", process.max_fds),
    ];
    for (name, help, value) in gauges {
        page.gauge(name, help, value.map(float));
    }
    let started = float(u64::try_from(shared.plane.started_ms).unwrap_or(0)) / 1000.0;
    let help = "When the orchestrator started, in seconds since 1970.";
    page.gauge("process_start_time_seconds", help, started);
}
