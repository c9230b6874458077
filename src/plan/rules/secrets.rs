//! The configuration names where a webhook's secret is, never the secret itself.

use serde_json::Value;

use crate::plan::draft::Draft;
use crate::plan::fault::Faults;
use crate::plan::model::Action;
use crate::secret::SecretRef;

pub(super) fn secrets(draft: &Draft<'_>, faults: &Faults<'_>) {
    for action in draft.steps().filter_map(|step| step.action.as_ref()) {
        let Action::Set { assignments } = &action.action else { continue };
        for (assignment, mark) in assignments.iter().zip(&action.marks) {
            let literal = match &assignment.value {
                Value::String(text) => assignment.path.ends_with(".secret") && is_literal(text),
                table => has_literal(table),
            };
            if literal {
                let hint = "write `env:NAME` or `file:PATH`";
                faults.covered(mark.value.clone(), "the secret itself stands in the plan", hint);
            }
        }
    }
}

fn is_literal(text: &str) -> bool {
    text.parse::<SecretRef>().is_err()
}

/// Whether a table holds a `secret` that is no reference, at any depth.
fn has_literal(value: &Value) -> bool {
    let Value::Object(map) = value else { return false };
    map.iter().any(|(key, value)| match value {
        Value::String(text) => key == "secret" && is_literal(text),
        nested => has_literal(nested),
    })
}
