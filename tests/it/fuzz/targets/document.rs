//! The configuration document and assignments to it.

use ctx::control::config::Config;
use ctx::control::document::{self, Assignment};
use ctx::control::observe::CacheSnapshot;
use ctx::control::wire::{AuditRow, LeaseRequest, RevisionRequest, State};
use ctx::orchestrator::control::audit;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Laws: no JSON makes a reader panic; what is read writes itself, and that reads the same; what
/// the rules accept, assignments keep within the rules and leave their input alone.
pub fn check(bytes: &[u8]) {
    round::<LeaseRequest>(bytes);
    round::<RevisionRequest>(bytes);
    round::<CacheSnapshot>(bytes);
    round::<State>(bytes);
    if let Some(rows) = round::<Vec<AuditRow>>(bytes) {
        let _ = audit::verify(audit::genesis(), rows);
    }
    let legacy = Config::legacy("http://127.0.0.1:8000");
    let base = match round::<Config>(bytes) {
        Some(config) if document::check(&config).is_ok() => config,
        _ => legacy,
    };
    if let Some(assignments) = round::<Vec<Assignment>>(bytes) {
        let before = base.canonical();
        if let Ok(after) = document::assign(&base, &assignments) {
            assert_eq!(document::check(&after), Ok(()));
            let again = document::assign(&base, &assignments).expect("it was accepted before");
            assert_eq!(again.canonical(), after.canonical());
            // What is assigned is what is there, or gone.
            let twice = document::assign(&after, &assignments);
            if let Ok(twice) = twice {
                assert_eq!(twice.hash(), after.hash(), "{assignments:?}");
            }
        }
        assert_eq!(base.canonical(), before);
    }
}

fn round<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(bytes).ok()?;
    let text = serde_json::to_vec(&value).expect("what was read can be written");
    let again: T = serde_json::from_slice(&text).expect("what was written can be read");
    assert_eq!(again, value);
    Some(value)
}
