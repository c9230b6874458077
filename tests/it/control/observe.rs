//! What an orchestrator says about itself, and what it does about it.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ctx::control::config::HealingMode;
use ctx::control::config::flag::{AUTO_SCALING, SELF_HEALING};
use ctx::control::observe::{Health, Metrics, Status};
use ctx::units::Percent;
use serde_json::Value;

use super::harness::{Served, until};

#[tokio::test]
async fn the_machine_is_read_also_while_health_is_off() {
    let served = Served::at_tempo(1.0).await;
    until("a reading", async || {
        let metrics: Metrics = served.get("/v1/metrics?from=0").await;
        metrics.host.cpu.is_some() && metrics.host.memory.is_some()
    })
    .await;
    let health: Health = served.get("/v1/health").await;
    assert_eq!(health, Health { status: Status::Unknown, ..Health::default() });
}

#[tokio::test]
async fn prometheus_gets_one_text() {
    let served = Served::at_tempo(1.0).await;
    served.client.get(format!("http://{}/", served.running().data_addr())).send().await.unwrap();
    let reply = served.call("get", "/metrics").send().await.unwrap();
    assert_eq!(reply.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = reply.text().await.unwrap();
    assert!(text.contains("\nctx_config_revision 1\n"), "{text}");
    assert!(text.contains("\nctx_event_workers 2\n"), "{text}");
    // Every sample belongs to a family that was announced, once.
    let mut families = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let name = family.split(' ').next().unwrap();
            assert!(families.insert(name.to_owned()), "{name} is announced twice");
        }
    }
}

#[tokio::test]
async fn an_incident_is_noticed_healed_and_counted() {
    // Thirty seconds of the plan are a tenth of one here.
    let served = Served::at_tempo(300.0).await;
    let operator = served.lease("ann").await.unwrap();
    operator
        .change("health", |config| {
            config.health.enabled = true;
            config.health.alerts = true;
            config.healing.mode = HealingMode::Recover;
            let flag = config.flags.get_mut(SELF_HEALING).unwrap();
            (flag.enabled, flag.percentage) = (true, Percent::ALL);
        })
        .await;
    let health = async || served.get::<Health>("/v1/health").await;
    let upstream = async || {
        let checks = health().await.checks.into_iter();
        checks.filter(|check| check.name == "upstream legacy").map(|check| check.status).next()
    };
    until("health", async || upstream().await == Some(Status::Healthy)).await;
    let before = served.running().plane().pool_generation();
    served.legacy.answer(503);
    until("an incident", async || upstream().await == Some(Status::Unhealthy)).await;
    until("healing", async || !health().await.healing.is_empty()).await;
    assert!(served.running().plane().pool_generation() > before);
    served.legacy.answer(200);
    until("repair", async || health().await.incidents.iter().all(|i| i.lasted_ms.is_some())).await;
    let health = health().await;
    let incident = health.incidents.iter().find(|i| i.check == "upstream legacy").unwrap();
    assert_eq!(incident.detail, "status 503");
    let action = health.healing.last().unwrap();
    assert_eq!(action.action, "rebuild pool of upstream legacy");
    assert_eq!((action.because.as_str(), action.performed), ("status 503", true));
    assert!(health.reliability.failures >= 1);
    assert!(health.reliability.uptime.unwrap() < 1.0);
    assert!(health.reliability.mttr_s.is_some());
    let text = served.call("get", "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(text.contains("\nctx_alerts_total ") && !text.contains("\nctx_alerts_total 0\n"));
}

#[tokio::test]
async fn scaling_keeps_to_its_bounds() {
    let served = Served::at_tempo(1.0).await;
    let operator = served.lease("ann").await.unwrap();
    operator
        .change("scaling", |config| {
            let flag = config.flags.get_mut(AUTO_SCALING).unwrap();
            (flag.enabled, flag.percentage) = (true, Percent::ALL);
            config.scaling.min = 3;
        })
        .await;
    until("three workers", async || served.get::<Metrics>("/v1/metrics").await.workers == 3).await;
}

#[tokio::test]
async fn the_document_of_the_api_is_served() {
    let served = Served::start().await;
    let document: Value = served.get("/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    let stored = include_str!("../../../docs/openapi.json");
    assert_eq!(serde_json::from_str::<Value>(stored).unwrap(), document);
}

/// What the whole process has logged.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_wall_clock_that_is_set_is_in_the_log() {
    let log = Log::default();
    let writer = log.clone();
    let logs = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
    logs.try_init().expect("no other test keeps a log");
    let served = Served::start().await;
    let logged = || String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for _ in 0..5 {
        served.clock.advance(Duration::from_secs(3600));
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert!(!logged().contains("the wall clock was set"), "a machine that slept: {}", logged());
    until("a word about it", async || {
        served.clock.leap(-86_400_000);
        served.clock.advance(Duration::from_secs(1));
        logged().contains("the wall clock was set; leases and deadlines do not follow it ms=-")
    })
    .await;
}
