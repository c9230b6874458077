//! `ctx rehearse --drill`: every fault at every step, and whether everything came back.
//!
//! The processes are real and die of `kill -9`; an undo that does not restore is found out, and
//! blamed on its own step and no other.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use ctx::error::Code;
use serde_json::Value;

use crate::support::{Ran, Test, plans};

const FAULTS: [&str; 8] = [
    "errors",
    "latency",
    "hang",
    "app-down",
    "metrics-down",
    "crash-orchestrator",
    "crash-ctx",
    "ctx-gone",
];

/// A step of every kind that a fault meets otherwise.
const PLAN: &str = r#"
schema = 1

[plan]
name  = "small"
title = "A small plan to drill"

[orchestrator]
url   = "http://127.0.0.1:7700"
token = "env:CTX_TOKEN"

[guards.error-rate]
metric      = "error_rate"
max         = "20%"
min_samples = 5
for         = 2

[guards.latency]
metric      = "latency_p95"
max         = "3s"
min_samples = 5
for         = 2

[[phase]]
id    = "reads"
title = "Reads from the cache"

  [[phase.step]]
  id   = "cache"
  set  = { "cache.mode" = "read", "flags.caching_layer.enabled" = true, "flags.caching_layer.percentage" = "100%" }
  soak = "1h"

[[phase]]
id    = "events"
title = "Events through the own processor"

  [[phase.step]]
  id   = "ramp"
  ramp = { flag = "enhanced_event_processing", to = ["50%", "100%"], soak = "1h" }

  [[phase.step]]
  id  = "program"
  run = { do = ["touch", "mark"], undo = UNDO }

  [[phase.step]]
  id   = "ask"
  call = { do = { method = "PUT", url = "SERVICE/on" }, undo = { method = "PUT", url = "SERVICE/BACK" } }

  [[phase.step]]
  id   = "watch"
  soak = "3h"
"#;

/// An undo of `touch mark` that is safe to run twice.
const RESTORES: &str = r#"["rm", "-f", "mark"]"#;

/// The plan, its programs, and a service beside it that holds one value in a file.
struct Project {
    test: Test,
    value: PathBuf,
}

impl Project {
    /// With what undoes `program`, and the path that undoes `ask`.
    fn new(undo: &str, back: &str) -> Self {
        let test = Test::new().file("programs/kept", "as it is");
        let value = test.path("value");
        let url = service(value.clone());
        let plan = plans::changed(PLAN, &[("UNDO", undo), ("SERVICE", &url), ("BACK", back)]);
        test.write("plans/small.toml", &plan);
        test.write("look", &format!("#!/bin/sh\ncat {}\n", value.display()));
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(test.path("look"), executable).unwrap();
        Self { test, value }
    }

    /// Programs and requests are named only.
    fn drill(&self, args: &[&str]) -> Ran {
        let always = ["rehearse", "--drill", "--soaks", "2s", "--rate", "50"];
        self.test.run(&[&always[..], args].concat())
    }

    /// Programs run, and requests are sent.
    fn drill_in_earnest(&self, args: &[&str]) -> Ran {
        std::fs::write(&self.value, "off").unwrap();
        self.drill(&[&["--run-programs", "programs", "--compare", "look"], args].concat())
    }
}

/// A service that writes the last word of a request's path to a file. It ends with the tests.
fn service(value: PathBuf) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.take(10_000));
            let mut line = String::new();
            let _ = reader.read_line(&mut line);
            let mut rest = String::new();
            while reader.read_line(&mut rest).is_ok_and(|read| read > 2) {
                rest.clear();
            }
            if let Some(word) = line.split(['/', ' ']).nth(2) {
                std::fs::write(&value, word).unwrap();
            }
            let answer = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
            let _ = reader.into_inner().into_inner().write_all(answer.as_bytes());
        }
    });
    url
}

fn texts<'a>(drills: &'a Value, field: &str) -> Vec<&'a str> {
    drills.as_array().unwrap().iter().map(|drill| drill[field].as_str().unwrap()).collect()
}

#[test]
fn every_fault_at_every_step_rolls_back_to_the_state_before_the_phase() {
    let project = Project::new(RESTORES, "off");
    let ran = project.drill(&["--jobs", "6", "--junit", "drill.xml", "--json", "--step", "ramp"]);
    let ran = ran.exits(Code::Done).warns(&["8 drills", "none lost", "phase 1 `reads` migrated"]);
    let found = ran.json();
    assert_eq!(found["schema"], "ctx.drill/1");
    assert_eq!((&found["clean"], &found["blamed"]), (&true.into(), &Value::Array(vec![])));
    assert_eq!(texts(&found["drills"], "fault"), FAULTS);
    for drill in found["drills"].as_array().unwrap() {
        assert_eq!((&drill["step"], &drill["phase_number"]), (&"ramp".into(), &2.into()));
        assert_eq!((&drill["state_equal"], &drill["events_lost"]), (&true.into(), &0.into()));
        assert!(drill["events"].as_u64().unwrap() > 0, "{drill}");
        let (detected, back) = (&drill["detected_ms"], &drill["rolled_back_ms"]);
        assert!(detected.as_u64().unwrap() <= back.as_u64().unwrap(), "{drill}");
        let killed = drill["fault"].as_str().is_some_and(|fault| fault.contains("ctx"));
        assert_eq!(drill["ending"], if killed { "on-request" } else { "by-itself" }, "{drill}");
    }
    let gone = &found["drills"][7];
    assert!(gone["detected_by"].as_str().unwrap().contains("the lease lapsed"), "{gone}");
    let blind = &found["drills"][4];
    let by = blind["detected_by"].as_str().unwrap();
    assert!(by.contains("cannot be reached") && by.contains("inconclusive for"), "{blind}");
    let xml = std::fs::read_to_string(project.test.path("drill.xml")).unwrap();
    assert!(
        xml.contains("<testsuite name=\"events\" tests=\"8\" failures=\"0\" errors=\"0\""),
        "{xml}"
    );
    assert!(xml.contains("name=\"ramp: crash-orchestrator\""), "{xml}");
    for told in ["<system-out>detected after ", "rolled back after ", "0 of ", "state equal"] {
        assert!(xml.matches(told).count() == 8, "{told}: {xml}");
    }
}

#[test]
fn steps_outside_the_configuration_are_struck_and_undone_as_well() {
    let project = Project::new(RESTORES, "off");
    let faults = ["--fault", "errors", "--fault", "crash-orchestrator", "--fault", "crash-ctx"];
    // Every drill has its own folder, but they share the one service: one at a time.
    project
        .drill_in_earnest(&[&["--phase", "events"], &faults[..]].concat())
        .exits(Code::Done)
        .says(&[
            "Phase 2 events",
            "step",
            "fault",
            "detected",
            "rolled back",
            "lost",
            "state equal",
        ])
        .says(&["ramp", "program", "ask", "watch", "crash-orchestrator", "yes"])
        .warns(&["12 drills, 1 at a time", "12/12", "12 faults, each rolled back"]);
    assert!(!project.test.path("mark").exists(), "programs run in the drill's own folder");
    assert_eq!(std::fs::read_dir(project.test.path("programs")).unwrap().count(), 1);
}

#[test]
fn an_undo_that_does_not_restore_is_blamed_on_its_own_step_and_no_other() {
    let project = Project::new(r#"["true"]"#, "off");
    let args = ["--phase", "2", "--fault", "errors", "--junit", "drill.xml"];
    let ran = project.drill_in_earnest(&args).exits(Code::RollbackIncomplete);
    let ran = ran.says(&["NO"]).warns(&["step `program` of phase `events`", "file `mark`"]);
    for other in ["step `ramp`", "step `ask`", "step `watch`"] {
        assert!(!ran.stderr.contains(other), "{other}: {ran:#?}");
    }
    let xml = std::fs::read_to_string(project.test.path("drill.xml")).unwrap();
    assert!(xml.contains("not as before: file `mark`"), "{xml}");
}

#[test]
fn a_request_whose_undo_is_wrong_is_found_by_a_program_that_looks() {
    let project = Project::new(RESTORES, "half");
    let ran = project.drill_in_earnest(&["--step", "ask", "--fault", "errors", "--json"]);
    let found = ran.exits(Code::RollbackIncomplete).json();
    assert_eq!((&found["clean"], found["blamed"].as_array().unwrap().len()), (&false.into(), 1));
    assert_eq!(found["blamed"][0]["step"], "ask");
    let why = found["blamed"][0]["faults"].to_string();
    assert!(why.contains("look") && why.contains("says"), "{why}");
}

#[test]
fn what_there_is_not_cannot_be_drilled() {
    let project = Project::new(RESTORES, "off");
    let check = |args: &[&str], says: &str| {
        let ran = project.drill(args).exits(Code::Usage);
        assert!(ran.stderr.contains(says), "{ran:#?}");
    };
    check(&["--step", "cachee"], "did you mean `cache`?");
    check(&["--phase", "3"], "its phases are");
    check(&["--fault", "earthquake"], "the faults are errors");
    project.test.run(&["rehearse", "--phase", "1"]).exits(Code::Usage).warns(&["--drill"]);
}

/// All of it, at every step of the strategy: some minutes.
#[test]
#[ignore = "minutes; `cargo nextest run --run-ignored only -E 'test(/^drill::/)'`"]
fn the_strategy_survives_every_fault_at_every_step() {
    let test = Test::new();
    plans::relaxed_strategy(&test);
    let ended = test.command(&["rehearse", "--drill"]).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    println!("{}{said}", String::from_utf8_lossy(&ended.stdout));
    assert!(ended.status.success() && said.contains("none lost"));
}
