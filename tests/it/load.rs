//! `ctx load` against the built-in legacy app.

use ctx::error::Code;
use ctx::rehearsal::legacy::Legacy;

use crate::support::Test;

#[test]
fn load_ends_with_what_it_met() {
    let legacy = Legacy::start().unwrap();
    let ran = Test::new()
        .env("HOOK_SECRET", "hush")
        .file("secrets/slack", "hush\n")
        .run(&[
            "load",
            &legacy.url(),
            "--rate",
            "100",
            "--lasts",
            "500ms",
            "--webhooks",
            "all",
            "--secret",
            "github=env:HOOK_SECRET",
            "--secret",
            "slack=file:secrets/slack",
            "--json",
        ])
        .exits(Code::Done);
    let json = ran.json();
    assert_eq!(json["sent"], 50, "{json}");
    assert_eq!(json["answered"], 50, "{json}");
    assert_eq!(json["statuses"]["200"], 50, "{json}");
    assert!(legacy.handled().events() > 25);
}

#[test]
fn load_prints_a_table() {
    let legacy = Legacy::start().unwrap();
    Test::new()
        .run(&["load", &legacy.url(), "--rate", "50", "--lasts", "200ms"])
        .exits(Code::Done)
        .says(&["requests sent", "status 200", "latency p95"]);
}

#[test]
fn nobody_listening_is_a_failure() {
    let legacy = Legacy::start().unwrap();
    let url = legacy.url();
    legacy.stop();
    Test::new()
        .run(&["load", &url, "--rate", "50", "--lasts", "100ms"])
        .exits(Code::Failure)
        .says(&["connection refused"])
        .warns(&["no request was answered"]);
}

#[test]
fn load_stays_on_this_machine() {
    Test::new()
        .run(&["load", "http://192.0.2.1:80"])
        .exits(Code::Refused)
        .warns(&["`http://192.0.2.1:80` is not on this machine"]);
}

#[test]
fn a_secret_is_named_and_never_given() {
    let ran = Test::new()
        .run(&[
            "load",
            "http://127.0.0.1:1",
            "--webhooks",
            "github",
            "--secret",
            "github=hush-hush-hush",
        ])
        .exits(Code::Usage)
        .warns(&["failed to read the secret of github", "`hus...` is not a reference"]);
    assert!(!ran.stderr.contains("hush-hush"), "{}", ran.stderr);
}
