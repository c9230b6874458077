//! Rules: what the values of a plan mean to each other.
//!
//! How to add one: a file here with a function from the draft to faults, its row in [`RULES`],
//! and its cases in `tests/it/plan/faults.rs`. A rule looks at everything it can and reports everything it finds; what
//! another rule or a reader has reported already, it passes over.

mod configuration;
mod references;
mod reversibility;
mod secrets;
mod timeline;
mod unique;

use super::draft::Draft;
use super::fault::Faults;

/// Looks at a draft and reports what it finds.
type Rule = fn(&Draft<'_>, &Faults<'_>);

/// All rules. Their order does not matter: faults are sorted by their place.
const RULES: [Rule; 6] = [
    unique::unique,
    references::references,
    configuration::configuration,
    reversibility::reversibility,
    secrets::secrets,
    timeline::timeline,
];

/// Applies every rule.
pub(super) fn apply(draft: &Draft<'_>, faults: &Faults<'_>) {
    for rule in RULES {
        rule(draft, faults);
    }
}
