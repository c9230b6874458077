//! `ctx init --adopt`: a ledger for what is there already.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cli::Context;
use crate::cli::known::{nowhere, orchestrator};
use crate::cli::session::{block_on, confirm, connect, control_failure};
use crate::clock::{Clock, SystemClock};
use crate::control::armed::Armed;
use crate::control::client::Client;
use crate::control::wire::{Operation, State};
use crate::engine::adopt;
use crate::error::{Code, Failure, Result, count};
use crate::ids::RunId;
use crate::ledger::fact::{Fact, RunBegun};
use crate::ledger::{Ledger, LedgerError, Of, Reader};
use crate::plan::model::Orchestrator;

/// What there is to adopt.
struct Adoption {
    run: RunId,
    begun: RunBegun,
    facts: Vec<Fact>,
}

/// Adopts what the orchestrator is doing.
///
/// # Errors
/// When there is a ledger with a run in it, or the orchestrator does not answer.
pub(super) fn run(context: &Context) -> Result<Code> {
    let path = &context.settings.ledger.value;
    let found = find(context)?;
    let there = crate::cli::known::reader(context)?;
    if let Some(reader) = &there {
        refuse_if_used(reader)?;
    }
    confirm(context, &found.question())?;
    let at = SystemClock.wall();
    if there.is_some() {
        let mut ledger = Ledger::open(path)?;
        // Nobody else writes to it from here on.
        refuse_if_used(&ledger)?;
        ledger.append_together(&found.story(), at)?;
    } else {
        Ledger::begin(path, &found.story(), at)?;
    }
    found.tell(context, path);
    if found.adoption.is_some() {
        context.ui.note("hint: `ctx status` shows where it stands; `ctx resume` goes on");
    }
    Ok(Code::Done)
}

/// Makes a new ledger at `path`, for one that is damaged.
///
/// # Errors
/// When there is a file at `path`, or the orchestrator does not answer.
pub(in crate::cli) fn anew(context: &Context, path: &Path) -> Result<Code> {
    // Before anybody is asked; it is seen to once more when the file is made.
    if path.symlink_metadata().is_ok() {
        return Err(LedgerError::Exists(path.to_path_buf()).into());
    }
    let found = find(context)?;
    confirm(context, &found.question())?;
    Ledger::begin(path, &found.story(), SystemClock.wall())?;
    found.tell(context, path);
    let new = path.display();
    context.ui.note(format!("hint: name it from now on: `ctx status --ledger {new}`"));
    if found.adoption.is_some() {
        context.ui.note(format!(
            "hint: `ctx resume --ledger {new}` goes on, `ctx rollback --ledger {new}` takes it back"
        ));
    }
    Ok(Code::Done)
}

/// What an orchestrator is doing.
struct Found {
    url: String,
    state: State,
    adoption: Option<Adoption>,
}

fn find(context: &Context) -> Result<Found> {
    let client = connect(context, &there(context)?)?;
    block_on(async {
        let state = client.state().await.map_err(|error| control_failure(&error))?.body;
        let adoption = match &state.armed {
            Some(armed) => Some(adoption(&client, armed).await?),
            None => None,
        };
        Ok(Found { url: client.url().to_owned(), state, adoption })
    })
}

impl Found {
    fn question(&self) -> String {
        let Self { url, state, adoption } = self;
        match adoption {
            Some(Adoption { run, begun, .. }) => format!(
                "Adopt run {run} of phase {} `{}` (begun by {}@{}) on {url}?",
                begun.phase.number, begun.phase.id, begun.by.user, begun.by.host
            ),
            None => format!("Record revision {} of {url} as the baseline?", state.head),
        }
    }

    /// Everything that the ledger begins with.
    fn story(&self) -> Vec<Of> {
        let Self { url, state, adoption } = self;
        let baseline = Fact::Baseline {
            orchestrator: url.clone(),
            state_uuid: state.state_uuid.clone(),
            rev: state.head,
            config_hash: state.config_hash.clone(),
            anchor: state.anchor.clone(),
        };
        let mut story = vec![(None, baseline)];
        if let Some(Adoption { run, begun, facts }) = adoption {
            let begun = Fact::RunBegun(Box::new(begun.clone()));
            let all = std::iter::once(begun).chain(facts.iter().cloned());
            story.extend(all.map(|fact| (Some(run.clone()), fact)));
        }
        story
    }

    fn tell(&self, context: &Context, path: &Path) {
        let (rev, shown) = (self.state.head, path.display());
        context.ui.note(match &self.adoption {
            None => format!("revision {rev} is the baseline, recorded in `{shown}`"),
            Some(Adoption { run, begun, facts }) => format!(
                "run {run} of phase {} `{}` adopted: {} recorded in `{shown}`",
                begun.phase.number,
                begun.phase.id,
                count(facts.len() + 1, "fact")
            ),
        });
    }
}

fn there(context: &Context) -> Result<Orchestrator> {
    // The ledger is not asked: it may be the one that is damaged.
    let plan = crate::cli::known::plan(context)?;
    orchestrator(context, None, plan.as_ref(), None).ok_or_else(nowhere)
}

/// A ledger that has seen a run is somebody's evidence; nothing is mixed into it.
fn refuse_if_used(reader: &Reader) -> Result<()> {
    let Some(last) = reader.runs(1)?.into_iter().next() else { return Ok(()) };
    let path = reader.path().display();
    Err(Failure::new(Code::Refused, format!("`{path}` has runs in it already"))
        .why(format!("the last one is {} of phase `{}`", last.run, last.phase))
        .hint("name another file: `--ledger PATH`"))
}

async fn adoption(client: &Client, armed: &Armed) -> Result<Adoption> {
    let failed = |error| control_failure(&error);
    let record = client.record().await.map_err(failed)?;
    let record = record.filter(|record| record.run == armed.run && !record.record.is_empty());
    let unknown = || {
        Failure::new(Code::Refused, format!("run {} cannot be adopted", armed.run))
            .hint("`ctx abort` takes its phase back; its own machine can do everything else")
    };
    let Some(record) = record else {
        return Err(unknown().why("the orchestrator has no record of how it began"));
    };
    let begun = match serde_json::from_str(&record.record) {
        Ok(Fact::RunBegun(begun)) => *begun,
        Ok(_) => return Err(unknown().why("its record is not the beginning of a run")),
        Err(error) => {
            return Err(unknown().why(format!("its record cannot be read: {error}")));
        }
    };
    let keys = adopt::keys(&armed.run, &begun)?;
    let mut operations: BTreeMap<String, Operation> = BTreeMap::new();
    for key in keys {
        if let Some(operation) = client.operation(&key).await.map_err(failed)? {
            operations.insert(key, operation);
        }
    }
    let facts = adopt::facts(&armed.run, &begun, armed.target, &operations)?;
    Ok(Adoption { run: armed.run.clone(), begun, facts })
}
