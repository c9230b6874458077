//! Every way to change a ledger behind its back, and the place where each is found.

use std::fs;
use std::path::{Path, PathBuf};

use ctx::error::{Code, Failure};
use ctx::ledger::chain::{self, Hash, Link};
use ctx::ledger::fault::Fault;
use ctx::ledger::{Ledger, LedgerError};
use proptest::prelude::*;
use rusqlite::Connection;

use super::with_history;

/// A ledger that somebody with a database client has got hold of.
struct Victim {
    _dir: tempfile::TempDir,
    path: PathBuf,
    last: i64,
}

impl Victim {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.sqlite3");
        let last = with_history(&path).cast_signed();
        Self { _dir: dir, path, last }
    }

    /// Changes the file past all triggers and checks, and puts the triggers back.
    fn tamper(&self, change: impl Fn(&Connection)) {
        let connection = Connection::open(&self.path).unwrap();
        let triggers: Vec<(String, String)> = connection
            .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        connection.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
        for (name, _) in &triggers {
            connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
        }
        change(&connection);
        for (_, sql) in &triggers {
            connection.execute_batch(sql).unwrap();
        }
    }

    fn sql(&self, sql: &str) {
        self.tamper(|connection| connection.execute_batch(sql).unwrap());
    }

    fn faults(&self) -> Vec<Fault> {
        let verification = Ledger::read(&self.path).unwrap().verify().unwrap();
        assert_eq!(verification.intact(), verification.faults.is_empty());
        verification.faults
    }

    /// The faults, and that no writer goes on from there.
    fn refused(&self) -> Vec<Fault> {
        let Err(LedgerError::Damaged { .. }) = Ledger::open(&self.path) else {
            panic!("a damaged ledger must not be written to")
        };
        self.faults()
    }
}

#[test]
fn the_triggers_refuse_what_a_slip_would_do() {
    let victim = Victim::new();
    let connection = Connection::open(&victim.path).unwrap();
    for slip in [
        "UPDATE entry SET at_ms = 0",
        "DELETE FROM entry WHERE seq = 3",
        "INSERT INTO entry SELECT 9999, at_ms, run, kind, body, hash FROM entry WHERE seq = 1",
        "INSERT OR REPLACE INTO entry SELECT 2, at_ms, run, kind, body, hash FROM entry
         WHERE seq = 1",
        "UPDATE ledger SET uuid = '0'",
        "UPDATE ledger SET head_seq = 1",
        "DELETE FROM ledger",
    ] {
        let refusal = connection.execute(slip, []).unwrap_err().to_string();
        assert!(refusal.contains("append-only"), "{slip}: {refusal}");
    }
    assert_eq!(victim.faults(), []);
}

#[test]
fn an_edit_of_any_column_of_any_entry_is_located() {
    let victim = Victim::new();
    let edits = [
        "at_ms = at_ms + 1",
        "run = CASE WHEN run IS NULL THEN hex(zeroblob(16)) END",
        "run = CASE WHEN run IS NULL THEN '' ELSE 'f' || substr(run, 2) || 'f' END",
        "kind = kind || ' '",
        "body = replace(body, 'fact', 'fakt')",
        "body = ' ' || body",
        "hash = CAST(substr(hash, 1, 24) || x'0000000000000000' AS BLOB)",
        "hash = zeroblob(32)",
    ];
    victim.sql("CREATE TABLE kept AS SELECT * FROM entry");
    let reader = || Ledger::read(&victim.path).unwrap();
    let connection = Connection::open(&victim.path).unwrap();
    for trigger in ["entry_is_never_changed", "entry_is_never_deleted"] {
        connection.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    for seq in 1..=victim.last {
        for edit in edits {
            connection.execute(&format!("UPDATE entry SET {edit} WHERE seq = ?1"), [seq]).unwrap();
            let faults = reader().verify().unwrap().faults;
            assert_eq!(faults.first(), Some(&Fault::Changed { seq }), "{edit} at {seq}");
            let restore = "UPDATE entry SET (at_ms, run, kind, body, hash) =
                (SELECT at_ms, run, kind, body, hash FROM kept WHERE seq = ?1) WHERE seq = ?1";
            connection.execute(restore, [seq]).unwrap();
        }
    }
}

#[test]
fn a_removed_entry_is_located() {
    for seq in [1, 2, 17] {
        let victim = Victim::new();
        victim.sql(&format!("DELETE FROM entry WHERE seq = {seq}"));
        assert_eq!(victim.refused(), [Fault::Removed { first: seq, last: seq }]);
    }
    let victim = Victim::new();
    victim.sql("DELETE FROM entry WHERE seq BETWEEN 5 AND 9");
    assert_eq!(victim.refused(), [Fault::Removed { first: 5, last: 9 }]);
}

#[test]
fn an_end_that_was_cut_off_is_missed() {
    let victim = Victim::new();
    let last = victim.last;
    victim.sql(&format!("DELETE FROM entry WHERE seq > {}", last - 3));
    assert_eq!(victim.refused(), [Fault::Removed { first: last - 2, last }]);

    let victim = Victim::new();
    victim.sql("DELETE FROM entry");
    assert_eq!(victim.refused(), [Fault::Removed { first: 1, last }]);
}

#[test]
fn an_end_that_was_cut_off_together_with_the_head_is_missed_by_the_tables() {
    let victim = Victim::new();
    let kept = victim.last - 3;
    victim.sql(&format!(
        "DELETE FROM entry WHERE seq > {kept};
         UPDATE ledger SET head_seq = {kept},
            head_hash = (SELECT hash FROM entry WHERE seq = {kept})"
    ));
    let faults = victim.faults();
    assert!(matches!(&faults[0], Fault::Derived { table, .. } if table == "run"), "{faults:?}");
}

#[test]
fn entries_that_changed_places_are_located() {
    let victim = Victim::new();
    victim.sql(
        "UPDATE entry SET seq = -1 WHERE seq = 6; UPDATE entry SET seq = 6 WHERE seq = 9;
         UPDATE entry SET seq = 9 WHERE seq = -1",
    );
    let faults = victim.refused();
    let changed: Vec<_> = faults.iter().filter_map(Fault::seq).collect();
    assert_eq!(changed, [6, 7, 9, 10], "the two, and those that followed them");
}

#[test]
fn an_entry_that_was_slipped_in_is_located() {
    let victim = Victim::new();
    victim.sql(
        "UPDATE entry SET seq = -seq - 1 WHERE seq >= 8; UPDATE entry SET seq = -seq WHERE seq < 0;
         INSERT INTO entry SELECT 8, at_ms, run, kind, body, hash FROM entry WHERE seq = 4",
    );
    assert_eq!(victim.refused()[0], Fault::Changed { seq: 8 });

    let victim = Victim::new();
    victim
        .sql("INSERT INTO entry SELECT -5, at_ms, run, kind, body, hash FROM entry WHERE seq = 4");
    assert_eq!(victim.faults()[0], Fault::Inserted { seq: -5 });
}

#[test]
fn an_entry_that_continues_the_chain_past_the_head_is_located() {
    let victim = Victim::new();
    let seq = victim.last + 1;
    victim.tamper(|connection| {
        let previous: [u8; 32] =
            connection.query_row("SELECT head_hash FROM ledger", [], |row| row.get(0)).unwrap();
        let body = r#"{"by":"nobody","fact":"interrupted"}"#;
        let link = Link {
            seq: seq.cast_unsigned(),
            at_ms: 0,
            run: None,
            kind: b"interrupted",
            body: body.as_bytes(),
        };
        let Hash(hash) = chain::next(Hash(previous), &link);
        connection
            .execute(
                "INSERT INTO entry VALUES (?1, 0, NULL, 'interrupted', ?2, ?3)",
                (seq, body, hash),
            )
            .unwrap();
    });
    assert_eq!(victim.refused(), [Fault::Inserted { seq }]);
}

#[test]
fn an_edit_of_the_ledgers_own_row_is_located() {
    let last = Victim::new().last;
    for (edit, fault) in [
        ("head_seq = head_seq - 1", Fault::Inserted { seq: last }),
        ("head_seq = head_seq + 1", Fault::Removed { first: last + 1, last: last + 1 }),
        ("head_hash = zeroblob(32)", Fault::HeadHash { seq: last.cast_unsigned() }),
        ("uuid = 'f' || substr(uuid, 2) || 'f'", Fault::Changed { seq: 1 }),
    ] {
        let victim = Victim::new();
        victim.sql(&format!("UPDATE ledger SET {edit}"));
        assert_eq!(victim.refused(), [fault], "{edit}");
    }
}

#[test]
fn a_trigger_that_was_dropped_is_missed() {
    let victim = Victim::new();
    let connection = Connection::open(&victim.path).unwrap();
    connection.execute_batch("DROP TRIGGER entry_is_never_changed").unwrap();
    drop(connection);
    assert_eq!(victim.faults(), [Fault::Schema { name: "entry_is_never_changed".to_owned() }]);
}

#[test]
fn an_edited_derived_table_is_found_and_mended() {
    for edit in [
        "UPDATE run SET outcome = 'done' WHERE outcome = 'rolled_back'",
        "UPDATE phase SET status = 'confirmed'",
        "DELETE FROM issue",
        "UPDATE criterion SET actual = '1ms'",
        "INSERT INTO milestone VALUES ('contexten-enhanced', 'x', 'X', 'r', 0, 0)",
    ] {
        let victim = Victim::new();
        victim.sql(edit);
        let faults = victim.faults();
        assert!(matches!(faults[..], [Fault::Derived { .. }]), "{edit}: {faults:?}");
        Ledger::open(&victim.path).unwrap().rebuild().unwrap();
        assert_eq!(victim.faults(), []);
    }
}

#[test]
fn a_newer_ledger_is_left_alone() {
    let victim = Victim::new();
    let connection = Connection::open(&victim.path).unwrap();
    connection.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(connection);
    let before = fs::read(&victim.path).unwrap();
    for error in [Ledger::open(&victim.path).unwrap_err(), Ledger::read(&victim.path).unwrap_err()]
    {
        assert!(matches!(error, LedgerError::TooNew { found: 99, known: 1, .. }), "{error:?}");
        assert_eq!(Failure::from(error).code, Code::LedgerDamaged);
    }
    assert_eq!(fs::read(&victim.path).unwrap(), before);
}

#[test]
fn what_is_no_ledger_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite3");
    let left_alone = |what: &str| {
        let before = fs::read(&path).unwrap();
        for error in [Ledger::open(&path).unwrap_err(), Ledger::read(&path).unwrap_err()] {
            assert!(matches!(error, LedgerError::NotALedger { .. }), "{what}: {error:?}");
        }
        assert_eq!(fs::read(&path).unwrap(), before, "{what}");
    };
    fs::write(&path, b"not a database, but long enough to be one ".repeat(200)).unwrap();
    left_alone("garbage");
    fs::write(&path, b"").unwrap();
    left_alone("an empty file");
    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE users (name)").unwrap();
    left_alone("another program's database");
}

#[test]
fn a_truncated_file_is_noticed() {
    let victim = Victim::new();
    let whole = fs::read(&victim.path).unwrap();
    for kept in (0..whole.len()).step_by(4096 * 2).chain([100, whole.len() - 1, whole.len() - 4096])
    {
        fs::write(&victim.path, &whole[..kept]).unwrap();
        assert!(!reads_intact(&victim.path), "{kept} bytes of {}", whole.len());
    }
}

fn reads_intact(path: &Path) -> bool {
    match Ledger::read(path).and_then(|reader| reader.verify()) {
        Ok(verification) => verification.intact(),
        Err(error) => {
            assert_eq!(error.code(), Code::LedgerDamaged, "{error:?}");
            false
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// A flipped byte is found, or it was in a place that no entry uses.
    #[test]
    fn no_flipped_byte_changes_what_a_sound_ledger_says(
        places in proptest::collection::vec((any::<prop::sample::Index>(), 1u8..), 12),
    ) {
        let victim = Victim::new();
        let whole = fs::read(&victim.path).unwrap();
        let entries = Ledger::read(&victim.path).unwrap().entries(0, 1000).unwrap();
        for (place, flip) in places {
            let mut bytes = whole.clone();
            bytes[place.index(whole.len())] ^= flip;
            fs::write(&victim.path, &bytes).unwrap();
            if reads_intact(&victim.path) {
                let now = Ledger::read(&victim.path).unwrap().entries(0, 1000).unwrap();
                prop_assert_eq!(&now, &entries);
            }
        }
    }
}

#[test]
fn an_index_that_hides_an_entry_is_found() {
    let victim = Victim::new();
    // What is read by run is read through this index: SQLite's quick check does not look at it.
    let connection = Connection::open(&victim.path).unwrap();
    let root: i64 = connection
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'entry_run'", [], |row| {
            row.get(0)
        })
        .unwrap();
    let run: String = connection
        .query_row("SELECT run FROM run ORDER BY first_seq", [], |row| row.get(0))
        .unwrap();
    drop(connection);
    let mut bytes = fs::read(&victim.path).unwrap();
    let page = usize::try_from(root - 1).unwrap() * 4096;
    let places = bytes[page..page + 4096].windows(run.len());
    let at = page + places.into_iter().position(|window| window == run.as_bytes()).unwrap();
    bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
    fs::write(&victim.path, bytes).unwrap();
    assert!(matches!(victim.faults()[0], Fault::Storage { .. }), "{:?}", victim.faults());
}
