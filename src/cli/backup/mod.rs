//! `ctx backup`: makes, lists, proves and restores backups.

mod offline;
mod online;

pub(crate) use online::{failure, service_databases};

use std::path::{Path, PathBuf};

use clap::Subcommand;
use clap_complete::engine::ArgValueCandidates;

use super::{Context, candidates};
use crate::backup::folder::all;
use crate::backup::manifest::Kind;
use crate::backup::{BackupError, list};
use crate::error::{Code, Failure, Result, did_you_mean};

/// Make, list, verify or restore backups
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctx backup create\n  ctx backup verify")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Back up configuration, database, cache, stored events and the plan's `[backup] databases`
    ///
    /// The backup is restored into a scratch folder and checked before it counts.
    #[command(after_help = "Examples:\n  ctx backup create\n  ctx backup create --json")]
    Create,
    /// List the backups beside the ledger
    #[command(after_help = "Examples:\n  ctx backup list\n  ctx backup list --json")]
    List,
    /// Show what a backup holds
    #[command(
        after_help = "Examples:\n  ctx backup show b-20300101t120000-4f1d\n  ctx backup show b-20300101t120000-4f1d --json"
    )]
    Show {
        /// The backup's id, or as much of it as is unique
        #[arg(add = ArgValueCandidates::new(candidates::backups))]
        id: String,
    },
    /// Restore backups into a scratch folder and check every part
    #[command(
        after_help = "Examples:\n  ctx backup verify\n  ctx backup verify b-20300101t120000-4f1d"
    )]
    Verify {
        /// The backup's id, or as much of it as is unique [default: all of them]
        #[arg(add = ArgValueCandidates::new(candidates::backups))]
        id: Option<String>,
    },
    /// Put a backup back into the running service, or its files into a folder
    ///
    /// Says what would be lost, asks, and makes a safety backup of what is there first. The
    /// orchestrator's own database cannot be put back into a running orchestrator: restore it
    /// into a folder with `--to`, and start the orchestrator there.
    #[command(
        after_help = "Examples:\n  ctx backup restore b-20300101t120000-4f1d\n  ctx backup restore b-20300101t120000-4f1d --part config --yes \\\n      --reason \"wrong flags\"\n  ctx backup restore b-20300101t120000-4f1d --to restored"
    )]
    Restore {
        /// The backup's id, or as much of it as is unique
        #[arg(add = ArgValueCandidates::new(candidates::backups))]
        id: String,
        /// Restore into this folder, which must be empty or absent; no orchestrator is needed
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Restore only this part; may be given more than once
        #[arg(long, value_enum, value_name = "PART")]
        part: Vec<Kind>,
    },
}

/// Runs the command.
///
/// # Errors
/// When the backup cannot be made, found, read or restored.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    match &args.command {
        Command::Create => online::create(context),
        Command::List => offline::list(context),
        Command::Show { id } => offline::show(context, id),
        Command::Verify { id } => offline::verify(context, id.as_deref()),
        Command::Restore { id, to: Some(to), part } => offline::extract(context, id, to, part),
        Command::Restore { part, .. } if part.contains(&Kind::Database) => Err(Failure::new(
            Code::Usage,
            "the orchestrator's own database is restored offline only",
        )
        .hint("add `--to DIR`, then start the orchestrator with what is there")),
        Command::Restore { id, to: None, part } => online::restore(context, id, part),
    }
}

/// The folder of the backup that a person named.
fn named(home: &Path, prefix: &str) -> Result<PathBuf> {
    let found = list(home)?;
    let mut ids: Vec<&str> = found.iter().map(crate::backup::Found::id).collect();
    let whole = ids.contains(&prefix);
    ids.retain(|id| if whole { *id == prefix } else { id.starts_with(prefix) });
    match ids[..] {
        [id] => Ok(all(home).join(id)),
        [] => {
            let failure = Failure::from(BackupError::Missing(prefix.to_owned()));
            let all = found.iter().map(crate::backup::Found::id);
            Err(match did_you_mean(prefix, all) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure,
            })
        }
        _ => Err(Failure::new(Code::Usage, format!("more than one backup begins with `{prefix}`"))
            .why(ids.join(", "))
            .hint("give more of its id")),
    }
}
