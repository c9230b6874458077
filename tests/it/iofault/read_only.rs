//! `ctx rollback` where the ledger's disk takes no writes.

use std::path::Path;
use std::process::{Command, Stdio};

use ctx::error::Code;

use super::{Fault, shim};
use crate::shop::{LEDGER, Shop, facts};
use crate::support::peer;

/// A folder that is its own mount, read-only until dropped.
struct ReadOnly<'a>(&'a Path);

impl<'a> ReadOnly<'a> {
    /// `None`, after a line that says so, where that is not allowed.
    fn mount(path: &'a Path) -> Option<Self> {
        if mounts(&["--bind"], &[path, path]) {
            let mounted = Self(path);
            if mounts(&["-o", "remount,bind,ro"], &[path]) {
                return Some(mounted);
            }
        }
        peer::skipped("a folder cannot be mounted read-only here (it takes root)");
        None
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

fn mounts(options: &[&str], paths: &[&Path]) -> bool {
    let mut mount = Command::new("mount");
    mount.args(options).args(paths).stderr(Stdio::null());
    mount.status().is_ok_and(|status| status.success())
}

#[test]
fn a_confirmed_phase_is_rolled_back_on_a_read_only_disk() {
    let shop = Shop::open();
    let before = shop.serve.state().config_hash;
    shop.ctx(&["migrate", "phase", "1", "--yes"]).exits(Code::Done);
    let recorded = facts(&shop.test, LEDGER);
    let folder = shop.test.path(".ctx");
    let Some(disk) = ReadOnly::mount(&folder) else { return };
    shop.ctx(&["migrate", "phase", "2", "--yes"]).exits(Code::Failure).warns(&["Read-only"]);
    shop.ctx(&["rollback", "--yes"]).exits(Code::Done).warns(&[
        "facts could not be recorded: ",
        "not recorded: ",
        "`ctx rollback` records that it is undone",
    ]);
    assert_eq!(shop.serve.state().config_hash, before, "the configuration is reverted");
    shop.ctx(&["status"]).exits(Code::Done);
    drop(disk);
    assert_eq!(facts(&shop.test, LEDGER), recorded, "the ledger is as it was");
    shop.ctx(&["rollback", "--yes"]).exits(Code::Done);
    assert!(facts(&shop.test, LEDGER) > recorded, "now it is recorded");
    assert_eq!(shop.serve.state().config_hash, before);
    shop.ctx(&["ledger", "verify"]).exits(Code::Done);
    shop.ctx(&["migrate", "phase", "1", "--yes"]).exits(Code::Done);
}

#[test]
fn a_run_that_was_killed_is_rolled_back_on_a_read_only_disk() {
    let shop = Shop::open();
    shop.edit("soak = \"10ms\"", "soak = \"60s\"");
    let before = shop.serve.state().config_hash;
    let running = shop.test.spawn(&["migrate", "phase", "1", "--yes", "--quiet"]);
    shop.test.until_recorded(1, "soak_begun");
    running.kill();
    let recorded = facts(&shop.test, LEDGER);
    let folder = shop.test.path(".ctx");
    let Some(disk) = ReadOnly::mount(&folder) else { return };
    shop.ctx(&["rollback", "--yes"]).exits(Code::Done).warns(&["could not be recorded"]);
    let state = shop.serve.state();
    assert_eq!((state.config_hash, state.provisional), (before.clone(), None));
    drop(disk);
    assert_eq!(facts(&shop.test, LEDGER), recorded, "the ledger is as it was");
    shop.ctx(&["rollback", "--yes"]).exits(Code::Done);
    assert_eq!(shop.serve.state().config_hash, before);
    shop.ctx(&["ledger", "verify"]).exits(Code::Done);
}

#[test]
fn a_disk_that_fails_in_the_middle_of_a_rollback_does_not_end_it() {
    let Some(shim) = shim() else { return };
    for (kind, at) in
        [("eio", 1), ("eio", 9), ("eio", 20), ("fsync", 1), ("fsync", 3), ("enospc", 8)]
    {
        let shop = Shop::open();
        let before = shop.serve.state().config_hash;
        shop.ctx(&["migrate", "phase", "1", "--yes"]).exits(Code::Done);
        let (folder, log) = (shop.test.path(".ctx"), shop.test.path("struck.log"));
        let fault = Fault { kind, sticky: true, at };
        let environment = fault.environment(shim, &folder, &log);
        let ran = shop.test.run_with(&["rollback", "--yes"], &environment);
        ran.exits(Code::Done).warns(&["could not be recorded", "not recorded: "]);
        assert_eq!(shop.serve.state().config_hash, before, "{fault:?}");
        shop.ctx(&["rollback", "--yes"]).exits(Code::Done);
        shop.ctx(&["ledger", "verify"]).exits(Code::Done);
        assert_eq!(shop.serve.state().config_hash, before, "{fault:?}");
    }
}
