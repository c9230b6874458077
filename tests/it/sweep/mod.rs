//! Every part of the strategy, turned on by a plan, watched, and turned back.
//!
//! The law: at 0 % nothing of a part is to be seen, at a share that share, at 100 % all of it; and
//! after `ctx rollback` nothing again, with the configuration from before to the byte. What is seen
//! is what senders, callers and the app see, and `/metrics` says the same.
//!
//! How to add a part: a row in [`EVENTS`] or [`REST`], and in `parts` how it is seen. What a part
//! does besides is shown elsewhere, by the tests of its own.

mod parts;
mod scene;

use ctx::control::config::Config;
use ctx::error::Code;
use ctx::ledger::fact::Fact;

use crate::support::serve::TOKEN;
use crate::support::{Test, until};
use parts::{EVENTS, REST};
use scene::Scene;

/// How many requests, users or targets a part is looked at with.
const MANY: usize = 40;

/// How many of those a part has an effect on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    None,
    Some,
    All,
}

impl Share {
    fn of(n: usize, of: usize) -> Self {
        match n {
            0 => Self::None,
            n if n < of => Self::Some,
            _ => Self::All,
        }
    }
}

/// What is seen of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    /// By who sends, calls or answers.
    outside: Share,
    /// In `/metrics`.
    told: Share,
}

/// A part of the strategy.
struct Part {
    name: &'static str,
    /// What it works on, in force before its plan.
    before: fn(&Scene, &mut Config),
    /// The steps of the one phase that turns it on; `NEXT` is another app's URL.
    steps: &'static str,
    /// What is to be seen in each soak, in order.
    soaks: &'static [Share],
    /// Looks; where something takes a while, until it is as it should be.
    see: fn(&Scene, Share) -> Seen,
}

const HEAD: &str = r#"
schema = 1
plan = { name = "sweep", title = "One part of the strategy" }
orchestrator = { url = "http://CONTROL", token = "env:CTX_TOKEN" }

[[phase]]
id    = "one"
title = "One part"
"#;

#[test]
fn what_becomes_of_events_is_turned_on_by_percentage_and_back() {
    let Some(scene) = Scene::new() else { return };
    for part in EVENTS {
        sweep(part, &scene);
    }
    scene.every_acknowledged_event_is_handled();
}

#[test]
fn everything_else_is_turned_on_by_percentage_and_back() {
    let Some(scene) = Scene::new() else { return };
    for part in REST {
        sweep(part, &scene);
    }
}

/// Turns one part on and back.
#[track_caller]
fn sweep(part: &Part, scene: &Scene) {
    let untouched = scene.serve.state().config;
    let mut before = untouched.clone();
    (part.before)(scene, &mut before);
    if before != untouched {
        scene.serve.set(|config| *config = before.clone());
    }
    let project = project(part, scene);
    let look = |when: &str, share| {
        let seen = (part.see)(scene, share);
        assert_eq!(seen, Seen { outside: share, told: share }, "{} {when}", part.name);
    };

    look("before its plan", Share::None);
    let mut running = project.spawn(&["migrate", "phase", "1", "--yes"]);
    for (n, share) in (1..).zip(part.soaks) {
        let soaks = until(&format!("soak {n} of {}", part.name), || {
            let soaks = soaks(&project) >= n;
            (soaks || running.ended().is_some()).then_some(soaks)
        });
        assert!(soaks, "{} has ended before soak {n}: {:?}", part.name, running.ended());
        look(&format!("in soak {n}"), *share);
        project.run(&["confirm", "--yes"]).exits(Code::Done);
    }
    running.ends().exits(Code::Done);
    look("once it is confirmed", *part.soaks.last().unwrap());
    project.run(&["rollback", "--yes"]).exits(Code::Done);
    look("after its rollback", Share::None);

    let after = scene.serve.state();
    assert_eq!(after.config.canonical(), before.canonical(), "{}", part.name);
    assert!(after.provisional.is_none() && after.armed.is_none(), "{}: {after:?}", part.name);
    if before != untouched {
        scene.serve.set(|config| *config = untouched);
    }
}

/// How many soaks have begun of the step that turns the part on.
fn soaks(project: &Test) -> usize {
    let on = |fact: &Fact| matches!(fact, Fact::SoakBegun { at, .. } if at.step.as_str() == "on");
    project.facts().iter().filter(|fact| on(fact)).count()
}

/// A project of its own, with the part's plan and whatever that installs.
fn project(part: &Part, scene: &Scene) -> Test {
    let project = Test::new().env("CTX_TOKEN", TOKEN);
    let plan = format!("{HEAD}{}", part.steps);
    let plan = plan.replace("CONTROL", &scene.serve.control).replace("NEXT", &scene.next.url());
    project.write("plans/sweep.toml", &plan);
    for (file, text) in scene::manifests() {
        project.write(&format!("plans/{file}"), &text);
    }
    project
}
