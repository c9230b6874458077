//! The FastAPI app of `tests/fastapi`, running.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::peer;

/// How long the app may take to listen.
const START: Duration = Duration::from_secs(60);

/// A running app. Killed when dropped, by its own process id.
#[derive(Debug)]
pub(crate) struct Uvicorn {
    child: Child,
    url: String,
}

impl Uvicorn {
    /// Starts the app on a free port and waits until it listens; `None` where there is no
    /// uvicorn, see [`peer::require`].
    pub(crate) fn start() -> Option<Self> {
        Self::with(&[])
    }

    /// As [`Uvicorn::start`], with more arguments.
    pub(crate) fn with(more: &[&str]) -> Option<Self> {
        peer::require("uvicorn")?;
        let mut child = Command::new(peer::python())
            // Uvicorn names the port that it got.
            .args(["-B", "-m", "uvicorn", "app:app", "--host", "127.0.0.1", "--port", "0"])
            .args(more)
            .args(["--no-access-log", "--app-dir"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fastapi"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the probe ran the same program");
        let log = BufReader::new(child.stderr.take().expect("it is piped"));
        let (sender, lines) = mpsc::channel();
        // Reads on to the end, so that a full pipe never stops the app.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        // Made before it is ready, so that giving up kills it too.
        let mut app = Self { child, url: String::new() };
        let mut said = Vec::new();
        while let Ok(line) = lines.recv_timeout(START) {
            let running = line.split_whitespace().find(|word| word.starts_with("http://"));
            if let Some(url) = running.filter(|_| line.contains("Uvicorn running on")) {
                url.clone_into(&mut app.url);
                return Some(app);
            }
            said.push(line);
        }
        panic!("uvicorn does not listen:\n{}", said.join("\n"));
    }

    /// Where it listens, as `http://HOST:PORT`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The delivery ids of the events that it acknowledged, with how often they came.
    pub(crate) async fn handled(&self) -> HashMap<String, u64> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(format!("{}/_handled", self.url)).send().await.unwrap();
        answer.json().await.unwrap()
    }
}

impl Drop for Uvicorn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
