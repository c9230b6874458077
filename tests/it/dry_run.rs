//! What a migration would send, before it does: `ctx migrate --dry-run`.

use ctx::error::Code;
use serde_json::Value;

use crate::shop::Shop;
use crate::support::serve::TOKEN;

/// The requests of phase `index` as `METHOD path`.
fn requests(told: &Value, index: usize) -> Vec<String> {
    let doings = told["phases"][index]["doings"].as_array().unwrap();
    let requests = doings.iter().filter_map(|doing| doing["request"]["request"].as_object());
    let line = |request: &serde_json::Map<String, Value>| {
        format!("{} {}", request["method"].as_str().unwrap(), request["path"].as_str().unwrap())
    };
    requests.map(line).collect()
}

#[test]
fn every_request_is_shown_in_order_and_none_is_sent() {
    let shop = Shop::open();
    let before = shop.standing();
    let ran = shop.ctx(&["migrate", "all", "--dry-run", "--json"]).exits(Code::Done);
    let told = ran.json();
    assert_eq!(told["schema"], "ctx.dry-run/1");
    assert_eq!(
        requests(&told, 1),
        [
            "PUT /v1/lease",
            "GET /v1/state",
            "PUT /v1/guards",
            "GET /v1/state",
            "POST /v1/revisions",
            "POST /v1/revisions/3/confirm",
            "GET /v1/state",
            "POST /v1/revisions",
            "POST /v1/revisions/4/confirm",
            "DELETE /v1/guards",
            "DELETE /v1/lease",
        ],
        "{told}"
    );
    assert!(!ran.stdout.contains(TOKEN), "{}", ran.stdout);
    assert_eq!(shop.standing(), before);
    assert!(!shop.test.path(".ctx").exists(), "not even a ledger was made");
    // What was shown is what is sent: the documents in force afterwards are those.
    let ends = |phase: usize| {
        let doings = told["phases"][phase]["doings"].as_array().unwrap();
        let mut bodies = doings.iter().map(|doing| &doing["request"]["request"]["body"]["config"]);
        bodies.rfind(|config| config.is_object()).unwrap().clone()
    };
    for phase in 0..2 {
        shop.ctx(&["migrate", "next", "--yes"]).exits(Code::Done);
        let there = shop.serve.state();
        assert_eq!(serde_json::to_value(&there.config).unwrap(), ends(phase));
    }
    assert_eq!(shop.serve.state().head, 4);
}

#[test]
fn a_person_reads_what_changes() {
    let shop = Shop::open();
    let ran = shop.ctx(&["migrate", "phase", "1", "--dry-run"]).exits(Code::Done);
    for line in [
        "Requests of phase 1 `caching`, in order",
        "  POST /v1/revisions\n",
        "      authorization: Bearer (the token)\n",
        "      if-match: \"1\"\n",
        "      config.cache.mode: \"off\" -> \"read\"\n",
        "  (soak cache-reads for 10ms under the guards)\n",
    ] {
        assert!(ran.stdout.contains(line), "{line} in\n{}", ran.stdout);
    }
    assert!(ran.stderr.contains("nothing was done (--dry-run)"), "{}", ran.stderr);
}

#[test]
fn it_ends_as_the_run_would() {
    let shop = Shop::open();
    shop.ctx(&["migrate", "phase", "2", "--dry-run"]).exits(Code::Refused);
    shop.ctx(&["migrate", "phase", "1", "--yes"]).exits(Code::Done);
    let nowhere = ["migrate", "phase", "2", "--dry-run", "--orchestrator", "http://127.0.0.1:1"];
    shop.ctx(&nowhere).exits(Code::Unreachable);
    shop.serve.set(|config| config.cache.capacity += 1);
    shop.ctx(&["migrate", "phase", "2", "--dry-run"]).exits(Code::Refused);
    shop.edit("\"read\"", "\"write\"");
    shop.ctx(&["migrate", "phase", "2", "--dry-run"]).exits(Code::PlanEdited);
}

#[test]
fn pending_changes_have_a_code_of_their_own() {
    let shop = Shop::with_first_phase();
    let dry =
        |phase: &str| shop.ctx(&["migrate", "phase", phase, "--dry-run", "--detailed-exitcode"]);
    let show = |more: &[&str]| shop.ctx(&[&["plan", "show", "--detailed-exitcode"], more].concat());
    dry("1").exits(Code::Done);
    dry("2").exits(Code::ChangesPending);
    show(&[]).exits(Code::ChangesPending);
    show(&["--phase", "1"]).exits(Code::Done);
    shop.ctx(&["migrate", "all", "--yes"]).exits(Code::Done);
    show(&[]).exits(Code::Done);
    let next = ["migrate", "next", "--dry-run", "--detailed-exitcode"];
    shop.ctx(&next).exits(Code::Done);
    // It means nothing to a run.
    shop.ctx(&["migrate", "next", "--detailed-exitcode"]).exits(Code::Usage);
}
