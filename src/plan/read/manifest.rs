//! An extension's manifest: a file of its own that `install` and `ctx extension` name.
//!
//! A word of `command` that begins with `./` is a file beside the manifest. The configuration is
//! held against the manifest's own schema here, so that a fault is shown where it stands.

use std::collections::BTreeMap;

use semver::Version;
use toml::Spanned;
use toml::de::DeTable;

use crate::control::config::process::{
    Configuration, Limits, Misfits, Parameter, ParameterKind, Permissions, Replicas, START_TIMEOUT,
    Schema,
};
use crate::control::config::{Category, Extension, Kind as Answers, Platform, Process};
use crate::control::document::Assignment;
use crate::ids::ExtensionId;
use crate::plan::fault::{At, Fault, Faults};
use crate::plan::scalar;
use crate::plan::shape::{Kind, Shape, may, need};
use crate::plan::source::{Source, Span};
use crate::plan::table::Table;
use crate::plan::usual::{Literal, Range};
use crate::units::size;

pub(in crate::plan) static MANIFEST: Shape = Shape {
    what: "an extension",
    about: "A file of its own that `install`, `canary` and `ctx extension` name. An extension of \
            kind `http` is answered for by an upstream, with `upstream` and `path`; one of kind \
            `process` by a program, with `command` and what stands below it here. \
            [extensions.md](extensions.md) says how both live.",
    keys: &[
        need("id", Kind::Name, "the extension's name in the configuration"),
        need("name", Kind::Text, "its name for people"),
        need("version", Kind::Text, "`MAJOR.MINOR.PATCH`"),
        need(
            "category",
            Kind::Choice(&["platform_integration", "event_processor"]),
            "what it is for",
        ),
        need("platform", Kind::Choice(&["linear", "github", "slack"]), "whose events it handles")
            .more("One extension for each platform."),
        may("depends_on", Kind::Texts, "extensions that must be installed too: `id`, `id >= 1.0`"),
        may("kind", Kind::Choice(&["http", "process"]), "who answers for it")
            .otherwise("`http`, or by `command`")
            .more("`process` where there is a `command` and no `upstream`."),
        may("upstream", Kind::Text, "`http`: the upstream that answers for it"),
        may("path", Kind::Text, "`http`: the path there that takes the event"),
        may("command", Kind::Texts, "`process`: the program and its arguments")
            .more("A word that begins with `./` is a file beside the manifest."),
        may("start_timeout", Kind::Duration, "`process`: how long until it is ready")
            .usually(Literal::Lasts(START_TIMEOUT))
            .within(Range::AboveZero),
        may("permissions", Kind::Table(&PERMISSIONS), "`process`: what it is given besides"),
        may("limits", Kind::Table(&LIMITS), "`process`: what each replica may use"),
        may("replicas", Kind::Table(&REPLICAS), "`process`: how many of it run"),
        may("config", Kind::Map(&Kind::Any), "`process`: what it is given when it starts"),
        may(
            "config_schema",
            Kind::Map(&Kind::Table(&PARAMETER)),
            "`process`: what `config` may hold",
        ),
    ],
};

static PERMISSIONS: Shape = Shape {
    what: "`permissions`",
    about: "",
    keys: &[may("env", Kind::Texts, "names of environment variables that are passed on")
        .more("Besides `PATH` and `LANG`; none that begins with `CTX_`.")],
};

/// What holds unless the manifest says otherwise.
const USUAL: Limits = Limits::USUAL;

/// At least one.
const SOME: Range = Range::From(Literal::Count(1));

static LIMITS: Shape = Shape {
    what: "`limits`",
    about: "",
    keys: &[
        may("memory", Kind::Size, "address space of a replica")
            .usually(Literal::Size(USUAL.memory))
            .within(Range::AboveZero),
        may("cpu_seconds", Kind::Count, "processor time in the life of a replica")
            .otherwise("no limit")
            .within(SOME)
            .more("When it is used up the replica is ended, and started anew."),
        may("open_files", Kind::Count, "files and sockets at the same time")
            .usually(Literal::Count(USUAL.open_files))
            .within(SOME),
        may("processes", Kind::Count, "processes and threads of the orchestrator's user")
            .otherwise("no limit")
            .within(SOME)
            .more("All of that user's together; of no effect on root."),
        may("timeout", Kind::Duration, "how long an event may take")
            .usually(Literal::Lasts(USUAL.timeout))
            .within(Range::AboveZero)
            .more("A replica that takes longer is replaced."),
        may("in_flight", Kind::Count, "events that a replica is given at the same time")
            .usually(Literal::Count(USUAL.in_flight as u64))
            .within(SOME),
        may("queue", Kind::Count, "events that may wait for a replica")
            .usually(Literal::Count(USUAL.queue as u64))
            .more("Over all replicas; the next one is refused with 503."),
        may("wait", Kind::Duration, "how long an event may wait")
            .usually(Literal::Lasts(USUAL.wait)),
    ],
};

/// How many replicas there may be.
const FEW: Range = Range::Between(Literal::Count(1), Literal::Count(Replicas::MOST as u64));

static REPLICAS: Shape = Shape {
    what: "`replicas`",
    about: "",
    keys: &[
        may("min", Kind::Count, "the fewest that run")
            .usually(Literal::Count(Replicas::USUAL.min as u64))
            .within(FEW),
        may("max", Kind::Count, "the most that scaling may start")
            .otherwise("as `min`")
            .within(FEW),
    ],
};

static PARAMETER: Shape = Shape {
    what: "a key of `config_schema`",
    about: "NAME is a key that `config` may have.",
    keys: &[
        need(
            "type",
            Kind::Choice(&["string", "integer", "number", "boolean", "array"]),
            "the type of its value",
        ),
        may("required", Kind::Bool, "whether it must be given").usually(Literal::Bool(false)),
        may("default", Kind::Any, "its value when it is not given"),
        may("choices", Kind::Any, "an array of the values that it may have"),
        may("doc", Kind::Text, "what it is for"),
    ],
};

const CATEGORIES: [(&str, Category); 2] = [
    ("platform_integration", Category::PlatformIntegration),
    ("event_processor", Category::EventProcessor),
];

const TYPES: [(&str, ParameterKind); 5] = [
    ("string", ParameterKind::String),
    ("integer", ParameterKind::Integer),
    ("number", ParameterKind::Number),
    ("boolean", ParameterKind::Boolean),
    ("array", ParameterKind::Array),
];

/// Keys that only a manifest of one kind has.
const OF_HTTP: [&str; 2] = ["upstream", "path"];
const OF_PROCESS: [&str; 7] =
    ["command", "start_timeout", "permissions", "limits", "replicas", "config", "config_schema"];

/// Reads a manifest as the assignment that installs it. Its faults join those of the plan.
pub(super) fn manifest(
    file: &Spanned<&str>,
    text: &str,
    of_plan: &Faults<'_>,
) -> Option<Assignment> {
    let name = super::beside(of_plan.file(), file.get_ref());
    // Programs are found from the plan's folder, so that a plan is the same wherever it is.
    let folder = file.get_ref().rsplit_once('/').map_or(".".to_owned(), |(f, _)| format!("./{f}"));
    match read(&name, text, &folder) {
        Ok((id, extension)) => {
            let value = serde_json::to_value(extension).expect("an extension is plain data");
            Some(Assignment { path: format!("extensions.{id}"), value })
        }
        Err(faults) => {
            of_plan.adopt(&file.span(), faults);
            None
        }
    }
}

/// Reads a manifest whose programs are in `folder`; `name` is for its faults.
///
/// # Errors
/// With all its faults.
pub(in crate::plan) fn read(
    name: &str,
    text: &str,
    folder: &str,
) -> Result<(ExtensionId, Extension), Vec<Fault>> {
    let source = Source::new(name, text);
    let mut faults = Faults::new(&source);
    let (document, errors) = DeTable::parse_recoverable(text);
    faults.syntax(&errors);
    let found = extension(&Table::of(document.get_ref(), 0..0, &MANIFEST, &faults), folder);
    let good = faults.is_empty();
    found.filter(|_| good).ok_or_else(|| faults.into_sorted())
}

fn extension(table: &Table<'_>, folder: &str) -> Option<(ExtensionId, Extension)> {
    let id = table.name::<ExtensionId>("id");
    let name = table.string("name");
    let version = table.text("version");
    let no_version = |version: &&Spanned<&str>| Version::parse(version.get_ref()).is_err();
    if let Some(version) = version.as_ref().filter(no_version) {
        let message = format!("`{}` is not a version", version.get_ref());
        table.faults.hinted(version.span(), message, "write it like `1.0.0`");
    }
    let category = table.choice("category", &CATEGORIES);
    let platforms = Platform::ALL.map(|platform| (platform.name(), platform));
    let platform = table.choice("platform", &platforms);
    let mut depends_on = Vec::new();
    for text in table.texts("depends_on") {
        match text.get_ref().parse() {
            Ok(dependency) => depends_on.push(dependency),
            Err(error) => {
                let hint = "name an extension, and if need be its versions: `\"linear >= 1.0\"`";
                let error: crate::control::config::DependencyError = error;
                table.faults.hinted(text.span(), error.to_string(), hint);
            }
        }
    }
    let extension = Extension {
        kind: answers(table, folder)?,
        name: name?,
        version: (*version?.get_ref()).to_owned(),
        category: category?,
        platform: platform?,
        depends_on,
    };
    Some((id?.into_inner(), extension))
}

/// Who answers for it.
fn answers(table: &Table<'_>, folder: &str) -> Option<Answers> {
    let process = if table.has("kind") {
        table.choice("kind", &[("http", false), ("process", true)])?
    } else {
        table.has("command") && !table.has("upstream")
    };
    let (kind, own, other): (_, &[&str], &[&str]) =
        if process { ("process", &["command"], &OF_HTTP) } else { ("http", &OF_HTTP, &OF_PROCESS) };
    for key in other.iter().filter(|key| table.has(key)) {
        let message = format!("an extension of kind `{kind}` has no `{key}`");
        let hint = if process { "leave it out, or `kind`" } else { "say `kind = \"process\"`" };
        table.faults.hinted(table.key_span(key), message, hint);
    }
    for key in own.iter().filter(|key| !table.has(key) && !table.faults.is_broken()) {
        let doc = MANIFEST.key(key).map_or("", |key| key.doc);
        let message = format!("an extension of kind `{kind}` needs `{key}`");
        table.faults.hinted(table.span(), message, format!("`{key}`: {doc}"));
    }
    if process {
        return self::process(table, folder).map(|process| Answers::Process(Box::new(process)));
    }
    let path = table.text("path").filter(|p| super::call::path(p, table.faults).is_some());
    Some(Answers::Http { upstream: table.string("upstream")?, path: (*path?.get_ref()).to_owned() })
}

fn process(table: &Table<'_>, folder: &str) -> Option<Process> {
    let command: Option<Vec<String>> =
        table.texts("command").iter().map(|word| beside(word, folder, table.faults)).collect();
    let empty = table.has("command") && table.is_empty("command");
    if empty {
        let hint = "name the program first, then each argument: `[\"python3\", \"./greeter.py\"]`";
        table.faults.hinted(table.entry_span("command"), "`command` names no program", hint);
    }
    let start_timeout = table.lasting("start_timeout");
    let permissions = table.table("permissions");
    let env = permissions.map(|table| table.strings("env")).unwrap_or_default();
    let limits = table.table("limits").map_or_else(Limits::default, |table| limits(&table));
    let replicas = table.table("replicas").map_or_else(Replicas::default, |table| {
        let max = table.count("max").map(|max| small(max.into_inner()));
        let min = small(table.counted("min"));
        Replicas { min, max: max.unwrap_or(min) }
    });
    let mut spans = BTreeMap::new();
    let mut config = Configuration::new();
    for (key, value) in table.map("config") {
        spans.insert((*key.get_ref()).to_owned(), (key.span(), value.span()));
        if let Some(value) = scalar::json(value, table.faults) {
            config.insert((*key.get_ref()).to_owned(), value);
        }
    }
    let (config_schema, places) = schema(table);
    let process = Process {
        command: command.clone().unwrap_or_default(),
        permissions: Permissions { env },
        limits,
        replicas,
        start_timeout,
        config,
        config_schema,
    };
    misfits(table, &process, &spans, &places);
    command.filter(|_| !empty).map(|_| process)
}

/// Reports what the configuration's schema does not allow, where it stands.
fn misfits(
    table: &Table<'_>,
    process: &Process,
    spans: &BTreeMap<String, (Span, Span)>,
    places: &BTreeMap<String, Span>,
) {
    let known: Vec<&str> = process.config_schema.keys().map(String::as_str).collect();
    for misfit in process.misfits() {
        let message = misfit.to_string();
        let place = places.get(&misfit.key).cloned().unwrap_or_else(|| table.span());
        match (misfit.of, spans.get(&misfit.key)) {
            (Misfits::Unknown, Some((key, _))) => {
                table.faults.unknown(key.clone(), "key of `config`", &misfit.key, &known, "it has");
            }
            // It may be a secret that was put there by mistake.
            (_, Some((_, value))) => {
                let doc = process.config_schema.get(&misfit.key).map_or("", |p| p.doc.as_str());
                let hint = format!("`{}`: {doc}", misfit.key);
                table.faults.covered(value.clone(), message, hint);
            }
            (Misfits::Missing, None) => {
                let at = if table.has("config") { table.key_span("config") } else { place };
                table.faults.hinted(at, message, format!("add `{} = ...`", misfit.key));
            }
            (_, None) => table.faults.push(place, message),
        }
    }
}

/// The schema of the configuration, and where each of its keys stands.
fn schema(table: &Table<'_>) -> (Schema, BTreeMap<String, Span>) {
    let (mut schema, mut places) = (Schema::new(), BTreeMap::new());
    for (key, value) in table.map("config_schema") {
        places.insert((*key.get_ref()).to_owned(), key.span());
        let Some(inner) = Table::open(value, &PARAMETER, table.faults) else { continue };
        let any = |key| inner.any(key).and_then(|value| scalar::json(value, table.faults));
        let choices = match any("choices") {
            None => Vec::new(),
            Some(serde_json::Value::Array(choices)) => choices,
            Some(_) => {
                let message = "`choices` must be an array of values";
                table.faults.push(inner.entry_span("choices"), message);
                Vec::new()
            }
        };
        let Some(kind) = inner.choice("type", &TYPES) else { continue };
        let parameter = Parameter {
            kind,
            required: inner.truth("required"),
            default: any("default"),
            choices,
            doc: inner.string("doc").unwrap_or_default(),
        };
        schema.insert((*key.get_ref()).to_owned(), parameter);
    }
    (schema, places)
}

fn limits(table: &Table<'_>) -> Limits {
    let memory = table.text("memory").and_then(|text| match size::parse(text.get_ref()) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let message = format!("`{}` is not an amount of memory", text.get_ref());
            let hint = error.to_string();
            let hint = hint.split("; ").nth(1).unwrap_or_default();
            table.faults.hinted(text.span(), message, hint);
            None
        }
    });
    let count = |key| table.count(key).map(Spanned::into_inner);
    Limits {
        memory: memory.unwrap_or_else(|| table.usual_size("memory")),
        cpu_seconds: count("cpu_seconds"),
        open_files: table.counted("open_files"),
        processes: count("processes"),
        timeout: table.lasting("timeout"),
        in_flight: small(table.counted("in_flight")),
        queue: small(table.counted("queue")),
        wait: table.lasting("wait"),
    }
}

fn small(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A word of the command, with what stands beside the manifest named from where it is found.
fn beside(word: &Spanned<&str>, folder: &str, faults: &Faults<'_>) -> Option<String> {
    let Some(file) = word.get_ref().strip_prefix("./") else {
        return Some((*word.get_ref()).to_owned());
    };
    if file.split('/').any(|part| part == "..") {
        let message = format!("`{}` leads out of the manifest's folder", word.get_ref());
        faults.hinted(word.span(), message, "put the program beside its manifest");
        return None;
    }
    let at: Spanned<String> = word.with(format!("{folder}/{file}"));
    Some(at.into_inner().replacen("././", "./", 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MANIFEST: &str = r#"id = "a"
name = "A"
version = "1.0.0"
category = "event_processor"
platform = "linear"
kind = "process"
command = ["python3", "./a.py", "-v"]
config = { a = 1 }
config_schema = { a = { type = "integer" } }
"#;

    #[test]
    fn what_stands_beside_a_manifest_is_found_from_wherever_programs_are() {
        for (folder, expect) in
            [(".", "./a.py"), ("./extensions", "./extensions/a.py"), ("/srv/x", "/srv/x/a.py")]
        {
            let (_, extension) = read("a.toml", MANIFEST, folder).unwrap();
            assert_eq!(extension.process().unwrap().command, ["python3", expect, "-v"]);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(at in 0_usize..300, to in 0_usize..300, more in "\\PC{0,12}") {
            let _ = read("a.toml", &more, ".");
            let (at, to) = (at.min(MANIFEST.len()), to.min(MANIFEST.len()));
            let _ = read("a.toml", &format!("{}{more}{}", &MANIFEST[..at], &MANIFEST[to..]), ".");
        }
    }
}
