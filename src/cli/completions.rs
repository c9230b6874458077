//! `ctx completions`

use std::path::{Path, PathBuf};

use clap::{CommandFactory, ValueEnum};

use super::{Cli, Context};
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
}

impl Shell {
    /// The name that the shell looks for.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Bash => "ctx.bash",
            Self::Zsh => "_ctx",
            Self::Fish => "ctx.fish",
        }
    }

    /// The completion script.
    pub fn script(self) -> String {
        let generator = match self {
            Self::Bash => clap_complete::Shell::Bash,
            Self::Zsh => clap_complete::Shell::Zsh,
            Self::Fish => clap_complete::Shell::Fish,
        };
        let mut script = Vec::new();
        clap_complete::generate(generator, &mut Cli::command(), "ctx", &mut script);
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
