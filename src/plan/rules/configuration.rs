//! Every change fits the configuration as the steps before it leave it.
//!
//! The rule does what a run will do: it begins with the legacy document and applies each part of
//! each step in plan order. So an extension can be configured once it is installed, and not
//! before. What an operator has added to a running orchestrator besides is not known here; the
//! orchestrator checks each document again.

use serde_json::Value;

use crate::control::config::Config;
use crate::control::document::{Assignment, DocumentError, assign};
use crate::error::did_you_mean;
use crate::ids::ExtensionId;
use crate::plan::draft::{Draft, DraftAction, Mark};
use crate::plan::effect;
use crate::plan::fault::Faults;
use crate::plan::model::Action;

pub(super) fn configuration(draft: &Draft<'_>, faults: &Faults<'_>) {
    let mut check = Check { config: effect::baseline(), unsure: false, faults };
    for step in draft.steps() {
        match &step.action {
            Some(action) => check.action(action),
            // It may have added what later steps name.
            None => check.unsure = true,
        }
    }
}

/// The configuration so far.
struct Check<'f, 's> {
    config: Config,
    /// Whether a faulty step before may have added an entry that is missing now.
    unsure: bool,
    faults: &'f Faults<'s>,
}

impl Check<'_, '_> {
    fn action(&mut self, draft: &DraftAction) {
        let Some(first) = draft.marks.first() else { return };
        let fits = match &draft.action {
            Action::Ramp { flag, .. } => self.flag(flag, first),
            Action::Canary { upstream, url: None, next: None, .. } => {
                self.upstream(upstream, first)
            }
            Action::Uninstall { assignment } => self.extension(assignment, first),
            _ => true,
        };
        if !fits {
            return;
        }
        for part in 0..draft.action.parts() {
            let assignments = effect::assignments(&draft.action, part);
            if let Action::Set { .. } = draft.action {
                self.set(assignments, draft);
            } else {
                match assign(&self.config, &assignments) {
                    Ok(config) => self.config = config,
                    Err(error) => {
                        self.faults.push(draft.span.clone(), error.to_string());
                        self.unsure = true;
                        return;
                    }
                }
            }
        }
    }

    /// Assigns what can be assigned, and reports each value that cannot.
    fn set(&mut self, assignments: Vec<Assignment>, draft: &DraftAction) {
        let mut left: Vec<(Assignment, &Mark)> =
            assignments.into_iter().zip(&draft.marks).collect();
        loop {
            let now: Vec<Assignment> = left.iter().map(|(a, _)| a.clone()).collect();
            let error = match assign(&self.config, &now) {
                Ok(config) => {
                    self.config = config;
                    return;
                }
                Err(error) => error,
            };
            let (DocumentError::NoSuchPath { path, .. } | DocumentError::BadValue { path, .. }) =
                &error
            else {
                self.faults.push(draft.span.clone(), error.to_string());
                self.unsure = true;
                return;
            };
            let Some(at) = left.iter().position(|(a, _)| a.path == *path) else { return };
            let (assignment, mark) = left.remove(at);
            self.refused(&assignment, mark, &error);
        }
    }

    fn refused(&mut self, assignment: &Assignment, mark: &Mark, error: &DocumentError) {
        match error {
            DocumentError::NoSuchPath { path, known } => {
                if self.unsure && OPEN.iter().any(|map| path.starts_with(map)) {
                    return;
                }
                let hint = match self.nearest(path) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if known.is_empty() => "it is a single value, not a table".to_owned(),
                    None => {
                        let known: Vec<&String> = known.iter().take(12).collect();
                        format!("there, it has {}", crate::plan::fault::listed(&known))
                    }
                };
                self.faults.hinted(mark.name.clone(), error.to_string(), hint);
            }
            DocumentError::BadValue { path, value, why } => {
                let is_table = assignment.value.is_object();
                if is_table && !path.contains('.') {
                    let message = format!("`{path}` is a table; assign single values of it");
                    let hint = format!("quote the whole path: `\"{path}.KEY\" = VALUE`");
                    self.faults.hinted(mark.name.clone(), message, hint);
                } else {
                    // A table may hold a secret that was put there by mistake.
                    let value = if is_table { "this table" } else { value };
                    let message = format!("`{path}` cannot be {value}");
                    self.faults.hinted(mark.value.clone(), message, why.clone());
                }
            }
            DocumentError::Broken(_) => unreachable!("is about no single path"),
        }
        self.unsure = true;
    }

    /// The path that differs from `path` in one misspelt part.
    fn nearest(&self, path: &str) -> Option<String> {
        let document = serde_json::to_value(&self.config).expect("a configuration is plain data");
        let mut at = &document;
        let mut keys: Vec<&str> = path.split('.').collect();
        for n in 0..keys.len() {
            let Value::Object(map) = at else { return None };
            if let Some(next) = map.get(keys[n]) {
                at = next;
                continue;
            }
            keys[n] = did_you_mean(keys[n], map.keys().map(String::as_str))?;
            return Some(keys.join("."));
        }
        None
    }

    fn flag(&self, flag: &str, mark: &Mark) -> bool {
        let known: Vec<&str> = self.config.flags.keys().map(String::as_str).collect();
        self.entry("flag", flag, mark, &known, "known flags")
    }

    fn upstream(&self, upstream: &str, mark: &Mark) -> bool {
        let known: Vec<&str> = self.config.upstreams.keys().map(String::as_str).collect();
        let there = known.contains(&upstream);
        if !there && !self.unsure {
            let hint = "add `url`, and the canary brings the upstream along";
            self.faults.hinted(mark.name.clone(), format!("unknown upstream `{upstream}`"), hint);
        }
        there
    }

    fn extension(&self, assignment: &Assignment, mark: &Mark) -> bool {
        let id = assignment.path.trim_start_matches("extensions.");
        let known: Vec<&str> = self.config.extensions.keys().map(ExtensionId::as_str).collect();
        self.entry("extension", id, mark, &known, "installed by then")
    }

    /// Whether `name` is there; reports it if it is certain that it is not.
    fn entry(&self, what: &str, name: &str, mark: &Mark, known: &[&str], lead: &str) -> bool {
        let there = known.contains(&name);
        if !there && !self.unsure {
            self.faults.unknown(mark.name.clone(), what, name, known, lead);
        }
        there
    }
}

/// The maps that a step can add entries to.
const OPEN: [&str; 4] = ["extensions.", "flags.", "routes.", "upstreams."];
