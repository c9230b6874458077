//! All flags of a revision, compiled once when it comes into force.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::evaluator::Evaluator;
use crate::control::config::Flag;

/// The flags of a revision. Never changed, only replaced.
#[derive(Debug, Default)]
pub struct Book {
    flags: BTreeMap<String, Entry>,
    /// SHA-256 over the definitions.
    hash: [u8; 32],
}

/// A flag with its definition, or why it cannot be evaluated.
#[derive(Debug)]
pub struct Entry {
    pub definition: Flag,
    /// An error only where an older ctx has let a definition pass.
    pub evaluator: Result<Evaluator, Vec<String>>,
}

impl Book {
    pub fn new(flags: &BTreeMap<String, Flag>) -> Self {
        let entry = |(name, flag): (&String, &Flag)| {
            let evaluator = Evaluator::new(name, flag);
            (name.clone(), Entry { definition: flag.clone(), evaluator })
        };
        let bytes = serde_json::to_vec(flags).expect("flags are plain data");
        Self { flags: flags.iter().map(entry).collect(), hash: Sha256::digest(bytes).into() }
    }

    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.flags.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.flags.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    pub fn hash(&self) -> &[u8] {
        &self.hash
    }
}
