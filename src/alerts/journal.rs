//! What became of each alert at each sink: `alerts.jsonl` beside the ledger, one line each.
//!
//! It is no part of the ledger, whose writer must not wait for a sink, and losing it loses nothing
//! but this: an alert of a run in flight may be sent twice, under the same key. A process that is
//! killed after a sink took an alert and before the line is written sends it again, too; between
//! never and twice, an alert is sent twice.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::alert::Alert;
use crate::clock::{Clock, SystemClock, rfc3339};
use crate::ids::SinkId;

/// The name of the file, in the folder of the ledger.
pub(super) const FILE: &str = "alerts.jsonl";

/// Above this, the older half is dropped.
const MOST: u64 = 256 * 1024;

/// What became of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Delivered,
    Failed,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    at: String,
    sink: SinkId,
    /// The id of the alert.
    alert: String,
    outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// The file, and what it says was delivered. Without a file it remembers for this process only.
#[derive(Debug, Default)]
pub(super) struct Journal {
    file: Option<File>,
    delivered: BTreeSet<(String, String)>,
}

impl Journal {
    /// Opens the journal in `folder`, or remembers nothing where that fails.
    pub(super) fn open(folder: &Path) -> Self {
        let path = folder.join(FILE);
        let text = read(&path).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
        let delivered = lines.filter(|line| line.outcome == Outcome::Delivered);
        let delivered = delivered.map(|line| (line.sink.to_string(), line.alert)).collect();
        if text.len() as u64 > MOST {
            let _ = keep_newer_half(&path, &text);
        }
        let file = OpenOptions::new().create(true).append(true).open(&path).ok();
        Self { file, delivered }
    }

    /// Whether the sink has the alert already.
    pub(super) fn has(&self, sink: &SinkId, alert: &Alert) -> bool {
        self.delivered.contains(&(sink.to_string(), alert.id.clone()))
    }

    /// Puts down what became of an alert. A disk that is full is no reason to fail.
    pub(super) fn note(&mut self, sink: &SinkId, alert: &str, outcome: Outcome, why: Option<&str>) {
        if outcome == Outcome::Delivered {
            self.delivered.insert((sink.to_string(), alert.to_owned()));
        }
        let at = rfc3339(SystemClock.wall());
        let (sink, alert, why) = (sink.clone(), alert.to_owned(), why.map(str::to_owned));
        let line = serde_json::to_string(&Line { at, sink, alert, outcome, why });
        if let (Some(file), Ok(line)) = (&mut self.file, line) {
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    // Whatever is longer was not written here.
    File::open(path)?.take(16 * MOST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn keep_newer_half(path: &Path, text: &str) -> io::Result<()> {
    let half = (text.len() / 2..text.len()).find(|at| text.as_bytes()[*at] == b'\n');
    let newer = half.map_or("", |at| &text[at + 1..]);
    let beside = path.with_extension("jsonl.new");
    std::fs::write(&beside, newer)?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::alert::Status;
    use crate::alerts::sinks::fixture::alert;

    fn sink(name: &str) -> SinkId {
        name.parse().unwrap()
    }

    #[test]
    fn what_was_delivered_is_known_to_the_next_process_and_what_failed_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let alert = alert(Status::Firing);
        let mut journal = Journal::open(folder.path());
        journal.note(&sink("chat"), &alert.id, Outcome::Delivered, None);
        journal.note(&sink("pager"), &alert.id, Outcome::Failed, Some("it answered 500"));
        let next = Journal::open(folder.path());
        assert!(next.has(&sink("chat"), &alert));
        assert!(!next.has(&sink("pager"), &alert));
    }

    #[test]
    fn a_line_that_was_cut_off_is_passed_over_and_no_folder_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "{\"at\":\"2030-01-01T00:0").unwrap();
        assert!(!Journal::open(folder.path()).has(&sink("chat"), &alert(Status::Firing)));
        let mut nowhere = Journal::open(&folder.path().join("nowhere"));
        nowhere.note(&sink("chat"), "a", Outcome::Delivered, None);
    }

    #[test]
    fn a_long_journal_forgets_its_older_half() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path());
        for n in 0..4_000 {
            journal.note(&sink("chat"), &format!("{n}"), Outcome::Delivered, None);
        }
        drop(Journal::open(folder.path()));
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(text.len() < 200_000, "{}", text.len());
        assert!(text.contains("\"3999\"") && !text.contains("\"0\""));
    }
}
