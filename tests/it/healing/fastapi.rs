//! Self-healing in front of the real FastAPI app.

use std::time::Duration;

use ctx::control::config::{Config, HealingMode, Mode, Upstream};
use ctx::control::observe::Status;

use super::world::{App, World, heal, until};
use crate::support::uvicorn::Uvicorn;

fn quick(config: &mut Config) {
    heal(config, HealingMode::Recover);
    config.mode = Mode::Enhanced;
    config.breaker.min_requests = 5;
    config.breaker.open_for = Duration::from_secs(1);
}

#[tokio::test]
async fn an_app_that_dies_is_left_alone_told_of_and_served_again_where_it_comes_up() {
    let Some(app) = Uvicorn::start() else { return };
    let unused = App::start().await;
    let world = World::before(app.url(), unused, 300.0, quick).await;
    let check = async || {
        let checks = world.health().await.checks.into_iter();
        checks.filter(|check| check.name == "upstream legacy").map(|check| check.status).next()
    };
    until("it is healthy", async || check().await == Some(Status::Healthy)).await;
    assert_eq!(world.ask("/").await.status(), 200);
    assert!(world.metrics().await.overrides.is_none());

    drop(app);
    until("requests fail and are kept away", async || {
        let answer = world.ask("/").await;
        answer.status() == 503 && answer.headers().contains_key("retry-after")
    })
    .await;
    until("a person is told", async || {
        let escalated = world.health().await.escalated;
        escalated.iter().any(|told| told.what == "upstream legacy")
    })
    .await;
    let healed = world.healed().await;
    for action in ["+ rebuild pool of upstream legacy", "+ open breaker of upstream legacy"] {
        assert!(healed.iter().any(|healed| healed == action), "{healed:?}");
    }

    // It comes up elsewhere: the breaker of where it was does not matter.
    let app = Uvicorn::start().expect("it has started before");
    world
        .set(|config| *config.upstreams.get_mut("legacy").unwrap() = Upstream::at(app.url()))
        .await;
    assert_eq!(world.ask("/").await.status(), 200);
    until("it is over", async || world.health().await.escalated.is_empty()).await;
    let reliability = world.health().await.reliability;
    assert!(reliability.failures >= 1 && reliability.mttr_s.is_some(), "{reliability:?}");
}
