//! `ctx flags import` and `ctx flags export`: flagd's definitions.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::change::put;
use super::state;
use crate::cli::Context;
use crate::control::client::Client;
use crate::control::config::Config;
use crate::control::flags::flagd;
use crate::error::{Code, Failure, Result, count};

/// How many faults are shown to a person.
const SHOWN: usize = 20;

pub(super) fn export(context: &Context, config: &Config) {
    let definition = flagd::export(&config.flags);
    context.ui.out(format!("{definition:#}"));
}

pub(super) fn import(context: &Context, file: &Path, client: &Client) -> Result<Code> {
    let path = file.display();
    let text = fs::read_to_string(file).map_err(|error| {
        Failure::new(Code::Usage, format!("`{path}` cannot be read"))
            .because(&error)
            .hint("name a flagd definition; `ctx flags export` prints one")
    })?;
    let flags = flagd::import(&text).map_err(|faults| {
        let found = count(faults.len(), "fault");
        let failure = Failure::new(Code::Refused, format!("`{path}` is not imported: {found}"));
        let failure = faults.iter().take(SHOWN).fold(failure, Failure::why);
        failure.hint("nothing has changed; correct the definition and import it again")
    })?;
    let now = state(client)?;
    let (mut added, mut replaced) = (Vec::new(), Vec::new());
    for (name, flag) in &flags {
        match now.config.flags.get(name) {
            None => added.push(name.as_str()),
            Some(before) if before != flag => replaced.push(name.as_str()),
            Some(_) => {}
        }
    }
    if added.is_empty() && replaced.is_empty() {
        let all = count(flags.len(), "flag");
        context.ui.note(format!("nothing to do: {all} of `{path}` are as they should be"));
        return Ok(Code::Done);
    }
    let listed = |names: &[&str]| match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let change = format!("new: {}; changed: {}", listed(&added), listed(&replaced));
    let question = format!("{change}, at once. Import them?");
    let (mut config, names) = (now.config.clone(), added.len() + replaced.len());
    config.flags.extend(flags.clone());
    let reason = format!("ctx flags import: {}", count(names, "flag"));
    let rev = put(context, client, &now, config, (&question, reason))?;
    if context.ui.json {
        context.ui.json(&json!({ "schema": "ctx.flags-import/1", "added": added,
            "changed": replaced, "rev": rev }));
    } else {
        context.ui.say(format!("{change}, as of revision {rev}"));
    }
    Ok(Code::Done)
}
