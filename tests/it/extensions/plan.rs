//! A plan that makes a program of an integration, under load, and one whose program does not come
//! up.

use ctx::control::observe::ExtensionState;
use ctx::error::Code;
use ctx::load::sign::Secrets;
use ctx::load::webhooks::Mix;

use crate::support::serve::{Serve, TOKEN};
use crate::support::traffic::Traffic;
use crate::support::uvicorn::Uvicorn;
use crate::support::{Test, block_on, peer};

const PLAN: &str = r#"
schema = 1

[plan]
name  = "programs"
title = "An integration becomes a program"

[orchestrator]
url   = "URL"
token = "env:CTX_TOKEN"

[guards.error-rate]
metric      = "error_rate"
max         = "0%"
min_samples = 5
every       = "200ms"

[guards.extensions]
metric = "extensions_up"
min    = "100%"
every  = "200ms"

[[phase]]
id    = "convert"
title = "From the app to a program"

  [[phase.step]]
  id   = "enhanced"
  set  = { "mode" = "enhanced", "legacy_fallback" = false }
  soak = "300ms"

  [[phase.step]]
  id      = "install"
  install = "extensions/http.toml"

  [[phase.step]]
  id   = "ramp"
  ramp = { flag = "extension_management", to = ["50%", "100%"], soak = "300ms" }

  [[phase.step]]
  id      = "swap"
  install = "extensions/linear.toml"
  soak    = "1s"

[[phase]]
id    = "broken"
title = "A version that does not come up"

  [[phase.step]]
  id      = "swap"
  install = "extensions/broken.toml"
  soak    = "2m"
"#;

/// A project with the plan and the example of the repository; the programs are below `plans`.
fn project(url: &str, plan: &str) -> Test {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let read = |file: &str| std::fs::read_to_string(format!("{root}{file}")).unwrap();
    let python = format!("\"{}\"", peer::python());
    let manifest = read("examples/extensions/linear.toml").replace("\"python3\"", &python);
    let broken = manifest.replace("2.0.0", "3.0.0").replace("./linear.py", "./nowhere.py");
    Test::new()
        .env("CTX_TOKEN", TOKEN)
        .env("USER", "ada")
        .file("plans/plan.toml", &plan.replace("URL", url))
        .file("plans/extensions/http.toml", &read("plans/extensions/linear.toml"))
        .file("plans/extensions/linear.py", &read("examples/extensions/linear.py"))
        .file("plans/extensions/linear.toml", &manifest)
        .file("plans/extensions/broken.toml", &broken)
}

#[test]
fn an_integration_becomes_a_program_under_load_and_a_broken_version_never_takes_over() {
    let Some(app) = Uvicorn::start() else { return };
    let test = project("http://127.0.0.1:7700", PLAN);
    let serve = Serve::with(&test, app.url(), &["--programs", "plans"]);
    test.write("plans/plan.toml", &PLAN.replace("URL", &format!("http://{}", serve.control)));
    let traffic = Traffic::start(serve.address(), 60.0, Mix::default(), Secrets::default());
    let migrate = |phase: &str| test.run(&["migrate", "phase", phase, "--yes"]);
    migrate("1").exits(Code::Done);
    let client = serve.client();
    let view = || block_on(client.extensions()).unwrap().extensions.remove(0);
    let well = view();
    assert_eq!(
        (well.version.as_str(), well.state, well.replicas),
        ("2.0.0", ExtensionState::Running, 2)
    );
    let before = serve.state().config_hash;

    migrate("2")
        .exits(Code::RolledBack)
        .warns(&["guard `extensions`", "extensions_up 0%, limit at least 100%, breach 3 of 3"]);
    assert_eq!(serve.state().config_hash, before);
    let again = view();
    assert_eq!(
        (again.version.as_str(), again.state, again.restarts),
        ("2.0.0", ExtensionState::Running, 0)
    );

    let report = traffic.stop();
    report.is_undisturbed();
    let metrics = block_on(client.metrics(Some(0))).unwrap();
    assert!(metrics.counts.extension > 30 && metrics.counts.fallback == 0, "{metrics:?}");
    assert!(metrics.arms["linear-integration"].requests > 30, "{metrics:?}");
    // What the program took, the app never saw; and the way back ends at the app.
    test.run(&["rollback", "--to", "start", "--yes"]).exits(Code::Done);
    assert!(serve.state().config.extensions.is_empty());
}

#[test]
fn a_plan_with_a_program_is_rehearsed_with_the_program() {
    if peer::require("python").is_none() {
        return;
    }
    let (good, _) = PLAN.split_once("[[phase]]\nid    = \"broken\"").unwrap();
    let test = project("http://127.0.0.1:7700", good);
    let args = ["rehearse", "plans/plan.toml", "--soaks", "2s", "--rate", "100"];
    test.run(&args).exits(Code::Done).says(&["From the app to a program", "confirmed"]);
    // And a program that is not there fails its rehearsal.
    std::fs::remove_file(test.path("plans/extensions/linear.py")).unwrap();
    test.run(&args).exits(Code::RolledBack).says(&["rolled back"]);
}

#[test]
fn a_fault_of_a_manifest_is_shown_where_it_stands() {
    let test = project("http://127.0.0.1:7700", PLAN);
    let manifest = std::fs::read_to_string(test.path("plans/extensions/linear.toml")).unwrap();
    let faulty = format!(
        "{manifest}\n[config]\ngreting = \"hi\"\n\n[config_schema.greeting]\ntype = \"string\"\n"
    );
    test.write("plans/extensions/linear.toml", &faulty);
    test.run(&["plan", "check", "plans/plan.toml"]).exits(Code::PlanInvalid).says(&[
        "unknown key of `config` `greting`",
        "plans/extensions/linear.toml:",
        "did you mean `greeting`?",
    ]);
}
