//! Where sinks are named, what is wrong with them, and `ctx alerts`.

use ctx::error::Code;

use super::double::Double;
use crate::shop::{PLAN_FILE, desk};
use crate::support::Test;

fn with_alerts(alerts: &str) -> Test {
    let test = desk("http://127.0.0.1:9");
    let plan = std::fs::read_to_string(test.path(PLAN_FILE)).unwrap();
    test.file(PLAN_FILE, &format!("{plan}\n[alerts]\n{alerts}"))
}

#[test]
fn faults_are_shown_where_they_stand_and_no_secret_is() {
    let test = with_alerts(
        r#"chat   = { webook = "env:CHAT" }
pager  = { pagerduty = "R0123456789abcdef", from = "eror" }
both   = { command = ["logger"], alertmanager = "http://127.0.0.1:9093" }
none   = { from = "info" }
am     = { alertmanager = "http://127.0.0.1:9093?token=hush", timeout = "2h" }
empty  = { command = [] }
url    = { webhook = "env:CHAT", url = "http://127.0.0.1" }
"#,
    );
    let ran = test.run(&["plan", "check"]).exits(Code::PlanInvalid);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    for text in [
        "unknown key `webook`",
        "did you mean `webhook`?",
        "`pagerduty` is not a reference to a secret",
        "unknown from `eror`",
        "did you mean `error`?",
        "a sink has one of `webhook`, `alertmanager`, `pagerduty`, `command`, this one has 2",
        "a sink says where alerts are sent to",
        "the address has a query or a fragment",
        "`timeout` must be longer than zero, and at most 1m",
        "`command` names no program",
        "`url` belongs to `pagerduty`, and this sink is a `webhook`",
    ] {
        assert!(said.contains(text), "`{text}` is not in\n{said}");
    }
    for secret in ["R0123456789abcdef", "hush"] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn a_test_alert_goes_to_each_sink_and_says_who_did_not_take_it() {
    let (pager, refusing) = (Double::start(), Double::answering(|_| 403));
    let test = with_alerts(&format!(
        "pager = {{ pagerduty = \"file:key\", url = \"{}\" }}\n\
         chat = {{ webhook = \"file:chat\" }}\n\
         slow = {{ command = [\"sleep\", \"60\"], timeout = \"100ms\" }}\n",
        pager.url()
    ));
    test.write("key", "routing-key-of-this-test");
    test.write("chat", &format!("{}/services/secret-path", refusing.url()));
    let said = test.run(&["alerts", "test"]).exits(Code::Failure).says(&[
        "ok    pager (pagerduty)\n",
        "FAIL  chat (webhook): it answered 403: said\n",
        "FAIL  slow (command): it did not take the alert within 100ms\n",
    ]);
    assert!(!said.stdout.contains("secret-path"), "{}", said.stdout);
    let events = pager.documents("/v2/enqueue");
    assert_eq!(events.len(), 2, "{events:#?}");
    assert_eq!(events[1]["event_action"], "resolve");

    let one = test.run(&["alerts", "test", "pager", "--json"]).exits(Code::Done).json();
    assert_eq!(one["sinks"][0]["taken"], true, "{one}");
    test.run(&["alerts", "test", "pagr"]).exits(Code::Usage).warns(&["did you mean `pager`?"]);
    test.run(&["alerts", "list"]).exits(Code::Done).says(&["chat", "webhook", "file:chat"]);
}

#[test]
fn the_file_that_settings_name_stands_above_the_plan() {
    let test = with_alerts("a = { command = [\"true\"] }\nb = { command = [\"true\"] }\n");
    test.write("sinks.toml", "[alerts]\nb = { command = [\"false\"], from = \"critical\" }\n");
    let test = test.env("CTX_ALERTS", "sinks.toml");
    let list = test.run(&["alerts", "list", "--json"]).exits(Code::Done).json();
    let shown: Vec<_> = list["sinks"].as_array().unwrap().iter().map(|s| &s["to"]).collect();
    assert_eq!(shown, ["true", "false"], "{list}");
    test.write("sinks.toml", "[alerts]\nb = { comand = [\"false\"] }\n");
    test.run(&["alerts", "list"]).exits(Code::PlanInvalid).warns(&["did you mean `command`?"]);
}
