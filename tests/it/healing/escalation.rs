//! When nothing helps, a person is told, once.

use ctx::control::config::HealingMode;

use super::world::{World, until};

#[tokio::test]
async fn what_does_not_help_is_told_of_once_until_it_is_well() {
    // Two minutes of patience are less than half a second here.
    let world = World::healing(HealingMode::Recover, 300.0, |_| {}).await;
    world.legacy.is_well(503);
    until("a person is told", async || !world.health().await.escalated.is_empty()).await;
    let health = world.health().await;
    assert_eq!(health.escalated.len(), 1);
    assert_eq!(health.escalated[0].what, "upstream legacy");
    let because = &health.escalated[0].because;
    assert_eq!(because, "status 503; `rebuild pool of upstream legacy` has not helped");
    // It goes on being sick, and is tried again, up to its limit.
    let tried = async || {
        let healed = world.healed().await.into_iter();
        healed.filter(|action| action == "+ rebuild pool of upstream legacy").count()
    };
    until("it is tried to its limit", async || tried().await == 5).await;
    assert_eq!(world.sample("ctx_healing_escalations_total").await.to_string(), "1");
    assert_eq!(world.sample("ctx_alerts_total").await.to_string(), "1", "incidents raise none");
    world.legacy.is_well(200);
    until("it is over", async || world.health().await.escalated.is_empty()).await;
}

#[tokio::test]
async fn in_monitor_mode_nobody_is_told() {
    let world = World::healing(HealingMode::Monitor, 300.0, |_| {}).await;
    world.legacy.is_well(503);
    let before = world.plane().pool_generation();
    world.until_healed("- tell a person about upstream legacy").await;
    assert!(world.healed().await.contains(&"- rebuild pool of upstream legacy".to_owned()));
    assert_eq!(world.plane().pool_generation(), before, "no pool was rebuilt");
    assert!(world.health().await.escalated.is_empty());
    assert_eq!(world.sample("ctx_healing_escalations_total").await.to_string(), "0");
}
