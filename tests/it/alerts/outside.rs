//! What is the matter while no phase is in flight: `ctx monitor`, and what `ctx serve` cannot heal.

use std::time::Duration;

use ctx::control::config::{HealingMode, flag};
use ctx::error::Code;
use ctx::rehearsal::legacy::{Faults, Legacy};
use ctx::units::Percent;

use super::alertmanager::Alertmanager;
use super::double::Double;
use super::{FOREVER, half_fails, texts, with};
use crate::resume::{HEALTH, Scene};
use crate::shop::operator;
use crate::support::serve::Serve;
use crate::support::{peer, until};

#[test]
fn a_breach_outside_a_phase_is_told_and_its_rollback_waits_for_nobody() {
    let (chat, stuck) = (Double::start(), Double::answering(|_| FOREVER));
    let sinks = format!(
        "\n[alerts]\nchat = {{ webhook = \"file:chat\" }}\n\
         stuck = {{ alertmanager = \"{}\", timeout = \"60s\" }}\n",
        stuck.url()
    );
    let scene = Scene::new(&[HEALTH]);
    scene.migrate("1").exits(Code::Done);
    scene.plan(&[HEALTH, &sinks]);
    scene.test.write("chat", &format!("{}/hook/of-this-chat", chat.url()));
    scene.legacy.inject(half_fails());
    let ran = scene.test.run(&["monitor"]).exits(Code::RolledBack);
    scene.legacy.inject(Faults::default());
    // The sink that hung has a minute for each attempt; nobody waited for it but the end, and that
    // for one deadline in all.
    ran.warns(&["alert sink `stuck`: ", "not delivered within 3s"]);
    assert!(!stuck.documents("/api/v2/alerts").is_empty());
    let told = texts(&chat);
    assert_eq!(with(&told, "ERROR: small, outside a phase: guard breached"), 1, "{told:#?}");
    assert_eq!(with(&told, "WARNING: small, phase 1 `health`: rollback begun"), 1, "{told:#?}");
    let over = "RESOLVED: small, outside a phase: rolled back, the service is as before";
    assert!(told.last().unwrap().starts_with(over), "{told:#?}");
    assert_eq!(told.len(), 4, "and the end of the rollback, each once: {told:#?}");
    scene.ends();
}

#[test]
fn what_self_healing_cannot_cure_is_told_by_the_orchestrator_until_it_is_well() {
    if peer::require("alertmanager").is_none() {
        return;
    }
    let (chat, receiver) = (Double::start(), Double::start());
    let test = operator();
    let alertmanager = Alertmanager::start(&test, &receiver);
    let sinks = format!(
        "[alerts]\nchat = {{ webhook = \"file:chat\" }}\nam = {{ alertmanager = \"{}\" }}\n",
        alertmanager.url
    );
    let test = test.file("alerts.toml", &sinks);
    test.write("chat", &format!("{}/hook/of-this-chat", chat.url()));
    let legacy = Legacy::start().unwrap();
    let serve = Serve::with(&test, &legacy.url(), &["--alerts", "alerts.toml"]);
    serve.set(|config| {
        config.health.enabled = true;
        config.health.interval = Duration::from_millis(200);
        config.healing.mode = HealingMode::Recover;
        config.healing.cooldown = Duration::from_secs(1);
        config.healing.patience = Duration::from_secs(1);
        let healing = config.flags.get_mut(flag::SELF_HEALING).unwrap();
        (healing.enabled, healing.percentage) = (true, Percent::ALL);
    });
    legacy.inject(Faults { errors: Percent::ALL, ..Faults::default() });
    until("alertmanager has it", || (alertmanager.active() == ["CtxNotHealed"]).then_some(()));
    until("the chat has it", || (!texts(&chat).is_empty()).then_some(()));
    let told = texts(&chat);
    let healed = "self-healing does not help: upstream legacy";
    assert!(told[0].starts_with("CRITICAL: the service at http://127.0.0.1:"), "{told:#?}");
    assert!(told[0].ends_with(healed), "{told:#?}");
    legacy.inject(Faults::default());
    until("it is over", || (with(&texts(&chat), "RESOLVED") == 1).then_some(()));
    until("alertmanager has its end", || alertmanager.active().is_empty().then_some(()));
    assert_eq!(texts(&chat).len(), 2, "each once: {:#?}", texts(&chat));
}

#[test]
fn sinks_with_a_fault_are_found_before_anything_is_served() {
    let test = operator().file("alerts.toml", "[alerts]\nchat = { webook = \"env:CHAT\" }\n");
    let args = ["serve", "--legacy", "http://127.0.0.1:9", "--alerts", "alerts.toml"];
    test.run(&args).exits(Code::PlanInvalid).warns(&["did you mean `webhook`?"]);
    let ran = test.run_with(&args[..3], &[("CTX_ALERTS", "nowhere.toml".to_owned())]);
    ran.exits(Code::Usage).warns(&["failed to read the sinks of alerts in `nowhere.toml`"]);
    assert!(!test.path(".ctx").exists(), "nothing was begun");
}
