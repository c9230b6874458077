//! Programs that run: what they are given, what is made of their answers, and what is when they
//! do not run.

use ctx::control::observe::{ExtensionState, Status};
use ctx::rehearsal::legacy::Legacy;
use serde_json::json;

use super::world::{ID, World};
use crate::support::serve::{Serve, TOKEN};
use crate::support::{Test, block_on, until};

#[test]
fn a_program_answers_events_and_is_measured() {
    let Some(world) = World::under(&[("GREETING", "moin"), ("SECRET", "s3cret")]) else { return };
    world.install(
        "1.0.0",
        json!({
            "permissions": { "env": ["GREETING", "NOT_THERE"] },
            "replicas": { "min": 2, "max": 2 },
            "config": { "pause_ms": 1 },
        }),
    );
    let answer = world.send(&json!({ "do": "tell", "status": 202 }));
    assert_eq!((answer.status, answer.says.as_str()), (202, "1.0.0"));
    let told = answer.json();
    assert_eq!(told["config"], json!({ "say": "1.0.0", "pause_ms": 1 }));
    let env = told["env"].as_object().unwrap();
    assert_eq!(env["GREETING"], "moin");
    let odd = env.keys().find(|name| {
        !["PATH", "LANG", "GREETING", "LC_CTYPE", "CTX_EXTENSION_HOME"].contains(&name.as_str())
    });
    assert_eq!(odd, None, "{env:?}");
    let cwd = told["cwd"].as_str().unwrap();
    assert!(cwd.ends_with("/state/extensions/probe"), "{cwd}");
    let event = &told["event"];
    assert_eq!(event["platform"], "linear");
    assert_eq!(event["delivery"], "d-7");
    assert_eq!(event["path"], "/linear/events?team=core");
    assert_eq!(event["headers"]["x-more"], "1");
    assert_eq!(event["headers"]["linear-delivery"], "d-7");

    let answers: Vec<_> = (0..20).map(|_| world.send(&json!({}))).collect();
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let metrics = world.metrics();
    assert_eq!(metrics.counts.extension, 21);
    assert_eq!(metrics.arms[ID].requests, 21);
    let text = world.exposition();
    for line in [
        "ctx_extension_replicas{extension=\"probe\"} 2",
        "ctx_extension_busy{extension=\"probe\"} 0",
        "ctx_extension_waiting{extension=\"probe\"} 0",
        "ctx_extension_restarts_total{extension=\"probe\"} 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    crate::prometheus::check(&text);
}

#[test]
fn one_that_does_not_run_is_an_upstream_that_is_not_there() {
    let Some(mut world) = World::new() else { return };
    let three = json!({ "min": 3, "max": 3 });
    world.put("1.0.0", json!({ "config": { "start": "exit" }, "replicas": three }));
    let failed = world.until("given up", |view| view.state == ExtensionState::Failed);
    assert!(failed.detail.contains("given up after 7 failures"), "{failed:?}");
    assert!(failed.detail.contains("no reason to live"), "{failed:?}");
    assert!(failed.restarts >= 18, "each time all three were started: {failed:?}");
    let answer = world.send(&json!({}));
    assert_eq!((answer.status, answer.says.as_str()), (200, ""), "who had them keeps them");
    // After a restart, they have been its own.
    world.serve.restart(&world.test);
    world.until("it is tried again", |view| view.state == ExtensionState::Waiting);
    let refused = world.send(&json!({}));
    let expect = "the extension does not run at the moment\n";
    assert_eq!((refused.status, refused.text.as_str()), (503, expect));
    world.serve.set(|config| config.legacy_fallback = true);
    let answer = world.send(&json!({}));
    assert_eq!((answer.status, answer.says.as_str()), (200, ""), "the legacy app answers");
    assert!(world.metrics().counts.fallback >= 1);
    world.serve.set(|config| config.health.enabled = true);
    let health = until("a round of checks", || {
        let health = block_on(world.serve.client().health()).unwrap();
        health.checks.into_iter().find(|check| check.name == "extension probe")
    });
    assert_eq!(health.status, Status::Unhealthy, "{health:?}");
    assert!(health.detail.contains("no reason to live"), "{health:?}");
    // And out again.
    world.serve.set(|config| config.extensions.clear());
    until("uninstalled", || world.view().is_none().then_some(()));
}

#[test]
fn an_orchestrator_without_a_folder_of_programs_runs_none() {
    let test = Test::new().env("CTX_TOKEN", TOKEN);
    let legacy = Legacy::start().unwrap();
    let serve = Serve::start(&test, &legacy.url());
    serve.set(|config| super::world::insert(config, "1.0.0", json!({})));
    let list = until("the extension is known", || {
        let list = block_on(serve.client().extensions()).unwrap().extensions;
        list.into_iter().next()
    });
    assert_eq!(list.state, ExtensionState::Failed);
    assert!(list.detail.contains("`--programs DIR`"), "{list:?}");
}

#[test]
fn a_start_that_fails_says_why() {
    let Some(world) = World::new() else { return };
    for (version, more, expect) in [
        (
            "1.0.1",
            json!({ "config": { "start": "failed" } }),
            "it cannot start: the moon is not full",
        ),
        (
            "1.0.2",
            json!({ "config": { "start": "nonsense" } }),
            "a line that is none of the protocol",
        ),
        ("1.0.3", json!({ "command": ["./nowhere"] }), "failed to run"),
        (
            "1.0.4",
            json!({ "start_timeout": "200ms", "config": { "start": "silent" } }),
            "it was not ready within 200ms",
        ),
        (
            "1.0.5",
            json!({ "limits": { "timeout": "200ms" }, "config": { "start": "mute" } }),
            "it gave no sign of life within 200ms",
        ),
    ] {
        world.put(version, more);
        let waiting = world.until(expect, |view| {
            view.version == version
                && view.state == ExtensionState::Waiting
                && view.detail.contains(expect)
        });
        assert_eq!(waiting.replicas, 0);
    }
}

#[test]
fn events_wait_for_a_replica_that_is_busy_and_no_longer_than_that() {
    let Some(world) = World::new() else { return };
    world.install(
        "1.0.0",
        json!({
            "limits": { "in_flight": 1, "queue": 2, "wait": "30s" },
            "config": { "pause_ms": 50 },
        }),
    );
    let load = world.load(3);
    load.more(10);
    let answers = load.stop();
    assert!(answers.iter().all(|answer| answer.status == 200), "one works and two wait");
    let load = world.load(8);
    load.more(20);
    let busy = world.until("some wait", |view| view.waiting > 0);
    assert!(busy.busy <= 1 && busy.waiting <= 2, "{busy:?}");
    let answers = load.stop();
    let refused = answers.iter().filter(|answer| answer.status == 503).count();
    let answered = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(
        refused > 0 && answered > 0 && refused + answered == answers.len(),
        "{refused} {answered}"
    );
    assert!(world.metrics().counts.shed >= refused as u64);
}
