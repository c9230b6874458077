//! A JUnit report, read back by a parser that pipelines use.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::peer;

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

/// The suites of a report, each with its cases by name.
///
/// # Panics
/// When it is none.
#[track_caller]
pub(crate) fn read(file: &Path) -> Value {
    let output = Command::new(peer::python())
        .args(["-c", READ])
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
