//! Readers change nothing, and nothing keeps them from reading.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ctx::ledger::{Ledger, LedgerError, Reader};

use super::story::{Story, at};
use super::{plan, record, with_history};

/// Every file of a folder with its bytes.
pub(super) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap())
    };
    folder.read_dir().unwrap().map(file).collect()
}

/// Calls everything that a reader can be asked.
fn ask_everything(reader: &Reader) {
    let plan = plan();
    let run = reader.runs(10).unwrap().first().unwrap().run.clone();
    reader.run(run.short()).unwrap();
    reader.open_run().unwrap();
    reader.phases(&plan).unwrap();
    reader.steps(&run).unwrap();
    reader.backups().unwrap();
    reader.milestones(&plan).unwrap();
    reader.criteria(&plan).unwrap();
    reader.issues(&plan, 10).unwrap();
    reader.facts(&run).unwrap();
    reader.begun(&run).unwrap();
    reader.entries(0, 10).unwrap();
    reader.info().unwrap();
    assert!(reader.verify().unwrap().intact());
}

#[test]
fn reading_leaves_the_folder_byte_for_byte_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite3");
    with_history(&path);
    let before = files(dir.path());
    ask_everything(&Ledger::read(&path).unwrap());
    assert_eq!(files(dir.path()), before);
    let names: Vec<_> = before.keys().map(String::as_str).collect();
    assert_eq!(names, ["ledger.sqlite3", "ledger.sqlite3.lock", "ledger.sqlite3.reserve"]);
}

#[test]
fn reading_makes_no_ledger_where_there_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/ledger.sqlite3");
    assert!(matches!(Ledger::read(&path), Err(LedgerError::Missing(_))));
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
}

#[test]
fn a_folder_without_write_permission_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    // A name with everything that means something in a URI.
    let folder = dir.path().join("a b?c#d%20e");
    let path = folder.join("ledger.sqlite3");
    with_history(&path);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
    ask_everything(&Ledger::read(&path).unwrap());
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_reader_follows_a_writer_that_comes_and_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite3");
    let mut last = with_history(&path);
    let reader = Ledger::read(&path).unwrap();
    for _ in 0..3 {
        assert_eq!(reader.head().unwrap().0, last);
        let mut ledger = Ledger::open(&path).unwrap();
        last = record(&mut ledger, &Story::confirmed()).last().unwrap().seq;
        assert_eq!(reader.head().unwrap().0, last, "while the writer is there");
        assert!(reader.verify().unwrap().intact());
        drop(ledger);
        assert_eq!(reader.head().unwrap().0, last, "after it has gone");
    }
}

#[test]
fn what_a_crashed_writer_left_in_the_log_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("ledger.sqlite3"), dir.path().join("copy.sqlite3"));
    with_history(&path);
    let mut ledger = Ledger::open(&path).unwrap();
    let fact = &Story::confirmed().facts[1];
    let last = ledger.append(None, fact, at(0)).unwrap().seq;
    // The files as a power cut would leave them: the log holds what the database does not.
    for suffix in ["", "-wal"] {
        let with = |path: &Path| format!("{}{suffix}", path.display());
        fs::copy(with(&path), with(&copy)).unwrap();
    }
    assert_eq!(Ledger::read(&copy).unwrap().head().unwrap().0, last);
    assert_eq!(Ledger::open(&copy).unwrap().append(None, fact, at(1)).unwrap().seq, last + 1);
}

#[test]
fn a_log_without_its_ledger_is_not_taken_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite3");
    with_history(&path);
    fs::rename(&path, dir.path().join("ledger.sqlite3-wal")).unwrap();
    assert!(matches!(Ledger::open(&path), Err(LedgerError::Damaged { .. })));
    assert!(!path.exists());
}
