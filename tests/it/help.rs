//! The help of every command: whole, in 80 columns, with examples that work.

use clap::{Command, CommandFactory};
use ctx::cli::Cli;

use crate::support::markdown::{accepted, words};

/// The columns that every terminal has.
const COLUMNS: usize = 80;

/// What one-line descriptions begin with.
const VERBS: [&str; 26] = [
    "Back", "Check", "Derive", "End", "Explain", "Find", "Judge", "Keep", "List", "Make", "Mark",
    "Move", "Preview", "Print", "Prove", "Put", "Restore", "Run", "Send", "Show", "Stop", "Take",
    "Tell", "Undo", "Verify", "Watch",
];

/// `ctx` with every parameter inherited, and 80 columns for whatever is printed.
pub(crate) fn built() -> Command {
    let mut command = Cli::command().term_width(COLUMNS);
    command.build();
    command
}

/// Calls `check` with every command that a person can see, by its full name.
pub(crate) fn each(command: &Command, name: &str, check: &mut impl FnMut(&Command, &str)) {
    check(command, name);
    // What clap adds below a command with commands is no command of ours.
    let added = |c: &&Command| c.get_name() == "help" && name != "ctx";
    for inner in command.get_subcommands().filter(|c| !c.is_hide_set() && !added(c)) {
        each(inner, &format!("{name} {}", inner.get_name()), check);
    }
}

#[test]
fn the_first_screen() {
    let help = built().render_help().to_string();
    insta::assert_snapshot!(help, @r"
    Move a live service to a new shape in phases, and back by itself when a check
    fails

    Usage: ctx [OPTIONS] <COMMAND>

    Commands:
      init         Make a first plan and settings, or adopt what an orchestrator is
                   doing
      plan         Check a plan, preview it, or print the schema of plans
      rehearse     Run a plan on an embedded orchestrator first, with real traffic
                   and compressed time
      serve        Run an orchestrator: the event gateway and the control API
      migrate      Run a phase, or take it up where it was left
      resume       Take up the run in flight, or say that there is none
      pause        Stop the run in flight at its next safe point
      abort        Take the phase in flight back, at once
      confirm      Keep the provisional change now, before its soak is over
      rollback     Undo the phase in flight, or the last one
      status       Show where the migration stands, on one screen
      validate     Judge the success criteria now
      monitor      Watch the guards outside a phase, report progress, and roll back
                   on a breach
      report       Tell what was done, what came of it, and what is next
      history      List the runs, newest first
      show         Show everything that a run recorded, one line each
      milestone    List a plan's milestones, or mark one as reached
      drift        Show where plan, ledger and orchestrator differ
      backup       Make, list, verify or restore backups
      ledger       Verify, describe, export or import the ledger
      lock         Show who holds the locks, or break the lease of a holder who is
                   gone
      load         Send load to a server on this machine
      test         Run a plan's test suites against its orchestrator
      alerts       List the sinks of alerts, or send a test to them
      events       Show stored events and dead letters, and have dead letters tried
                   again
      extension    List extensions, install them, swap their versions, or take them
                   out
      flags        List feature flags, evaluate them for a user, or change one
      shadow       Show whether shadow copies of reads got the same answers, and
                   where they differ
      canary       Watch a canary, decide on it, or judge recorded samples
      config       Show the settings in effect, or the orchestrator's configuration
      doctor       Check that everything ctx needs is where it should be
      completions  Print a completion script for a shell
      man          Print a manual page, or write all of them to a folder
      help         Explain a command, an exit code or an error code

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Global options:
          --plan <FILE>         The plan file [default: the one plan in `plans/`, or
                                the one `ctx.toml` names]
          --ledger <PATH>       The ledger [default: .ctx/ledger.sqlite3]
          --orchestrator <URL>  The orchestrator's control API [default: what the
                                plan says]
          --json                Print JSON: one document for reads, one record a
                                line for runs
          --json-into <FILE>    Write the records of a run into a file too, as
                                `--json` prints them
      -y, --yes                 Answer every question with yes
          --no-input            Never ask; fail with exit code 44 where a
                                confirmation is needed
          --reason <TEXT>       Why this is done, for the record
          --color <WHEN>        When to use colour [default: auto] [possible values:
                                auto, always, never]
      -q, --quiet               Print the result and errors only

    Examples:
      ctx rehearse plans/contexten.toml
      ctx migrate phase 1
      ctx status --live
      ctx rollback
    ");
}

#[test]
fn every_command_says_in_one_line_what_it_does() {
    each(&built(), "ctx", &mut |command, name| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let verb = about.split([' ', ',']).next().unwrap_or_default();
        assert!(VERBS.contains(&verb), "`{name}`: `{about}` begins with no known verb");
        assert!(!about.ends_with('.') && !about.contains('\n'), "`{name}`: `{about}`");
    });
}

/// The examples of a command, each in one line however many it is printed in.
pub(crate) fn examples(command: &Command) -> Vec<String> {
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let Some(examples) = after.strip_prefix("Examples:\n  ") else { return Vec::new() };
    examples.replace("\\\n      ", "").split("\n  ").map(str::to_owned).collect()
}

#[test]
fn every_line_of_help_fits_the_terminal() {
    each(&built(), "ctx", &mut |command, name| {
        let help = command.clone().render_long_help().to_string();
        for line in help.lines() {
            assert!(line.chars().count() <= COLUMNS, "`{name} --help`: `{line}`");
        }
    });
}

/// That all of them work is shown by `examples/`, which runs them.
#[test]
fn every_command_has_two_examples_of_its_own() {
    each(&built(), "ctx", &mut |command, name| {
        let mut examples = examples(command);
        for example in &examples {
            assert!(example.starts_with(&format!("{name} ")) || example == name, "`{example}`");
            if let Err(error) = accepted(&words(example)) {
                panic!("`{name} --help`: `{example}`: {error}");
            }
        }
        examples.sort();
        examples.dedup();
        assert!(examples.len() >= 2, "`{name} --help` has {} examples", examples.len());
    });
}
