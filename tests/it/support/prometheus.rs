//! A real Prometheus that scrapes an orchestrator.

use std::net::TcpListener;
use std::path::Path;
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
    tls: bool,
}

impl Prometheus {
    /// Starts one that has scraped this orchestrator; `None` where there is no Prometheus, see
    /// [`peer::require`].
    pub(crate) fn of(test: &Test, serve: &Serve) -> Option<Self> {
        let prometheus = Self::start(test, serve, false)?;
        until("two scrapes with traffic", || {
            let query = "count_over_time(ctx_requests_total[1h])%20>%202";
            let answer = prometheus.ask(query)?;
            (!answer["data"]["result"].as_array()?.is_empty()).then_some(())
        });
        Some(prometheus)
    }

    /// As [`Prometheus::of`], behind TLS with an authority of its own in `prometheus/ca.pem`; it may
    /// not have scraped yet.
    pub(crate) fn over_tls(test: &Test, serve: &Serve) -> Option<Self> {
        peer::require("openssl")?;
        Self::start(test, serve, true)
    }

    fn start(test: &Test, serve: &Serve, tls: bool) -> Option<Self> {
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
        let mut command = Command::new("prometheus");
        if tls {
            let web = "tls_server_config: { cert_file: server.pem, key_file: server.key }\n";
            test.write("prometheus/web.yml", web);
            certify(&test.path("prometheus"));
            command.arg("--web.config.file=web.yml");
        }
        let child = command
            .current_dir(test.path("prometheus"))
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { child, port, tls })
    }

    /// The table of a plan that names it.
    pub(crate) fn table(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("[metrics.prom]\nurl = \"{scheme}://127.0.0.1:{}\"\n", self.port)
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

/// Makes an authority and a certificate for this machine that is signed by it.
fn certify(folder: &Path) {
    let make = |args: &str| {
        let mut command = Command::new("openssl");
        let usual = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        let output = command
            .args(usual.split(' ').chain(args.split(' ')))
            .current_dir(folder)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    make("-subj /CN=authority -keyout ca.key -out ca.pem");
    make(
        "-subj /CN=server -keyout server.key -out server.pem -CA ca.pem -CAkey ca.key -addext \
         subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE",
    );
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
