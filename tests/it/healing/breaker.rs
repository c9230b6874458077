//! An upstream that fails is left alone, though the flag for breakers includes nobody.

use std::time::Duration;

use ctx::control::config::{Config, HealingMode};
use ctx::control::observe::BreakerState;

use super::world::{World, until};

const OPENED: &str = "open breaker of upstream legacy";

fn quick(config: &mut Config) {
    config.breaker.min_requests = 5;
    config.breaker.open_for = Duration::from_millis(500);
    config.breaker.probes = 2;
}

#[tokio::test]
async fn the_breaker_of_a_failing_upstream_is_opened_and_closes_when_it_is_well() {
    let world = World::healing(HealingMode::Recover, 1.0, quick).await;
    world.legacy.answers(500);
    assert_eq!(world.statuses("/x", 10).await, [500; 10]);
    world.until_healed(&format!("+ {OPENED}")).await;
    let view = world.metrics().await.breakers.remove(0);
    assert!(view.forced && view.state != BreakerState::Closed, "{view:?}");
    // Between probes, who asks is told at once to come again.
    until("a refusal", async || world.ask("/x").await.headers().contains_key("retry-after")).await;
    world.legacy.answers(200);
    until("an answer", async || world.ask("/x").await.status() == 200).await;
    until("it closes", async || {
        world.ask("/x").await;
        world.metrics().await.breakers[0].state == BreakerState::Closed
    })
    .await;
    assert_eq!(world.statuses("/x", 20).await, [200; 20]);
    let because = world.health().await.healing.remove(0).because;
    assert!(because.ends_with("requests failed within 10s"), "{because}");
}

#[tokio::test]
async fn in_monitor_mode_it_is_only_named() {
    let world = World::healing(HealingMode::Monitor, 1.0, quick).await;
    world.legacy.answers(500);
    assert_eq!(world.statuses("/x", 10).await, [500; 10]);
    world.until_healed(&format!("- {OPENED}")).await;
    assert_eq!(world.statuses("/x", 10).await, [500; 10], "everybody still hears the upstream");
    assert_eq!(world.legacy.asked(), 20);
    assert_eq!(world.metrics().await.breakers[0].state, BreakerState::Closed);
}
