//! What the read commands start from: the plan, if it is at hand, and what the ledger knows.

use std::path::Path;
use std::time::Duration;

use super::Context;
use super::session::{block_on, connect};
use crate::clock::{Clock, SystemClock};
use crate::control::client::Client;
use crate::error::{Code, Failure, Result};
use crate::ledger::fact::Base;
use crate::ledger::{Ledger, LedgerError, Reader};
use crate::plan::model::Orchestrator;
use crate::plan::{self, Plan};
use crate::report::{Live, Records};
use crate::settings::{Origin, Sourced};

/// How long a read command waits for the orchestrator.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known without asking the orchestrator.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) plan: Option<Plan>,
    pub(super) records: Records,
    /// Whether there is a ledger at all.
    pub(super) ledger: bool,
}

/// Reads the plan and the ledger; neither has to be there.
///
/// # Errors
/// When the ledger cannot be read, or the plan that `--plan` names.
pub(super) fn known(context: &Context) -> Result<Known> {
    let plan = plan(context)?;
    let reader = reader(context)?;
    let name = plan.as_ref().map(|plan| &plan.name);
    let records = reader.as_ref().map(|reader| Records::read(reader, name)).transpose()?;
    Ok(Known { plan, ledger: records.is_some(), records: records.unwrap_or_default() })
}

/// The plan, if there is one that can be read.
///
/// # Errors
/// When the plan that `--plan` names cannot be read.
pub(super) fn plan(context: &Context) -> Result<Option<Plan>> {
    match &context.settings.plan {
        Some(Sourced { value, origin: Origin::Flag(_) }) => Ok(Some(plan::load(value)?.plan)),
        Some(Sourced { value, .. }) => Ok(plan_if_readable(context, value)),
        None => Ok(None),
    }
}

/// Where the orchestrator is. The run in flight knows best: it recorded where it works; then the
/// plan, the run before, and the settings, whose address goes before all of them when it is asked.
pub(super) fn orchestrator(
    context: &Context,
    in_flight: Option<&Base>,
    plan: Option<&Plan>,
    last: Option<&Base>,
) -> Option<Orchestrator> {
    let of =
        |base: &Base| Orchestrator { url: base.orchestrator.clone(), token: base.token.clone() };
    let set = || {
        let url = context.settings.orchestrator.as_ref()?.value.clone();
        Some(Orchestrator { url, token: None })
    };
    in_flight
        .map(of)
        .or_else(|| plan.map(|plan| plan.orchestrator.clone()))
        .or_else(|| last.map(of))
        .or_else(set)
}

/// Nobody knows where the orchestrator is.
pub(super) fn nowhere() -> Failure {
    Failure::new(Code::Usage, "it is not known where the orchestrator is")
        .why("there is no plan at hand, and no run in the ledger that is looked at")
        .hint("name it: `--orchestrator http://127.0.0.1:7700`, or the plan: `--plan FILE`")
}

/// Asks the orchestrator where it stands; `None` if it does not say within a second.
///
/// Whatever goes wrong is told as a note: what the ledger knows must be shown all the same.
pub(super) fn live(context: &Context, known: &Known) -> Option<Live> {
    let client = client(context, known)?;
    match block_on(async { Ok(ask(&client).await) }).ok()? {
        Ok(live) => Some(live),
        Err(why) => {
            context.ui.note(format!("note: {why}"));
            None
        }
    }
}

/// The connection to ask on: the address is the settings', the plan's, or that of the last run,
/// in this order.
pub(super) fn client(context: &Context, known: &Known) -> Option<Client> {
    let last = known.records.begun.last().map(|begun| &begun.base);
    let there = orchestrator(context, None, known.plan.as_ref(), last)?;
    match connect(context, &there) {
        Ok(client) => Some(client),
        Err(failure) => {
            context.ui.note(format!("note: the orchestrator was not asked: {failure}"));
            None
        }
    }
}

/// Asks once, and for at most a second.
///
/// # Errors
/// A sentence about why there is no answer.
pub(super) async fn ask(client: &Client) -> Result<Live, String> {
    let all = async {
        tokio::join!(client.state(), client.metrics(None), client.health(), client.guards())
    };
    let asked = tokio::time::timeout(PATIENCE, all).await;
    let at_ms = SystemClock.wall().timestamp_millis();
    match asked {
        Ok((Ok(state), metrics, health, guards)) => Ok(Live {
            at_ms,
            state: Some(state.body),
            metrics: metrics.ok(),
            health: health.ok(),
            guards: guards.ok(),
        }),
        Ok((Err(error), ..)) => Err(error.to_string()),
        Err(_) => Err(format!("the orchestrator at {} is silent", client.url())),
    }
}

/// The ledger, open for reading; `None` if there is none yet.
///
/// # Errors
/// When there is one and it cannot be read.
pub(super) fn reader(context: &Context) -> Result<Option<Reader>> {
    match Ledger::read(&context.settings.ledger.value) {
        Ok(reader) => {
            if let Some(fault) = reader.damage() {
                let path = reader.path().display();
                context.ui.note(format!("note: the ledger `{path}` is damaged: {fault}"));
                context.ui.note("note: it is only read from now on; this is what can be read");
                context.ui.note("hint: `ctx ledger verify` says more, and how to go on");
            }
            Ok(Some(reader))
        }
        Err(LedgerError::Missing(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A plan with faults must not hide what the ledger knows.
fn plan_if_readable(context: &Context, path: &Path) -> Option<Plan> {
    if let Ok(loaded) = plan::load(path) {
        return Some(loaded.plan);
    }
    context.ui.note(format!("note: `{}` is left out: it is not a valid plan", path.display()));
    context.ui.note("hint: `ctx plan check` says why");
    None
}
