//! The JUnit report, read back by parsers that pipelines use.

use crate::desk::Desk;
use crate::support::{junit, peer};

#[test]
fn a_pipeline_reads_a_suite_for_each_phase() {
    if peer::require("junitparser").is_none() {
        return;
    }
    let desk = Desk::with_readings();
    desk.told(&["report", "-o", "report.xml"]);
    let suites = junit::read(&desk.path().join("report.xml"));
    let [first, second] = &suites.as_array().unwrap()[..] else { panic!("{suites:#}") };
    assert_eq!(first["name"], "phase 1 pooling: Pooled connections");
    assert_eq!(first["cases"]["the phase is confirmed"][0], "passed", "{first:#}");
    assert_eq!(second["failures"], 1, "{second:#}");
    let case = &second["cases"]["the phase is confirmed"];
    assert_eq!((&case[0], &case[1]), (&"failed".into(), &"rolled back".into()), "{second:#}");
}
