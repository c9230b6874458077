//! Every kind of fault: its place and its words.

use ctx::plan::render;

use super::{HEAD, STEP, faults, parse};

/// Checks the faults of a plan whose first step goes on with `step`, from line 13.
fn check_step(step: &str, expected: &[&str]) {
    assert_eq!(faults(&format!("{HEAD}{STEP}{step}\n")), expected, "{step}");
}

/// Checks the faults of a plan with one good step and `rest` after it, from line 14.
fn check(rest: &str, expected: &[&str]) {
    assert_eq!(faults(&format!("{HEAD}{STEP}backup = true\n{rest}\n")), expected, "{rest}");
}

/// All faults as an operator sees them.
fn messages(text: &str) -> String {
    let faults = parse(text).expect_err("the plan has faults");
    faults.iter().map(|fault| render::fault(fault, false) + "\n\n").collect()
}

#[test]
fn the_plan_of_the_design_parses() {
    let text = r#"
schema = 1
[plan]
name  = "contexten-enhanced"
title = "ContextenApp to the enhanced orchestrator"
[orchestrator]
url   = "http://127.0.0.1:7700"
token = "env:CTX_TOKEN"
[guards]
error-rate = { metric = "error_rate",  max = "5%",    for = 3, min_samples = 50 }
latency    = { metric = "latency_p95", max = "500ms", for = 3, min_samples = 50 }
cpu        = { metric = "cpu",         max = "95%",   for = 3 }
memory     = { metric = "memory",      max = "95%",   for = 3 }
[[phase]]
id = "performance"
title = "Performance optimization"
days  = "15-28"
on_failure = "rollback-phase"
  [[phase.step]]
  id   = "pool-ramp"
  ramp = { flag = "connection_pooling", to = ["5%", "25%", "50%", "100%"], soak = "30m" }
  [[phase.step]]
  id   = "cache-reads"
  set  = { "cache.mode" = "read" }
  soak = "1h"
  [[phase.step]]
  id   = "migrate-schema"
  run  = { do = ["alembic", "upgrade", "head"], undo = ["alembic", "downgrade", "-1"], timeout = "5m" }
  [[phase.criterion]]
  id = "response-time"
  metric = "latency_p95"
  max = "100ms"
  [[phase.milestone]]
  id = "pooling-everywhere"
  title = "All traffic on pooled connections"
  when = ["response-time"]
"#;
    let plan = parse(text).expect("it has no faults");
    assert_eq!(plan.phases[0].steps.len(), 3);
    assert_eq!(plan.soak_total().as_secs(), 4 * 30 * 60 + 60 * 60);
    assert_eq!(plan.milestones[0].when[0].id.as_str(), "response-time");
    assert_eq!(plan.guards.iter().map(|g| g.breaches).collect::<Vec<_>>(), [3; 4]);
}

#[test]
fn all_faults_come_at_once_each_with_its_place() {
    let text = format!(
        r#"{HEAD}{STEP}ramp = {{ flag = "conection_pooling", to = ["5%", "25%", "10%"], soak = 30 }}
[[phase.step]]
id = "first"
set = {{ "cache.mood" = "read" }}
[[phase.criterion]]
id = "fast"
metric = "latency_p59"
max = "5%"
"#
    );
    insta::assert_snapshot!(messages(&text), @r#"
    error: unknown flag `conection_pooling`
      --> plans/shop.toml:13:17
       |
    13 | ramp = { flag = "conection_pooling", to = ["5%", "25%", "10%"], soak = 30 }
       |                 ^^^^^^^^^^^^^^^^^^^
       |
       = hint: did you mean `connection_pooling`?

    error: 10% does not rise above the 25% before it
      --> plans/shop.toml:13:57
       |
    13 | ramp = { flag = "conection_pooling", to = ["5%", "25%", "10%"], soak = 30 }
       |                                                         ^^^^^
       |
       = hint: each part exposes more than the last; going back is what a rollback does

    error: `soak = 30` has no unit
      --> plans/shop.toml:13:72
       |
    13 | ramp = { flag = "conection_pooling", to = ["5%", "25%", "10%"], soak = 30 }
       |                                                                        ^^
       |
       = hint: write it like `500ms`, `30s`, `5m`, `1h30m` or `2d`

    error: a second step `first`
      --> plans/shop.toml:15:6
       |
    15 | id = "first"
       |      ^^^^^^^
       |
       = hint: the first one is on line 12

    error: the configuration has no `cache.mood`
      --> plans/shop.toml:16:9
       |
    16 | set = { "cache.mood" = "read" }
       |         ^^^^^^^^^^^^
       |
       = hint: did you mean `cache.mode`?

    error: unknown metric `latency_p59`
      --> plans/shop.toml:19:10
       |
    19 | metric = "latency_p59"
       |          ^^^^^^^^^^^^^
       |
       = hint: did you mean `latency_p95`?
    "#);
}

#[test]
fn a_token_in_the_plan_is_refused_and_not_repeated() {
    for line in ["token = \"hush-hush-1\"", "tken = \"hush-hush-1\"", "token = \"hush-hush-1"] {
        let text = HEAD.replace("token = \"env:CTX_TOKEN\"", line);
        let shown = messages(&text);
        assert!(!shown.contains("hush"), "{shown}");
    }
    let text = HEAD.replace("env:CTX_TOKEN", "hush-hush-1") + STEP + "backup = true\n";
    insta::assert_snapshot!(messages(&text), @r#"
    error: the token itself stands in the plan
     --> plans/shop.toml:6:9
      |
    6 | token = "..."
      |         ^^^^^
      |
      = hint: write `env:NAME` or `file:PATH`; a plan is read by many and kept for long
    "#);
    check_step(
        r#"set = { "routes.linear" = { path = "/linear/events", kind = "event", secret = "hush" } }"#,
        &[
            "13:1 route `linear`: its secret is not `env:NAME` or `file:PATH`",
            "13:27 the secret itself stands in the plan",
        ],
    );
    let text = format!("{HEAD}{STEP}set = {{ \"routes.linear\" = {{ secret = \"hush\" }} }}\n");
    assert!(!messages(&text).contains("hush"), "{}", messages(&text));
}

#[test]
fn keys_and_kinds_are_checked() {
    check("colour = 1", &["14:1 unknown key `colour`"]);
    check("[[phase]]\nid = \"two\"", &["14:1 a phase needs `step`"]);
    check("[[phase]]\nid = \"two\"\nstep = []", &["16:1 phase `two` has no steps"]);
    check_step("soak = 5", &["13:8 `soak = 5` has no unit"]);
    check_step("soak = \"5\"", &["13:8 `5` has no unit"]);
    check_step("soak = true", &["13:8 `soak` must be a duration, not a truth value"]);
    check_step("set = \"x\"", &["13:7 `set` must be a table, not a text"]);
    check_step("set = {}", &["13:1 `set` assigns nothing"]);
    check("[backup]\ndatabases = [1]", &["15:14 `databases` must be a text, not a whole number"]);
    check(
        "[backup]\ndatabases = [\"../a.db\"]",
        &["15:14 `../a.db` does not stay under the plan's folder"],
    );
    let two = HEAD.replace("schema = 1", "schema = 2") + STEP + "backup = true\n";
    assert_eq!(faults(&two), ["1:10 schema 2 is not known to this ctx"]);
}

#[test]
fn quantities_keep_their_unit_and_range() {
    let ramp = |to: &str| format!("ramp = {{ flag = \"auto_scaling\", to = {to} }}");
    check_step(&ramp("[0.05, 1.0]"), &[]);
    check_step(&ramp("[5]"), &["13:39 `5` has no unit"]);
    check_step(&ramp("[1.5]"), &["13:39 `1.5` is not between 0.0 and 1.0"]);
    check_step(&ramp("[\"101%\"]"), &["13:39 `101%` is not between 0% and 100%"]);
    check_step(&ramp("[\"50%\", \"50%\"]"), &["13:46 50% does not rise above the 50% before it"]);
    check_step(&ramp("[]"), &["13:33 `to` has no percentages"]);
    let criterion = |rest: &str| format!("[[phase.criterion]]\nid = \"c\"\n{rest}");
    check(&criterion("metric = \"throughput\"\nmin = 10000"), &[]);
    check(&criterion("metric = \"cpu\"\nmax = 0.95"), &[]);
    check(
        &criterion("metric = \"cpu\"\nmax = \"95ms\""),
        &["17:7 `95ms` cannot bound `cpu`, which is a ratio"],
    );
    check(
        &criterion("metric = \"cpu\"\nmax = \"1%\"\nmin = \"1%\""),
        &["18:1 a limit is either `max` or `min`, not both"],
    );
    check(&criterion("metric = \"cpu\""), &["14:1 a metric needs a limit"]);
    check(&criterion(""), &["14:1 criterion `c` asks nothing"]);
}

#[test]
fn a_guard_measures_one_thing_and_its_samples_share_nothing() {
    let with =
        |servers: &str, guard: &str| format!("{servers}[guards.g]\n{}", guard.replace(", ", "\n"));
    let plain = |guard: &str| with("", guard);
    let prom = "[metrics.prom]\nurl = \"http://127.0.0.1:9090\"\n";
    let asks = |guard: &str| with(prom, guard);
    check(&asks("query = 'sum(rate(x[1m]))', max = \"1%\""), &[]);
    check(&asks("query = 'x', from = \"prom\", unit = \"ms\", max = \"1s\", every = \"1s\""), &[]);
    check(&plain("max = \"1%\""), &["14:1 guard `g` measures nothing"]);
    check(
        &asks("metric = \"cpu\", query = 'x', max = \"1%\""),
        &["18:1 guard `g` measures two things"],
    );
    check(&plain("query = 'x', max = 1"), &["15:1 there is no server to ask"]);
    check(&asks("query = 'x', from = \"pron\", max = 1"), &["18:8 unknown server `pron`"]);
    check(
        &asks("query = 'rate(x[5m])', max = 1, every = \"1m\""),
        &["19:9 samples would overlap: the query looks back 5m"],
    );
    check(
        &asks("query = 'x', max = 1, min_samples = 5"),
        &["19:1 `min_samples` has no meaning beside `query`"],
    );
    check(
        &asks("query = 'x', unit = \"ratio\", max = \"5ms\""),
        &["19:7 `5ms` cannot bound the query, which is a ratio"],
    );
    check(
        &plain("metric = \"error_rate\", max = \"1%\", every = \"11m\""),
        &["17:9 the older part of each sample would be lost"],
    );
    check(&plain("metric = \"cpu\", max = \"1%\", every = \"11m\""), &[]);
    let server = |text: &str| format!("[metrics.prom]\n{text}");
    check(&server("url = \"https://a\""), &["15:7 a query cannot be asked over TLS"]);
    let secret = server("url = \"http://a\"\ntoken = \"hush-hush\"");
    check(&secret, &["16:9 the token itself stands in the plan"]);
    assert!(!messages(&format!("{HEAD}{STEP}backup = true\n{secret}")).contains("hush-hush"));
}

#[test]
fn a_criterion_by_query_is_read_as_a_guard_s_is() {
    let prom = "[metrics.prom]\nurl = \"http://127.0.0.1:9090\"\n";
    let criterion = |rest: &str| format!("[[criterion]]\nid = \"c\"\n{}", rest.replace(", ", "\n"));
    let asks = |rest: &str| format!("{prom}{}", criterion(rest));
    check(&asks("query = 'sum(rate(x[1h]))', max = \"1%\""), &[]);
    check(&asks("query = 'x', from = \"prom\", unit = \"ms\", max = \"1s\""), &[]);
    check(&criterion("query = 'x', max = 1"), &["16:1 there is no server to ask"]);
    check(&asks("query = 'x', from = \"pron\", max = 1"), &["19:8 unknown server `pron`"]);
    check(&asks("query = 'x'"), &["16:1 a metric needs a limit"]);
    check(
        &asks("query = 'x', max = 1, window = \"1h\""),
        &["20:1 `window` has no meaning beside `query`"],
    );
    check(
        &asks("query = 'x', metric = \"cpu\", max = 1"),
        &["18:1 criterion `c` measures two things"],
    );
    let suite = "[[suite]]\nfile = \"suites/smoke.toml\"\n";
    check(
        &format!("{suite}{}", asks("query = 'x', max = 1, suite = \"smoke\"")),
        &["22:1 criterion `c` asks two things"],
    );
    check(
        &format!("{suite}{}", asks("suite = \"smoke\", from = \"prom\"")),
        &["21:1 `from` has no meaning beside `suite`"],
    );
}

#[test]
fn a_suite_may_stand_in_a_file_of_its_own() {
    let file = |name: &str| format!("[[suite]]\nfile = \"suites/{name}.toml\"\n");
    check_step(&format!("test = [\"smoke\"]\n{}", file("smoke")), &[]);
    let inline = "[[suite]]\nid = \"smoke\"\nkind = \"functional\"\ncase = [{ name = \"the service \
                  answers\", path = \"/\" }]\n";
    let whole =
        |suite: &str| parse(&format!("{HEAD}{STEP}test = [\"smoke\"]\n{suite}")).unwrap().suites;
    assert_eq!(whole(&file("smoke")), whole(inline), "it means the same wherever it stands");
    // Its faults name its own file and lines, and naming it is no fault besides.
    let faulty = |name: &str| {
        let text = format!("{HEAD}{STEP}test = [\"{name}\"]\n{}", file(name));
        let faults = parse(&text).expect_err("the suite has faults");
        let said =
            |f: &ctx::plan::Fault| format!("{}:{}:{}: {}", f.file, f.line, f.column, f.message);
        faults.iter().map(said).collect::<Vec<_>>()
    };
    assert_eq!(
        faulty("odd"),
        [
            "plans/suites/odd.toml:3:1: a case needs `path`",
            "plans/suites/odd.toml:5:1: unknown key `paht`",
        ]
    );
    let broken = faulty("broken");
    assert!(broken[0].starts_with("plans/suites/broken.toml:1:"), "{broken:?}");
    assert_eq!(
        faulty("nowhere"),
        ["plans/shop.toml:15:8: failed to read the suite `suites/nowhere.toml`: entity not found"]
    );
    check(
        "[[suite]]\nfile = \"../smoke.toml\"",
        &["15:8 `../smoke.toml` does not stay under the plan's folder"],
    );
    check(
        "[[suite]]\nfile = \"suites/smoke.toml\"\nkind = \"load\"",
        &["16:1 `kind` has no meaning beside `file`"],
    );
    check(
        "[[suite]]\nkind = \"functional\"\ncase = [{ name = \"n\", path = \"/\" }]",
        &["14:1 a suite needs `id`, or `file`"],
    );
    check(&format!("{}{}", file("smoke"), file("smoke")), &["17:8 a second suite `smoke`"]);
}

#[test]
fn a_signature_is_spoilt_as_its_platform_could_refuse_it() {
    let case = |rest: &str| {
        format!(
            "[[suite]]\nid = \"s\"\nkind = \"integration\"\ncase = [{{ name = \"n\", path = \"/\", \
             {rest} }}]"
        )
    };
    let plan = |rest: &str| parse(&format!("{HEAD}{STEP}backup = true\n{}", case(rest))).unwrap();
    let expects = |rest: &str| plan(rest).suites[0].cases[0].expect.status;
    assert_eq!(expects("sign_as = \"slack\""), 200);
    assert_eq!(expects("sign_as = \"slack\", signature = \"stale\""), 401);
    assert_eq!(
        expects("sign_as = \"slack\", signature = \"wrong\", expect = { contains = [\"no\"] }"),
        401
    );
    check(&case("signature = \"wrong\""), &["17:35 `signature` has no meaning without `sign_as`"]);
    check(
        &case("sign_as = \"github\", signature = \"stale\""),
        &["17:55 a signature of `github` cannot be stale"],
    );
    check(&case("sign_as = \"github\", signature = \"good\""), &["17:67 unknown signature `good`"]);
}

#[test]
fn a_step_does_one_thing() {
    check_step("", &["11:1 step `first` does nothing"]);
    check_step("soak = \"1h\"", &[]);
    check_step(
        "backup = true\napprove = \"go?\"",
        &["14:1 step `first` does two things: `backup`, `approve`"],
    );
    check_step("backup = false", &["13:10 `backup = false` does nothing"]);
    check_step("test = []", &["13:1 `test` names no suite"]);
}

#[test]
fn names_that_are_used_are_names_that_are_given() {
    check_step("backup = true\nrequire = [\"fast\"]", &["14:12 unknown criterion `fast`"]);
    check_step("test = [\"smoke\"]", &["13:9 unknown suite `smoke`"]);
    check(
        "[[phase]]\nid = \"two\"\nwithout_guards = [\"eror\"]\nstep = [{ id = \"a\", backup = true }]",
        &["16:19 unknown guard `eror`"],
    );
    check(
        "[[phase.milestone]]\nid = \"m\"\ntitle = \"M\"\nafter = \"frist\"",
        &["17:9 unknown step `frist`"],
    );
    check(
        "[[phase]]\nid = \"one\"\nstep = [{ id = \"a\", backup = true }]",
        &["15:6 a second phase `one`"],
    );
    // A criterion whose limit is wrong is still there to be named.
    check(
        "[[phase.criterion]]\nid = \"c\"\nmetric = \"cpu\"\nmax = \"x\"\n[[phase.milestone]]\nid = \"m\"\ntitle = \"M\"\nwhen = [\"c\"]",
        &["17:7 `x` cannot bound `cpu`, which is a ratio"],
    );
}

#[test]
fn changes_fit_the_configuration_as_earlier_steps_leave_it() {
    let install = "install = \"linear.toml\"\n[[phase.step]]\nid = \"second\"\n";
    let version = "set = { \"extensions.linear-integration.version\" = \"1.1.0\" }";
    check_step(&format!("{install}{version}"), &[]);
    check_step(&format!("{install}uninstall = \"linear-integration\""), &[]);
    check_step(version, &["13:9 the configuration has no `extensions.linear-integration.version`"]);
    check_step(
        "uninstall = \"linear-integration\"",
        &["13:13 unknown extension `linear-integration`"],
    );
    check_step(
        "install = \"nowhere.toml\"",
        &["13:11 failed to read the manifest `nowhere.toml`: entity not found"],
    );
    check_step(
        "install = \"/etc/passwd\"",
        &["13:11 `/etc/passwd` does not stay under the plan's folder"],
    );
    check_step(
        "set = { cache = { mode = \"read\" } }",
        &["13:9 `cache` is a table; assign single values of it"],
    );
    check_step("set = { \"scaling.min\" = 9, \"scaling.max\" = 12 }", &[]);
    check_step(
        "set = { \"scaling.min\" = 9 }",
        &["13:1 scaling: needs 1 <= min <= max, not min 9 and max 8"],
    );
    let canary = |rest: &str| format!("canary = {{ upstream = \"next\", to = [\"5%\"]{rest} }}");
    check_step(&canary(""), &["13:23 unknown upstream `next`"]);
    check_step(&canary(", url = \"http://127.0.0.1:9\""), &[]);
    let unfair = canary(", url = \"http://127.0.0.1:9\", max_tail_ratio = 0.5");
    let column = unfair.find("0.5").unwrap() + 1;
    check_step(&unfair, &[&format!("13:{column} `max_tail_ratio` must be at least 1")]);
    for address in ["169.254.169.254", "[fe80::1]:80", "0.0.0.0:9", "2852039166"] {
        let found =
            faults(&[HEAD, STEP, &canary(&format!(", url = \"http://{address}\""))].concat());
        assert!(found.len() == 1 && found[0].contains("upstream `next`: `"), "{found:?}");
    }
}

#[test]
fn a_fault_of_a_manifest_names_the_manifest() {
    let text = format!("{HEAD}{STEP}install = \"odd.toml\"\n");
    let faults = parse(&text).expect_err("the manifest has faults");
    assert_eq!(faults[0].file, "plans/odd.toml");
    let unknown = faults.iter().find(|fault| fault.message.contains("colour")).expect("found");
    assert_eq!((unknown.line, unknown.column), (2, 1));
}

#[test]
fn what_cannot_be_undone_says_so() {
    let step = "run = { do = [\"true\"] }";
    check_step(step, &["13:1 step `first` has no undo"]);
    check_step(&format!("{step}\nirreversible = true"), &[]);
    check_step("backup = true\nirreversible = true", &["14:16 step `first` can be undone"]);
    check_step("run = { do = [\"true\"], undo = [] }", &["13:24 `undo` names no program"]);
    check_step(
        "call = { do = { method = \"post\", url = \"x\" }, undo = { url = \"/ \" } }",
        &["13:26 unknown method `post`", "13:40 `x` is not a URL", "13:62 `/ ` is not a path"],
    );
}

#[test]
fn days_go_forward() {
    let phase = |days: &str| {
        format!(
            "[[phase]]\nid = \"p{}\"\ndays = \"{days}\"\nstep = [{{ id = \"a\", backup = true }}]\n",
            days.len()
        )
    };
    check(&phase("9-3"), &["16:8 the days run backwards, from 9 to 3"]);
    check(&phase("soon"), &["16:8 `soon` are not days"]);
    check(
        &(phase("1-14") + &phase("14-20")),
        &["20:8 phase `p5` begins on day 14, when phase `p4` still runs"],
    );
}

#[test]
fn a_text_that_is_no_toml_is_still_read_as_far_as_it_goes() {
    let text = format!("{HEAD}{STEP}soak = \"5\"\nrun = = 1\ntest = [\n");
    let faults = faults(&text);
    assert!(faults.len() >= 3, "{faults:?}");
    assert!(faults.contains(&"13:8 `5` has no unit".to_owned()), "{faults:?}");
}
