//! A real Prometheus scrapes the orchestrator, and answers queries with its numbers.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use super::World;
use crate::support::serve::TOKEN;
use crate::support::{block_on, peer, until};

/// A running Prometheus. Killed when dropped, by its own process id.
struct Prometheus {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    fn scraping(target: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = json!({
            "global": { "scrape_interval": "200ms", "scrape_timeout": "200ms" },
            "scrape_configs": [{
                "job_name": "ctx",
                "authorization": { "credentials": TOKEN },
                "static_configs": [{ "targets": [target] }],
            }],
        });
        let file = folder.path().join("prometheus.yml");
        // JSON is YAML.
        std::fs::write(&file, config.to_string()).unwrap();
        let mut child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--log.format=json"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut started = Self { child, url: String::new(), _folder: folder };
        let mut said = Vec::new();
        while let Ok(line) = lines.recv_timeout(Duration::from_secs(60)) {
            let read: Value = serde_json::from_str(&line).unwrap_or_default();
            if read["msg"] == "Listening on" {
                started.url = format!("http://{}", read["address"].as_str().unwrap());
                return started;
            }
            said.push(line);
        }
        panic!("prometheus does not listen:\n{}", said.join("\n"));
    }

    /// Asks its API for `path` with these parameters.
    fn ask(&self, path: &str, query: &[(&str, &str)]) -> Value {
        block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let url = format!("{}/api/v1/{path}", self.url);
            let url = reqwest::Url::parse_with_params(&url, query).unwrap();
            match client.get(url).send().await {
                Ok(answer) => answer.json().await.unwrap_or_default(),
                Err(_) => Value::Null,
            }
        })
    }

    /// The one value of a query, when there is one.
    fn value(&self, query: &str) -> Option<f64> {
        let answer = self.ask("query", &[("query", query)]);
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_prometheus_answers_with_what_the_orchestrator_measured() {
    if peer::require("prometheus").is_none() {
        return;
    }
    let world = World::start(&[], |request| {
        let status = if request.starts_with("GET /broken") { 500 } else { 200 };
        (status, String::new())
    });
    let prometheus = Prometheus::scraping(&world.serve.control);
    until("it was scraped", || prometheus.value("up{job=\"ctx\"}").filter(|up| *up > 0.5));
    for path in ["/", "/", "/", "/broken", "/broken"] {
        world
            .raw(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes());
    }
    let is = |query: &str, expected: f64| {
        let near = |value: &f64| (value - expected).abs() < 1e-9;
        until(query, || prometheus.value(query).filter(near));
    };
    is("sum(ctx_requests_total{arm=\"legacy\",code_class=\"2xx\"})", 3.0);
    is("ctx_requests_total{route=\"other\",code_class=\"5xx\"}", 2.0);
    is("sum(ctx_request_duration_seconds_count{arm=\"legacy\"})", 5.0);
    is("ctx_config_revision", 1.0);
    is("ctx_requests_in_flight", 0.0);
    is("ctx_flag_rollout_ratio{flag=\"connection_pooling\"}", 0.0);
    is("ctx_shadow_answers_total{route=\"home\",result=\"different\"}", 0.0);
    let version = env!("CARGO_PKG_VERSION");
    is(&format!("ctx_build_info{{version=\"{version}\"}}"), 1.0);
    // It asks for OpenMetrics where that is spoken, and then knows what each metric is.
    let metadata = prometheus.ask("targets/metadata", &[("metric", "ctx_requests_total")]);
    let metadata = match metadata["data"][0]["type"].as_str() {
        Some(_) => metadata,
        None => prometheus.ask("targets/metadata", &[("metric", "ctx_requests")]),
    };
    assert_eq!(metadata["data"][0]["type"], "counter", "{metadata}");
    let targets = prometheus.ask("targets", &[]);
    assert_eq!(targets["data"]["activeTargets"][0]["lastError"], "", "{targets}");
}
