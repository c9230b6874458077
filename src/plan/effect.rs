//! What a step assigns in the configuration, part by part.
//!
//! The check of a plan, its preview and the run itself ask the same function, so that what is
//! shown is what is done.

use serde_json::{Value, json};

use super::model::Action;
use crate::control::config::Config;
use crate::control::document::Assignment;
use crate::units::Percent;

/// The configuration that a plan is checked and previewed against: a service that nothing has been
/// changed about, at an address that stands for wherever it is.
pub fn baseline() -> Config {
    Config::legacy("http://127.0.0.1:8000")
}

/// What part `part` (from 0) of a step assigns; empty for a step that changes no configuration.
pub fn assignments(action: &Action, part: usize) -> Vec<Assignment> {
    let assign = |path: String, value: Value| Assignment { path, value };
    match action {
        Action::Set { assignments } => assignments.clone(),
        Action::Ramp { flag, to } => to.get(part).map_or_else(Vec::new, |share| {
            vec![
                assign(format!("flags.{flag}.enabled"), Value::Bool(true)),
                assign(format!("flags.{flag}.percentage"), json!(share)),
            ]
        }),
        Action::Canary { next: Some(next), to, .. } => {
            let Some(share) = to.get(part) else { return Vec::new() };
            let canary = |value| assign("extension_canary".to_owned(), value);
            if *share == Percent::ALL {
                return vec![canary(Value::Null), next.clone()];
            }
            let id = next.path.trim_start_matches("extensions.");
            vec![canary(json!({"id": id, "next": next.value, "weight": share}))]
        }
        Action::Canary { upstream, url, to, next: None, compare: _ } => {
            let Some(share) = to.get(part) else { return Vec::new() };
            let server = url.as_ref().map(|url| {
                let value = json!({"url": url, "connect_timeout": "2s", "timeout": "10s"});
                assign(format!("upstreams.{upstream}"), value)
            });
            let weight = json!({"upstream": upstream, "weight": share});
            server.into_iter().chain([assign("canary".to_owned(), weight)]).collect()
        }
        Action::Install { assignment } | Action::Uninstall { assignment } => {
            vec![assignment.clone()]
        }
        Action::Test { .. }
        | Action::Run { .. }
        | Action::Call { .. }
        | Action::Backup
        | Action::Approve { .. }
        | Action::Soak => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::document::assign;
    use crate::plan::model::Compare;

    fn compare() -> Compare {
        Compare { max_latency_ratio: 1.5, ..Compare::default() }
    }

    #[test]
    fn a_ramp_enables_the_flag_and_raises_it() {
        let to = vec![Percent::whole(5), Percent::ALL];
        let ramp = Action::Ramp { flag: "connection_pooling".to_owned(), to };
        let legacy = baseline();
        let first = assign(&legacy, &assignments(&ramp, 0)).unwrap();
        assert_eq!(first.flags["connection_pooling"].percentage, Percent::whole(5));
        assert!(assign(&first, &assignments(&ramp, 1)).unwrap().fully_on("connection_pooling"));
        assert!(assignments(&ramp, 2).is_empty());
    }

    #[test]
    fn a_canary_brings_its_upstream_along() {
        let canary = Action::Canary {
            upstream: "next".to_owned(),
            url: Some("http://127.0.0.1:9000".to_owned()),
            to: vec![Percent::whole(5)],
            compare: compare(),
            next: None,
        };
        let legacy = baseline();
        let after = assign(&legacy, &assignments(&canary, 0)).unwrap();
        assert_eq!(after.canary.unwrap().weight, Percent::whole(5));
        assert!(after.upstreams.contains_key("next"));
    }
}
