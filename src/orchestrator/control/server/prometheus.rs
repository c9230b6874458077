//! `GET /metrics`: the gateway's exposition, and after it what the control side knows.
//!
//! It is given in Prometheus' text format, or as OpenMetrics 1.0 to whoever accepts that. The two
//! differ in three places: OpenMetrics names the type of a counter without its `_total`, ends with
//! `# EOF`, and has another content type. <https://prometheus.io/docs/specs/om/open_metrics_spec/>

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use super::Shared;
use crate::control::observe::BreakerState;
use crate::orchestrator::metrics::Process;
use crate::orchestrator::store::inbox::Inbox;

/// How the exposition is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    OpenMetrics,
}

impl Format {
    /// What an `Accept` asks for; the text format unless it names the other one.
    pub(super) fn accepted(accept: &str) -> Self {
        let names = |range: &str| {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            kind.eq_ignore_ascii_case("application/openmetrics-text")
                && !parts.any(|part| part == "q=0")
        };
        if accept.split(',').any(names) { Self::OpenMetrics } else { Self::Text }
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Writes an exposition in the text format in this one.
    fn of(self, text: String) -> String {
        if self == Self::Text {
            return text;
        }
        let mut open = String::with_capacity(text.len() + 8);
        for line in text.lines() {
            let head = line.strip_prefix("# ").and_then(|rest| {
                let mut words = rest.splitn(3, ' ');
                Some((words.next()?, words.next()?.strip_suffix("_total")?, words.next()?))
            });
            let _ = match head {
                Some((what, name, rest)) => writeln!(open, "# {what} {name} {rest}"),
                None => writeln!(open, "{line}"),
            };
        }
        open.push_str("# EOF\n");
        open
    }
}

pub(super) fn text(shared: &Shared, format: Format) -> String {
    let mut page = Page(shared.plane.metrics.prometheus());
    configuration(shared, &mut page);
    host(shared, &mut page);
    inbox(shared, &mut page);
    shadow(shared, &mut page);
    breakers(shared, &mut page);
    guards(shared, &mut page);
    process(shared, &mut page);
    format.of(page.0)
}

/// An exposition in the making.
struct Page(String);

impl Page {
    /// A family with its samples by their labels, `{a="b"}` or nothing. Without samples it is left
    /// out: what is not known is not zero.
    fn family(&mut self, name: &str, kind: &str, help: &str, samples: &[(String, f64)]) {
        if samples.is_empty() {
            return;
        }
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for (labels, value) in samples {
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Into<Option<f64>>) {
        let sample = value.into().map(|value| (String::new(), value));
        self.family(name, "gauge", help, sample.as_slice());
    }

    fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "counter", help, &[(String::new(), value)]);
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows floats only")]
fn float(n: u64) -> f64 {
    n as f64
}

/// A sample's labels. Values are names of the configuration.
fn labels(pairs: &[(&str, &str)]) -> String {
    let escaped =
        |value: &str| value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    let pair = |(name, value): &(&str, &str)| format!("{name}=\"{}\"", escaped(value));
    format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(","))
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
    let canary = config.canary.iter();
    let canary: Vec<_> = canary
        .map(|canary| (labels(&[("upstream", &canary.upstream)]), canary.weight.ratio()))
        .collect();
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
    page.gauge("ctx_cache_entries", "Answers in the cache.", float(plane.cache.len()));
    page.gauge("ctx_host_cpu_ratio", "Processor use, 1 = all cores.", host.cpu);
    page.gauge("ctx_host_memory_ratio", "Memory use.", host.memory);
    page.counter("ctx_alerts_total", "Incidents that raised an alert.", float(alerts));
    let Ok((failures, actions)) = shared.desk.sums() else { return };
    let help = "Incidents since the state was made, but for a busy processor or a full memory.";
    page.counter("ctx_incidents_total", help, float(failures));
    let help = "Actions of self-healing since the state was made, with those it only proposed.";
    page.counter("ctx_healing_actions_total", help, float(actions));
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
    for (name, route) in shared.plane.parity.view() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_whoever_accepts_it() {
        for (accept, format) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/plain;version=0.0.4;q=0.2,*/*;q=0.1", Format::Text),
            ("application/openmetrics-text;q=0, text/plain", Format::Text),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2",
                Format::OpenMetrics,
            ),
            ("text/plain, Application/OpenMetrics-Text", Format::OpenMetrics),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept}");
        }
    }

    #[test]
    fn a_counters_type_has_no_total_in_openmetrics() {
        let mut page = Page(String::new());
        page.counter("a_total", "Some a_total.", 1.0);
        page.gauge("b", "Some b.", 0.5);
        page.gauge("c", "Not known.", None);
        let open = Format::OpenMetrics.of(page.0.clone());
        assert_eq!(
            open,
            "# HELP a Some a_total.\n# TYPE a counter\na_total 1\n\
             # HELP b Some b.\n# TYPE b gauge\nb 0.5\n# EOF\n"
        );
        assert_eq!(Format::Text.of(page.0.clone()), page.0);
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(labels(&[("a", "x\"\\\n"), ("b", "y")]), r#"{a="x\"\\\n",b="y"}"#);
    }
}
