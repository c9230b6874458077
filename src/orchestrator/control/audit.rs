//! The audit chain: one row for every transition, each hashed over the one before.
//!
//! A caller that remembers one `(seq, hash)` pair, its anchor, can tell whether this orchestrator
//! still has the past that it had then. That is why every transition appends, not only those that
//! change the configuration: an anchor over revisions alone would miss a lost confirmation.
//!
//! The hash is SHA-256 over this encoding; integers are big-endian:
//!
//! ```text
//! "ctx-audit-1"  11 bytes
//! previous hash  32 bytes; zeros before the first row
//! seq            8 bytes, from 1, without gaps
//! at_ms          8 bytes, two's complement
//! kind, run, rev, config_hash, fence, key, detail, in this order, each:
//!     absent     0x00
//!     present    0x01, length in bytes as 4 bytes, UTF-8; numbers in decimal
//! ```

use sha2::{Digest, Sha256};

use crate::control::wire::{Anchor, AuditRow};
use crate::ids::RunId;

/// The anchor before the first row.
pub fn genesis() -> Anchor {
    Anchor { seq: 0, hash: "0".repeat(64) }
}

/// The hash of a row that follows `previous`; the row's own `hash` is not looked at.
pub fn hash(previous: &str, row: &AuditRow) -> String {
    let mut hasher = Sha256::new();
    hasher.update(b"ctx-audit-1");
    let mut before = [0_u8; 32];
    // A damaged hash hashes as zeros, and so never matches.
    let _ = hex::decode_to_slice(previous, &mut before);
    hasher.update(before);
    hasher.update(row.seq.to_be_bytes());
    hasher.update(row.at_ms.to_be_bytes());
    let (rev, fence) = (row.rev.to_string(), row.fence.map(|fence| fence.to_string()));
    let fields = [
        Some(row.kind.name()),
        row.run.as_ref().map(RunId::as_str),
        Some(rev.as_str()),
        Some(row.config_hash.as_str()),
        fence.as_deref(),
        row.key.as_deref(),
        Some(row.detail.as_str()),
    ];
    for field in fields {
        match field {
            None => hasher.update([0]),
            Some(text) => {
                let length = u32::try_from(text.len()).expect("request bodies are bounded");
                hasher.update([1]);
                hasher.update(length.to_be_bytes());
                hasher.update(text);
            }
        }
    }
    hex::encode(hasher.finalize())
}

/// Checks rows that follow `from` without a gap, and returns the anchor they lead to; or the
/// number of the first row that does not fit.
pub fn verify(from: Anchor, rows: impl IntoIterator<Item = AuditRow>) -> Result<Anchor, u64> {
    rows.into_iter().try_fold(from, |before, row| {
        if row.seq == before.seq + 1 && row.hash == hash(&before.hash, &row) {
            Ok(Anchor { seq: row.seq, hash: row.hash })
        } else {
            Err(before.seq + 1)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::wire::AuditKind;

    fn chain(length: u64) -> Vec<AuditRow> {
        let mut before = genesis().hash;
        (1..=length)
            .map(|seq| {
                let mut row = AuditRow {
                    seq,
                    at_ms: 1_893_452_400_000,
                    kind: AuditKind::Apply,
                    run: RunId::try_from("0123456789abcdef".repeat(2)).ok(),
                    rev: seq + 1,
                    config_hash: "ab".repeat(32),
                    fence: Some(3),
                    key: None,
                    detail: format!("row {seq}"),
                    hash: String::new(),
                };
                row.hash = hash(&before, &row);
                before.clone_from(&row.hash);
                row
            })
            .collect()
    }

    #[test]
    fn the_encoding_never_changes() {
        // Computed once; a store that was written by an older ctx must verify for ever.
        assert_eq!(
            chain(1)[0].hash,
            "a3d1db5978e6652ebafc1e3217a925d065d4c9c66419814a4a8c561e93ce88a9"
        );
    }

    #[test]
    fn an_edited_removed_or_reordered_row_is_located() {
        let rows = chain(5);
        let end = verify(genesis(), rows.clone()).unwrap();
        assert_eq!((end.seq, &end.hash), (5, &rows[4].hash));
        let mut edited = rows.clone();
        edited[2].detail.push('!');
        assert_eq!(verify(genesis(), edited), Err(3));
        let mut removed = rows.clone();
        removed.remove(1);
        assert_eq!(verify(genesis(), removed), Err(2));
        let mut reordered = rows;
        reordered.swap(3, 4);
        assert_eq!(verify(genesis(), reordered), Err(4));
    }

    #[test]
    fn an_absent_field_is_not_an_empty_one() {
        let mut row = chain(1).remove(0);
        let before = hash(&genesis().hash, &row);
        row.key = Some(String::new());
        assert_ne!(hash(&genesis().hash, &row), before);
    }
}
