//! `ctx` in a pipeline: what GitHub and GitLab get, and the scripts of `docs/ci.md`.

use std::process::{Command, Output};

use ctx::error::Code;
use serde_json::Value;

use crate::resume::{HEALTH, Scene};
use crate::shop::{PLAN_FILE, Shop, desk};
use crate::support::markdown::Document;
use crate::support::{Test, junit, peer};

const IMPOSSIBLE: &str = r#"
  [[phase.criterion]]
  id     = "impossible"
  metric = "throughput"
  min    = 1000000000
"#;

/// A phase that fails before anything soaks.
const IMPOSSIBLE_FROM_THE_START: &str = r#"
[[phase]]
id    = "health"
title = "Health checks"

  [[phase.step]]
  id      = "checks"
  set     = { "health.enabled" = true }
  require = ["impossible"]
  soak    = "10ms"

  [[phase.criterion]]
  id     = "impossible"
  metric = "throughput"
  min    = 1000000000
"#;

#[test]
fn a_phase_that_fails_is_annotated_summed_up_and_recorded() {
    let scene = Scene::new(&[HEALTH, IMPOSSIBLE]);
    let summary = scene.test.path("summary.md").display().to_string();
    let env = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", &*summary)];
    let args = ["migrate", "phase", "1", "--yes", "--json-into", "run.jsonl"];
    let ran = scene.test.spawn_with(&args, &env).ends().exits(Code::RolledBack);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    let group = lines.iter().position(|l| *l == "::group::small, phase 1 `health`").unwrap();
    let end = lines.iter().position(|l| *l == "::endgroup::").unwrap();
    assert!(group < end, "{}", ran.stderr);
    let plan = std::fs::read_to_string(scene.test.path("plans/small.toml")).unwrap();
    let line = 1 + plan.lines().position(|line| line == "[[phase]]").unwrap();
    let error =
        format!("::error file=plans/small.toml,line={line},title=small%2C phase 1 `health`::");
    assert!(lines.iter().any(|l| l.starts_with(&error) && l.contains("impossible")), "{lines:#?}");
    let error = format!("::error file=plans/small.toml,line={line},title=PHASE_ROLLED_BACK::");
    assert!(ran.stderr.contains(&error), "{}", ran.stderr);
    let summary = std::fs::read_to_string(&summary).unwrap();
    assert!(summary.starts_with("## small, phase 1 `health`: PHASE_ROLLED_BACK"), "{summary}");
    assert!(summary.contains("rolled back"), "{summary}");
    let records = std::fs::read_to_string(scene.test.path("run.jsonl")).unwrap();
    let records: Vec<Value> =
        records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records[0]["type"], "version");
    assert_eq!(records.last().unwrap()["exit_code"], 20, "{records:#?}");

    let junit = scene.test.run(&["report", "--format", "junit"]).exits(Code::Done).stdout;
    scene.test.write("report.xml", &junit);
    if peer::require("python").is_none() {
        return;
    }
    let read = "import xml.etree.ElementTree as e; r = e.parse('report.xml').getroot(); \
                print([(c.get('name'), [k.tag for k in c]) for c in r.iter('testcase')])";
    let mut python = Command::new(peer::python());
    let read = python.args(["-c", read]).current_dir(scene.test.path("")).output().unwrap();
    let read = String::from_utf8(read.stdout).unwrap();
    assert_eq!(
        read.trim(),
        "[('the phase is confirmed', ['failure']), ('impossible: impossible', ['failure'])]"
    );
}

#[test]
fn elsewhere_there_are_no_commands_and_a_fault_of_a_plan_is_one_on_github() {
    let test = desk("http://127.0.0.1:9");
    let plan = std::fs::read_to_string(test.path(PLAN_FILE)).unwrap();
    let plan = plan.replace("soak = \"10ms\"\n\n[[phase]]", "soak = \"10\"\n\n[[phase]]");
    let line = 1 + plan.lines().position(|line| line.contains("soak = \"10\"")).unwrap();
    test.write(PLAN_FILE, &plan);
    let plain = test.run(&["plan", "check"]).exits(Code::PlanInvalid);
    assert!(!plain.stderr.contains("::error"), "{}", plain.stderr);
    let ran = test.spawn_with(&["plan", "check"], &[("GITHUB_ACTIONS", "true")]).ends();
    let error = format!("::error file={PLAN_FILE},line={line},col=10,title=ctx plan::");
    assert!(ran.stderr.starts_with(&error), "{}", ran.stderr);
}

#[test]
fn records_go_into_files_of_runs_only() {
    let test = desk("http://127.0.0.1:9");
    test.run(&["status", "--json-into", "a"]).exits(Code::Usage).warns(&["records of a run"]);
    let pipe = ["migrate", "next", "--json-into", "/dev/null"];
    test.run(&pipe).exits(Code::Usage).warns(&["it is not a regular file"]);
}

/// The scripts of a document's `run: |` lines, in order.
fn scripts(document: &Document) -> Vec<String> {
    let yaml = document.blocks().into_iter().filter(|block| block.kind == "yaml");
    let mut scripts = Vec::new();
    for block in yaml {
        let mut lines = block.text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(indent) = line.strip_suffix("run: |") else { continue };
            let deeper = " ".repeat(indent.len() + 2);
            let mut script = String::new();
            while let Some(line) = lines.next_if(|line| line.starts_with(&deeper)) {
                script.push_str(line.trim_start());
                script.push('\n');
            }
            scripts.push(script);
        }
    }
    scripts
}

/// Runs a script in the project as a runner does: with the environment of a project, and more.
fn runs(test: &Test, script: &str, env: &[(&str, &str)]) -> Output {
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_ctx")).parent().unwrap();
    let path = ctx::settings::environment("PATH").unwrap_or_default();
    Command::new("bash")
        .env_clear()
        .envs(test.command(&[]).get_envs().filter_map(|(name, value)| Some((name, value?))))
        .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script])
        .current_dir(test.path(""))
        .env("PATH", format!("{}:{path}", bin.display()))
        .envs(env.iter().copied())
        .output()
        .unwrap()
}

#[test]
fn the_scripts_of_the_document_work() {
    let shop = Shop::open();
    shop.edit("soak = \"10ms\"\n\n[[phase]]", "soak = \"200ms\"\n\n[[phase]]");
    let scripts = scripts(&Document::read("docs/ci.md"));
    assert_eq!(scripts.len(), 4, "{scripts:#?}");
    let env = [("GITHUB_ACTIONS", "true"), ("GITHUB_RUN_ID", "7")];
    for script in scripts {
        let ran = runs(&shop.test, &script, &env);
        assert!(ran.status.success(), "{script}\n{}", String::from_utf8_lossy(&ran.stderr));
    }
    let report = std::fs::read_to_string(shop.test.path("reports/report.xml")).unwrap();
    assert!(report.contains("<testsuite name=\"phase 1 caching: Cached reads\""), "{report}");
    let records = std::fs::read_to_string(shop.test.path("run.jsonl")).unwrap();
    assert!(records.lines().last().unwrap().contains("\"run_end\""), "{records}");
}

/// What GitLab makes of the job of the document.
fn gitlab_job() -> Value {
    let section = Document::read("docs/ci.md").section("GitLab");
    let yaml = section.blocks().into_iter().find(|block| block.kind == "yaml").unwrap().text;
    let read = "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.argv[1])))";
    let ran = Command::new(peer::python()).args(["-c", read, &yaml]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice::<Value>(&ran.stdout).unwrap()["migrate"].clone()
}

/// Runs GitLab's job in a project: whether the pipeline goes on, and the suites that it shows.
fn pipeline(test: &Test, job: &Value) -> (bool, Value) {
    let lines = |key: &str| {
        let lines = job[key].as_array().unwrap_or_else(|| panic!("{job}"));
        lines.iter().map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("\n")
    };
    let env = [("GITLAB_CI", "true"), ("CI", "true")];
    let code = runs(test, &lines("script"), &env).status.code().unwrap();
    // In a shell of its own, whatever came of the script.
    let after = runs(test, &lines("after_script"), &env);
    assert!(after.status.success(), "{}", String::from_utf8_lossy(&after.stderr));
    assert_eq!(job["artifacts"]["when"], "always", "they are wanted most when it fails");
    for path in job["artifacts"]["paths"].as_array().unwrap() {
        let kept = std::fs::read_to_string(test.path(path.as_str().unwrap())).unwrap();
        assert!(kept.lines().last().unwrap().contains("\"run_end\""), "{path}: {kept}");
    }
    let report = test.path(job["artifacts"]["reports"]["junit"].as_str().unwrap());
    let allowed = job["allow_failure"]["exit_codes"].as_i64() == Some(code.into());
    (code == 0 || allowed, junit::read(&report))
}

#[test]
fn the_job_for_gitlab_works_and_keeps_what_it_names() {
    let peers = ["pyyaml", "junitparser"];
    if peers.iter().any(|name| peer::require(name).is_none()) {
        return;
    }
    let job = gitlab_job();
    let shop = Shop::open();
    shop.edit("soak = \"10ms\"\n\n[[phase]]", "soak = \"60s\"\n\n[[phase]]");
    let (goes_on, suites) = pipeline(&shop.test, &job);
    assert!(goes_on, "it soaks on without the job: {suites}");
    assert_eq!(suites[0]["name"], "phase 1 caching: Cached reads", "{suites}");
    assert_eq!(suites[0]["failures"], 0, "{suites}");

    let scene = Scene::new(&[IMPOSSIBLE_FROM_THE_START]);
    let (goes_on, suites) = pipeline(&scene.test, &job);
    assert!(!goes_on && suites[0]["failures"].as_u64() > Some(0), "{suites}");
}
