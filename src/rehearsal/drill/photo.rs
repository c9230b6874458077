//! The state that must be equal before a phase and after its rollback.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Drill;
use super::theatre::Theatre;

/// A service and what is around it, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Photo {
    /// The canonical bytes of the configuration in force.
    config: Vec<u8>,
    /// Id, version and number of replicas of each extension.
    extensions: BTreeSet<String>,
    /// Hashes of the files in the folder of the plan's programs.
    files: BTreeMap<String, String>,
    /// What programs say that look at the rest.
    compared: BTreeMap<PathBuf, String>,
    /// What must not be there when nothing is in flight.
    in_flight: Vec<String>,
}

impl Photo {
    pub(super) fn take(drill: &Drill, theatre: &Theatre) -> Result<Self, String> {
        let state = theatre.ask(async |client| client.state().await)?.body;
        let list = theatre.ask(async |client| client.extensions().await)?;
        let mut in_flight = Vec::new();
        if let Some(provisional) = &state.provisional {
            in_flight.push(format!("revision {} is provisional", provisional.rev));
        }
        if state.armed.as_ref().is_some_and(|armed| armed.tripped.is_none()) {
            in_flight.push("guards are armed".to_owned());
        }
        let one = |e: &crate::control::observe::ExtensionView| {
            format!("{} {} x{}", e.id, e.version, e.wanted)
        };
        let mut files = BTreeMap::new();
        let work = &theatre.company.work;
        hash_files(work, work, &mut files).map_err(|e| format!("files of the drill: {e}"))?;
        let mut compared = BTreeMap::new();
        for program in &drill.compare {
            compared.insert(program.clone(), output(program, work)?);
        }
        Ok(Self {
            config: state.config.canonical(),
            extensions: list.extensions.iter().map(one).collect(),
            files,
            compared,
            in_flight,
        })
    }

    /// What is other than it was before; nothing when both are equal.
    pub(super) fn differences(&self, before: &Self) -> Vec<String> {
        let mut differ = self.in_flight.clone();
        if self.config != before.config {
            let fields = fields(&before.config, &self.config).join(", ");
            differ.push(format!("configuration: {fields}"));
        }
        if self.extensions != before.extensions {
            let other = self.extensions.symmetric_difference(&before.extensions);
            let other: Vec<_> = other.map(String::as_str).collect();
            differ.push(format!("extensions: {}", other.join(", ")));
        }
        let names: BTreeSet<_> = self.files.keys().chain(before.files.keys()).collect();
        let changed = names.into_iter().filter(|n| self.files.get(*n) != before.files.get(*n));
        differ.extend(changed.map(|name| format!("file `{name}`")));
        let told = self.compared.iter().filter(|(p, said)| before.compared.get(*p) != Some(said));
        differ.extend(told.map(|(program, _)| format!("what `{}` says", program.display())));
        differ
    }
}

/// The top fields in which two documents differ.
fn fields(before: &[u8], after: &[u8]) -> Vec<String> {
    let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    let (before, after) = (parse(before), parse(after));
    let keys = |value: &Value| -> BTreeSet<String> {
        value.as_object().map(|o| o.keys().cloned().collect()).unwrap_or_default()
    };
    let all: BTreeSet<String> = keys(&before).union(&keys(&after)).cloned().collect();
    all.into_iter().filter(|key| before.get(key) != after.get(key)).collect()
}

fn hash_files(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        if kind.is_dir() {
            found.insert(format!("{name}/"), String::new());
            hash_files(root, &path, found)?;
        } else if kind.is_file() {
            found.insert(name, hex::encode(Sha256::digest(std::fs::read(&path)?)));
        }
    }
    Ok(())
}

fn output(program: &Path, folder: &Path) -> Result<String, String> {
    let shown = program.display();
    let ran = Command::new(program).current_dir(folder).stdin(Stdio::null()).output();
    let ran = ran.map_err(|error| format!("failed to run `{shown}`: {error}"))?;
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        return Err(format!("`{shown}` failed: {}", said.trim()));
    }
    Ok(hex::encode(Sha256::digest(&ran.stdout)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let config = |text: &str| Photo { config: text.into(), ..Photo::default() };
        let before = config(r#"{"cache":1,"mode":"legacy"}"#);
        assert_eq!(before.differences(&before), Vec::<String>::new());
        let after = config(r#"{"cache":2,"mode":"legacy"}"#);
        assert_eq!(after.differences(&before), ["configuration: cache"]);
        let mut left = before.clone();
        left.files.insert("mark".to_owned(), String::new());
        left.extensions.insert("shop 1.0.0 x1".to_owned());
        left.in_flight.push("guards are armed".to_owned());
        let expect = ["guards are armed", "extensions: shop 1.0.0 x1", "file `mark`"];
        assert_eq!(left.differences(&before), expect);
        assert_eq!(before.differences(&left)[1], "file `mark`", "missing is different, too");
    }
}
