//! The plans of the repository, cut down to what a test has time for.

use std::path::Path;

use super::Test;
use super::serve::Serve;

/// How long every soak of a short plan lasts, and every load of a suite.
const SOAK: &str = "400ms";
const LOAD: &str = "1s";

/// Limits that say something about a service in production, and the ones for a machine that is
/// busy with other tests: the whole strategy is run, and its limits are tested elsewhere.
const LIMITS: [(&str, &str); 11] = [
    ("max         = \"500ms\"", "max         = \"5s\""),
    ("metric = \"cpu\"\nmax    = \"95%\"", "metric = \"cpu\"\nmax    = \"100%\""),
    ("metric = \"memory\"\nmax    = \"95%\"", "metric = \"memory\"\nmax    = \"100%\""),
    ("min      = \"24h\"", "min      = \"1s\""),
    ("max      = \"100ms\"", "max      = \"3s\""),
    ("max      = \"1%\"", "max      = \"3%\""),
    (
        "metric   = \"healthy\"\n  min      = \"100%\"",
        "metric   = \"healthy\"\n  min      = \"0%\"",
    ),
    ("\"health.interval\" = \"30s\"", "\"health.interval\" = \"1s\""),
    ("latency_p95 = { max = \"100ms\" }", "latency_p95 = { max = \"3s\" }"),
    ("latency_p99 = { max = \"500ms\" }", "latency_p99 = { max = \"5s\" }"),
    ("throughput  = { min = 10000 }", "throughput  = { min = 600 }"),
];

/// Writes `plans/contexten.toml` and its extensions into the project, for this orchestrator, with
/// every soak shortened and every limit loosened. Every phase, step and suite is there.
#[track_caller]
pub(crate) fn short_plan(test: &Test, serve: &Serve) {
    let text = loosened().replace("http://127.0.0.1:7700", &format!("http://{}", serve.control));
    let lines = text.lines().map(|line| {
        let line = with_value(line, "soak", &format!("\"{SOAK}\""));
        let line = with_value(&line, "lasts", &format!("\"{LOAD}\""));
        let line = with_value(&line, "rate", "40");
        // A guard looks as often as it can.
        if line.starts_with("[guards.") { format!("{line}\nevery = \"200ms\"") } else { line }
    });
    test.write("plans/contexten.toml", &lines.collect::<Vec<_>>().join("\n"));
    for name in ["linear", "github", "slack"] {
        let manifest = format!("extensions/{name}.toml");
        test.write(&format!("plans/{manifest}"), &read(&manifest));
    }
}

/// `plans/contexten.toml` with every limit loosened.
#[track_caller]
pub(crate) fn loosened() -> String {
    let mut text = read("contexten.toml");
    for (from, to) in LIMITS {
        assert!(text.contains(from), "the plan has no `{from}` any more");
        text = text.replace(from, to);
    }
    text
}

/// A file of `plans/`.
#[track_caller]
pub(crate) fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The line with another value of `key`, wherever on it the key stands.
fn with_value(line: &str, key: &str, value: &str) -> String {
    let Some((before, after)) = line.split_once(&format!("{key} ")) else { return line.to_owned() };
    let is_key = before.is_empty() || before.ends_with([' ', '{', ',']);
    match after.trim_start().strip_prefix("= ") {
        Some(old) if is_key => {
            let rest = old.trim_start_matches(|c| !" ,}".contains(c));
            format!("{before}{key} = {value}{rest}")
        }
        _ => line.to_owned(),
    }
}

#[test]
fn a_value_is_replaced_where_its_key_stands() {
    let check = |line: &str, expect: &str| assert_eq!(with_value(line, "soak", "\"1s\""), expect);
    check("  soak  = \"1h\"", "  soak = \"1s\"");
    check(
        "  ramp  = { to = [\"5%\"], soak = \"1h\" }",
        "  ramp  = { to = [\"5%\"], soak = \"1s\" }",
    );
    check("title = \"no soak here\"", "title = \"no soak here\"");
}
