//! The end of programs: none outlives its orchestrator, however that one ends.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::world::{World, is_alive};
use crate::support::until;

fn gone(pid: u64) {
    until("the program is gone", || (!is_alive(pid)).then_some(()));
}

fn child_of(pid: u64) -> u64 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.trim().parse().unwrap()
}

#[test]
fn a_program_dies_with_an_orchestrator_that_is_killed() {
    let Some(mut world) = World::new() else { return };
    world.install(
        "1.0.0",
        json!({ "config": { "start": "ready" }, "replicas": { "min": 2, "max": 2 } }),
    );
    let pids: Vec<u64> =
        (0..4).map(|_| world.send(&json!({})).json()["pid"].as_u64().unwrap()).collect();
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    world.serve.kill();
    pids.into_iter().for_each(gone);
    world.serve.restart(&world.test);
    // At once: the event waits for the program, and is not refused for it.
    let answer = world.send(&json!({}));
    assert_eq!((answer.status, answer.says.as_str()), (200, "1.0.0"));
    world.until_running("1.0.0");
}

#[test]
fn what_a_program_started_does_not_outlive_the_next_start() {
    let Some(mut world) = World::new() else { return };
    world.install("1.0.0", json!({}));
    let pid = world.send(&json!({ "do": "fork" })).json()["pid"].as_u64().unwrap();
    let child = child_of(pid);
    world.serve.kill();
    gone(pid);
    assert!(is_alive(child), "the kernel knows nothing of it");
    world.serve.restart(&world.test);
    gone(child);
    world.until_running("1.0.0");
}

#[test]
fn a_program_ends_with_an_orchestrator_that_stops() {
    let Some(mut world) = World::new() else { return };
    world.install("1.0.0", json!({}));
    let pid = world.send(&json!({})).json()["pid"].as_u64().unwrap();
    world.serve.signal(Signal::TERM);
    let code = until("it stops", || world.serve.ended());
    assert_eq!(code, 0);
    assert!(!is_alive(pid), "it was waited for");
}

#[test]
fn what_a_program_started_ends_with_it() {
    let Some(world) = World::new() else { return };
    world.install("1.0.0", json!({}));
    let answer = world.send(&json!({ "do": "fork" }));
    let pid = answer.json()["pid"].as_u64().unwrap();
    let child = child_of(pid);
    assert!(is_alive(child));
    world.serve.set(|config| config.extensions.clear());
    gone(pid);
    gone(child);
}

#[test]
fn one_that_was_killed_comes_back() {
    let Some(world) = World::new() else { return };
    world.install("1.0.0", json!({}));
    let pid = world.send(&json!({})).json()["pid"].as_u64().unwrap();
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
    let back = world.until("back", |view| view.restarts == 1 && view.replicas == 1);
    assert_eq!(back.wanted, 1);
    let again = world.send(&json!({})).json()["pid"].as_u64().unwrap();
    assert_ne!(again, pid);
}
