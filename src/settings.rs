//! Settings: flags, then `CTX_*`, then `ctx.toml`, then the user's file, then built-in.
//!
//! Settings say where things are. What a plan does comes from the plan alone.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Code, Failure, Result};

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    pub value: T,
    pub origin: Origin,
}

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Flag(&'static str),
    Environment(&'static str),
    File(PathBuf),
    BuiltIn,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Environment(name) => write!(f, "{name}"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::BuiltIn => write!(f, "built-in"),
        }
    }
}

/// What the command line says about settings.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub plan: Option<PathBuf>,
    pub ledger: Option<PathBuf>,
    pub orchestrator: Option<String>,
}

/// Where things are.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The plan file, where one is named or there is exactly one.
    pub plan: Option<Sourced<PathBuf>>,
    pub ledger: Sourced<PathBuf>,
    /// Overrides the plan's `[orchestrator] url`.
    pub orchestrator: Option<Sourced<String>>,
    /// A file that names sinks of alerts, besides those of the plan.
    pub alerts: Option<Sourced<PathBuf>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    plan: Option<PathBuf>,
    ledger: Option<PathBuf>,
    orchestrator: Option<String>,
    alerts: Option<PathBuf>,
}

/// Where the ledger is unless told otherwise.
const LEDGER: &str = ".ctx/ledger.sqlite3";

impl Settings {
    /// Reads settings for the current folder.
    ///
    /// # Errors
    /// When a settings file exists and cannot be read or has a fault.
    pub fn load(flags: &Flags) -> Result<Self> {
        let project = read(Path::new("ctx.toml"))?;
        let user = match user_file() {
            Some(path) => read(&path)?,
            None => None,
        };
        let files: Vec<(PathBuf, File)> = project.into_iter().chain(user).collect();
        let plan = layered(flags.plan.clone(), "--plan", "CTX_PLAN", &files, |f| f.plan.clone())
            .or_else(|| only_plan().map(|value| Sourced { value, origin: Origin::BuiltIn }));
        let ledger =
            layered(flags.ledger.clone(), "--ledger", "CTX_LEDGER", &files, |f| f.ledger.clone())
                .unwrap_or_else(|| Sourced { value: LEDGER.into(), origin: Origin::BuiltIn });
        let orchestrator = layered(
            flags.orchestrator.clone(),
            "--orchestrator",
            "CTX_ORCHESTRATOR",
            &files,
            |f| f.orchestrator.clone(),
        );
        let no_flag = None;
        let alerts = layered(no_flag, "", "CTX_ALERTS", &files, |f| f.alerts.clone());
        Ok(Self { plan, ledger, orchestrator, alerts })
    }

    /// The plan file.
    ///
    /// # Errors
    /// When none is named and there is not exactly one in `plans/`.
    pub fn plan_file(&self) -> Result<&Path> {
        self.plan.as_ref().map(|plan| plan.value.as_path()).ok_or_else(|| {
            Failure::new(Code::Usage, "no plan is named")
                .why("there is not exactly one `.toml` file in `plans/`, and none in `ctx.toml`")
                .hint("name it: `--plan plans/NAME.toml`, or set `plan` in `ctx.toml`")
        })
    }

    /// The folder that holds the ledger, and beside it the backups.
    pub fn home(&self) -> PathBuf {
        match self.ledger.value.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
            _ => PathBuf::from("."),
        }
    }
}

fn layered<T: From<String>>(
    flag: Option<T>,
    flag_name: &'static str,
    variable: &'static str,
    files: &[(PathBuf, File)],
    pick: impl Fn(&File) -> Option<T>,
) -> Option<Sourced<T>> {
    if let Some(value) = flag {
        return Some(Sourced { value, origin: Origin::Flag(flag_name) });
    }
    if let Some(value) = environment(variable) {
        return Some(Sourced { value: value.into(), origin: Origin::Environment(variable) });
    }
    files.iter().find_map(|(path, file)| {
        pick(file).map(|value| Sourced { value, origin: Origin::File(path.clone()) })
    })
}

/// An environment variable that is set and not empty. The only place that reads one.
pub fn environment(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The file for the step's summary, where GitHub Actions runs this process.
pub fn github_step() -> Option<Option<PathBuf>> {
    let there = environment("GITHUB_ACTIONS").as_deref() == Some("true");
    there.then(|| environment("GITHUB_STEP_SUMMARY").map(PathBuf::from))
}

/// The name of the user who runs this, for the record.
pub fn user() -> String {
    environment("USER")
        .or_else(|| environment("LOGNAME"))
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

/// The name of this machine, for the record.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The settings file of the user who runs this, whether or not it is there.
pub fn user_file() -> Option<PathBuf> {
    let base = environment("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| environment("HOME").map(|home| PathBuf::from(home).join(".config")));
    base.map(|base| base.join("ctx").join("ctx.toml"))
}

fn read(path: &Path) -> Result<Option<(PathBuf, File)>> {
    let fault = |error: &dyn std::error::Error| {
        Failure::new(Code::Usage, format!("failed to read settings in `{}`", path.display()))
            .because(error)
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(&error)),
    };
    let file = toml::from_str(&text).map_err(|error| fault(&error))?;
    Ok(Some((path.to_path_buf(), file)))
}

/// The one plan in `plans/`, if it is the only one.
fn only_plan() -> Option<PathBuf> {
    let plans = std::fs::read_dir("plans").ok()?;
    let mut files = plans.filter_map(|entry| Some(entry.ok()?.path()));
    let mut toml = files.by_ref().filter(|path| path.extension().is_some_and(|e| e == "toml"));
    let only = toml.next()?;
    toml.next().is_none().then_some(only)
}
