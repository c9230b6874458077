//! The parts of the strategy, and how each is seen.

use std::time::Duration;

use ctx::control::config::{CacheMode, Config, HealingMode, InboxMode, Mode, Platform, flag};
use ctx::units::Percent;

use super::Share::{All, None, Some};
use super::scene::{Answer, Scene, extended, on, whole};
use super::{MANY, Part, Seen, Share};
use crate::support::until;

/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:1";

/// What becomes of events.
pub(super) const EVENTS: &[Part] = &[
    Part {
        name: "event processing",
        before: signed,
        steps: r#"step = [{ id = "on", ramp = { flag = "enhanced_event_processing", to = ["50%", "100%"], soak = "10m" } }]"#,
        soaks: &[Some, All],
        see: unsigned_events_are_refused,
    },
    Part {
        name: "enhanced mode",
        before: signed,
        steps: r#"step = [{ id = "on", set = { mode = "enhanced" }, soak = "10m" }]"#,
        soaks: &[All],
        see: unsigned_events_are_refused,
    },
    Part {
        name: "full enhancement, without the legacy app behind it",
        before: |_, config| extended(config, Platform::Github, NOBODY),
        steps: r#"step = [{ id = "on", set = { legacy_fallback = false }, soak = "10m" }]"#,
        soaks: &[All],
        see: |scene, _| {
            let series = "ctx_events_total{path=\"fallback\"}";
            let before = scene.told(series);
            let failed = with_status(&scene.events(Platform::Github), 502);
            let told = MANY - whole(scene.told(series) - before);
            Seen { outside: Share::of(failed, MANY), told: Share::of(told, MANY) }
        },
    },
    Part {
        name: "durable inbox",
        before: |_, config| {
            config.mode = Mode::Enhanced;
            config.inbox.mode = InboxMode::Store;
        },
        steps: r#"step = [{ id = "on", ramp = { flag = "durable_inbox", to = ["50%", "100%"], soak = "10m" } }]"#,
        soaks: &[Some, All],
        see: |scene, _| {
            scene.counted("ctx_inbox_events_total{step=\"stored\"}", || {
                let answers = scene.events(Platform::Github);
                answers.iter().filter(|answer| answer.body == "stored\n").count()
            })
        },
    },
    Part {
        name: "extension of Linear",
        before: enhanced,
        steps: r#"step = [
            { id = "beside", set = { "upstreams.next" = { url = "NEXT", connect_timeout = "2s", timeout = "10s" } } },
            { id = "install", install = "extensions/linear.toml" },
            { id = "on", ramp = { flag = "extension_management", to = ["50%", "100%"], soak = "10m" } },
        ]"#,
        soaks: &[Some, All],
        see: |scene, _| next_handles(scene, Platform::Linear),
    },
    Part {
        name: "extension of GitHub",
        before: enhanced,
        steps: r#"step = [
            { id = "beside", set = { "upstreams.next" = { url = "NEXT", connect_timeout = "2s", timeout = "10s" } } },
            { id = "install", install = "extensions/github.toml" },
            { id = "on", ramp = { flag = "extension_management", to = ["50%", "100%"], soak = "10m" } },
        ]"#,
        soaks: &[Some, All],
        see: |scene, _| next_handles(scene, Platform::Github),
    },
    Part {
        name: "extension of Slack",
        before: enhanced,
        steps: r#"step = [
            { id = "beside", set = { "upstreams.next" = { url = "NEXT", connect_timeout = "2s", timeout = "10s" } } },
            { id = "install", install = "extensions/slack.toml" },
            { id = "on", ramp = { flag = "extension_management", to = ["50%", "100%"], soak = "10m" } },
        ]"#,
        soaks: &[Some, All],
        see: |scene, _| next_handles(scene, Platform::Slack),
    },
    Part {
        name: "extension that is a program",
        before: enhanced,
        steps: r#"step = [
            { id = "install", install = "extensions/greeter.toml" },
            { id = "on", ramp = { flag = "extension_management", to = ["50%", "100%"], soak = "10m" } },
        ]"#,
        soaks: &[Some, All],
        see: |scene, share| {
            if share != None {
                // Until it is ready, the app has its events.
                until("the program runs", || {
                    scene.asks("/v1/extensions")["extensions"]
                        .as_array()
                        .is_some_and(|all| all.iter().any(|one| one["state"] == "running"))
                        .then_some(())
                });
            }
            scene.counted("ctx_events_total{path=\"extension\"}", || {
                let answers = scene.events(Platform::Linear);
                answers.iter().filter(|answer| answer.body.contains("Hello, Ada")).count()
            })
        },
    },
    Part {
        name: "canary",
        before: |_, _| {},
        steps: r#"step = [{ id = "on", canary = { upstream = "next", url = "NEXT", to = ["50%", "100%"], soak = "10m", min_samples = 1000 } }]"#,
        soaks: &[Some, All],
        see: |scene, _| {
            let series = "ctx_requests_total{route=\"github\",arm=\"next\"";
            scene.counted(series, || taken_by_next(scene, Platform::Github))
        },
    },
];

/// Everything else.
pub(super) const REST: &[Part] = &[
    Part {
        name: "pool",
        before: |_, config| recognised(config),
        steps: r#"step = [{ id = "on", ramp = { flag = "connection_pooling", to = ["50%", "100%"], soak = "10m" } }]"#,
        soaks: &[Some, All],
        see: pool,
    },
    Part {
        name: "cache",
        before: |_, config| recognised(config),
        steps: r#"step = [
            { id = "mode", set = { "cache.mode" = "read" } },
            { id = "on", ramp = { flag = "caching_layer", to = ["50%", "100%"], soak = "10m" } },
        ]"#,
        soaks: &[Some, All],
        see: |scene, _| {
            // The first of them fills it.
            scene.reads();
            scene.counted("ctx_cache_lookups_total{route=\"home\",result=\"hit\"}", || {
                scene.reads().iter().filter(|answer| answer.aged).count()
            })
        },
    },
    Part {
        name: "shadow copies",
        before: |_, config| {
            config.routes.get_mut("home").unwrap().shadow = false;
            config.cache.mode = CacheMode::Read;
            on(config, flag::CACHING_LAYER);
        },
        steps: r#"step = [{ id = "on", set = { "routes.home.shadow" = true }, soak = "10m" }]"#,
        soaks: &[All],
        see: shadow,
    },
    Part {
        name: "flags of applications",
        before: |_, _| {},
        steps: r#"step = [
            { id = "flag", set = { "flags.new_home" = { enabled = true, percentage = "0%", bucketing = "flagd-v2" } } },
            { id = "on", ramp = { flag = "new_home", to = ["50%", "100%"], soak = "10m" } },
        ]"#,
        soaks: &[Some, All],
        see: |scene, _| {
            let told = scene.told("ctx_flag_rollout_ratio{flag=\"new_home\"}") * 40.0;
            let outside = Share::of(scene.shown("new_home"), MANY);
            Seen { outside, told: Share::of(whole(told), MANY) }
        },
    },
    Part {
        name: "health",
        before: |_, _| {},
        steps: r#"step = [{ id = "on", set = { "health.enabled" = true, "health.interval" = "1s" }, soak = "10m" }]"#,
        soaks: &[All],
        see: health,
    },
    Part {
        name: "breakers",
        before: |_, config| {
            extended(config, Platform::Github, NOBODY);
            config.legacy_fallback = false;
            config.breaker.min_requests = 5;
            config.breaker.open_for = Duration::from_secs(600);
        },
        steps: r#"step = [{ id = "on", ramp = { flag = "circuit_breaking", to = ["50%", "100%"], soak = "10m" } }]"#,
        soaks: &[Some, All],
        see: |scene, _| {
            // What fails first is what opens it.
            scene.events(Platform::Github);
            scene.counted("ctx_breaker_rejected_total", || {
                with_status(&scene.events(Platform::Github), 503)
            })
        },
    },
    Part {
        name: "self-healing",
        before: sick,
        steps: r#"step = [
            { id = "mode", set = { "healing.mode" = "recover" } },
            { id = "on", ramp = { flag = "self_healing", to = ["50%", "100%"], soak = "10m" } },
        ]"#,
        soaks: &[Some, All],
        see: healing,
    },
    Part {
        name: "scaling",
        before: |scene, config| {
            extended(config, Platform::Linear, &scene.slow.url());
            // Some events at once are many.
            config.scaling.target = Percent::whole(1);
            config.scaling.min = 1;
        },
        steps: r#"step = [{ id = "on", ramp = { flag = "auto_scaling", to = ["100%"], soak = "10m" } }]"#,
        soaks: &[All],
        see: scaling,
    },
];

/// The own processor asks for a signature, and the app does not.
fn signed(_: &Scene, config: &mut Config) {
    config.routes.get_mut("github").unwrap().secret = Option::Some("env:HUSH".to_owned());
}

/// The own processor takes the events.
fn enhanced(_: &Scene, config: &mut Config) {
    config.mode = Mode::Enhanced;
}

/// Readers are recognised by their name.
fn recognised(config: &mut Config) {
    let home = config.routes.get_mut("home").unwrap();
    (home.sticky, home.shadow) = (Option::Some("x-reader".to_owned()), false);
}

/// An app beside the legacy one fails all events that it is given.
fn sick(scene: &Scene, config: &mut Config) {
    for platform in Platform::ALL {
        extended(config, platform, &scene.failing.url());
    }
    config.health.enabled = true;
    config.health.interval = Duration::from_secs(1);
    // What is left out stays out for as long as this is looked at.
    config.healing.cooldown = Duration::from_secs(600);
    config.healing.mode = HealingMode::Off;
}

fn with_status(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

fn unsigned_events_are_refused(scene: &Scene, _: Share) -> Seen {
    scene.counted("ctx_events_total{path=\"enhanced\"}", || {
        with_status(&scene.events(Platform::Github), 401)
    })
}

/// How many of an app's events the other one was given.
fn taken_by_next(scene: &Scene, platform: Platform) -> usize {
    let before = scene.next.handled().events();
    assert_eq!(with_status(&scene.events(platform), 200), MANY);
    scene.next.handled().events() - before
}

fn next_handles(scene: &Scene, platform: Platform) -> Seen {
    scene.counted("ctx_events_total{path=\"extension\"}", || taken_by_next(scene, platform))
}

fn pool(scene: &Scene, _: Share) -> Seen {
    let kept = "ctx_upstream_requests_total{connection=\"pooled\"}";
    let opened = "ctx_upstream_connections_opened_total{upstream=\"legacy\"}";
    let (before, opened_before) = (scene.told(kept), scene.told(opened));
    assert_eq!(with_status(&scene.reads(), 200), MANY);
    let (told, opened) = (scene.told(kept) - before, scene.told(opened) - opened_before);
    // The first that is kept has to be opened, and once more if it has rested for too long.
    let saved = MANY - whole(opened).min(MANY);
    let outside = if saved + 3 >= MANY { All } else { Share::of(saved, MANY) };
    Seen { outside, told: Share::of(whole(told), MANY) }
}

fn shadow(scene: &Scene, share: Share) -> Seen {
    let compared =
        || scene.asks("/v1/shadow")["routes"]["home"]["compared"].as_u64().unwrap_or_default();
    let told = || whole(scene.told("ctx_shadow_answers_total{route=\"home\""));
    let before = (compared(), told());
    scene.reads();
    if share == All {
        until("copies were compared", || (compared() > before.0).then_some(()));
    }
    // Few are copied, whoever reads.
    let any = |grown: bool| if grown { All } else { None };
    Seen { outside: any(compared() > before.0), told: any(told() > before.1) }
}

fn health(scene: &Scene, share: Share) -> Seen {
    let checked = || scene.asks("/v1/health")["status"] != "unknown";
    let told = || scene.told("ctx_health_check_healthy{check=\"upstream legacy\"}") > 0.0;
    if share == All {
        until("everything was checked", || checked().then_some(()));
    }
    let any = |seen: bool| if seen { All } else { None };
    Seen { outside: any(checked()), told: any(told()) }
}

fn healing(scene: &Scene, share: Share) -> Seen {
    let healed = || {
        let well = |platform: &Platform| with_status(&scene.events(*platform), 200) == MANY;
        Platform::ALL.iter().filter(|platform| well(platform)).count()
    };
    let told = || whole(scene.told("ctx_healing_extensions_left_out"));
    // Two looks that find the same, where it was given the time for it.
    let count = until("self-healing did what it may", || {
        let count = healed();
        let there = match share {
            None => count == 0,
            Some => count > 0,
            All => count == Platform::ALL.len(),
        };
        (there && told() == count).then_some(count)
    });
    let of = Platform::ALL.len();
    Seen { outside: Share::of(count, of), told: Share::of(told(), of) }
}

fn scaling(scene: &Scene, share: Share) -> Seen {
    let workers = || scene.asks("/v1/metrics")["workers"].as_u64().unwrap_or_default();
    let mut bursts = 0;
    until("the workers have had the time to become more", || {
        scene.burst(Platform::Linear);
        bursts += 1;
        (if share == All { workers() > 1 } else { bursts > 4 }).then_some(())
    });
    let any = |workers: f64| if workers > 1.0 { All } else { None };
    let told = scene.told("ctx_event_workers");
    Seen { outside: if workers() > 1 { All } else { None }, told: any(told) }
}
