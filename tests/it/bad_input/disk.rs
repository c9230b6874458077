//! A disk that is full.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use ctx::error::Code;
use insta::assert_snapshot;

use crate::shop::{Shop, redact};
use crate::support::peer;

/// A small file system of its own. Unmounted when dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// Mounts one at `path`; `None`, after a line that says so, where that is not allowed.
    fn mount(path: &'a Path, megabytes: u32) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(path)
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(path));
        }
        peer::skipped("a small file system cannot be mounted here (it takes root)");
        None
    }

    /// Leaves so much of it.
    fn fill_but(&self, kilobytes: u64) {
        let stat = rustix::fs::statvfs(self.0).unwrap();
        let free = stat.f_bavail * stat.f_frsize;
        let filler = vec![0; usize::try_from(free - kilobytes * 1024).unwrap()];
        // Somebody else may have taken some of it meanwhile: then it is full all the same.
        let written = std::fs::write(self.0.join("filler"), filler);
        assert!(written.is_ok() || written.is_err_and(|e| e.kind() == ErrorKind::StorageFull));
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_disk_that_is_full_before_anything_begins() {
    let shop = Shop::open();
    let folder = shop.test.path(".ctx");
    let Some(disk) = SmallDisk::mount(&folder, 1) else { return };
    disk.fill_but(8);
    let ran = shop.ctx(&["migrate", "phase", "1", "--yes"]).exits(Code::Failure);
    assert_snapshot!(redact(&shop.test, &ran.stderr), @"
    error: no space is left for the ledger `.ctx/ledger.sqlite3`
    hint:  free some space, then run it again
    ");
    let left: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name == "ledger.sqlite3.new"), "{left:?}");
    assert_eq!(shop.serve.state().head, 1, "nothing was changed");
}

#[test]
fn a_disk_without_room_for_a_backup() {
    let shop = Shop::open();
    let folder = shop.test.path(".ctx");
    let Some(_disk) = SmallDisk::mount(&folder, 4) else { return };
    let ran = shop.ctx(&["migrate", "phase", "1", "--yes", "--quiet"]).exits(Code::Failed);
    assert_snapshot!(redact(&shop.test, &ran.stderr), @"
    error: the phase failed and was not rolled back
    why:   no backup, so nothing was changed: not enough space in `.ctx/backups`: 64 MiB are needed and 3 MiB are free
    hint:  see to the cause, then run it again: `ctx migrate phase 1`
    hint:  or undo it with `ctx rollback`
    hint:  `ctx help 21`
    ");
    assert_eq!(shop.serve.state().head, 1, "nothing was changed");
}

#[test]
fn a_disk_that_fills_up_while_a_change_is_provisional() {
    let shop = Shop::open();
    let folder = shop.test.path(".ctx");
    let Some(disk) = SmallDisk::mount(&folder, 72) else { return };
    shop.edit("soak = \"10ms\"", "soak = \"2s\"");
    let running = shop.test.spawn(&["migrate", "phase", "1", "--yes", "--quiet"]);
    shop.serve.until("the change is in force", |state| state.provisional.is_some());
    disk.fill_but(0);
    let ran = running.ends().exits(Code::Failure);
    assert_snapshot!(redact(&shop.test, &ran.stderr), @"
    error: no space is left for the ledger `.ctx/ledger.sqlite3`
    hint:  free some space, then run it again
    hint:  what is provisional is taken back by the orchestrator itself
    hint:  go on with `ctx migrate phase 1`
    ");
    let state = shop.serve.state();
    assert_eq!(state.provisional, None, "what was provisional was taken back");
    assert!(shop.ctx(&["status"]).exits(Code::Done).stdout.contains("ctx migrate phase 1"));
    std::fs::remove_file(folder.join("filler")).unwrap();
    shop.ctx(&["migrate", "phase", "1", "--yes"]).exits(Code::Done);
    shop.ctx(&["ledger", "verify"]).exits(Code::Done);
}
