//! What the orchestrator's own loops may do to extensions: start them anew, and scale them.

use std::sync::Arc;
use std::time::Duration;

use ctx::clock::{SystemClock, Tempo};
use ctx::control::config::{Config, Mode, flag};
use ctx::control::observe::{ExtensionState, ExtensionView};
use ctx::orchestrator::extensions::Programs;
use ctx::orchestrator::plane::Active;
use ctx::orchestrator::{Initial, Options, Orchestrator};
use ctx::rehearsal::legacy::Legacy;
use ctx::secret::Secret;
use ctx::units::Percent;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::world::{Answer, ID, Load, extension, insert, post};
use crate::support::{block_on, peer, until};

struct Embedded {
    orchestrator: Orchestrator,
    config: Config,
    _folder: TempDir,
    _legacy: Legacy,
}

impl Embedded {
    fn new() -> Option<Self> {
        peer::require("python")?;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("program.py"), include_str!("program.py")).unwrap();
        let legacy = Legacy::start().unwrap();
        let anywhere = ([127, 0, 0, 1], 0).into();
        let orchestrator = Orchestrator::start(Options {
            legacy: legacy.url(),
            listen: anywhere,
            control: anywhere,
            inherited: None,
            state_dir: folder.path().join("state"),
            token: Secret::new("an-operator-of-the-tests"),
            tempo: Tempo::default(),
            clock: Arc::new(SystemClock),
            workers: 2,
            judge_cpu: false,
            flags_token: None,
            initial: Initial::default(),
            programs: Some(Programs {
                folder: folder.path().to_owned(),
                host: env!("CARGO_BIN_EXE_ctx").into(),
                environment: ctx::settings::environment,
                witness: None,
            }),
        });
        let orchestrator = orchestrator.unwrap();
        let mut config = orchestrator.plane().active().config.clone();
        config.mode = Mode::Enhanced;
        config.legacy_fallback = false;
        let flag = config.flags.get_mut(flag::EXTENSION_MANAGEMENT).unwrap();
        (flag.enabled, flag.percentage) = (true, Percent::ALL);
        Some(Self { orchestrator, config, _folder: folder, _legacy: legacy })
    }

    fn put(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        let rev = self.orchestrator.plane().active().rev + 1;
        self.orchestrator.plane().activate(Active { rev, config: self.config.clone() });
    }

    fn view(&self, id: &str) -> Option<ExtensionView> {
        self.orchestrator.plane().extensions.views().into_iter().find(|view| view.id == id)
    }

    #[track_caller]
    fn until(&self, what: &str, holds: impl Fn(&ExtensionView) -> bool) -> ExtensionView {
        until(what, || self.view(ID).filter(&holds))
    }

    fn send(&self) -> Answer {
        block_on(post(&self.orchestrator.data_addr().to_string(), &json!({})))
    }

    fn pids(&self) -> Vec<u64> {
        let mut pids: Vec<u64> =
            (0..12).map(|_| self.send().json()["pid"].as_u64().unwrap()).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }
}

#[expect(clippy::needless_pass_by_value, reason = "stories write it in place")]
fn several(more: Value) -> Value {
    let mut value = json!({ "replicas": { "min": 1, "max": 4 }, "limits": { "in_flight": 1 } });
    value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    value
}

#[test]
fn replicas_follow_what_scaling_asks_for_within_their_limits() {
    let Some(mut world) = Embedded::new() else { return };
    world.put(|config| insert(config, "1.0.0", several(json!({}))));
    let extensions = || &world.orchestrator.plane().extensions;
    world.until("one runs", |view| view.replicas == 1);
    for (asked, runs) in [(3, 3), (9, 4), (2, 2), (0, 1)] {
        extensions().scale(ID, asked);
        let view = world.until("as many as asked for", |view| view.replicas == runs);
        assert_eq!((view.wanted, view.capacity, view.restarts), (runs, runs, 0), "{asked}");
    }
    extensions().scale("nobody", 3);
    assert_eq!(world.send().status, 200);
}

#[test]
fn scaling_up_and_down_under_load_loses_nothing() {
    let Some(mut world) = Embedded::new() else { return };
    let config = json!({ "config": { "pause_ms": 2 } });
    world.put(|config_| insert(config_, "1.0.0", several(config)));
    world.until("one runs", |view| view.replicas == 1);
    let load = Load::start(&world.orchestrator.data_addr().to_string(), 6);
    for replicas in [4, 1, 3, 1] {
        world.orchestrator.plane().extensions.scale(ID, replicas);
        world.until("as many as asked for", |view| view.replicas == replicas);
        load.more(30);
    }
    let answers = load.stop();
    assert!(answers.iter().all(|answer| answer.status == 200), "of {}", answers.len());
}

#[test]
fn a_restart_replaces_every_replica_under_load_and_loses_nothing() {
    let Some(mut world) = Embedded::new() else { return };
    world.put(|config| {
        insert(config, "1.0.0", json!({ "replicas": { "min": 2, "max": 2 } }));
    });
    let extensions = || &world.orchestrator.plane().extensions;
    assert!(!extensions().restart("nobody"));
    world.until("both run", |view| view.replicas == 2);
    let before = world.pids();
    let load = Load::start(&world.orchestrator.data_addr().to_string(), 6);
    assert!(extensions().restart(ID));
    world.until("both are new", |view| view.restarts == 2 && view.replicas == 2);
    load.more(20);
    let answers = load.stop();
    assert!(answers.iter().all(|answer| answer.status == 200), "of {}", answers.len());
    let after = world.pids();
    assert!(after.iter().all(|pid| !before.contains(pid)), "{before:?} {after:?}");
}

#[test]
fn a_restart_gives_what_was_given_up_another_chance() {
    let Some(mut world) = Embedded::new() else { return };
    world.put(|config| insert(config, "1.0.0", json!({})));
    world.until("it runs", |view| view.replicas == 1);
    world.put(|config| insert(config, "2.0.0", json!({ "config": { "start": "exit" } })));
    let failed = |view: &ExtensionView| view.state == ExtensionState::Failed;
    world.until("the swap has failed", failed);
    // Another change is no reason to try again; a restart is.
    world.put(|config| config.cache.capacity += 1);
    assert!(failed(&world.view(ID).unwrap()));
    assert!(world.orchestrator.plane().extensions.restart(ID));
    world.until("it is tried again", |view| view.state == ExtensionState::Starting);
    world.until("and fails again", failed);
    assert_eq!(world.send().says, "1.0.0");
}

#[test]
fn what_is_needed_runs_first() {
    let Some(mut world) = Embedded::new() else { return };
    let base = |more| {
        let mut base = serde_json::to_value(extension("1.0.0", more)).unwrap();
        base["platform"] = json!("github");
        serde_json::from_value(base).unwrap()
    };
    let mute = base(json!({ "config": { "start": "silent" }, "start_timeout": "60s" }));
    world.put(|config| {
        config.extensions.insert("base".parse().unwrap(), mute);
        insert(config, "1.0.0", json!({ "depends_on": ["base >= 1.0"] }));
    });
    let waits = world.until("it waits", |view| view.detail.contains("it waits for `base`"));
    assert_eq!((waits.state, waits.replicas), (ExtensionState::Starting, 0));
    let well = base(json!({}));
    world.put(|config| drop(config.extensions.insert("base".parse().unwrap(), well)));
    world.until("it runs", |view| view.state == ExtensionState::Running);
    assert_eq!(world.view("base").unwrap().state, ExtensionState::Running);
}

#[test]
fn stopping_ends_even_one_that_does_not_want_to() {
    let Some(mut world) = Embedded::new() else { return };
    world.put(|config| insert(config, "1.0.0", json!({ "config": { "start": "stubborn" } })));
    world.until("it runs", |view| view.replicas == 1);
    let pid = world.pids()[0];
    let Embedded { orchestrator, .. } = world;
    orchestrator.stop(Duration::from_secs(10));
    assert!(!super::world::is_alive(pid));
}
