//! Programs that some tests need and a machine may not have.
//!
//! A test asks for its peer and returns when there is none; with `CTX_REQUIRE_PEERS=1` a missing
//! peer is a failure instead, so that a full check cannot pass by skipping.
//!
//! How to add one: a row in [`PEERS`].

use std::io::Write;
use std::process::{Command, Stdio};

use ctx::settings::environment;

/// A program, how to find out whether it is there, and how to get it.
struct Peer {
    name: &'static str,
    probe: fn() -> Command,
    install: &'static str,
}

const PEERS: &[Peer] = &[
    Peer { name: "python", probe: || imports("json"), install: "apt-get install python3" },
    Peer {
        name: "uvicorn",
        probe: || imports("fastapi, uvicorn"),
        install: "pip install -r tests/fastapi/requirements.txt",
    },
    Peer {
        name: "schemathesis",
        probe: || imports("schemathesis.cli"),
        install: "pip install -r tests/openapi/requirements.txt",
    },
    Peer {
        name: "openfeature",
        probe: || imports("openfeature, openfeature.contrib.provider.ofrep"),
        install: "pip install -r tests/openfeature/requirements.txt",
    },
    Peer {
        name: "scipy",
        probe: || imports("scipy.stats"),
        install: "pip install -r tests/scipy/requirements.txt",
    },
    Peer {
        name: "mmh3",
        probe: || imports("mmh3"),
        install: "pip install -r tests/openfeature/requirements.txt",
    },
    Peer {
        name: "junitparser",
        probe: || imports("junitparser"),
        install: "pip install -r tests/junit/requirements.txt",
    },
    Peer {
        name: "pyyaml",
        probe: || imports("yaml"),
        install: "pip install -r tests/yaml/requirements.txt",
    },
    Peer {
        name: "chromium",
        probe: || {
            let mut command = Command::new("chromium");
            command.arg("--version");
            command
        },
        install: "apt-get install chromium",
    },
    Peer {
        name: "axe-core",
        probe: || {
            let mut command = Command::new("test");
            command.args(["-f", &axe()]);
            command
        },
        install: "npm install --prefix target/axe tests/axe, and CTX_AXE=.../axe.min.js",
    },
    Peer {
        name: "prometheus",
        probe: || {
            let mut command = Command::new("prometheus");
            command.arg("--version");
            command
        },
        install: "apt-get install prometheus",
    },
    Peer {
        name: "openssl",
        probe: || {
            let mut command = Command::new("openssl");
            command.arg("version");
            command
        },
        install: "apt-get install openssl",
    },
    Peer {
        name: "promtool",
        probe: || {
            let mut command = Command::new("promtool");
            command.arg("--version");
            command
        },
        install: "apt-get install prometheus",
    },
    Peer {
        name: "alertmanager",
        probe: || {
            let mut command = Command::new("prometheus-alertmanager");
            command.arg("--version");
            command
        },
        install: "apt-get install prometheus-alertmanager",
    },
    Peer {
        name: "curl",
        probe: || {
            let mut command = Command::new("curl");
            // The first that has it is 7.82.
            command.args(["--json", "{}", "--version"]);
            command
        },
        install: "apt-get install curl",
    },
    Peer {
        name: "jq",
        probe: || {
            let mut command = Command::new("jq");
            command.arg("--version");
            command
        },
        install: "apt-get install jq",
    },
    Peer {
        name: "systemd-analyze",
        probe: || {
            let mut command = Command::new("systemd-analyze");
            command.arg("--version");
            command
        },
        install: "apt-get install systemd",
    },
];

/// Python, asked whether it has these modules.
fn imports(modules: &str) -> Command {
    let mut command = Command::new(python());
    command.args(["-c", &format!("import {modules}")]);
    command
}

/// The Python to use: `CTX_PYTHON`, or `python3`.
pub(crate) fn python() -> String {
    environment("CTX_PYTHON").unwrap_or_else(|| "python3".to_owned())
}

/// The script of axe-core: `CTX_AXE`.
pub(crate) fn axe() -> String {
    environment("CTX_AXE").unwrap_or_default()
}

/// `None` when the peer is not there, after a line that says so.
///
/// # Panics
/// When it is not there and `CTX_REQUIRE_PEERS=1`.
#[track_caller]
pub(crate) fn require(name: &str) -> Option<()> {
    let peer = PEERS.iter().find(|peer| peer.name == name).expect("the peer has a row");
    let mut probe = (peer.probe)();
    let status = probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if status.is_ok_and(|status| status.success()) {
        return Some(());
    }
    let why = format!("{name} is not installed ({})", peer.install);
    assert!(environment("CTX_REQUIRE_PEERS").as_deref() != Some("1"), "{why}");
    skipped(&why);
    None
}

/// Says why the current test is skipped.
pub(crate) fn skipped(why: &str) {
    // Past the capture of output, which would keep it from whoever runs the tests.
    let current = std::thread::current();
    let _ = writeln!(std::io::stderr(), "{} skipped: {why}", current.name().unwrap_or("a test"));
}
