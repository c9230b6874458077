//! The hash chain (pure): each entry's hash covers the entry and the hash before it, so that no
//! entry can be edited, removed, moved or inserted without breaking every hash from there on.
//!
//! The function is SHA-256 over the encoding below, version 1. Integers are big-endian, texts are
//! UTF-8 and preceded by their length in bytes as 8 bytes.
//!
//! ```text
//! genesis = SHA-256( "ctx.ledger.genesis.1" 00 | len uuid | uuid )
//! hash    = SHA-256( "ctx.ledger.entry.1" 00
//!                  | previous hash   32 bytes; the genesis hash for the first entry
//!                  | seq             8 bytes, unsigned, from 1
//!                  | at_ms           8 bytes, two's complement
//!                  | run             00, or 01 | len | 32 hex digits
//!                  | len | kind
//!                  | len | body )    canonical JSON: no white space, keys in byte order
//! ```
//!
//! The tags end in a zero byte and name the version, so that no two uses of SHA-256 share an
//! input. A local chain does not stop somebody who rewrites all of it, head included; a copy of
//! the head kept elsewhere does, which is why runs and reports print it.

use std::fmt;

use sha2::{Digest, Sha256};

use super::fact::Fact;

const GENESIS_TAG: &[u8] = b"ctx.ledger.genesis.1\0";
const ENTRY_TAG: &[u8] = b"ctx.ledger.entry.1\0";

/// The hash of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a hash covers, as the bytes that are stored.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    pub seq: u64,
    pub at_ms: i64,
    pub run: Option<&'a [u8]>,
    pub kind: &'a [u8],
    pub body: &'a [u8],
}

/// The hash that the first entry of a ledger follows.
pub fn genesis(uuid: &str) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(GENESIS_TAG);
    text(&mut hasher, uuid.as_bytes());
    Hash(hasher.finalize().into())
}

/// The hash of an entry that follows `previous`.
pub fn next(previous: Hash, link: &Link<'_>) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(ENTRY_TAG);
    hasher.update(previous.0);
    hasher.update(link.seq.to_be_bytes());
    hasher.update(link.at_ms.to_be_bytes());
    match link.run {
        None => hasher.update([0]),
        Some(run) => {
            hasher.update([1]);
            text(&mut hasher, run);
        }
    }
    text(&mut hasher, link.kind);
    text(&mut hasher, link.body);
    Hash(hasher.finalize().into())
}

/// The bytes of a fact that the ledger stores and hashes.
pub fn canonical(fact: &Fact) -> String {
    // A `Value` keeps object keys in byte order; a struct keeps them in the order of its source.
    let value = serde_json::to_value(fact).expect("a fact is plain data");
    value.to_string()
}

fn text(hasher: &mut Sha256, bytes: &[u8]) {
    hasher.update((bytes.len() as u64).to_be_bytes());
    hasher.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::model::Phase;

    const UUID: &str = "000102030405060708090a0b0c0d0e0f";

    fn link(body: &str) -> Link<'_> {
        let run = Some(b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".as_slice());
        Link { seq: 1, at_ms: -1, run, kind: b"undone", body: body.as_bytes() }
    }

    /// The encoding spelt out a second time, byte by byte, as another implementation would.
    #[test]
    fn the_encoding_is_the_one_that_is_written_down() {
        let mut bytes = b"ctx.ledger.entry.1\0".to_vec();
        bytes.extend(genesis(UUID).0);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend([0xff; 8]);
        bytes.extend([1, 0, 0, 0, 0, 0, 0, 0, 32]);
        bytes.extend([b'a'; 32]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 6]);
        bytes.extend(b"undone");
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 2]);
        bytes.extend(b"{}");
        let expected: [u8; 32] = Sha256::digest(bytes).into();
        assert_eq!(next(genesis(UUID), &link("{}")), Hash(expected));
    }

    /// Computed by another implementation, in another language.
    #[test]
    fn golden_vectors_never_change() {
        let genesis = genesis(UUID);
        let first = next(genesis, &link("{}"));
        let second =
            next(first, &Link { seq: 2, at_ms: 1_893_456_000_000, run: None, ..link("[]") });
        let golden = [genesis, first, second].map(|hash| hash.to_string());
        assert_eq!(
            golden,
            [
                "71be19d2fdb9d53804a727b2c3a5ef7094ab7a8ee3dce6fc5dcbc16e1027401b",
                "d65a561f2fc43d195e4f73f19de22ad7bc4e28e597970fea5fcbef7ac7918c12",
                "6d914490922984fa469ab99b7e0c1aa20f55d127bcf52d6ac1c892dc0c329883",
            ]
        );
    }

    #[test]
    fn every_field_counts() {
        let base = next(genesis(UUID), &link("{}"));
        let others = [
            next(genesis("0"), &link("{}")),
            next(genesis(UUID), &Link { seq: 2, ..link("{}") }),
            next(genesis(UUID), &Link { at_ms: 0, ..link("{}") }),
            next(genesis(UUID), &Link { run: None, ..link("{}") }),
            next(genesis(UUID), &Link { kind: b"undon", ..link("e{}") }),
            next(genesis(UUID), &link("{ }")),
        ];
        assert!(others.iter().all(|other| *other != base));
    }

    #[test]
    fn canonical_bytes_have_sorted_keys_and_survive_a_round_trip() {
        let phase: Phase = serde_json::from_value(serde_json::json!({
            "id": "p", "number": 1, "title": "t", "objective": null, "days": [1, 14],
            "on_failure": "rollback-phase", "criteria": [], "without_guards": [], "line": 1,
            "steps": [],
        }))
        .unwrap();
        let canonical = serde_json::to_value(&phase).unwrap().to_string();
        assert!(canonical.starts_with(r#"{"criteria":[],"days":[1,14],"id":"p""#), "{canonical}");
        let fact = Fact::Interrupted { by: "signal \"15\"".to_owned() };
        let body = super::canonical(&fact);
        assert_eq!(body, r#"{"by":"signal \"15\"","fact":"interrupted"}"#);
        assert_eq!(serde_json::from_str::<Fact>(&body).unwrap(), fact);
    }
}
