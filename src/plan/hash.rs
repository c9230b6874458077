//! Hashes of plans: of the file as it is, and of what a phase means.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::model::{Action, CriterionCheck, Guard, Phase, Suite};

/// SHA-256 of a file's bytes, as 64 hex digits.
pub fn file_hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// What of a plan a phase depends on.
#[derive(Serialize)]
struct Meaning<'p> {
    phase: Phase,
    guards: Vec<&'p Guard>,
    suites: Vec<&'p Suite>,
}

/// SHA-256 over what running `phase` means, as 64 hex digits.
///
/// Comments, white space, other phases, and moving lines do not count. Of `guards` and `suites`
/// those count that the phase is subject to, so that a plan's whole lists can be passed. The
/// encoding is JSON with object keys in byte order and quantities in their canonical text.
pub fn phase_hash(phase: &Phase, guards: &[Guard], suites: &[Suite]) -> String {
    let mut phase = phase.clone();
    phase.line = 0;
    for step in &mut phase.steps {
        step.line = 0;
    }
    let guards = guards.iter().filter(|guard| !phase.without_guards.contains(&guard.id)).collect();
    let suites = suites.iter().filter(|suite| uses(&phase, suite)).collect();
    let meaning = Meaning { phase, guards, suites };
    let value = serde_json::to_value(meaning).expect("a phase is plain data");
    file_hash(&serde_json::to_vec(&value).expect("a JSON value prints"))
}

/// Whether a phase runs a suite: as a step, or to decide a criterion.
fn uses(phase: &Phase, suite: &Suite) -> bool {
    let tested = phase
        .steps
        .iter()
        .any(|step| matches!(&step.action, Action::Test { suites } if suites.contains(&suite.id)));
    let required = phase.steps.iter().flat_map(|step| &step.require);
    let mut criteria = phase.criteria.iter().chain(required);
    tested
        || criteria
            .any(|c| matches!(&c.check, CriterionCheck::Suite { suite: id } if *id == suite.id))
}
