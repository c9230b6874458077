//! The plans of the repository, cut down to what a test has time and a machine for.

use std::path::Path;

use super::Test;
use super::serve::Serve;

/// How long every soak of a short plan lasts, and every load of a suite.
const SOAK: &str = "250ms";
const LOAD: &str = "1s";

/// Pairs of what a plan says and what it says instead.
type Changes<'a> = [(&'a str, &'a str)];

/// Limits that say something about a service in production become ones for a machine that is
/// busy with other tests; the limits themselves are tested elsewhere.
const RELAXED: &Changes<'static> = &[
    ("max         = \"500ms\"", "max         = \"9s\""),
    ("metric = \"cpu\"\nmax    = \"95%\"", "metric = \"cpu\"\nmax    = \"100%\""),
    ("metric = \"memory\"\nmax    = \"95%\"", "metric = \"memory\"\nmax    = \"100%\""),
    ("max      = \"100ms\"", "max      = \"9s\""),
    ("max      = \"1%\"", "max      = \"3%\""),
    ("latency_p95 = { max = \"100ms\" }", "latency_p95 = { max = \"3s\" }"),
    ("latency_p99 = { max = \"500ms\" }", "latency_p99 = { max = \"5s\" }"),
    ("throughput  = { min = 10000 }", "throughput  = { min = 600 }"),
    ("cpu         = { max = \"90%\" }", "cpu         = { max = \"100%\" }"),
    ("memory      = { max = \"90%\" }", "memory      = { max = \"100%\" }"),
];

/// What takes hours becomes what a short run can meet; a busy processor counts as unhealthy.
const HURRIED: &Changes<'static> = &[
    ("min      = \"24h\"", "min      = \"1s\""),
    (
        "metric   = \"healthy\"\n  min      = \"100%\"",
        "metric   = \"healthy\"\n  min      = \"0%\"",
    ),
    ("\"health.interval\" = \"30s\"", "\"health.interval\" = \"1s\""),
];

/// Writes `plans/contexten.toml` and its extensions into the project, for this orchestrator, with
/// every soak shortened and every limit relaxed. Every phase, step and suite is there.
#[track_caller]
pub(crate) fn short_strategy(test: &Test, serve: &Serve) {
    relaxed_strategy(test);
    let path = "plans/contexten.toml";
    let plan = std::fs::read_to_string(test.path(path)).unwrap();
    let plan = changed(&plan, HURRIED);
    let plan = plan.replace("http://127.0.0.1:7700", &format!("http://{}", serve.control));
    let lines = plan.lines().filter(|line| !line.starts_with("every ")).map(|line| {
        let line = with_value(line, "soak", &format!("\"{SOAK}\""));
        // A guard looks as often as it can.
        if line.starts_with("[guards.") { format!("{line}\nevery = \"200ms\"") } else { line }
    });
    test.write(path, &lines.collect::<Vec<_>>().join("\n"));
}

/// Writes `plans/contexten.toml` and its extensions into the project, with its own soaks and
/// every limit relaxed.
#[track_caller]
pub(crate) fn relaxed_strategy(test: &Test) {
    let plan = changed(&read("contexten.toml"), RELAXED);
    let lines = plan.lines().map(|line| {
        let line = with_value(line, "lasts", &format!("\"{LOAD}\""));
        with_value(&line, "rate", "40")
    });
    test.write("plans/contexten.toml", &lines.collect::<Vec<_>>().join("\n"));
    let manifests = ["linear", "github", "slack"].map(|name| format!("extensions/{name}.toml"));
    for file in manifests
        .iter()
        .map(String::as_str)
        .chain(["suites/integration.toml", "suites/forged.toml"])
    {
        test.write(&format!("plans/{file}"), &read(file));
    }
}

/// A plan with other values.
///
/// # Panics
/// When a value to be changed is not there any more.
#[track_caller]
pub(crate) fn changed(plan: &str, changes: &Changes<'_>) -> String {
    changes.iter().fold(plan.to_owned(), |plan, (from, to)| {
        assert!(plan.contains(from), "the plan has no `{from}` any more");
        plan.replace(from, to)
    })
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
