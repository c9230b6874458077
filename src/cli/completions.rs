//! `ctx completions`: what makes a shell ask ctx itself for what fits.
//!
//! The scripts are short: a shell that has one calls `ctx` with `CTX_COMPLETE` set, and
//! [`super::candidates`] answers with commands, flags, and the phases and runs that are there.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use clap_complete::env::{self, EnvCompleter};

use super::Context;
use super::candidates::VARIABLE;
use crate::error::{Code, Failure, Result};

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx completions bash > ~/.local/share/bash-completion/completions/ctx\n  ctx completions fish > ~/.config/fish/completions/ctx.fish"
)]
pub struct Args {
    #[arg(value_enum, required_unless_present = "write")]
    pub shell: Option<Shell>,
    /// Write the scripts of all shells to FOLDER
    #[arg(long, hide = true, value_name = "FOLDER", conflicts_with = "shell")]
    pub write: Option<PathBuf>,
}

/// A shell that can complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
}

impl Shell {
    /// The name that the shell looks for.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Bash => "ctx.bash",
            Self::Zsh => "_ctx",
            Self::Fish => "ctx.fish",
            Self::PowerShell => "ctx.ps1",
        }
    }

    /// The completion script.
    pub fn script(self) -> String {
        let completer: &dyn EnvCompleter = match self {
            Self::Bash => &env::Bash,
            Self::Zsh => &env::Zsh,
            Self::Fish => &env::Fish,
            Self::PowerShell => &env::Powershell,
        };
        let mut script = Vec::new();
        completer
            .write_registration(VARIABLE, "ctx", "ctx", "ctx", &mut script)
            .expect("writing to memory does not fail");
        String::from_utf8(script).expect("completion scripts are UTF-8")
    }
}

/// Runs the command.
///
/// # Errors
/// When the folder cannot be written to.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    if let Some(folder) = &args.write {
        for shell in Shell::value_variants() {
            write(&folder.join(shell.file()), &shell.script())?;
        }
    }
    if let Some(shell) = args.shell {
        context.ui.out_raw(shell.script());
    }
    Ok(Code::Done)
}

fn write(path: &Path, script: &str) -> Result<()> {
    std::fs::write(path, script).map_err(|error| {
        Failure::new(Code::Failure, format!("failed to write `{}`", path.display())).because(&error)
    })
}
