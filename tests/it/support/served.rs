//! `ctx serve`, running: the real binary in front of the built-in legacy app.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use ctx::control::client::Client;
use ctx::rehearsal::legacy::Legacy;
use ctx::secret::Secret;
use serde_json::Value;
use tempfile::TempDir;

/// How long the orchestrator may take to listen.
const START: Duration = Duration::from_secs(60);

/// The token that the operators share.
pub(crate) const TOKEN: &str = "the-token-of-this-test";

/// A running orchestrator. Killed when dropped, by its own process id.
#[derive(Debug)]
pub(crate) struct Served {
    child: Child,
    control: String,
    _state: TempDir,
    _legacy: Legacy,
}

impl Served {
    /// Starts an orchestrator on free ports and waits until it listens.
    pub(crate) fn start() -> Self {
        let state = tempfile::tempdir().expect("a temporary folder");
        let legacy = Legacy::start().expect("the legacy app starts");
        let mut child = Command::new(env!("CARGO_BIN_EXE_ctx"))
            .args(["serve", "--json", "--workers", "1", "--legacy", &legacy.url()])
            .args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--state"])
            .arg(state.path().join("serve"))
            .current_dir(state.path())
            .env_clear()
            .env("HOME", state.path())
            .env("CTX_TOKEN", TOKEN)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the built binary starts");
        let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut err = child.stderr.take().expect("it is piped");
        let (sender, said) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = out.read_line(&mut line);
            let _ = sender.send(line);
        });
        // Read to its end, so that a full pipe never stops the orchestrator.
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = err.read_to_string(&mut text);
            text
        });
        // Made before it is ready, so that giving up kills it too.
        let mut served = Self { child, control: String::new(), _state: state, _legacy: legacy };
        let line = said.recv_timeout(START).unwrap_or_default();
        let Ok(Value::Object(line)) = serde_json::from_str(&line) else {
            served.kill();
            panic!("the orchestrator does not listen: {}", log.join().unwrap_or_default());
        };
        line["control"].as_str().expect("it says where").clone_into(&mut served.control);
        served
    }

    /// The control API, as `http://HOST:PORT`.
    pub(crate) fn control(&self) -> &str {
        &self.control
    }

    /// A client with the right token.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.control, Some(Secret::new(TOKEN)))
    }

    /// Ends it at once, without a goodbye.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.kill();
    }
}
