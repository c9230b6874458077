//! The JUnit report, read back by parsers that pipelines use.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::desk::Desk;
use crate::support::peer;

/// Reads a report with `junitparser`, and prints what it understood.
const READ: &str = "
import json, sys
from junitparser import Error, Failure, JUnitXml, Skipped
kinds = {Failure: 'failed', Error: 'error', Skipped: 'skipped'}
xml = JUnitXml.fromfile(sys.argv[1])
suites = []
for suite in xml:
    cases = {}
    for case in suite:
        result = case.result[0] if case.result else None
        cases[case.name] = [kinds.get(type(result), 'passed'), getattr(result, 'message', None)]
    suites.append({'name': suite.name, 'tests': suite.tests, 'failures': suite.failures,
                   'skipped': suite.skipped, 'cases': cases})
print(json.dumps(suites))
";

fn read(desk: &Desk, file: &str) -> Value {
    let output = Command::new(peer::python())
        .args(["-c", READ, file])
        .current_dir(desk.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_pipeline_reads_a_suite_for_each_phase() {
    if peer::require("junitparser").is_none() {
        return;
    }
    let desk = Desk::with_readings();
    desk.told(&["report", "-o", "report.xml"]);
    let suites = read(&desk, "report.xml");
    let [first, second] = &suites.as_array().unwrap()[..] else { panic!("{suites:#}") };
    assert_eq!(first["name"], "phase 1 pooling: Pooled connections");
    assert_eq!(first["cases"]["the phase is confirmed"][0], "passed", "{first:#}");
    assert_eq!(second["failures"], 1, "{second:#}");
    let case = &second["cases"]["the phase is confirmed"];
    assert_eq!((&case[0], &case[1]), (&"failed".into(), &"rolled back".into()), "{second:#}");
}
