//! The entry: parse, run, print what failed, exit.

use std::process::ExitCode;

use clap::Parser;
use ctx::cli::{self, Cli, Context};
use ctx::error::{Code, Failure};
use ctx::failpoint;
use ctx::settings::environment;
use ctx::ui::{Color, Ui};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A request through the gateway makes some thirty small allocations; the C library's allocator
/// takes a sixth of its time (`benches/gateway.rs`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    leave_no_core();
    if let Err(error) = failpoint::arm(environment("CTX_FAILPOINT").as_deref()) {
        let failure = Failure::new(Code::Usage, "failed to read `CTX_FAILPOINT`").because(&error);
        Ui::new(false, false, Color::Auto).fail(&failure);
        return ExitCode::from(failure.code.number());
    }
    if let Some(failure) = cli::extension_host::instead() {
        Ui::new(false, false, Color::Never).fail(&failure);
        return ExitCode::from(failure.code.number());
    }
    cli::candidates::answer();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_a_command(&error),
    };
    let plain = Ui::new(cli.global.json, cli.global.quiet, cli.global.color);
    let result = Context::new(&cli.global, plain.clone())
        .and_then(|context| cli::run(cli.command, &context));
    let code = result.unwrap_or_else(|failure| {
        record(&plain, &failure);
        let code = failure.code;
        plain.fail(&explained(failure));
        code
    });
    plain.finish();
    ExitCode::from(code.number())
}

/// Says where more is said about the exit code, unless it says nothing in particular, or whoever
/// ended the command knows.
fn explained(failure: Failure) -> Failure {
    let plain = [Code::Failure, Code::Usage, Code::Interrupted, Code::Terminated];
    if plain.contains(&failure.code) {
        return failure;
    }
    let number = failure.code.number();
    failure.hint(format!("`ctx help {number}`"))
}

/// Memory holds secrets, so a crash leaves no image of it; programs of a plan inherit that.
fn leave_no_core() {
    let limit = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
    // Lowering a soft limit is always allowed.
    let _ = setrlimit(Resource::Core, limit);
}

/// Prints help, the version, or what is wrong with the command line.
fn not_a_command(error: &clap::Error) -> ExitCode {
    // A reader that went away is no failure.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::from(Code::Done.number());
    }
    // Nothing was parsed, so whoever wanted JSON is only known by the word itself.
    let json = std::env::args_os().any(|argument| argument == "--json");
    let text = error.to_string();
    let said = text.lines().next().unwrap_or_default();
    let what = said.strip_prefix("error: ").unwrap_or(said);
    let plain = Ui::new(json, false, Color::Auto);
    record(&plain, &Failure::new(Code::Usage, what).hint("`ctx help` lists the commands"));
    ExitCode::from(Code::Usage.number())
}

/// Prints a failure to stdout, where JSON is wanted.
fn record(ui: &Ui, failure: &Failure) {
    if ui.json {
        ui.json(&serde_json::json!({
            "type": "error",
            "exit_code": failure.code.number(),
            "code": failure.code.name(),
            "what": failure.what,
            "why": failure.why,
            "hints": failure.hints,
        }));
    }
}
