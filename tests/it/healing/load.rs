//! More events than the workers carry: some are refused, and let in again step by step.

use std::time::Duration;

use ctx::control::config::{Config, HealingMode, Mode};

use super::world::{Traffic, World, until};

/// One worker, whose 512 places hold each event for two seconds.
fn small(config: &mut Config) {
    config.mode = Mode::Enhanced;
    config.scaling.min = 1;
    config.healing.max_delay = Duration::from_millis(200);
    config.healing.release = Duration::from_secs(1);
}

#[tokio::test]
async fn an_overloaded_service_sheds_and_recovers() {
    let world = World::healing(HealingMode::Recover, 1.0, small).await;
    world.legacy.takes(Duration::from_secs(2));
    let traffic = Traffic::start(&world, "/slack/events", 400.0);
    world.until_healed("+ shed 20% of new events").await;
    until("it is refused", async || world.metrics().await.counts.shed > 0).await;
    let refused = async || {
        let answer = world.ask("/slack/events").await;
        answer.status() == 503 && answer.headers()["retry-after"] == "1"
    };
    until("a sender is told to come again", refused).await;
    // The share goes down and up again with the wait; a look at one moment may find it at rest.
    let shown = async || world.sample("ctx_healing_shed_ratio").await > 0.1;
    until("the share is shown", shown).await;
    traffic.stop().await;
    world.legacy.takes(Duration::ZERO);
    world.until_healed("+ admit all events again").await;
    assert_eq!(world.statuses("/slack/events", 20).await, [200; 20]);
    assert!(world.metrics().await.overrides.is_none());
}

#[tokio::test]
async fn in_monitor_mode_nothing_is_shed() {
    let world = World::healing(HealingMode::Monitor, 1.0, |config| {
        small(config);
        config.healing.max_delay = Duration::from_millis(1);
    })
    .await;
    world.legacy.takes(Duration::from_secs(2));
    let traffic = Traffic::start(&world, "/slack/events", 300.0);
    world.until_healed("- shed 20% of new events").await;
    assert!(world.metrics().await.overrides.is_none());
    assert_eq!(world.sample("ctx_healing_shed_ratio").await.to_string(), "0");
    traffic.stop().await;
}
