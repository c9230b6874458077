//! `[[phase.step]]`.

use std::time::Duration;

use toml::Spanned;

use super::action::{ACTIONS, CANARY, RAMP, RUN, action};
use super::call::CALL;
use super::{ReadFile, id};
use crate::ids::StepId;
use crate::plan::draft::{DraftAction, DraftStep};
use crate::plan::fault::listed;
use crate::plan::model::Action;
use crate::plan::shape::{Kind, Shape, may, need};
use crate::plan::table::Table;
use crate::plan::usual::Literal;

pub(super) static STEP: Shape = Shape {
    what: "a step",
    about: "One action with its inverse: exactly one of `set`, `ramp`, `canary`, `install`, \
            `uninstall`, `test`, `run`, `call`, `backup` and `approve`, or `soak` alone to watch \
            the guards for a while. What changes the configuration is provisional until its soak \
            is over, and its inverse is the document before.",
    keys: &[
        need("id", Kind::Name, "a name, unique within its phase"),
        may("title", Kind::Text, "what the step does, in a few words"),
        may("set", Kind::Map(&Kind::Any), "values of the configuration, by dotted path").more(
            "Such as `\"cache.mode\" = \"read\"`, or a whole entry: `\"routes.home\" = { ... }`. All of \
             them take effect at once. [The configuration](api.md#config) has every path; `ctx \
             config show` prints what is in force.",
        ),
        may("ramp", Kind::Table(&RAMP), "raises a flag's percentage part by part"),
        may("canary", Kind::Table(&CANARY), "gives a second upstream a growing share"),
        may("install", Kind::Text, "an extension's manifest, relative to the plan")
            .more("See [the manifest](#an-extensions-manifest); it must be below the plan's folder."),
        may("uninstall", Kind::Name, "the id of an installed extension"),
        may("test", Kind::Names, "suites that must pass"),
        may("run", Kind::Table(&RUN), "a program with its arguments; never a shell line"),
        may("call", Kind::Table(&CALL), "an HTTP request"),
        may("backup", Kind::Bool, "takes and verifies a backup, besides the phase's own")
            .more("Only `true` means something."),
        may("approve", Kind::Text, "waits for a person, with this question").more(
            "Where nobody can be asked the run stops with exit code 12, and `ctx resume` asks \
             again. `--yes` is an answer too.",
        ),
        may("soak", Kind::Duration, "how long the guards are watched after each part")
            .usually(Literal::Lasts(Duration::ZERO))
            .more(
                "A change is confirmed when this time is over and each guard has held once on \
                 requests made since. `ramp` and `canary` may say it themselves instead.",
            ),
        may("require", Kind::Names, "criteria that must hold before the step begins")
            .more("One that does not hold, or cannot be known, fails the phase before the change."),
        may("irreversible", Kind::Bool, "whether the step may lack an undo")
            .usually(Literal::Bool(false))
            .more(
                "`run` and `call` need an `undo`, or this word here or on the phase: nothing is \
                 rolled back past such a step.",
            ),
    ],
};

/// Reads one step.
pub(super) fn step<'d>(table: &Table<'d>, read: ReadFile<'_>) -> DraftStep<'d> {
    let id: Spanned<StepId> = id(table);
    let own_soak = table.duration("soak");
    let given: Vec<&str> = ACTIONS.into_iter().filter(|key| table.has(key)).collect();
    let mut part_soak = None;
    let read_action = match given.as_slice() {
        [] if table.has("soak") => {
            let span = table.entry_span("soak");
            Some(DraftAction { action: Action::Soak, span, marks: Vec::new() })
        }
        [] => {
            let message = format!("step `{}` does nothing", id.get_ref());
            table.faults.hinted(
                table.span(),
                message,
                format!("give it one of {}, or `soak`", listed(&ACTIONS)),
            );
            None
        }
        [key] => {
            let (read_action, soak) = action(table, key, read);
            part_soak = soak;
            read_action
        }
        [first, second, ..] => {
            let message = format!("step `{}` does two things: {}", id.get_ref(), listed(&given));
            let hint = format!("make `{second}` a step of its own, after `{first}`");
            // All are read, so that faults inside of them are found too.
            for key in &given {
                action(table, key, read);
            }
            table.faults.hinted(table.key_span(second), message, hint);
            None
        }
    };
    if let (Some(own), Some(_)) = (&own_soak, &part_soak) {
        let hint = "keep one of them; both mean the time after each part";
        table.faults.hinted(own.span(), "`soak` is said twice", hint);
    }
    let soak = part_soak.or(own_soak.map(Spanned::into_inner));
    let soak = soak.unwrap_or_else(|| table.usual_duration("soak"));
    DraftStep {
        title: table.string("title"),
        action: read_action,
        soak,
        require: table.texts("require"),
        irreversible: table.bool("irreversible").filter(|b| *b.get_ref()).map(|b| b.span()),
        line: table.line(),
        id,
    }
}
