//! Looks for canaries in every byte of what was left behind.

use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use super::canary::Canary;

/// The name of a form, and a canary in it.
type Form = (&'static str, Vec<u8>);

/// What is searched, and what was found so far.
pub(super) struct Search {
    canaries: Vec<(Canary, Vec<Form>)>,
    pub(super) found: Vec<String>,
    /// How many bytes were looked at.
    pub(super) bytes: usize,
}

impl Search {
    pub(super) fn of(canaries: &[Canary]) -> Self {
        let canaries = canaries.iter().map(|canary| (canary.clone(), canary.forms())).collect();
        Self { canaries, found: Vec::new(), bytes: 0 }
    }

    /// Searches some bytes, and what they unpack to.
    pub(super) fn bytes(&mut self, place: &str, bytes: &[u8]) {
        self.bytes += bytes.len();
        for (canary, forms) in &self.canaries {
            for (form, text) in forms {
                if contains(bytes, text) {
                    let source = canary.source;
                    self.found.push(format!("{place}: the secret of {source}, {form}"));
                }
            }
        }
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut plain = Vec::new();
            MultiGzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
            self.bytes(&format!("{place} (unpacked)"), &plain);
        }
        if bytes.starts_with(b"SQLite format 3\0") {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), bytes).unwrap();
            self.tables(place, file.path());
        }
    }

    /// Searches all files under a folder but those that `skip` names.
    pub(super) fn folder(&mut self, folder: &Path, skip: &dyn Fn(&Path) -> bool) {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if skip(&path) {
                continue;
            }
            self.bytes("a file's name", path.as_os_str().as_encoded_bytes());
            if path.is_dir() {
                self.folder(&path, skip);
            } else if path.is_file() {
                self.bytes(&path.display().to_string(), &fs::read(&path).unwrap());
                if path.extension().is_some_and(|e| e == "sqlite3") {
                    self.tables(&path.display().to_string(), &path);
                }
            }
        }
    }

    /// Searches every value of a database: a long one does not stand in one piece in the file.
    fn tables(&mut self, place: &str, path: &Path) {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = Connection::open_with_flags(path, flags).unwrap();
        // A copy of a file in WAL mode is read without its log: what is in that is searched too.
        let Ok(mut tables) =
            connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        else {
            return;
        };
        let tables: Vec<String> =
            tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        for table in tables {
            let mut select = connection.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
            let columns = select.column_count();
            let mut rows = select.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                for column in 0..columns {
                    if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) =
                        row.get_ref(column).unwrap()
                    {
                        self.bytes(&format!("{place}, table `{table}`"), bytes);
                    }
                }
            }
        }
    }

    /// Searches the arguments of every process that works in `folder`.
    pub(super) fn arguments(&mut self, folder: &Path) -> usize {
        let folder = folder.canonicalize().unwrap();
        let mut seen = 0;
        for entry in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
            let ours = fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == folder);
            if let (true, Ok(arguments)) = (ours, fs::read(entry.path().join("cmdline"))) {
                seen += 1;
                self.bytes("the arguments of a process", &arguments);
            }
        }
        seen
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    let Some(first) = text.first() else { return false };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(text) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}
