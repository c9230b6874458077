//! Limits: what the operating system holds a program to, and what becomes of one that breaks them.

use serde_json::json;

use super::world::World;

#[test]
fn limits_are_those_of_the_operating_system() {
    let Some(world) = World::new() else { return };
    world.install(
        "1.0.0",
        json!({ "limits": {
        "memory": "200MiB", "cpu_seconds": 77, "open_files": 33, "processes": 4444,
    } }),
    );
    let told = world.send(&json!({ "do": "tell" })).json();
    let limits = told["limits"].as_str().unwrap();
    let row = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    for (name, expect) in [
        ("Max address space", (200_u64 << 20).to_string()),
        ("Max cpu time", "77".to_owned()),
        ("Max open files", "33".to_owned()),
        ("Max processes", "4444".to_owned()),
        ("Max core file size", "0".to_owned()),
    ] {
        assert_eq!(row(name), [expect.clone(), expect], "{name}: soft and hard");
    }
}

#[test]
fn one_that_breaks_a_limit_is_replaced_and_the_rest_goes_on() {
    let Some(world) = World::new() else { return };
    world.install(
        "1.0.0",
        json!({ "limits": {
        "memory": "200MiB", "cpu_seconds": 1, "open_files": 33, "timeout": "30s",
    } }),
    );
    for (wish, complaint) in [
        (json!({ "do": "hog", "bytes": 1_u64 << 30 }), "MemoryError"),
        (json!({ "do": "files", "files": 100 }), "Too many open files"),
        // Soft and hard limit are one: the kernel's answer to that is SIGKILL.
        (json!({ "do": "spin" }), "signal: 9"),
    ] {
        let before = world.until_running("1.0.0").restarts;
        let lost = world.send(&wish);
        assert_eq!(lost.status, 502, "{wish}: {lost:?}");
        let after =
            world.until("started again", |view| view.restarts > before && view.replicas == 1);
        assert_eq!(after.restarts, before + 1);
        assert!(world.log().contains(complaint), "`{complaint}`:\n{}", world.log());
        assert_eq!(world.send(&json!({})).status, 200, "after {wish}");
    }
}

#[test]
fn one_that_takes_too_long_or_talks_nonsense_is_replaced() {
    let Some(world) = World::new() else { return };
    let late = json!({ "do": "sleep", "seconds": 60 });
    for (version, wish, timeout, status, complaint) in [
        ("1.0.0", late, "500ms", 504, "an event took longer than 500ms"),
        ("1.0.1", json!({ "do": "nonsense" }), "30s", 502, "a line that is none of the protocol"),
        ("1.0.2", json!({ "do": "flood" }), "30s", 502, "a line of more than 8 MiB"),
        ("1.0.3", json!({ "do": "exit" }), "30s", 502, "it was asked to"),
    ] {
        world.install(version, json!({ "limits": { "timeout": timeout } }));
        let before = world.until_running(version).restarts;
        assert_eq!(world.send(&wish).status, status, "{wish}");
        world.until("started again", |view| view.restarts == before + 1 && view.replicas == 1);
        assert!(world.log().contains(complaint), "`{complaint}`:\n{}", world.log());
        assert_eq!(world.send(&json!({})).status, 200, "after {wish}");
    }
}
