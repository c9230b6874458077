//! `ctx init`: a ledger for what is there already.

use std::collections::BTreeMap;

use super::Context;
use super::known::known;
use super::session::{block_on, confirm, connect, control_failure};
use crate::clock::{Clock, SystemClock};
use crate::control::armed::Armed;
use crate::control::client::Client;
use crate::control::wire::{Operation, State};
use crate::engine::adopt;
use crate::error::{Code, Failure, Result, count};
use crate::ids::RunId;
use crate::ledger::Ledger;
use crate::ledger::fact::{Fact, RunBegun};
use crate::plan::model::Orchestrator;

/// Make a ledger from what an orchestrator is doing already
///
/// A run in flight is taken up with everything that the orchestrator knows of it: then `ctx
/// resume`, `ctx rollback` and the others work from here. Without one, the orchestrator is
/// recorded as the baseline.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx init --adopt\n  ctx init --adopt --orchestrator http://127.0.0.1:7700 --yes"
)]
pub struct Args {
    /// Record the running orchestrator as the baseline
    #[arg(long, required = true)]
    adopt: bool,
}

/// What there is to adopt.
struct Adoption {
    run: RunId,
    begun: RunBegun,
    facts: Vec<Fact>,
}

/// Runs the command.
///
/// # Errors
/// When there is a ledger with a run in it, or the orchestrator does not answer.
pub fn run(_: &Args, context: &Context) -> Result<Code> {
    let path = &context.settings.ledger.value;
    let there = orchestrator(context)?;
    let client = connect(context, &there)?;
    let (state, adoption) = block_on(async {
        let state = client.state().await.map_err(|error| control_failure(&error))?.body;
        let adoption = match &state.armed {
            Some(armed) => Some(adoption(&client, armed).await?),
            None => None,
        };
        Ok((state, adoption))
    })?;
    refuse_a_used_ledger(context)?;
    confirm(context, &question(&state, adoption.as_ref(), client.url()))?;
    let mut ledger = Ledger::open(path)?;
    let at = SystemClock.wall();
    let baseline = Fact::Baseline {
        orchestrator: client.url().to_owned(),
        state_uuid: state.state_uuid.clone(),
        rev: state.head,
        config_hash: state.config_hash.clone(),
        anchor: state.anchor.clone(),
    };
    ledger.append(None, &baseline, at)?;
    let shown = path.display();
    let Some(Adoption { run, begun, facts }) = adoption else {
        context.ui.note(format!("revision {} is the baseline, recorded in `{shown}`", state.head));
        return Ok(Code::Done);
    };
    let phase = (begun.phase.number, begun.phase.id.clone());
    let all = std::iter::once(Fact::RunBegun(Box::new(begun))).chain(facts);
    let mut recorded = 0;
    for fact in all {
        ledger.append(Some(&run), &fact, at)?;
        recorded += 1;
    }
    context.ui.note(format!(
        "run {run} of phase {} `{}` adopted: {} recorded in `{shown}`",
        phase.0,
        phase.1,
        count(recorded, "fact")
    ));
    context.ui.note("hint: `ctx status` shows where it stands; `ctx resume` goes on");
    Ok(Code::Done)
}

fn orchestrator(context: &Context) -> Result<Orchestrator> {
    let plan = known(context)?.plan.map(|plan| plan.orchestrator);
    let set = context.settings.orchestrator.as_ref();
    let set = set.map(|set| Orchestrator { url: set.value.clone(), token: None });
    plan.or(set).ok_or_else(|| {
        Failure::new(Code::Usage, "it is not known where the orchestrator is").hint(
            "name it: `--orchestrator http://127.0.0.1:7700`, or name the plan: `--plan FILE`",
        )
    })
}

/// A ledger that has seen a run is somebody's evidence; nothing is mixed into it.
fn refuse_a_used_ledger(context: &Context) -> Result<()> {
    let Some(reader) = super::known::reader(context)? else { return Ok(()) };
    let Some(last) = reader.runs(1)?.into_iter().next() else { return Ok(()) };
    let path = context.settings.ledger.value.display();
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

fn question(state: &State, adoption: Option<&Adoption>, url: &str) -> String {
    match adoption {
        Some(Adoption { run, begun, .. }) => format!(
            "Adopt run {run} of phase {} `{}` (begun by {}@{}) on {url}?",
            begun.phase.number, begun.phase.id, begun.by.user, begun.by.host
        ),
        None => format!("Record revision {} of {url} as the baseline?", state.head),
    }
}
