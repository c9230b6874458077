//! A real Prometheus that scrapes an orchestrator.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::serve::{Serve, TOKEN};
use super::{Test, block_on, peer, until};

/// A running server. Killed when dropped, by its own process id.
#[derive(Debug)]
pub(crate) struct Prometheus {
    child: Child,
    port: u16,
}

impl Prometheus {
    /// Starts one that has scraped this orchestrator; `None` where there is no Prometheus, see
    /// [`peer::require`].
    pub(crate) fn of(test: &Test, serve: &Serve) -> Option<Self> {
        peer::require("prometheus")?;
        let config = format!(
            "global: {{ scrape_interval: 250ms, scrape_timeout: 250ms }}\n\
             scrape_configs:\n\
             - job_name: ctx\n  authorization: {{ credentials: {TOKEN} }}\n  \
             static_configs: [{{ targets: [\"{}\"] }}]\n",
            serve.control
        );
        test.write("prometheus/prometheus.yml", &config);
        // It cannot be told to take any free port and say which.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("prometheus")
            .current_dir(test.path("prometheus"))
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let prometheus = Self { child, port };
        until("two scrapes with traffic", || {
            let query = "count_over_time(ctx_requests_total[1h])%20>%202";
            let answer = prometheus.ask(query)?;
            (!answer["data"]["result"].as_array()?.is_empty()).then_some(())
        });
        Some(prometheus)
    }

    /// The table of a plan that names it.
    pub(crate) fn table(&self) -> String {
        format!("[metrics.prom]\nurl = \"http://127.0.0.1:{}\"\n", self.port)
    }

    fn ask(&self, query: &str) -> Option<Value> {
        let url = format!("http://127.0.0.1:{}/api/v1/query?query={query}", self.port);
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build();
        let http = http.unwrap();
        block_on(async { http.get(url).send().await.ok()?.json().await.ok() })
    }

    /// It hangs: connections are taken, and nobody answers.
    pub(crate) fn hang(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    /// It goes on.
    pub(crate) fn go_on(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
