//! An extension that is unhealthy is left out until it is well.

use ctx::control::config::{Config, Extension, HealingMode, Mode, flag};
use serde_json::json;

use super::world::{App, World, add, turn_on, until};

fn with_extension(app: &App) -> impl FnOnce(&mut Config) {
    move |config| {
        config.mode = Mode::Enhanced;
        add(config, "linear-app", app);
        let extension: Extension = serde_json::from_value(json!({
            "name": "Linear", "version": "1.0.0", "category": "platform_integration",
            "platform": "linear", "upstream": "linear-app", "path": "/in",
        }))
        .unwrap();
        config.extensions.insert("linear".parse().unwrap(), extension);
        turn_on(config, flag::EXTENSION_MANAGEMENT);
    }
}

#[tokio::test]
async fn an_unhealthy_extension_falls_back_and_is_given_back() {
    let app = App::start().await;
    let world = World::healing(HealingMode::Recover, 300.0, with_extension(&app)).await;
    assert_eq!(world.ask("/linear/events").await.status(), 200);
    assert_eq!((app.asked(), world.legacy.asked()), (1, 0));
    app.is_well(503);
    app.answers(503);
    world.until_healed("+ fall back to legacy for extension linear").await;
    assert_eq!(world.statuses("/linear/events", 5).await, [200; 5]);
    assert_eq!((app.asked(), world.legacy.asked()), (1, 5));
    assert_eq!(world.metrics().await.overrides.left_out, ["linear"]);
    assert_eq!(world.sample("ctx_healing_extensions_left_out").await.to_string(), "1");
    app.is_well(200);
    app.answers(200);
    world.until_healed("+ give events back to extension linear").await;
    until("it has its events", async || {
        world.ask("/linear/events").await;
        app.asked() > 1
    })
    .await;
    assert!(world.metrics().await.overrides.is_none());
}

#[tokio::test]
async fn in_monitor_mode_it_keeps_its_events() {
    let app = App::start().await;
    let world = World::healing(HealingMode::Monitor, 300.0, with_extension(&app)).await;
    app.is_well(503);
    world.until_healed("- fall back to legacy for extension linear").await;
    assert_eq!(world.statuses("/linear/events", 5).await, [200; 5]);
    assert_eq!((app.asked(), world.legacy.asked()), (5, 0));
    assert!(world.metrics().await.overrides.is_none());
}
