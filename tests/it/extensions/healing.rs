//! A program that answers with errors is restarted under traffic, and a person is told where that
//! does not help.

use std::time::Duration;

use ctx::control::config::{HealingMode, flag};
use ctx::control::observe::Health;
use ctx::units::Percent;
use serde_json::json;

use super::world::World;
use crate::support::{block_on, until};

const RESTART: &str = "restart extension probe";

/// Self-healing that does what it can, in seconds; nobody else handles the program's events.
fn heal(world: &World) {
    world.serve.set(|config| {
        config.health.enabled = true;
        config.healing.mode = HealingMode::Recover;
        config.healing.cooldown = Duration::from_secs(2);
        config.healing.patience = Duration::from_secs(4);
        config.healing.look_back = Duration::from_secs(2);
        config.healing.min_requests = 5;
        config.healing.limit = 2;
        let flag = config.flags.get_mut(flag::SELF_HEALING).unwrap();
        (flag.enabled, flag.percentage) = (true, Percent::ALL);
    });
}

fn health(world: &World) -> Health {
    block_on(world.serve.client().health()).unwrap()
}

/// How often it was restarted.
fn restarts(world: &World) -> usize {
    let healing = health(world).healing.into_iter();
    healing.filter(|action| action.performed && action.action == RESTART).count()
}

#[test]
fn one_that_has_gone_sick_is_restarted_under_traffic_and_is_well() {
    let Some(world) = World::new() else { return };
    heal(&world);
    world.install("1.0.0", json!({ "config": { "pause_ms": 5 } }));
    let load = world.load(4);
    let before = world.send(&json!({})).json()["pid"].as_u64().unwrap();
    assert_eq!(world.send(&json!({ "do": "sicken" })).status, 500);
    until("it is restarted", || (restarts(&world) > 0).then_some(()));
    until("another one answers", || {
        let answer = world.send(&json!({}));
        (answer.status == 200 && answer.json()["pid"].as_u64() != Some(before)).then_some(())
    });
    load.more(50);
    let answers = load.stop();
    let well = answers.iter().rposition(|answer| answer.status != 200).unwrap();
    assert!(answers.len() - well > 40, "{well} of {}", answers.len());
    let odd = answers.iter().find(|answer| ![200, 500].contains(&answer.status));
    assert!(odd.is_none(), "a restart loses nothing: {odd:?}");
    assert!(health(&world).escalated.is_empty());
    let text = world.exposition();
    assert!(text.contains("\nctx_healing_escalations_total 0\n"), "{text}");
    assert!(world.view().unwrap().restarts >= 1);
}

#[test]
fn a_restart_that_does_not_help_has_a_limit_and_is_told_of() {
    let Some(world) = World::new() else { return };
    heal(&world);
    world.install("1.0.0", json!({ "config": { "start": "sick", "pause_ms": 5 } }));
    let load = world.load(4);
    until("a person is told", || (!health(&world).escalated.is_empty()).then_some(()));
    let escalated = health(&world).escalated;
    assert_eq!(escalated[0].what, "extension probe");
    // A third restart was asked for and refused: that is why a person is told.
    assert!(escalated[0].because.contains("2 times within 1h is the limit"), "{escalated:?}");
    assert_eq!(restarts(&world), 2);
    load.more(200);
    assert_eq!(restarts(&world), 2, "nor is there one later");
    let text = world.exposition();
    assert!(text.contains("\nctx_healing_escalations_total 1\n"), "{text}");
    assert!(load.stop().iter().all(|answer| answer.status == 500));
}
