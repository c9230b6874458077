//! What an operator can see of a running orchestrator: its log, its names for requests and traces,
//! and its metrics in a real Prometheus.

mod log;
mod names;
mod scrape;

use ctx::control::config::{Config, flag};
use ctx::units::Percent;
use serde_json::Value;

use crate::support::scripted::{Scripted, exchange};
use crate::support::serve::{Serve, TOKEN};
use crate::support::{Ran, Test};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// An orchestrator with a line in its log for each request, and the app behind it.
struct World {
    app: Scripted,
    serve: Serve,
    test: Test,
}

impl World {
    fn start(
        args: &[&str],
        script: impl Fn(&str) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let test = Test::new().env("CTX_TOKEN", TOKEN).env("CTX_LOG", "debug");
        let app = Scripted::start(script);
        let serve = Serve::with(&test, &app.url(), args);
        Self { app, serve, test }
    }

    /// Sends bytes over a connection of their own, and gives back the answer.
    fn raw(&self, bytes: &[u8]) -> String {
        exchange(&self.serve.data, bytes)
    }

    /// Everything in the log so far.
    fn log(&self) -> String {
        std::fs::read_to_string(self.test.path("serve.log")).unwrap()
    }

    /// The log's lines as JSON, each of which must be an object.
    #[track_caller]
    fn lines(&self) -> Vec<Value> {
        let log = self.log();
        // The last line may be half written.
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        let parse = |line| serde_json::from_str::<Value>(line);
        let lines: Result<Vec<_>, _> = whole.split('\n').map(parse).collect();
        lines.unwrap_or_else(|error| panic!("{error}:\n{log}"))
    }

    fn ctx(&self, args: &[&str]) -> Ran {
        let url = format!("http://{}", self.serve.control);
        self.test.run(&[args, &["--orchestrator", &url]].concat())
    }
}

fn switch_on(config: &mut Config, name: &str) {
    let flag = config.flags.get_mut(name).unwrap();
    (flag.enabled, flag.percentage) = (true, Percent::ALL);
}

/// Plain requests go the short way.
fn short(config: &mut Config) {
    switch_on(config, flag::CONNECTION_POOLING);
}
