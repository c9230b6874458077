//! The edge: a plan read from disk.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::alerts::AlertSink;
use super::fault::Fault;
use super::model::Plan;
use super::parse::{MAX_BYTES, parse, parse_alerts, too_large};
use super::read::read_manifest;
use super::{hash, render};
use crate::control::config::Extension;
use crate::error::{Code, Failure, Result, count};
use crate::ids::ExtensionId;

/// A plan with the file it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    pub plan: Plan,
    pub path: PathBuf,
    pub text: String,
    /// SHA-256 of the file, as 64 hex digits.
    pub file_hash: String,
}

/// Why a plan file gives no plan.
#[derive(Debug)]
pub enum LoadError {
    /// There is no text.
    Unreadable(Failure),
    /// The text has faults.
    Faulty(Vec<Fault>),
}

/// Reads and parses the plan at `path`.
///
/// # Errors
/// When the file cannot be read, and with all faults, rendered, when it has some.
pub fn load(path: &Path) -> Result<Loaded> {
    check(path).map_err(|error| match error {
        LoadError::Unreadable(failure) => failure,
        LoadError::Faulty(faults) => failure(path, &faults),
    })
}

/// As [`load`], with faults as values.
///
/// # Errors
/// When the file cannot be read, or has faults.
pub fn check(path: &Path) -> Result<Loaded, LoadError> {
    let bytes =
        read_bytes(path).map_err(|error| LoadError::Unreadable(unreadable(path, &error)))?;
    let name = path.display().to_string();
    if bytes.len() > MAX_BYTES {
        return Err(LoadError::Faulty(vec![too_large(&name)]));
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| LoadError::Unreadable(not_utf8("plan", path, error.as_bytes())))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let plan = parse(&name, &text, &|file| beside(folder, file)).map_err(LoadError::Faulty)?;
    let file_hash = hash::file_hash(text.as_bytes());
    Ok(Loaded { plan, path: path.to_path_buf(), text, file_hash })
}

/// Reads the manifest of an extension at `path`; its programs are named by whole paths.
///
/// # Errors
/// When the file cannot be read, or has faults.
pub fn manifest(path: &Path) -> Result<(ExtensionId, Extension), LoadError> {
    let bytes =
        read_bytes(path).map_err(|error| LoadError::Unreadable(no_manifest(path, &error)))?;
    let name = path.display().to_string();
    if bytes.len() > MAX_BYTES {
        return Err(LoadError::Faulty(vec![too_large(&name)]));
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| LoadError::Unreadable(not_utf8("manifest", path, error.as_bytes())))?;
    let folder = fs::canonicalize(path)
        .map_err(|error| LoadError::Unreadable(no_manifest(path, &error)))?
        .parent()
        .map_or_else(|| "/".to_owned(), |folder| folder.display().to_string());
    read_manifest(&name, &text, &folder).map_err(LoadError::Faulty)
}

/// Reads the sinks of alerts in the file at `path`.
///
/// # Errors
/// When the file cannot be read, and with all faults, rendered, when it has some.
pub fn load_alerts(path: &Path) -> Result<Vec<AlertSink>> {
    let shown = path.display();
    let unreadable = |error: &dyn std::error::Error| {
        Failure::new(Code::Usage, format!("failed to read the sinks of alerts in `{shown}`"))
            .because(error)
            .hint("`alerts` of `ctx.toml` or `CTX_ALERTS` names the file")
    };
    let bytes = read_bytes(path).map_err(|error| unreadable(&error))?;
    if bytes.len() > MAX_BYTES {
        return Err(unreadable(&io::Error::other("it is larger than 1 MiB")));
    }
    let text = String::from_utf8(bytes).map_err(|error| unreadable(&error))?;
    parse_alerts(&shown.to_string(), &text).map_err(|faults| {
        let what = format!("`{shown}` has {}", count(faults.len(), "fault"));
        let failure = Failure::new(Code::PlanInvalid, what);
        faults.iter().take(LISTED).fold(failure, |f, fault| f.why(render::cause(fault)))
    })
}

/// All faults of a manifest as one failure.
pub fn manifest_failure(path: &Path, error: LoadError) -> Failure {
    match error {
        LoadError::Unreadable(failure) => failure,
        LoadError::Faulty(faults) => {
            let what = format!("`{}` has {}", path.display(), count(faults.len(), "fault"));
            let failure = Failure::new(Code::PlanInvalid, what);
            faults.iter().take(LISTED).fold(failure, |f, fault| f.why(render::cause(fault)))
        }
    }
}

/// The most faults that a failure lists; its count is always that of all.
const LISTED: usize = 20;

/// All faults of a plan as one failure.
fn failure(path: &Path, faults: &[Fault]) -> Failure {
    let shown = path.display();
    let what = format!("plan `{shown}` has {}", count(faults.len(), "fault"));
    let failure = Failure::new(Code::PlanInvalid, what);
    let failure = faults.iter().take(LISTED).fold(failure, |f, fault| f.why(render::cause(fault)));
    match faults.len().saturating_sub(LISTED) {
        0 => failure,
        more => failure
            .why(format!("and {more} more"))
            .hint(format!("`ctx plan check --plan {shown}` lists them all")),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => {
            Failure::new(Code::Usage, format!("there is no plan file `{shown}`"))
                .hint("name one with `--plan FILE`, or make one with `ctx init`")
        }
        io::ErrorKind::IsADirectory => {
            Failure::new(Code::Usage, format!("`{shown}` is a directory, not a plan file"))
                .hint("name a file in it: `--plan FILE`")
        }
        _ => Failure::new(Code::Usage, format!("failed to read plan `{shown}`")).because(error),
    }
}

fn no_manifest(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Code::Usage, format!("failed to read the manifest `{}`", path.display()))
        .because(error)
        .hint("name the manifest of an extension, such as `extensions/greeter.toml`")
}

fn not_utf8(what: &str, path: &Path, bytes: &[u8]) -> Failure {
    let valid = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let line = 1 + valid.matches('\n').count();
    Failure::new(Code::PlanInvalid, format!("{what} `{}` is not UTF-8 text", path.display()))
        .why(format!("the first bytes that are none stand on line {line}"))
        .hint("save it as UTF-8")
}

/// The bytes of a file, up to one more than a plan may have: enough to see that it is too large.
fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a file that the plan names. The parser has refused `..`; a link that leads out of the
/// folder is refused here.
fn beside(folder: &Path, file: &str) -> io::Result<String> {
    let path = fs::canonicalize(folder.join(file))?;
    if !path.starts_with(fs::canonicalize(folder)?) {
        return Err(io::Error::other("it leads out of the plan's folder"));
    }
    let bytes = read_bytes(&path)?;
    if bytes.len() > MAX_BYTES {
        return Err(io::Error::other("it is larger than a plan may be"));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8 text"))
}
