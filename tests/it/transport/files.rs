//! The state folder: its owner's alone, and made of files that this program has made.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use ctx::error::Code;
use ctx::rehearsal::legacy::Legacy;

use super::project;
use crate::support::Test;
use crate::support::serve::Serve;

/// What it says when it does not start.
fn refused(test: &Test, legacy: &Legacy, why: &str) {
    let free = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"];
    let url = legacy.url();
    let args = ["serve", "--legacy", &url, "--state", "state"];
    test.run(&[&args[..], &free[..]].concat()).exits(Code::Failure).warns(&[why]);
}

#[test]
fn nobody_else_can_read_anything_in_it() {
    let test = Test::new();
    let legacy = Legacy::start().unwrap();
    let serve = Serve::start(&test, &legacy.url());
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(test.path("state")), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(test.path("state")).unwrap() {
        let path = entry.unwrap().path();
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
        assert_eq!(mode(path.clone()), 0o600, "{}", path.display());
    }
    for name in ["orchestrator.sqlite3", "inbox.sqlite3", "event.key", "token", "handover.sock"] {
        assert!(names.iter().any(|there| there == name), "{name} is not among {names:?}");
    }
    drop(serve);
}

#[test]
fn a_link_in_place_of_a_file_is_not_followed() {
    let legacy = Legacy::start().unwrap();
    for name in ["orchestrator.sqlite3", "inbox.sqlite3", "event.key", "lock", "token"] {
        let test = if name == "token" { Test::new() } else { project() };
        drop(Serve::start(&test, &legacy.url()));
        let path = test.path("state").join(name);
        let elsewhere = test.path("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        refused(&test, &legacy, "is a link");
        fs::remove_file(&path).unwrap();
        if name == "token" {
            continue;
        }
        fs::hard_link(&elsewhere, &path).unwrap();
        refused(&test, &legacy, "has a second name elsewhere");
        fs::remove_file(&path).unwrap();
        fs::rename(&elsewhere, &path).unwrap();
        drop(Serve::start(&test, &legacy.url()));
    }
}
