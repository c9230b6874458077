//! Idempotency keys: the same request gets the same key, whoever sends it again.

use sha2::{Digest, Sha256};

use crate::control::wire::OperationKind;
use crate::ids::RunId;

/// The key of one request: `hex(SHA-256("ctx1" | phase_hash | run | position | attempt | kind))`,
/// the parts separated by a zero byte.
///
/// The hash of the phase is inside, so that an edited plan can never replay an old request.
pub fn key(
    phase_hash: &str,
    run: &RunId,
    position: &str,
    attempt: u32,
    kind: OperationKind,
) -> String {
    let kind = match kind {
        OperationKind::Apply => "apply",
        OperationKind::Confirm => "confirm",
        OperationKind::Revert => "revert",
        OperationKind::Cleanup => "cleanup",
    };
    let attempt = attempt.to_string();
    let mut hash = Sha256::new();
    for part in ["ctx1", phase_hash, run.as_str(), position, &attempt, kind] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts() {
        let run = RunId::try_from("0".repeat(32)).unwrap();
        let other = RunId::try_from("1".repeat(32)).unwrap();
        let keys = [
            key("p", &run, "a 1/2", 1, OperationKind::Apply),
            key("q", &run, "a 1/2", 1, OperationKind::Apply),
            key("p", &other, "a 1/2", 1, OperationKind::Apply),
            key("p", &run, "a 2/2", 1, OperationKind::Apply),
            key("p", &run, "a 1/2", 2, OperationKind::Apply),
            key("p", &run, "a 1/2", 1, OperationKind::Confirm),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(keys[0], key("p", &run, "a 1/2", 1, OperationKind::Apply));
    }
}
