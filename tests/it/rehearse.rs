//! `ctx rehearse`: a whole plan on this machine, before a real service sees it.

use ctx::error::Code;

use crate::support::markdown::{Document, prints};
use crate::support::{Ran, Test, plans};

/// A change of each kind that a rehearsal makes, names, or leaves out.
const SMALL: &str = r#"
schema = 1

[plan]
name  = "small"
title = "A small rehearsal"

[orchestrator]
url   = "http://127.0.0.1:7700"
token = "env:CTX_TOKEN"

[guards.error-rate]
metric = "error_rate"
max    = "5%"

[guards.cpu]
metric = "cpu"
max    = "1%"

[[phase]]
id    = "pooling"
title = "Pooled connections"

  [[phase.step]]
  id   = "pool-ramp"
  ramp = { flag = "connection_pooling", to = ["10%", "100%"], soak = "1h" }

  [[phase.step]]
  id      = "ask"
  approve = "Are the customers happy?"

  [[phase.step]]
  id  = "migrate"
  run = { do = ["touch", "never-there"], undo = ["rm", "never-there"] }

[[phase]]
id    = "caching"
title = "Reads from the cache"

  [[phase.step]]
  id   = "cache-reads"
  set  = { "cache.mode" = "read", "flags.caching_layer.enabled" = true, "flags.caching_layer.percentage" = "100%" }
  soak = "2h"
"#;

/// Rehearses a plan that must pass.
#[track_caller]
fn rehearse(test: &Test, args: &[&str]) -> Ran {
    let args = [&["rehearse"], args].concat();
    test.run(&args).exits(Code::Done).warns(&["none lost or failed"])
}

#[test]
fn a_plan_is_rehearsed_whole_and_nothing_real_is_touched() {
    let test = Test::new().file("plans/small.toml", SMALL);
    let args = ["--soaks", "3s", "--rate", "100", "--keep", "kept"];
    rehearse(&test, &args)
        .says(&["A small rehearsal", "pooling", "caching", "confirmed"])
        .warns(&["guards on cpu are left out", "(1 s stands for 1h20m)"]);
    assert!(!test.path("never-there").exists(), "programs are named, not run");
    assert!(!test.path(".ctx").exists(), "the ledger of a rehearsal is its own");
    let ledger = ["--ledger", "kept/ledger.sqlite3"];
    test.run(&[&["ledger", "verify"], &ledger[..]].concat()).exits(Code::Done);
    test.run(&[&["history"], &ledger[..]].concat()).exits(Code::Done).says(&["pooling", "done"]);
    test.run(&[&["rehearse"], &args[..]].concat()).exits(Code::Usage).warns(&["name a new folder"]);
}

#[test]
fn a_plan_that_cannot_succeed_fails_its_rehearsal() {
    let impossible = r#"
  [[phase.criterion]]
  id     = "impossible"
  metric = "throughput"
  min    = 1000000000
"#;
    let test = Test::new().file("plans/small.toml", &format!("{SMALL}{impossible}"));
    test.run(&["rehearse", "--soaks", "1s", "--rate", "100"])
        .exits(Code::RolledBack)
        .says(&["rolled back", "confirmed"])
        .warns(&["criterion `impossible`: throughput "]);
}

#[test]
fn the_example_of_a_shop_rehearses() {
    let limits = [("\"1s\"", "\"5s\""), ("\"200ms\"", "\"3s\"")];
    let shop = plans::changed(&plans::read("examples/shop.toml"), &limits);
    let test = Test::new().file("shop.toml", &shop);
    let args = ["shop.toml", "--soaks", "2s", "--rate", "100"];
    rehearse(&test, &args).says(&["checkout"]);
    let records = rehearse(&test, &[&args[..], &["--json"]].concat()).records();
    let (first, last) = (&records[0], records.last().unwrap());
    assert_eq!((&first["type"], &last["type"]), (&"version".into(), &"run_end".into()));
    assert_eq!(last["exit_code"], 0, "{last}");
}

/// The whole strategy. Its own limits hold where nothing else runs: `.ci/run` rehearses it so.
#[test]
fn the_strategy_rehearses() {
    let test = Test::new();
    plans::relaxed_strategy(&test);
    let ran = rehearse(&test, &["--soaks", "5s", "--rate", "150"]).says(&[
        "Foundation enhancement",
        "Performance optimization",
        "Advanced features",
        "Full enhancement",
        "100%",
    ]);
    let readme = Document::read("README.md").blocks();
    let sample = readme.iter().find(|block| block.kind == "text").unwrap();
    prints(&ran.stderr, &sample.text);
}
