//! `ctx man`: manual pages, from the same text as `--help`.

use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};

use super::{Cli, Context};
use crate::error::{Code, Failure, Result, count, did_you_mean};

/// Print a manual page, or write all of them to a folder
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx man migrate > ctx-migrate.1\n  ctx man --write ~/.local/share/man/man1"
)]
pub struct Args {
    /// The command whose page is printed [default: ctx itself]
    #[arg(value_name = "COMMAND", conflicts_with = "write")]
    command: Vec<String>,
    /// Write a page for every command to FOLDER, which is made if it is not there
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When there is no such command, or the folder cannot be written to.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    if let Some(folder) = &args.write {
        let failed = |what: &Path, error: &std::io::Error| {
            Failure::new(Code::Failure, format!("failed to write `{}`", what.display()))
                .because(error)
        };
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
        let pages = pages(&root);
        for (name, text) in &pages {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|error| failed(&path, &error))?;
        }
        let pages = count(pages.len(), "page");
        context.ui.note(format!("{pages} written to `{}`", folder.display()));
        return Ok(Code::Done);
    }
    let mut at = &root;
    for word in &args.command {
        let known = at.get_subcommands().map(Command::get_name);
        at = at.find_subcommand(word).ok_or_else(|| {
            let failure = Failure::new(Code::Usage, format!("there is no command `{word}`"));
            match did_you_mean(word, known) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure.hint("`ctx help` lists the commands"),
            }
        })?;
    }
    context.ui.out_raw(String::from_utf8_lossy(&page(at)));
    Ok(Code::Done)
}

/// The page of every command that a person can see, with its file name: `ctx-plan-check.1`.
pub fn pages(root: &Command) -> Vec<(String, Vec<u8>)> {
    let mut all = vec![(format!("{}.1", full_name(root)), page(root))];
    for command in root.get_subcommands().filter(|command| !command.is_hide_set()) {
        all.extend(pages(command));
    }
    all
}

/// `ctx-plan-check`: a built command knows its parents' names.
fn full_name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn page(command: &Command) -> Vec<u8> {
    let mut text = Vec::new();
    let man = clap_mangen::Man::new(command.clone()).title(full_name(command).to_uppercase());
    man.render(&mut text).expect("writing to memory does not fail");
    text
}
