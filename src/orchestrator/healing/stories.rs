//! What self-healing decides, told second by second.

use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::control::config::{Canary, Config, HealingMode, Upstream, flag};
use crate::control::observe::{
    BreakerState, BreakerView, Check, ExtensionState, ExtensionView, Latency, Status, Window,
};
use crate::units::Percent;

const PACE: Pace = Pace {
    cooldown: Duration::from_secs(30),
    patience: Duration::from_secs(60),
    limit: 3,
    window: Duration::from_secs(600),
    release: Duration::from_secs(5),
};

/// A service under the eyes of self-healing.
struct Patient {
    config: Config,
    evidence: Evidence,
    memory: Memory,
    now: Duration,
    told: String,
}

impl Patient {
    fn new() -> Self {
        let mut config = Config::legacy("http://127.0.0.1:8000");
        config.health.enabled = true;
        config.healing.mode = HealingMode::Recover;
        let flag = config.flags.get_mut(flag::SELF_HEALING).unwrap();
        (flag.enabled, flag.percentage) = (true, Percent::ALL);
        config.upstreams.insert("next".to_owned(), Upstream::at("http://127.0.0.1:8001"));
        let extension = json!({"name": "Linear", "version": "1.0.0",
            "category": "platform_integration", "platform": "linear",
            "upstream": "legacy", "path": "/linear/events"});
        let extension = serde_json::from_value(extension).unwrap();
        config.extensions.insert("linear".parse().unwrap(), extension);
        Self {
            config,
            evidence: Evidence::default(),
            memory: Memory::default(),
            now: Duration::from_secs(1000),
            told: String::new(),
        }
    }

    fn check(mut self, name: &str, status: Status) -> Self {
        self.evidence.checks.retain(|check| check.name != name);
        let (name, detail) = (name.to_owned(), "status 503".to_owned());
        self.evidence.checks.push(Check { name, status, detail, at: String::new() });
        self
    }

    fn arm(mut self, name: &str, requests: u64, errors: u64) -> Self {
        let latency = Latency { p50_ms: 1.0, p95_ms: 1.0, p99_ms: 1.0, max_ms: 1.0 };
        let window = Window { requests, errors, latency: Some(latency) };
        self.evidence.arms.insert(name.to_owned(), window);
        self
    }

    fn breaker(mut self, state: BreakerState, requests: u32, failures: u32) -> Self {
        let (upstream, forced) = ("legacy".to_owned(), state != BreakerState::Closed);
        self.evidence.breakers = vec![BreakerView { upstream, state, forced, requests, failures }];
        self
    }

    fn waits(mut self, ms: u64) -> Self {
        self.evidence.queue_delay = Duration::from_millis(ms);
        self
    }

    fn with_canary(mut self, weight: u32) -> Self {
        self.config.canary =
            Some(Canary { upstream: "next".to_owned(), weight: Percent::whole(weight) });
        self
    }

    /// Lets so many seconds pass, with a look at the beginning of each.
    fn passes(mut self, seconds: u64) -> Self {
        for _ in 0..seconds {
            let at = self.now.as_secs() - 1000;
            let due = decide(self.now, &PACE, &self.config, &self.evidence, &mut self.memory);
            for Intervention { action, because } in due {
                writeln!(self.told, "{at:4} {action}: {because}").unwrap();
            }
            self.now += Duration::from_secs(1);
        }
        self
    }
}

#[test]
fn only_what_is_sick_and_curable_is_acted_upon() {
    let patient = Patient::new()
        .check("store", Status::Unhealthy)
        .check("cpu", Status::Unhealthy)
        .check("upstream next", Status::Unknown)
        .check("extension linear", Status::Healthy)
        .breaker(BreakerState::Closed, 100, 49)
        .arm("linear", 100, 10)
        .waits(499)
        .passes(300);
    assert_eq!(patient.told, "");
}

#[test]
fn an_upstream_that_stays_sick_is_helped_a_few_times_and_then_told_of_once() {
    let patient = Patient::new().check("upstream legacy", Status::Unhealthy).passes(500);
    insta::assert_snapshot!(patient.told, @"
     0 rebuild pool of upstream legacy: status 503
    30 rebuild pool of upstream legacy: status 503
    60 rebuild pool of upstream legacy: status 503
    60 tell a person about upstream legacy: status 503; `rebuild pool of upstream legacy` has not helped
    ");
    let told: Vec<_> = patient.memory.escalated().collect();
    assert_eq!(told, ["upstream legacy"]);
    let well = patient.check("upstream legacy", Status::Healthy).passes(1);
    assert_eq!(well.memory.escalated().count(), 0);
}

#[test]
fn requests_that_fail_open_the_breaker_and_a_breaker_that_stays_open_is_told_of() {
    let patient = Patient::new()
        .breaker(BreakerState::Closed, 40, 20)
        .passes(1)
        .breaker(BreakerState::Open, 0, 0)
        .passes(5)
        .breaker(BreakerState::HalfOpen, 0, 0)
        .passes(55)
        .breaker(BreakerState::Closed, 3, 0)
        .passes(100);
    insta::assert_snapshot!(patient.told, @"
     0 open breaker of upstream legacy: 20 of 40 requests failed within 10s
    60 tell a person about requests to upstream legacy: its breaker has not closed yet; `open breaker of upstream legacy` has not helped
    ");
}

#[test]
fn a_breaker_that_has_opened_for_everybody_by_itself_needs_no_hand() {
    let mut patient = Patient::new().breaker(BreakerState::Open, 0, 0);
    let flag = patient.config.flags.get_mut(flag::CIRCUIT_BREAKING).unwrap();
    (flag.enabled, flag.percentage) = (true, Percent::ALL);
    insta::assert_snapshot!(patient.passes(100).told, @"
      60 tell a person about requests to upstream legacy: its breaker has not closed yet; `open breaker of upstream legacy` has not helped
    ");
}

#[test]
fn a_canary_that_is_worse_gets_no_traffic_until_it_is_set_anew() {
    let patient =
        Patient::new().with_canary(5).arm("legacy", 1000, 10).arm("next", 40, 4).passes(3);
    assert_eq!(patient.told, "", "9 % more is within the limit");
    let patient = patient.arm("next", 40, 5).passes(100);
    assert_eq!(patient.memory.standing().canary_withdrawn.as_deref(), Some("next"));
    let patient = patient.with_canary(10);
    let patient = patient.arm("next", 10, 0).passes(3);
    assert_eq!(patient.memory.standing().canary_withdrawn, None);
    insta::assert_snapshot!(patient.told, @"
       3 take canary next to 0%: error_rate canary 12.5% (n=40) vs control 1% (n=1000), limit 10% more, p 1.5e-4 -> worse
    ");
}

#[test]
fn a_canary_with_all_the_traffic_is_judged_by_itself() {
    let patient = Patient::new().with_canary(100).arm("next", 19, 19).passes(3);
    assert_eq!(patient.told, "", "too few");
    insta::assert_snapshot!(patient.arm("next", 20, 3).passes(3).told, @"
       3 take canary next to 0%: 3 of 20 requests failed, limit 10%
    ");
}

#[test]
fn an_extension_falls_back_and_is_given_back() {
    let patient = Patient::new()
        .check("extension linear", Status::Unhealthy)
        .passes(10)
        .check("extension linear", Status::Unknown)
        .passes(50)
        .check("extension linear", Status::Healthy)
        .passes(50);
    insta::assert_snapshot!(patient.told, @"
     0 fall back to legacy for extension linear: status 503
    60 give events back to extension linear: it is healthy again
    ");
}

#[test]
fn an_extension_that_goes_to_and_fro_stays_out_at_last() {
    let mut patient = Patient::new();
    for _ in 0..8 {
        patient = patient
            .arm("linear", 100, 50)
            .check("extension linear", Status::Healthy)
            .passes(1)
            .arm("linear", 0, 0)
            .passes(40);
    }
    assert_eq!(patient.memory.standing().left_out, ["linear"]);
    insta::assert_snapshot!(patient.told, @"
      0 fall back to legacy for extension linear: 50 of 100 requests failed, limit 10%
     30 give events back to extension linear: it is healthy again
     41 fall back to legacy for extension linear: 50 of 100 requests failed, limit 10%
     71 give events back to extension linear: it is healthy again
     82 fall back to legacy for extension linear: 50 of 100 requests failed, limit 10%
    142 tell a person about extension linear: it fell back 3 times within 10m; `fall back to legacy for extension linear` has not helped
    ");
}

/// An extension that the orchestrator runs itself.
fn view(state: ExtensionState, replicas: u32, detail: &str) -> Vec<ExtensionView> {
    vec![ExtensionView {
        id: "linear".to_owned(),
        version: "1.0.0".to_owned(),
        state,
        detail: detail.to_owned(),
        replicas,
        wanted: 2,
        busy: 0,
        capacity: 0,
        waiting: 0,
        waited_ms: 0,
        restarts: 5,
    }]
}

#[test]
fn an_extension_that_is_run_here_is_restarted_first() {
    let mut patient = Patient::new();
    patient.evidence.extensions =
        view(ExtensionState::Failed, 0, "it ended with status 3 five times");
    let mut patient = patient.passes(130);
    patient.evidence.extensions = view(ExtensionState::Running, 2, "");
    insta::assert_snapshot!(patient.passes(5).told, @"
      0 restart extension linear: it has failed: it ended with status 3 five times
     60 fall back to legacy for extension linear: it has failed: it ended with status 3 five times
    120 tell a person about extension linear: it has failed: it ended with status 3 five times; `fall back to legacy for extension linear` has not helped
    130 give events back to extension linear: it is healthy again
    ");
}

#[test]
fn an_extension_that_a_restart_has_helped_keeps_its_events() {
    let mut patient = Patient::new();
    patient.evidence.extensions = view(ExtensionState::Running, 2, "");
    let patient = patient.arm("linear", 100, 50).passes(10).arm("linear", 100, 0).passes(200);
    insta::assert_snapshot!(patient.told, @"
       0 restart extension linear: 50 of 100 requests failed, limit 10%
    ");
}

#[test]
fn an_extension_that_is_about_to_be_started_is_only_left_out() {
    let mut patient = Patient::new();
    patient.evidence.extensions = view(ExtensionState::Waiting, 1, "one has ended");
    let mut patient = patient.passes(10);
    assert_eq!(patient.told, "", "another one runs");
    patient.evidence.extensions = view(ExtensionState::Waiting, 0, "both have ended");
    let mut patient = patient.passes(40);
    patient.evidence.extensions = view(ExtensionState::Running, 2, "");
    insta::assert_snapshot!(patient.passes(5).told, @"
    10 fall back to legacy for extension linear: none of its replicas runs: both have ended
    50 give events back to extension linear: it is healthy again
    ");
}

#[test]
fn where_nothing_may_fall_back_a_person_is_told() {
    let mut patient = Patient::new().check("extension linear", Status::Unhealthy);
    patient.config.legacy_fallback = false;
    insta::assert_snapshot!(patient.passes(200).told, @"
      60 tell a person about extension linear: status 503; there is nothing to try
    ");
}

#[test]
fn load_is_shed_step_by_step_and_let_in_step_by_step() {
    let patient = Patient::new().waits(600).passes(4).waits(20).passes(20);
    insta::assert_snapshot!(patient.told, @"
     0 shed 20% of new events: events waited 600ms for a worker, limit 500ms
     2 shed 40% of new events: events waited 600ms for a worker, limit 500ms
     7 shed no more than 20% of new events: events did not wait for 5s
    12 admit all events again: events did not wait for 5s
    ");
    assert_eq!(patient.memory.standing().shed, Percent::ZERO);
}

#[test]
fn while_workers_can_be_had_nothing_is_shed() {
    let mut patient = Patient::new().waits(2000);
    patient.evidence.can_grow = true;
    assert_eq!(patient.passes(100).told, "");
}

#[test]
fn load_that_shedding_does_not_take_away_is_told_of_once() {
    let patient = Patient::new().waits(2000).passes(400);
    insta::assert_snapshot!(patient.told, @"
     0 shed 20% of new events: events waited 2s for a worker, limit 500ms
     2 shed 40% of new events: events waited 2s for a worker, limit 500ms
     4 shed 60% of new events: events waited 2s for a worker, limit 500ms
     6 shed 80% of new events: events waited 2s for a worker, limit 500ms
     8 shed 90% of new events: events waited 2s for a worker, limit 500ms
    60 tell a person about load: events waited 2s for a worker, limit 500ms; `shed 90% of new events` has not helped
    ");
}

#[derive(Clone, Debug)]
enum Turn {
    Check(&'static str, Status),
    Arm(&'static str, u64),
    Breaker(BreakerState, u32),
    Waits(u64),
}

fn turns() -> impl Strategy<Value = Vec<(Turn, u64)>> {
    let status = prop_oneof![Just(Status::Healthy), Just(Status::Unhealthy), Just(Status::Unknown)];
    let check =
        prop_oneof![Just("upstream legacy"), Just("upstream next"), Just("extension linear")];
    let state = prop_oneof![
        Just(BreakerState::Closed),
        Just(BreakerState::Open),
        Just(BreakerState::HalfOpen)
    ];
    let arm = prop_oneof![Just("legacy"), Just("next"), Just("linear")];
    let turn = prop_oneof![
        (check, status).prop_map(|(name, status)| Turn::Check(name, status)),
        (arm, 0_u64..100).prop_map(|(name, errors)| Turn::Arm(name, errors)),
        (state, 0_u32..100).prop_map(|(state, failures)| Turn::Breaker(state, failures)),
        (0_u64..2000).prop_map(Turn::Waits),
    ];
    prop::collection::vec((turn, 1_u64..50), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens, each action keeps its cooldown and its limit.
    #[test]
    fn cooldown_and_limit_hold_whatever_happens(turns in turns()) {
        let mut patient = Patient::new().with_canary(10);
        let mut taken = std::collections::BTreeMap::<String, Vec<Duration>>::new();
        for (turn, seconds) in turns {
            patient = match turn {
                Turn::Check(name, status) => patient.check(name, status),
                Turn::Arm(name, errors) => patient.arm(name, 100, errors),
                Turn::Breaker(state, failures) => patient.breaker(state, 100, failures),
                Turn::Waits(ms) => patient.waits(ms),
            };
            for _ in 0..seconds {
                let Patient { config, evidence, memory, now, .. } = &mut patient;
                for Intervention { action, .. } in decide(*now, &PACE, config, evidence, memory) {
                    if let Some(key) = action.counted_as() {
                        taken.entry(key).or_default().push(*now);
                    }
                }
                *now += Duration::from_secs(1);
            }
        }
        for (action, times) in taken {
            for pair in times.windows(2) {
                prop_assert!(pair[1] >= pair[0] + PACE.cooldown, "{action}: {times:?}");
            }
            for four in times.windows(4) {
                prop_assert!(four[3] >= four[0] + PACE.window, "{action}: {times:?}");
            }
        }
    }
}
