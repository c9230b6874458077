//! Read commands change nothing, and do not need to be able to.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ctx::error::Code;

use super::Shop;

/// Every file of a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                let bytes = std::fs::read(&path).unwrap();
                BTreeMap::from([(path, bytes)])
            }
        })
        .collect()
}

#[test]
fn a_ledger_in_a_folder_that_cannot_be_written_is_read_all_the_same() {
    let shop = Shop::with_first_phase();
    let folder = shop.test.path(".ctx");
    let lock = |mode| std::fs::set_permissions(&folder, PermissionsExt::from_mode(mode)).unwrap();
    lock(0o500);
    let before = files(&shop.test.path(""));
    for command in [
        &["status"][..],
        &["status", "--live"],
        &["history"],
        &["report"],
        &["report", "--format", "json"],
        &["ledger", "verify"],
        &["ledger", "info"],
        &["validate"],
        &["plan", "show"],
    ] {
        shop.ctx(command).exits(Code::Done);
        assert_eq!(files(&shop.test.path("")), before, "{command:?} changes nothing");
    }
    lock(0o700);
}
