//! `ctx extension-host`: becomes an extension's program, within its limits.
//!
//! The law: limits hold from the program's first instruction, for whatever it starts, and cannot
//! be raised again; and it dies with the orchestrator that has started it, however that one ends.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use clap::Parser;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit,
};

use crate::error::{Code, Failure, Result};
use crate::orchestrator::extensions::Programs;
use crate::settings::environment;

/// What the orchestrator starts this program with, to run another one.
const NAME: &str = "extension-host";

/// Become an extension's program, within its limits
#[derive(Debug, Parser)]
struct Args {
    /// The orchestrator's process
    #[arg(long)]
    parent: i32,
    /// Bytes of address space
    #[arg(long)]
    memory: u64,
    /// Seconds of processor time
    #[arg(long)]
    cpu_seconds: Option<u64>,
    /// Files and sockets at the same time
    #[arg(long)]
    open_files: u64,
    /// Processes and threads of this user
    #[arg(long)]
    processes: Option<u64>,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Where programs of extensions are, run under the `ctx` that this process is.
///
/// # Errors
/// When there is no such folder.
pub(super) fn programs(folder: &Path) -> io::Result<Programs> {
    let folder = std::fs::canonicalize(folder)?;
    if !folder.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    // This very program, also after another one was installed in its place.
    Ok(Programs { folder, host: "/proc/self/exe".into(), environment, witness: None })
}

/// Becomes an extension's program, if that is what this process was started for; then it only
/// returns with what is wrong.
///
/// It is no command that people give: it stands in no help, and reads no settings.
pub fn instead() -> Option<Failure> {
    if std::env::args_os().nth(1)? != NAME {
        return None;
    }
    let failure = match Args::try_parse_from(std::env::args_os().skip(1)) {
        Ok(args) => become_program(&args).err()?,
        Err(error) => Failure::new(Code::Usage, error.to_string()),
    };
    Some(failure)
}

/// Replaces this process by the program.
fn become_program(args: &Args) -> Result<Infallible> {
    // On one line: the last one is what the orchestrator shows.
    let refused = |what: &str, error: &dyn std::error::Error| {
        Failure::new(Code::Failure, format!("failed to {what}: {error}"))
    };
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| refused("tie the program to the orchestrator", &error))?;
    // It may have ended before the line above.
    if getppid() != Pid::from_raw(args.parent) {
        return Err(Failure::new(Code::Failure, "the orchestrator is gone"));
    }
    let (program, arguments) = args.command.split_first().expect("clap requires a word");
    let mut command = Command::new(program);
    command.args(arguments);
    let limits = [
        (Resource::Core, Some(0)),
        (Resource::Nofile, Some(args.open_files)),
        (Resource::Nproc, args.processes),
        (Resource::Cpu, args.cpu_seconds),
        // The last one, because this process may be larger than the program may get.
        (Resource::As, Some(args.memory)),
    ];
    for (resource, limit) in limits {
        let Some(limit) = limit else { continue };
        let both = Rlimit { current: Some(limit), maximum: Some(limit) };
        setrlimit(resource, both)
            .map_err(|error| refused(&format!("limit {resource:?} to {limit}"), &error))?;
    }
    let error = command.exec();
    let shown = program.to_string_lossy();
    Err(refused(&format!("run `{shown}`"), &error))
}
