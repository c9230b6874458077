//! `/metrics`, as Prometheus' own tool reads it.

use std::io::Write;
use std::process::{Command, Stdio};

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
        let answer = client.get(url).bearer_auth(token).send().await.unwrap();
        answer.error_for_status().unwrap().text().await.unwrap()
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
