//! `ctx doctor` finds what would be in the way at night.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;

use ctx::error::Code;
use rustix::process::Signal;
use serde_json::Value;

use crate::shop::{LEDGER, Shop};
use crate::support::Ran;

/// How one check came out.
fn state(ran: &Ran, name: &str) -> Value {
    let json = ran.json();
    let checks = json["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name);
    check.map_or(Value::Null, |check| check["state"].clone())
}

#[test]
fn a_desk_in_order_passes_and_is_not_touched() {
    let shop = Shop::with_first_phase();
    let before = shop.standing();
    let ran = shop.ctx(&["doctor"]).exits(Code::Done);
    let ran =
        ran.says(&["answers: ctx ", "`plans/shop.toml` has no faults: 2 phases", "free where"]);
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 80), "{ran:?}");
    let ran = shop.ctx(&["doctor", "--json"]).exits(Code::Done);
    for name in ["version", "settings", "plan", "token", "ledger", "disk", "orchestrator", "clock"]
    {
        assert_eq!(state(&ran, name), "ok", "{name} in {ran:?}");
    }
    assert_eq!(shop.standing(), before);
}

#[test]
fn what_is_wrong_is_named_with_what_to_do() {
    let mut shop = Shop::with_first_phase();
    set_permissions(shop.test.path(LEDGER), Permissions::from_mode(0o666)).unwrap();
    let ran = shop.ctx(&["doctor", "--json"]).exits(Code::Done);
    assert_eq!(state(&ran, "ledger"), "warning");
    shop.edit("cache.mode", "cache.mood");
    let ran = shop.ctx(&["doctor"]).exits(Code::Failure);
    ran.says(&["FAILED", "`ctx plan check` shows each fault"]).warns(&["1 check failed"]);
    shop.edit("cache.mood", "cache.mode");
    shop.serve.kill();
    let ran = shop.ctx(&["doctor"]).exits(Code::Failure);
    ran.says(&["does not answer", "start it with `ctx serve`"]);
}

#[test]
fn an_orchestrator_that_hangs_does_not_hang_the_doctor() {
    let shop = Shop::open();
    shop.serve.signal(Signal::STOP);
    let ran = shop.ctx(&["doctor"]);
    shop.serve.signal(Signal::CONT);
    ran.exits(Code::Failure).says(&["is silent: no answer within a second"]);
}

#[test]
fn a_token_that_others_can_read_is_told() {
    let shop = Shop::open();
    shop.test.write("token", crate::support::serve::TOKEN);
    set_permissions(shop.test.path("token"), Permissions::from_mode(0o644)).unwrap();
    shop.edit("\"env:CTX_TOKEN\"", "\"file:token\"");
    let ran = shop.ctx(&["doctor"]).exits(Code::Done);
    let ran = ran.says(&["others may read `token`", "chmod 600 token"]);
    assert!(!ran.stdout.contains(crate::support::serve::TOKEN));
}

#[test]
fn sinks_of_alerts_are_looked_for_and_sent_nothing() {
    let shop = Shop::open();
    let there = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = there.local_addr().unwrap();
    let sinks = format!(
        "[alerts]\nchat = {{ webhook = \"file:chat\" }}\nlog = {{ command = [\"true\"] }}\n\
         am = {{ alertmanager = \"http://{address}\" }}\n"
    );
    shop.test.write("chat", &format!("http://{address}/hook/of-this-chat"));
    shop.test.write("alerts.toml", &sinks);
    shop.test.write("ctx.toml", "alerts = \"alerts.toml\"\n");
    let ran = shop.ctx(&["doctor"]).exits(Code::Done);
    ran.says(&["can be reached: `chat`, `log`, `am`", "alerts `alerts.toml` (from ctx.toml)"]);
    there.set_nonblocking(true).unwrap();
    for stream in there.incoming().map_while(Result::ok) {
        let mut bytes = [0; 1];
        let got = std::io::Read::read(&mut &stream, &mut bytes).unwrap_or(0);
        assert_eq!(got, 0, "a connection, and nothing on it");
    }
    drop(there);
    shop.test.write("alerts.toml", &sinks.replace("[\"true\"]", "[\"no-such-program\"]"));
    let ran = shop.ctx(&["doctor", "--json"]).exits(Code::Done);
    assert_eq!(state(&ran, "alerts"), "warning", "a run does without them: {ran:?}");
    for text in ["`chat`: failed to connect", "there is no program `no-such-program`"] {
        assert!(ran.stdout.contains(text), "{ran:?}");
    }
    assert!(!ran.stdout.contains("of-this-chat"), "an address is a secret: {ran:?}");
    let shown = shop.ctx(&["config", "show", "--origin"]).exits(Code::Done);
    shown.says(&["alerts        alerts.toml", "ctx.toml"]);
}
