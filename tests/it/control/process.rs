//! `ctx serve` as a process.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn serve(state: &Path, extra: &[&str]) -> Child {
    let free = "127.0.0.1:0";
    Command::new(env!("CARGO_BIN_EXE_ctx"))
        .args(["serve", "--legacy", "http://127.0.0.1:9", "--listen", free, "--control", free])
        .arg("--state")
        .arg(state)
        .args(extra)
        .env_remove("CTX_TOKEN")
        .env("CTX_LOG", "off")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line
}

fn end(mut child: Child, signal: Signal) -> (ExitStatus, String) {
    kill_process(Pid::from_child(&child), signal).unwrap();
    let status = child.wait().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (status, said)
}

#[tokio::test]
async fn it_says_where_it_listens_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut child = serve(&state, &[]);
    let line = first_line(&mut child);
    let (data, control) =
        line.trim().strip_prefix("listening data=").unwrap().split_once(' ').unwrap();
    assert!(data.starts_with("http://127.0.0.1:"), "{line}");
    let control = control.strip_prefix("control=").unwrap();
    let token = std::fs::read_to_string(state.join("token")).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let reply = client.get(format!("{control}/v1/state")).bearer_auth(&token).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    let (status, said) = end(child, Signal::TERM);
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("/token`"), "{said}");
    assert!(!said.contains(&token), "the token itself is never shown");
}

#[test]
fn it_says_so_in_json_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = serve(folder.path(), &["--json"]);
    let line: Value = serde_json::from_str(&first_line(&mut child)).unwrap();
    assert_eq!(line["type"], "listening");
    assert!(line["control"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    let (status, _) = end(child, Signal::INT);
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_start_that_fails_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for (extra, code, hint) in [
        (&["--token", "hunter2"][..], 2, "`env:NAME` or `file:PATH`"),
        (&["--state", "/proc/nowhere"][..], 1, "`--state DIR`"),
    ] {
        let child = Command::new(env!("CARGO_BIN_EXE_ctx"))
            .args(["serve", "--legacy", "http://127.0.0.1:9", "--control", "127.0.0.1:0"])
            .args(["--listen", "127.0.0.1:0"])
            .args(extra)
            .current_dir(folder.path())
            .env_remove("CTX_TOKEN")
            .output()
            .unwrap();
        let said = String::from_utf8(child.stderr).unwrap();
        assert_eq!(child.status.code(), Some(code), "{said}");
        assert!(said.contains(hint) && !said.contains("hunter2"), "{said}");
    }
}
