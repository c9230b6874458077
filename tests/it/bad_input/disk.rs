//! A disk that is full.

use std::path::Path;
use std::process::{Command, Stdio};

use ctx::error::Code;
use insta::assert_snapshot;

use super::{Shop, redact, state};

/// A small file system of its own. Unmounted when dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// Mounts `kilobytes` at `path`; `None`, after a line that says so, where that is not allowed.
    fn mount(path: &'a Path, kilobytes: u32) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let size = format!("size={kilobytes}k");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(path)
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(path));
        }
        println!("skipped: a small file system cannot be mounted here (it takes root)");
        None
    }

    /// Leaves `kilobytes` of it.
    fn fill(&self, all_but_kilobytes: u64) {
        let stat = rustix::fs::statvfs(self.0).unwrap();
        let free = stat.f_bavail * stat.f_frsize;
        let filler = vec![0; usize::try_from(free - all_but_kilobytes * 1024).unwrap()];
        std::fs::write(self.0.join("filler"), filler).unwrap();
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
    let Some(disk) = SmallDisk::mount(&folder, 1024) else { return };
    disk.fill(8);
    let ran = shop.ctx(&["migrate", "phase", "1", "--yes"]).exits(Code::Failure);
    assert_snapshot!(redact(&shop.test, &ran.stderr), @"");
    let state = state(&shop.served);
    assert_eq!((state.head, state.provisional), (1, None), "nothing was changed");
}

#[test]
fn a_disk_that_fills_up_before_the_second_phase() {
    let shop = Shop::open();
    let folder = shop.test.path(".ctx");
    let Some(disk) = SmallDisk::mount(&folder, 4096) else { return };
    shop.ctx(&["migrate", "phase", "1", "--yes"]).exits(Code::Done);
    disk.fill(0);
    let before = shop.standing();
    let ran = shop.ctx(&["migrate", "phase", "2", "--yes", "--quiet"]);
    let ran = ran.exits(Code::Failure);
    assert_snapshot!(redact(&shop.test, &ran.stderr), @"");
    let now = shop.standing();
    assert_eq!((now.head, now.provisional), (before.head, false), "nothing was changed");
    std::fs::remove_file(folder.join("filler")).unwrap();
    shop.ctx(&["migrate", "phase", "2", "--yes"]).exits(Code::Done);
    shop.ctx(&["ledger", "verify"]).exits(Code::Done);
}
