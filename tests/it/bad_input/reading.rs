//! Read commands change nothing, and do not need to be able to.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ctx::error::Code;
use insta::assert_snapshot;

use crate::shop::{Shop, redact};

/// A folder that nobody can write to, root included, until it is dropped.
struct ReadOnly<'a> {
    folder: &'a Path,
    mounted: bool,
}

impl<'a> ReadOnly<'a> {
    fn make(folder: &'a Path) -> Self {
        // Permissions do not hold root back; a read-only mount does.
        let mount = |args: &[&str]| {
            let mut command = Command::new("mount");
            let command = command.args(args).arg(folder).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let itself = folder.to_str().expect("temporary folders have plain names");
        let mounted = mount(&["--bind", itself]) && mount(&["-o", "remount,bind,ro"]);
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o500)).ok();
        Self { folder, mounted }
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg(self.folder).status();
        }
        let _ = std::fs::set_permissions(self.folder, PermissionsExt::from_mode(0o700));
    }
}

/// Every file of a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

#[test]
fn a_ledger_that_cannot_be_written_is_read_all_the_same() {
    let shop = Shop::with_first_phase();
    let folder = shop.test.path(".ctx");
    let before = files(&folder);
    let _read_only = ReadOnly::make(&folder);
    for command in [
        &["status"][..],
        &["status", "--live"],
        &["history"],
        &["report"],
        &["report", "--format", "json"],
        &["ledger", "verify"],
        &["ledger", "info"],
        &["ledger", "export"],
        &["backup", "list"],
        &["validate"],
        &["plan", "show"],
    ] {
        let ran = shop.ctx(command).exits(Code::Done);
        assert!(files(&folder) == before, "{command:?} changes nothing");
        if command == ["validate"] {
            assert_snapshot!(redact(&shop.test, &ran.stderr), @"note: this is not recorded: failed to lock the ledger in `.ctx/ledger.sqlite3.lock`");
        }
    }
    let refused = shop.refuses(&["migrate", "phase", "2", "--yes"], Code::Failure);
    assert_snapshot!(refused, @"
    error: failed to lock the ledger in `.ctx/ledger.sqlite3.lock`
    why:   Read-only file system (os error 30)
    hint:  see to the disk and the file's permissions, then run it again
    ");
}
