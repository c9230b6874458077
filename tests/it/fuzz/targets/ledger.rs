//! The ledger's file, after anything was done to its bytes.

use std::fs;
use std::path::Path;

use ctx::ledger::fault::Fault;
use ctx::ledger::view::Entry;
use ctx::ledger::{Ledger, LedgerError, Reader};

/// What a file comes to.
#[derive(Debug, PartialEq)]
pub enum Look {
    /// It is refused, with this reason, or has faults.
    Faulty(String),
    /// Every entry, and the derived tables as text.
    Intact(Vec<Entry>, String),
}

/// Laws: no bytes make a reader or a writer of ledgers panic, and a writer never goes on from a
/// head that does not hold.
pub fn check(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("ledger.sqlite3");
    fs::write(&path, bytes).expect("it can be written");
    let _ = look(&path);
}

/// Reads everything that a ledger says, as a reader and then as a writer.
pub fn look(path: &Path) -> Look {
    let read = Ledger::read(path).and_then(|reader| everything(&reader));
    // A writer looks at the end alone, but never goes on from a head that is not the last entry.
    if let Ok(writer) = Ledger::open(path)
        && let Ok(verification) = writer.verify()
    {
        let faults = verification.faults;
        let head = |fault: &Fault| matches!(fault, Fault::Head { .. } | Fault::HeadHash { .. });
        assert!(!faults.iter().any(head), "a writer went on with {faults:?}");
    }
    match read {
        Ok(look) => look,
        Err(error) => Look::Faulty(error.to_string()),
    }
}

fn everything(reader: &Reader) -> Result<Look, LedgerError> {
    let verification = reader.verify()?;
    // All is read, whatever the verification says: `ctx history` and `ctx report` do too.
    let said = said(reader);
    if !verification.intact() {
        assert!(verification.fault_count > 0);
        return Ok(Look::Faulty(format!("{:?}", verification.faults)));
    }
    let entries = reader.entries(0, u32::MAX)?;
    let said = said.expect("what is intact can be read");
    Ok(Look::Intact(entries, said))
}

fn said(reader: &Reader) -> Result<String, LedgerError> {
    let info = reader.info();
    let runs = reader.runs(u32::MAX)?;
    let open = reader.open_run()?;
    let mut said = format!("{runs:?} {open:?} {:?}", reader.backups()?);
    for run in &runs {
        let facts = reader.facts(&run.run)?;
        let steps = reader.steps(&run.run)?;
        let begun = reader.begun(&run.run);
        let plan = &run.plan;
        let of_plan = (reader.phases(plan)?, reader.milestones(plan)?, reader.criteria(plan)?);
        let issues = reader.issues(plan, u32::MAX)?;
        said = format!("{said} {facts:?} {steps:?} {begun:?} {of_plan:?} {issues:?}");
    }
    info.map(|info| said + &format!("{info:?}"))
}
