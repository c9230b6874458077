//! `ctx` in a pipeline: what GitHub and GitLab get, and the scripts of `docs/ci.md`.

use std::process::Command;

use ctx::error::Code;
use serde_json::Value;

use crate::resume::{HEALTH, Scene};
use crate::shop::{PLAN_FILE, Shop, desk};
use crate::support::markdown::Document;
use crate::support::peer;

const IMPOSSIBLE: &str = r#"
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

#[test]
fn the_scripts_of_the_document_work() {
    let shop = Shop::open();
    shop.edit("soak = \"10ms\"\n\n[[phase]]", "soak = \"200ms\"\n\n[[phase]]");
    let scripts = scripts(&Document::read("docs/ci.md"));
    assert_eq!(scripts.len(), 4, "{scripts:#?}");
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_ctx")).parent().unwrap();
    let path = ctx::settings::environment("PATH").unwrap_or_default();
    for script in scripts {
        // With the environment of a project, and as GitHub runs a step.
        let mut command = Command::new("bash");
        command
            .env_clear()
            .envs(shop.test.command(&[]).get_envs().filter_map(|(n, v)| Some((n, v?))));
        let ran = command
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", &script])
            .current_dir(shop.test.path(""))
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_RUN_ID", "7")
            .output()
            .unwrap();
        assert!(ran.status.success(), "{script}\n{}", String::from_utf8_lossy(&ran.stderr));
    }
    let report = std::fs::read_to_string(shop.test.path("reports/report.xml")).unwrap();
    assert!(report.contains("<testsuite name=\"phase 1 caching: Cached reads\""), "{report}");
    let records = std::fs::read_to_string(shop.test.path("run.jsonl")).unwrap();
    assert!(records.lines().last().unwrap().contains("\"run_end\""), "{records}");
}
