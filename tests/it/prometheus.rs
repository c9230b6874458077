//! `/metrics`, as Prometheus' own tool reads it.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::shop::Shop;
use crate::support::{block_on, peer};

/// What a shop says of itself after a phase with traffic.
fn exposition() -> String {
    let shop = Shop::with_first_phase();
    let url = format!("http://{}/metrics", shop.serve.control);
    block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let home = format!("http://{}/", shop.serve.data);
        client.get(home).send().await.unwrap().bytes().await.unwrap();
        let token = crate::support::serve::TOKEN;
        loop {
            let answer = client.get(&url).bearer_auth(token).send().await.unwrap();
            let text = answer.error_for_status().unwrap().text().await.unwrap();
            // The processor's use is the difference of two readings, a second apart.
            if text.contains("\nctx_host_cpu_ratio ") {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
}

#[test]
fn promtool_has_nothing_to_say_about_the_metrics() {
    if peer::require("promtool").is_none() {
        return;
    }
    let text = exposition();
    assert!(text.contains("ctx_requests_total{"), "there was traffic: {text}");
    for name in [
        "ctx_upstream_connections_idle",
        "ctx_upstream_connections_busy",
        "ctx_upstream_connections_opened_total",
        "ctx_upstream_waits_total",
        "ctx_upstream_wait_timeouts_total",
    ] {
        let line = format!("{name}{{upstream=\"legacy\"}} ");
        assert!(text.lines().any(|found| found.starts_with(&line)), "no `{line}` in\n{text}");
    }
    check(&text);
}

/// All expressions of a dashboard.
fn expressions(dashboard: &Value, found: &mut Vec<String>) {
    match dashboard {
        Value::Object(fields) => {
            if let Some(Value::String(expression)) = fields.get("expr") {
                found.push(expression.clone());
            }
            fields.values().for_each(|value| expressions(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_asks_for_what_is_measured() {
    let path = format!("{}/docs/grafana-dashboard.json", env!("CARGO_MANIFEST_DIR"));
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut all = Vec::new();
    expressions(&dashboard, &mut all);
    assert!(all.len() > 30, "{}", all.len());
    let text = exposition();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for expression in &all {
        let words = expression.split(|c| !is_word(c));
        let mut names = words.filter(|word| word.starts_with("ctx_")).peekable();
        assert!(names.peek().is_some(), "{expression}");
        for name in names {
            let measured = |line: &str| {
                line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            };
            assert!(text.lines().any(measured), "`{name}` of `{expression}` is not in\n{text}");
        }
    }
    if peer::require("promtool").is_none() {
        return;
    }
    // As rules, with Grafana's own variables filled in, promtool parses each of them.
    let rules: Vec<Value> = (0..)
        .zip(&all)
        .map(|(n, expression)| {
            let filled = expression.replace("$__rate_interval", "1m").replace("$instance", ".*");
            json!({ "record": format!("panel:{n}"), "expr": filled })
        })
        .collect();
    let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
    let groups = json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    std::fs::write(file.path(), groups.to_string()).unwrap();
    let checked = Command::new("promtool").args(["check", "rules"]).arg(file.path()).output();
    let checked = checked.unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// Has promtool read an exposition, where there is one.
#[track_caller]
pub(crate) fn check(text: &str) {
    if peer::require("promtool").is_none() {
        return;
    }
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
}
