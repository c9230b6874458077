//! A first plan and its settings: small enough to read, whole enough to rehearse.
//!
//! What is written passes `ctx plan check` and `ctx rehearse` as it stands, and every line says
//! why it is there: a plan is learned by changing one that works.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::Args;
use crate::cli::Context;
use crate::error::{Code, Failure, Result};
use crate::ids::PlanName;
use crate::plan;
use crate::secret::SecretRef;

/// Where `ctx serve` listens for operators unless told otherwise.
const ORCHESTRATOR: &str = "http://127.0.0.1:7700";
/// Where `ctx serve` keeps the operators' token unless told otherwise.
const TOKEN: &str = "file:.ctx/serve/token";
/// The settings of a project.
const SETTINGS: &str = "ctx.toml";

/// What a plan is made from.
struct Answers {
    name: PlanName,
    title: String,
    url: String,
    token: String,
}

/// Asks, and writes the files: all of them, or none.
///
/// # Errors
/// When an answer cannot be used, a file is there already, or it cannot be written.
pub(super) fn run(args: &Args, context: &Context) -> Result<Code> {
    let answers = answers(args, context)?;
    let plan = PathBuf::from("plans").join(format!("{}.toml", answers.name));
    let settings = Path::new(SETTINGS);
    if plan.symlink_metadata().is_ok() {
        return Err(taken(&plan).hint("name another: `ctx init NAME`"));
    }
    let has_settings = settings.symlink_metadata().is_ok();
    fs::create_dir_all("plans").map_err(|error| failed(Path::new("plans"), &error))?;
    write(&plan, &plan_text(&answers))?;
    if !has_settings {
        let text = settings_text(&plan);
        // Half a project is none: the plan goes again when the settings cannot be written.
        write(settings, &text).inspect_err(|_| drop(fs::remove_file(&plan)))?;
    }
    let ui = &context.ui;
    if ui.json {
        ui.json(&serde_json::json!({
            "schema": "ctx.init/1", "plan": plan, "settings": (!has_settings).then_some(SETTINGS),
        }));
    }
    ui.note(format!("written: `{}`, a plan of two phases", plan.display()));
    if has_settings {
        ui.note(format!(
            "`{SETTINGS}` is there and stays as it is; name the plan with `--plan {}`",
            plan.display()
        ));
    } else {
        ui.note(format!("written: `{SETTINGS}`, which names it"));
    }
    ui.note("next:    `ctx plan show` previews it, `ctx rehearse` runs it on an orchestrator of its own");
    ui.note("         `ctx serve --legacy http://127.0.0.1:8000` puts the real one in front of your app");
    Ok(Code::Done)
}

fn answers(args: &Args, context: &Context) -> Result<Answers> {
    let asks = !context.no_input && !context.yes && std::io::stdin().is_terminal();
    let ask = |question: &str, given: Option<&str>, default: &str| match given {
        Some(given) => given.to_owned(),
        None if asks => answer(context, question, default),
        None => default.to_owned(),
    };
    let name = ask("What is the plan called", args.name.as_deref(), &folder_name());
    let name: PlanName = name.parse().map_err(|error| {
        Failure::new(Code::Usage, format!("`{name}` cannot be the name of a plan"))
            .because(&error)
            .hint("such as `shop` or `billing-v2`")
    })?;
    let default = format!("{name} behind the orchestrator");
    let title = ask("What is moved, in a few words", args.title.as_deref(), &default);
    let set = context.settings.orchestrator.as_ref().map(|set| set.value.as_str());
    let url = ask("Where is the orchestrator's control API", set, ORCHESTRATOR);
    let token = ask("Where is its token (env:NAME or file:PATH)", args.token.as_deref(), TOKEN);
    token.parse::<SecretRef>().map_err(|error| {
        Failure::new(Code::Usage, format!("`{token}` is not a reference to a token"))
            .because(&error)
            .hint("a token itself is never written down: `env:CTX_TOKEN`, or `file:PATH`")
    })?;
    Ok(Answers { name, title, url, token })
}

/// One answer from the terminal; an empty line takes the default.
fn answer(context: &Context, question: &str, default: &str) -> String {
    context.ui.ask(&format!("{question} [{default}]:"));
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(_) if !line.trim().is_empty() => line.trim().to_owned(),
        _ => default.to_owned(),
    }
}

/// The folder's name where it can be a plan's, or else `migration`.
fn folder_name() -> String {
    let folder = std::env::current_dir().ok();
    let name = folder.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    let name = name.unwrap_or_default().to_lowercase().replace(['_', ' ', '.'], "-");
    if name.parse::<PlanName>().is_ok() { name } else { "migration".to_owned() }
}

fn plan_text(Answers { name, title, url, token }: &Answers) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    include_str!("scaffold.toml")
        .replace("{name}", &quoted(name.as_str()))
        .replace("{title}", &quoted(title))
        .replace("{url}", &quoted(url))
        .replace("{token}", &quoted(token))
}

fn settings_text(plan: &Path) -> String {
    format!(
        "# Where things are. What a plan does comes from the plan alone.\nplan = \"{}\"\n",
        plan.display()
    )
}

/// Writes a file that is not there yet, and checks a plan before it is one.
fn write(path: &Path, text: &str) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            return taken(path);
        }
        failed(path, &error)
    })?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
        drop(fs::remove_file(path));
        failed(path, &error)
    })?;
    if path.starts_with("plans") {
        plan::load(path).inspect_err(|_| drop(fs::remove_file(path)))?;
    }
    Ok(())
}

fn taken(path: &Path) -> Failure {
    Failure::new(Code::Refused, format!("`{}` is there already", path.display()))
        .why("nothing is written over a file that is there")
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Code::Failure, format!("failed to write `{}`", path.display())).because(error)
}
