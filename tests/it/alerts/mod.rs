//! Alerts: what people elsewhere are told of a run, as they get it, and that no run waits for it.

mod alertmanager;
mod double;
mod named;
mod outside;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ctx::error::Code;
use ctx::rehearsal::legacy::Faults;
use ctx::units::Percent;
use serde_json::Value;

use crate::resume::{POOLING, Scene};
use crate::shop::{PLAN_FILE, Shop};
use crate::support::until;
use double::Double;

/// As long as a sink may take to be found out of reach; a run that waited for it would show.
const FOREVER: u16 = 0;

/// What the app does from now on.
fn half_fails() -> Faults {
    Faults { errors: Percent::whole(50), ..Faults::default() }
}

/// The texts of a chat's messages.
fn texts(chat: &Double) -> Vec<String> {
    let texts = chat.documents("/hook/of-this-chat").into_iter();
    texts.map(|message| message["text"].as_str().unwrap().to_owned()).collect()
}

fn with(texts: &[String], part: &str) -> usize {
    texts.iter().filter(|text| text.contains(part)).count()
}

#[test]
fn a_breach_and_its_rollback_are_told_everywhere_and_wait_for_nobody() {
    // The first attempt fails, as while a sink is started again.
    let chat = Double::answering(|n| if n == 0 { 500 } else { 200 });
    let (pager, stuck) = (Double::start(), Double::answering(|_| FOREVER));
    let scene = Scene::new(&[
        POOLING,
        &format!(
            r#"
[alerts]
chat  = {{ webhook = "file:chat-address" }}
pager = {{ pagerduty = "env:PAGER_KEY", url = "{}" }}
file  = {{ command = ["sh", "-c", "cat >> told; echo >> told; env >> environment"] }}
stuck = {{ alertmanager = "{}", timeout = "60s" }}
gone  = {{ webhook = "env:NO_SUCH_VARIABLE" }}
"#,
            pager.url(),
            stuck.url()
        ),
    ]);
    scene.test.write("chat-address", &format!("{}/hook/of-this-chat\n", chat.url()));
    let key = [("PAGER_KEY", "a-routing-key-of-32-characters-x")];
    let running = scene.test.spawn_with(&["migrate", "phase", "1", "--yes"], &key);
    scene.test.until_recorded(2, "soak_begun");
    scene.legacy.inject(half_fails());
    let ran = running.ends().exits(Code::RolledBack).warns(&[
        "warning: alert sink `stuck`: ",
        "not delivered within 3s",
        "warning: alert sink `gone` failed after 1 attempt: \
         the environment variable `NO_SUCH_VARIABLE` is not set",
    ]);
    assert_eq!(ran.stderr.matches("alert sink `gone`").count(), 1, "{}", ran.stderr);
    for secret in ["a-routing-key", "of-this-chat"] {
        assert!(!ran.stderr.contains(secret), "{}", ran.stderr);
    }
    // The sink that hung was asked, and hung, while the phase was rolled back: from the breach to
    // the end is far less than its minute.
    assert!(!stuck.documents("/api/v2/alerts").is_empty());
    let report = scene.test.run(&["history", "--json"]).exits(Code::Done).json().to_string();
    assert!(report.contains("rolled_back"), "{report}");

    let told = texts(&chat);
    assert_eq!(with(&told, "ERROR: small, phase 1 `pooling`: guard breached"), 2, "{told:#?}");
    assert_eq!(with(&told, "rolling back"), 1, "{told:#?}");
    assert!(told.last().unwrap().starts_with("RESOLVED: small, phase 1"), "{told:#?}");

    let events = pager.documents("/v2/enqueue");
    let actions: Vec<_> = events.iter().map(|e| e["event_action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["trigger", "trigger", "resolve"]);
    assert!(events.iter().all(|e| e["dedup_key"] == events[0]["dedup_key"]), "{events:#?}");
    assert_eq!(events[0]["routing_key"], "a-routing-key-of-32-characters-x");

    let told = std::fs::read_to_string(scene.test.path("told")).unwrap();
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<_> = told.iter().map(|t| t["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["breach", "rollback", "end"], "{told:#?}");
    assert!(told[0]["detail"].as_str().unwrap().contains("limit at most 5%"), "{told:#?}");
    let environment = std::fs::read_to_string(scene.test.path("environment")).unwrap();
    for secret in ["CTX_TOKEN", "PAGER_KEY", "a-routing-key"] {
        assert!(!environment.contains(secret), "{environment}");
    }
}

#[test]
fn after_a_kill_what_was_delivered_is_not_sent_again_and_the_rest_is() {
    let chat = Double::start();
    let open = Arc::new(AtomicBool::new(false));
    let opened = Arc::clone(&open);
    let late = Double::answering(move |_| if opened.load(Ordering::Relaxed) { 200 } else { 503 });
    let shop = Shop::open();
    shop.test.write("chat", &format!("{}/hook/of-this-chat", chat.url()));
    shop.test.write("late", &format!("{}/hook/of-this-chat", late.url()));
    let plan = std::fs::read_to_string(shop.test.path(PLAN_FILE)).unwrap();
    let plan = plan.replace(
        "soak = \"10ms\"\n\n[[phase]]",
        r#"soak = "10ms"

  [[phase.milestone]]
  id    = "cached"
  title = "Reads are cached"
  after = "cache-reads"

  [[phase.step]]
  id   = "watch"
  soak = "1h"

[[phase]]"#,
    );
    let plan = plan.replace(
        "[[phase]]\nid    = \"caching\"",
        "[alerts]\nchat = { webhook = \"file:chat\" }\nlate = { webhook = \"file:late\" }\n\n\
         [[phase]]\nid    = \"caching\"",
    );
    shop.test.write(PLAN_FILE, &plan);
    let running = shop.test.spawn(&["migrate", "phase", "1", "--yes"]);
    until("the chat has it, and that is put down", || {
        let journal = std::fs::read_to_string(shop.test.path(".ctx/alerts.jsonl")).ok()?;
        journal.contains("\"delivered\"").then_some(())
    });
    running.kill();
    assert_eq!(with(&texts(&chat), "milestone reached"), 1);

    open.store(true, Ordering::Relaxed);
    let before = texts(&late).len();
    shop.ctx(&["rollback", "--yes"]).exits(Code::Done);
    let told = texts(&chat);
    assert_eq!(with(&told, "milestone reached"), 1, "{told:#?}");
    assert_eq!(with(&told, "RESOLVED"), 1, "{told:#?}");
    let told = texts(&late).split_off(before);
    assert_eq!(with(&told, "milestone reached"), 1, "{told:#?}");
}
