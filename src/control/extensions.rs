//! Rules between extensions: who handles what, who needs whom, and in which order they come.

use std::collections::{BTreeMap, BTreeSet};

use semver::Version;

use super::config::process::Replicas;
use super::config::{Config, Extension, ExtensionCanary, Kind, Process};
use crate::ids::ExtensionId;
use crate::units::Percent;

type Installed = BTreeMap<ExtensionId, Extension>;

/// Checks the extensions of a configuration.
///
/// # Errors
/// Says which rule the first one breaks.
pub fn check(config: &Config) -> Result<(), String> {
    let installed = &config.extensions;
    for (id, extension) in installed {
        let broken = |text: String| Err(format!("extension `{id}`{text}"));
        if Version::parse(&extension.version).is_err() {
            let version = &extension.version;
            return broken(format!(": `{version}` is not a version like `1.0.0`"));
        }
        match &extension.kind {
            Kind::Http { upstream, .. } if !config.upstreams.contains_key(upstream) => {
                return broken(format!(": no upstream `{upstream}`"));
            }
            Kind::Process(process) => {
                process_rules(process).or_else(|why| broken(format!(": {why}")))?;
            }
            Kind::Http { .. } => {}
        }
        for needed in &extension.depends_on {
            let there = installed.get(&needed.id);
            let Some(there) = there else {
                return broken(format!(" depends on `{}`: not installed", needed.id));
            };
            if !needed.accepts(&there.version) {
                let version = &there.version;
                return broken(format!(" depends on `{needed}`, and {version} is installed"));
            }
        }
        let other =
            installed.iter().find(|(other, e)| *other != id && e.platform == extension.platform);
        if let Some((other, _)) = other {
            let platform = extension.platform.name();
            return Err(format!("extensions `{other}` and `{id}` both handle {platform}"));
        }
    }
    order(installed).map(drop)?;
    config.extension_canary.as_ref().map_or(Ok(()), |canary| next_version(config, canary))
}

/// A new version beside an installed one must be what could be installed in its place.
fn next_version(config: &Config, canary: &ExtensionCanary) -> Result<(), String> {
    let ExtensionCanary { id, next, .. } = canary;
    let broken = |why: String| Err(format!("extension_canary `{}`: {why}", canary.arm()));
    let Some(installed) = config.extensions.get(id) else {
        return broken(format!("`{id}` is not installed"));
    };
    if installed.platform != next.platform {
        let [one, other] = [installed, next].map(|extension| extension.platform.name());
        return broken(format!("`{id}` handles {one}, not {other}"));
    }
    if installed.version == next.version {
        return broken("that version is installed".to_owned());
    }
    let beside = config.canary.as_ref().filter(|it| it.weight > Percent::ZERO);
    if let Some(other) = beside.filter(|it| it.weight < Percent::ALL) {
        return broken(format!("one canary at a time, and there is `{}`", other.upstream));
    }
    let mut swapped = Config { extension_canary: None, ..config.clone() };
    swapped.extensions.insert(id.clone(), next.clone());
    check(&swapped).or_else(broken)
}

fn process_rules(process: &Process) -> Result<(), String> {
    match process.command.first() {
        None => return Err("`command` names no program".to_owned()),
        Some(program) if program.trim().is_empty() => {
            return Err("the program's name is empty".to_owned());
        }
        Some(_) => {}
    }
    for word in &process.command {
        if word.contains('\0') {
            return Err("a word of `command` holds a zero byte".to_owned());
        }
        if word.starts_with("./") && word.split('/').any(|part| part == "..") {
            return Err(format!("`{word}` leads out of the folder of programs"));
        }
    }
    if let Some(name) = process.permissions.env.iter().find(|name| !is_variable(name)) {
        return Err(format!("`permissions.env`: `{name}` is not the name of a variable"));
    }
    // Its token among them, and the mark that its programs carry.
    if let Some(name) = process.permissions.env.iter().find(|name| name.starts_with("CTX_")) {
        return Err(format!("`permissions.env`: `{name}` is the orchestrator's own"));
    }
    let (replicas, limits) = (process.replicas, &process.limits);
    if replicas.min == 0 || replicas.min > replicas.max || replicas.max > Replicas::MOST {
        let (min, max, most) = (replicas.min, replicas.max, Replicas::MOST);
        let needs = format!("1 <= min <= max <= {most}");
        return Err(format!("replicas: needs {needs}, not min {min} and max {max}"));
    }
    let zeroes = [
        ("limits.memory", limits.memory == 0),
        ("limits.cpu_seconds", limits.cpu_seconds == Some(0)),
        ("limits.open_files", limits.open_files == 0),
        ("limits.processes", limits.processes == Some(0)),
        ("limits.timeout", limits.timeout.is_zero()),
        ("limits.in_flight", limits.in_flight == 0),
        ("start_timeout", process.start_timeout.is_zero()),
    ];
    if let Some((name, _)) = zeroes.iter().find(|(_, zero)| *zero) {
        return Err(format!("`{name}` of zero leaves nothing to work with"));
    }
    process.misfits().first().map_or(Ok(()), |misfit| Err(misfit.to_string()))
}

fn is_variable(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The extensions in an order in which each comes after what it depends on.
///
/// What is not among them is taken for installed elsewhere.
///
/// # Errors
/// Names a cycle.
pub fn order(extensions: &Installed) -> Result<Vec<&ExtensionId>, String> {
    let mut order =
        Order { extensions, path: Vec::new(), done: BTreeSet::new(), sorted: Vec::new() };
    for id in extensions.keys() {
        order.visit(id)?;
    }
    Ok(order.sorted)
}

/// A depth-first walk along dependencies.
struct Order<'a> {
    extensions: &'a Installed,
    /// From where the walk began to where it is.
    path: Vec<&'a ExtensionId>,
    done: BTreeSet<&'a ExtensionId>,
    sorted: Vec<&'a ExtensionId>,
}

impl<'a> Order<'a> {
    fn visit(&mut self, id: &'a ExtensionId) -> Result<(), String> {
        if self.done.contains(id) {
            return Ok(());
        }
        if let Some(at) = self.path.iter().position(|before| *before == id) {
            let cycle = self.path[at..].iter().chain([&id]);
            let cycle: Vec<String> = cycle.map(|id| format!("`{id}`")).collect();
            return Err(format!("extensions depend on each other: {}", cycle.join(" -> ")));
        }
        self.path.push(id);
        for needed in &self.extensions[id].depends_on {
            if let Some((needed, _)) = self.extensions.get_key_value(&needed.id) {
                self.visit(needed)?;
            }
        }
        self.path.pop();
        self.done.insert(id);
        self.sorted.push(id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn config(extensions: Value) -> Config {
        let mut config = Config::legacy("http://127.0.0.1:8000");
        config.extensions = serde_json::from_value(extensions).unwrap();
        config
    }

    fn http(platform: &str, version: &str, depends_on: &[&str]) -> Value {
        json!({"name": "X", "version": version, "category": "event_processor",
            "platform": platform, "upstream": "legacy", "path": "/", "depends_on": depends_on})
    }

    #[expect(clippy::needless_pass_by_value, reason = "written in place")]
    fn process(more: Value) -> Value {
        let mut value = json!({"name": "X", "version": "1.0.0", "category": "event_processor",
            "platform": "linear", "kind": "process", "command": ["x"]});
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        value
    }

    #[test]
    fn what_is_needed_must_be_there_in_a_version_that_will_do() {
        for (extensions, expect) in [
            (
                json!({"a": http("linear", "1.0.0", &["b"])}),
                "extension `a` depends on `b`: not installed",
            ),
            (
                json!({"a": http("linear", "1.0.0", &["b >= 1.2"]), "b": http("slack", "1.1.0", &[])}),
                "extension `a` depends on `b >=1.2`, and 1.1.0 is installed",
            ),
            (
                json!({"a": http("linear", "1.0.0", &["b"]), "b": http("slack", "1.0.0", &["c"]),
                    "c": http("github", "1.0.0", &["b"])}),
                "extensions depend on each other: `b` -> `c` -> `b`",
            ),
            (
                json!({"a": http("linear", "1.0.0", &[]), "b": http("linear", "1.0.0", &[])}),
                "extensions `b` and `a` both handle linear",
            ),
            (
                json!({"a": http("linear", "one", &[])}),
                "extension `a`: `one` is not a version like `1.0.0`",
            ),
        ] {
            assert_eq!(check(&config(extensions)), Err(expect.to_owned()));
        }
        let good =
            json!({"a": http("linear", "1.0.0", &["b >= 1.2"]), "b": http("slack", "1.2.0", &[])});
        let good = config(good);
        assert_eq!(check(&good), Ok(()));
        let order: Vec<&str> =
            order(&good.extensions).unwrap().into_iter().map(ExtensionId::as_str).collect();
        assert_eq!(order, ["b", "a"]);
    }

    #[test]
    fn a_program_keeps_its_rules() {
        for (more, expect) in [
            (json!({"command": []}), "`command` names no program"),
            (json!({"command": ["./../x"]}), "`./../x` leads out of the folder of programs"),
            (
                json!({"permissions": {"env": ["A-B"]}}),
                "`permissions.env`: `A-B` is not the name of a variable",
            ),
            (
                json!({"permissions": {"env": ["CTX_TOKEN"]}}),
                "`permissions.env`: `CTX_TOKEN` is the orchestrator's own",
            ),
            (
                json!({"replicas": {"min": 2}}),
                "replicas: needs 1 <= min <= max <= 64, not min 2 and max 1",
            ),
            (
                json!({"limits": {"in_flight": 0}}),
                "`limits.in_flight` of zero leaves nothing to work with",
            ),
            (json!({"config": {"a": 1}}), "`config.a` is not in `config_schema`"),
        ] {
            let found = check(&config(json!({"a": process(more)})));
            assert_eq!(found, Err(format!("extension `a`: {expect}")));
        }
        assert_eq!(check(&config(json!({"a": process(json!({}))}))), Ok(()));
    }
}
