//! What needs the orchestrator: making a backup, and putting one back.

use std::path::Path;

use serde_json::json;

use super::super::Context;
use super::super::session::{block_on, confirm, connect, control_failure};
use super::named;
use crate::backup::live::{Held, Live, with_lease};
use crate::backup::manifest::{Kind, Manifest};
use crate::backup::restoration::{Effect, Restoration, plan_restore};
use crate::backup::restore::{Decision, restore as put_back};
use crate::backup::{self, BackupError, Request, ServiceDatabase};
use crate::clock::{Clock, SystemClock};
use crate::control::client::{Client, ControlError};
use crate::engine::executor::backup_id;
use crate::error::{Code, Failure, Result};
use crate::ids::PlanName;
use crate::ledger::Ledger;
use crate::ledger::fact::Fact;
use crate::plan::model::Orchestrator;
use crate::report::words;

/// The orchestrator, the plan's name, and the service's databases.
struct Target {
    there: Orchestrator,
    plan: Option<PlanName>,
    databases: Vec<ServiceDatabase>,
}

impl Target {
    /// From the plan; or, without one, the orchestrator alone that `--orchestrator` names.
    fn find(context: &Context) -> Result<Self> {
        if let (None, Some(url)) = (&context.settings.plan, &context.settings.orchestrator) {
            let there = Orchestrator { url: url.value.clone(), token: None };
            return Ok(Self { there, plan: None, databases: Vec::new() });
        }
        let file = context.settings.plan_file()?;
        let plan = crate::plan::load(file)?.plan;
        let databases = service_databases(&plan.backup.databases, file);
        Ok(Self { there: plan.orchestrator, plan: Some(plan.name), databases })
    }

    fn request(&self, context: &Context, databases: Vec<ServiceDatabase>) -> Request {
        Request {
            home: context.settings.home(),
            id: backup_id(&SystemClock),
            plan: self.plan.clone(),
            run: None,
            databases,
        }
    }
}

/// The databases that a plan names, as seen from the folder of its file.
pub(crate) fn service_databases(names: &[String], plan_file: &Path) -> Vec<ServiceDatabase> {
    let folder = plan_file.parent().unwrap_or(Path::new("."));
    let database = |name: &String| ServiceDatabase { name: name.clone(), path: folder.join(name) };
    names.iter().map(database).collect()
}

pub(super) fn create(context: &Context) -> Result<Code> {
    let target = Target::find(context)?;
    let client = connect(context, &target.there)?;
    let mut ledger = Ledger::open(&context.settings.ledger.value)?;
    let request = target.request(context, target.databases.clone());
    let manifest = block_on(take(&mut ledger, &client, request))?;
    if context.ui.json {
        context.ui.json(&json!({"schema": "ctx.backup/1", "backup": manifest}));
        return Ok(Code::Done);
    }
    context.ui.out(manifest.id.as_str());
    let (parts, size) = (manifest.parts.len(), words::bytes(manifest.bytes()));
    context.ui.note(format!("backed up {parts} parts in {size}; each was restored and checked"));
    Ok(Code::Done)
}

/// Makes a backup and records it.
async fn take(ledger: &mut Ledger, client: &Client, request: Request) -> Result<Manifest> {
    let intended = Fact::BackupIntended { backup: request.id.clone() };
    ledger.append(None, &intended, SystemClock.wall())?;
    let path = backup::folder::all(&request.home).join(request.id.as_str());
    let manifest =
        backup::create(&Live { client }, request, &SystemClock).await.map_err(failure)?;
    let done = Fact::BackupDone {
        backup: manifest.id.clone(),
        path: path.display().to_string(),
        bytes: manifest.bytes(),
        manifest_hash: manifest.hash(),
    };
    ledger.append(None, &done, SystemClock.wall())?;
    Ok(manifest)
}

pub(super) fn restore(context: &Context, id: &str, parts: &[Kind]) -> Result<Code> {
    let path = named(&context.settings.home(), id)?;
    let manifest = backup::load(&path)?;
    let target = Target::find(context)?;
    let client = connect(context, &target.there)?;
    let mut ledger = Ledger::open(&context.settings.ledger.value)?;
    // Nobody to ask is known before anything is done for an answer.
    if context.no_input && !context.yes {
        confirm(context, &format!("Restore backup {id}?"))?;
    }
    block_on(async {
        let state = client.state().await.map_err(|error| control_failure(&error))?.body;
        let seen = ledger.orchestrator(&state.state_uuid)?;
        let done = with_lease(&client, seen, async |fence| -> Result<_, Refusal> {
            let there = target.databases.iter().filter(|database| database.path.exists());
            let request = target.request(context, there.cloned().collect());
            let safety = take(&mut ledger, &client, request).await?;
            let restoration = plan_restore(&manifest, &safety, parts);
            say(context, &restoration);
            if !restoration.changes_anything() {
                return Ok(None);
            }
            ask(context, format!("Restore backup {} on {}?", manifest.id, client.url())).await?;
            let decision = Decision {
                path: &path,
                restoration: &restoration,
                safety: &safety,
                databases: &target.databases,
            };
            let restored = put_back(&Held { client: &client, fence }, decision).await;
            let (done, result) = match restored {
                Ok(done) => (done, Ok(())),
                Err(BackupError::Partial { done, part, source }) => {
                    (done.clone(), Err(BackupError::Partial { done, part, source }))
                }
                Err(error) => (Vec::new(), Err(error)),
            };
            if !done.is_empty() {
                let (backup, parts) = (manifest.id.clone(), done.clone());
                let fact = Fact::BackupRestored { backup, parts, safety: Some(safety.id.clone()) };
                ledger.append(None, &fact, SystemClock.wall()).map_err(Failure::from)?;
            }
            result.map_err(failure)?;
            Ok(Some((done, safety.id)))
        })
        .await;
        match done.map_err(|Refusal(failure)| failure)? {
            None => context.ui.note("nothing to do: everything is as it was backed up"),
            Some((done, safety)) => {
                context.ui.note(format!("restored {}", done.join(", ")));
                context.ui.note(format!("hint: `ctx backup restore {safety}` takes it back"));
            }
        }
        Ok(Code::Done)
    })
}

/// Asks on a thread of its own: the lease is renewed while a person thinks.
async fn ask(context: &Context, question: String) -> Result<()> {
    let context = context.clone();
    let asked = tokio::task::spawn_blocking(move || confirm(&context, &question));
    asked.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Says what becomes of each part, and what would be lost.
fn say(context: &Context, restoration: &Restoration) {
    if restoration.other_orchestrator {
        context.ui.note("the backup was made of another orchestrator than the one that is there");
    }
    for change in &restoration.parts {
        let part = &change.part;
        match &change.effect {
            Effect::Same => context.ui.note(format!("{part}: stays; it is what was backed up")),
            Effect::Kept(why) => context.ui.note(format!("{part}: stays; {why}")),
            Effect::Created => {
                context.ui.note(format!("{part}: is not there, and comes back"));
                if part == "inbox" {
                    let again =
                        "what was handled since, by an inbox that is lost, is handled again";
                    context.ui.note(format!("  {again}"));
                }
            }
            Effect::Offline => context.ui.note(format!("{part}: stays; it needs `--to DIR`")),
            Effect::Replaced(lost) => {
                context.ui.note(format!("{part}: is replaced; lost would be:"));
                for lost in lost {
                    context.ui.note(format!("  {lost}"));
                }
            }
        }
    }
}

/// A failure that a refused lease becomes as well.
struct Refusal(Failure);

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl From<ControlError> for Refusal {
    fn from(error: ControlError) -> Self {
        let failure = control_failure(&error);
        let held = matches!(&error, ControlError::Refused(problem) if problem.lease.is_some());
        Self(if held { Failure { code: Code::Locked, ..failure } } else { failure })
    }
}

/// A failed backup as the operator meets it; a failed call keeps its exit code and its advice.
pub(crate) fn failure(error: BackupError) -> Failure {
    let control = match &error {
        BackupError::Edge { source, .. } => source.downcast_ref::<ControlError>(),
        BackupError::Partial { source, .. } => match &**source {
            BackupError::Edge { source, .. } => source.downcast_ref::<ControlError>(),
            _ => None,
        },
        _ => None,
    };
    let Some(control) = control.map(control_failure) else { return error.into() };
    let failure = Failure::from(error);
    Failure { code: control.code, hints: [failure.hints, control.hints].concat(), ..failure }
}
