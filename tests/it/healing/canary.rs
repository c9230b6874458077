//! A canary that fails gets no traffic, and the configuration stays as it is.

use ctx::control::config::{Canary, Config, HealingMode};
use ctx::units::Percent;

use super::world::{App, World, add, until};

const WITHDRAWN: &str = "take canary next to 0%";

fn with_canary(app: &App, percent: u32) -> impl FnOnce(&mut Config) {
    move |config| {
        add(config, "next", app);
        let weight = Percent::whole(percent);
        config.canary = Some(Canary { upstream: "next".to_owned(), weight });
    }
}

#[tokio::test]
async fn a_failing_canary_is_taken_out_and_tried_anew_when_it_is_set_anew() {
    let next = App::start().await;
    let world = World::healing(HealingMode::Recover, 1.0, with_canary(&next, 50)).await;
    next.answers(500);
    until("it is withdrawn", async || {
        world.statuses("/x", 10).await;
        world.metrics().await.overrides.canary_withdrawn.as_deref() == Some("next")
    })
    .await;
    let asked = next.asked();
    assert_eq!(world.statuses("/x", 40).await, [200; 40], "clients see no more of it");
    assert_eq!(next.asked(), asked);
    assert_eq!(world.healed().await, [format!("+ {WITHDRAWN}")]);
    assert_eq!(world.health().await.overrides.canary_withdrawn.as_deref(), Some("next"));
    assert_eq!(world.sample("ctx_healing_canary_withdrawn").await.to_string(), "1");
    let weight = world.config().await.canary.unwrap().weight;
    assert_eq!(weight, Percent::whole(50), "the document is not self-healing's to write");

    // Another change leaves it out.
    world.set(|config| config.pool.max_idle += 1).await;
    assert_eq!(world.statuses("/x", 20).await, [200; 20]);
    next.answers(200);
    world.set(with_canary(&next, 60)).await;
    assert!(world.metrics().await.overrides.is_none());
    until("it is asked", async || {
        assert_eq!(world.ask("/x").await.status(), 200);
        next.asked() > asked
    })
    .await;
}

#[tokio::test]
async fn in_monitor_mode_it_keeps_its_traffic() {
    let next = App::start().await;
    let world = World::healing(HealingMode::Monitor, 1.0, with_canary(&next, 50)).await;
    next.answers(500);
    until("it is named", async || {
        world.statuses("/x", 10).await;
        world.healed().await == [format!("- {WITHDRAWN}")]
    })
    .await;
    assert!(world.metrics().await.overrides.is_none());
    let statuses = world.statuses("/x", 60).await;
    assert!(statuses.contains(&500), "{statuses:?}");
}

#[tokio::test]
async fn turned_off_self_healing_gives_everything_back() {
    let next = App::start().await;
    let world = World::healing(HealingMode::Recover, 1.0, with_canary(&next, 100)).await;
    next.is_well(503);
    next.answers(500);
    world.until_healed(&format!("+ {WITHDRAWN}")).await;
    assert_eq!(world.statuses("/x", 5).await, [200; 5]);
    world.set(|config| config.healing.mode = HealingMode::Off).await;
    until("it is asked", async || world.ask("/x").await.status() == 500).await;
    assert!(world.metrics().await.overrides.is_none());
}
