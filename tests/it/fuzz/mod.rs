//! Fuzzing on the stable compiler: seeded, and bounded by a number of inputs.
//!
//! The targets are shared with `fuzz/`, where libFuzzer chooses its inputs by coverage.

mod corpus;
mod laws;
mod mutate;
mod runner;
mod targets;

use mutate::Stock;
use runner::run;

#[test]
fn no_text_breaks_the_reader_of_plans() {
    let corpus = corpus::plans();
    let stock = Stock { corpus: &corpus, words: corpus::PLAN_WORDS };
    run("plan", 200, &stock, targets::plan::check);
}

#[test]
fn no_word_breaks_its_parser() {
    let corpus = corpus::words();
    let stock = Stock { corpus: &corpus, words: corpus::WORDS };
    run("words", 10_000, &stock, targets::words::check);
}

#[test]
fn no_document_breaks_its_reader() {
    let corpus = corpus::documents();
    let stock = Stock { corpus: &corpus, words: corpus::JSON_WORDS };
    run("document", 3_000, &stock, targets::document::check);
}

#[test]
fn no_definition_breaks_the_reader_of_flags() {
    let corpus = corpus::definitions();
    let stock = Stock { corpus: &corpus, words: corpus::FLAG_WORDS };
    run("flagd", 3_000, &stock, targets::flagd::check);
}

#[test]
fn no_event_is_taken_for_a_signed_one() {
    let corpus = corpus::events();
    let stock = Stock { corpus: &corpus, words: corpus::EVENT_WORDS };
    run("webhook", 6_000, &stock, targets::webhook::check);
}

#[test]
fn no_request_breaks_the_control_api() {
    let corpus = corpus::requests();
    let stock = Stock { corpus: &corpus, words: corpus::JSON_WORDS };
    run("control", 1_500, &stock, targets::control::check);
    targets::control::settle();
}

#[test]
fn no_bytes_of_a_ledger_change_unseen() {
    let whole = corpus::ledger();
    let stock = Stock { corpus: std::slice::from_ref(&whole), words: &[] };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite3");
    let look = |bytes: &[u8]| {
        for old in std::fs::read_dir(folder.path()).unwrap() {
            let _ = std::fs::remove_file(old.unwrap().path());
        }
        std::fs::write(&path, bytes).unwrap();
        targets::ledger::look(&path)
    };
    let expected = look(&whole);
    assert!(matches!(&expected, targets::ledger::Look::Intact(entries, _) if entries.len() > 20));
    run("ledger", 250, &stock, |bytes| match look(bytes) {
        targets::ledger::Look::Faulty(_) => {}
        intact @ targets::ledger::Look::Intact(..) => {
            assert_eq!(intact, expected, "the content is another, and nothing is wrong");
        }
    });
}

#[test]
fn no_file_of_a_backup_changes_unseen() {
    let corpus = corpus::backup_files();
    let stock = Stock { corpus: &corpus, words: corpus::JSON_WORDS };
    run("backup", 120, &stock, targets::backup::check);
}
