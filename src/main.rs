//! The entry: parse, run, print what failed, exit.

use std::process::ExitCode;

use clap::Parser;
use ctx::cli::{self, Cli, Context};
use ctx::error::Failure;
use ctx::ui::Ui;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let plain = Ui::new(cli.global.json, cli.global.quiet, cli.global.color);
    let result = Context::new(&cli.global).and_then(|context| cli::run(cli.command, &context));
    match result {
        Ok(code) => ExitCode::from(code.number()),
        Err(failure) => fail(&plain, &failure),
    }
}

fn fail(ui: &Ui, failure: &Failure) -> ExitCode {
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
    ui.fail(failure);
    ExitCode::from(failure.code.number())
}
