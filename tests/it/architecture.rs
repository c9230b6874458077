//! Which module may know which, and which stay pure, as `docs/ARCHITECTURE.md` tells it.
//!
//! How to add a module: a row in [`MAY_USE`]. An import that the table does not allow is either
//! in the wrong place, or the table changes together with the document, and somebody looks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ctx::failpoint;

use crate::support::markdown::{Document, root};

/// The small words that everything is said in; every module may use them.
const WORDS: [&str; 8] =
    ["clock", "error", "failpoint", "ids", "rules", "secret", "trust", "units"];

/// The modules from the bottom up, and what each may use besides [`WORDS`].
const MAY_USE: [(&str, &[&str]); 18] = [
    ("words", &[]),
    ("settings", &[]),
    ("ui", &[]),
    ("control", &[]),
    ("judge", &["control"]),
    ("prometheus", &["judge"]),
    ("plan", &["control", "judge"]),
    ("ledger", &["control", "judge", "plan"]),
    ("report", &["control", "judge", "plan", "ledger", "ui"]),
    ("progress", &["judge", "ledger", "report", "ui"]),
    ("engine", &["control", "judge", "prometheus", "plan", "ledger", "progress"]),
    ("orchestrator", &["control", "judge", "prometheus"]),
    ("load", &["control", "judge", "plan"]),
    ("alerts", &["settings", "control", "plan", "ledger", "report", "progress", "ui"]),
    ("backup", &["control", "ledger"]),
    ("rehearsal", &["control", "judge", "plan", "load", "orchestrator"]),
    // A test of two modules with each other.
    ("simulation", &["control", "plan", "ledger", "engine", "orchestrator"]),
    ("cli", &ALL),
];

const ALL: [&str; 15] = [
    "settings",
    "ui",
    "control",
    "judge",
    "prometheus",
    "plan",
    "ledger",
    "report",
    "progress",
    "engine",
    "orchestrator",
    "load",
    "alerts",
    "backup",
    "rehearsal",
];

/// Imports against the direction that are there today. A row goes when its import goes.
const DEBTS: [(&str, &str, &str); 3] = [
    ("ledger", "settings", "the lock names who holds it"),
    ("engine", "settings", "the lease names who holds it"),
    ("backup", "settings", "the lease names who holds it"),
];

/// Folders and files that decide and never act, and the files in them that do act.
const PURE: [(&str, &[&str]); 22] = [
    ("src/alerts/alert.rs", &[]),
    ("src/alerts/escalations.rs", &[]),
    ("src/alerts/incidents.rs", &[]),
    ("src/alerts/outside.rs", &[]),
    ("src/alerts/routing.rs", &[]),
    ("src/alerts/sinks", &[]),
    ("src/judge", &[]),
    // Reads the plan and the manifests that it names.
    ("src/plan", &["load.rs"]),
    ("src/engine/adopt.rs", &[]),
    ("src/engine/decide.rs", &[]),
    ("src/engine/draft.rs", &[]),
    ("src/engine/key.rs", &[]),
    ("src/engine/moves.rs", &[]),
    ("src/engine/protocol", &[]),
    ("src/engine/recover.rs", &[]),
    ("src/engine/state.rs", &[]),
    ("src/ledger/chain.rs", &[]),
    ("src/ledger/fact.rs", &[]),
    ("src/control", &["client.rs", "draft.rs"]),
    ("src/report", &[]),
    ("src/units", &[]),
    // `Now::of` reads both clocks, once, for whoever calls.
    ("src/orchestrator/control/core", &["mod.rs"]),
];

/// What a pure file does not mention.
const EFFECTS: [&str; 16] = [
    "tokio",
    "async ",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "rusqlite",
    "reqwest",
    "hyper::",
    "SystemClock",
    "Utc::now",
    "Instant::now",
    ".wall()",
    ".boot()",
    "println!",
];

/// Libraries that are known in few places. A file among folders is a debt, and may go.
const KNOWN_TO: [(&str, &[&str]); 5] = [
    ("ratatui", &["src/ui/window.rs"]),
    ("rusqlite", &["src/ledger", "src/orchestrator/store", "src/backup"]),
    ("axum", &["src/orchestrator/control/server", "src/orchestrator/health/probe.rs"]),
    (
        "tokio::process",
        &[
            "src/alerts/command.rs",
            "src/engine/executor/program.rs",
            "src/orchestrator/extensions/replica.rs",
        ],
    ),
    ("clap", &["src/cli", "src/main.rs", "src/ui", "src/backup/manifest.rs"]),
];

/// A source file without its tests.
struct Source {
    /// Relative to the root, such as `src/plan/load.rs`.
    path: PathBuf,
    text: String,
}

impl Source {
    /// The module at the top: `plan` for `src/plan/load.rs`, `ui` for `src/ui/mod.rs`.
    fn module(&self) -> String {
        let top = self.path.iter().nth(1).unwrap();
        Path::new(top).file_stem().unwrap().to_string_lossy().into_owned()
    }

    /// Lines of code with their numbers; comments left out.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = (1..).zip(self.text.lines());
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// Every source file but those that are compiled for tests only.
fn sources() -> Vec<Source> {
    let mut folders = vec![PathBuf::from("src")];
    let (mut all, mut tests) = (Vec::new(), BTreeSet::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).unwrap() {
            let path = folder.join(entry.unwrap().file_name());
            if root().join(&path).is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(root().join(&path)).unwrap();
            let mut kept = Vec::new();
            let mut lines = text.lines();
            while let Some(line) = lines.next() {
                if line != "#[cfg(test)]" {
                    kept.push(line);
                    continue;
                }
                let item = lines.next().unwrap_or_default();
                if item.ends_with('{') {
                    // An inline module of tests, up to its closing brace.
                    lines.by_ref().find(|line| *line == "}");
                } else if let Some((_, name)) = item.split_once("mod ") {
                    tests.insert(folder.join(name.trim_end_matches(';')));
                }
            }
            all.push(Source { path, text: kept.join("\n") });
        }
    }
    all.retain(|source| !source.path.ancestors().any(|a| tests.contains(&a.with_extension(""))));
    assert!(all.len() > 100, "only {} files", all.len());
    all
}

/// The modules of the crate that a line of code names.
fn named(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("crate::").map(|(at, found)| {
        let rest = &line[at + found.len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn modules_know_only_what_is_below_them() {
    let mut wrong = Vec::new();
    let mut unpaid: BTreeSet<_> = DEBTS.iter().map(|(from, to, _)| (*from, *to)).collect();
    for source in sources() {
        let module = source.module();
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let row = if WORDS.contains(&module.as_str()) { "words" } else { module.as_str() };
        let may = MAY_USE.iter().find(|(name, _)| *name == row);
        let may = may.unwrap_or_else(|| panic!("module `{module}` has no row")).1;
        for (number, line) in source.code() {
            for used in named(line).filter(|used| *used != module) {
                let debt = DEBTS.iter().find(|(from, to, _)| *from == module && *to == used);
                if let Some((from, to, _)) = debt {
                    unpaid.remove(&(*from, *to));
                } else if !WORDS.contains(&used) && !may.contains(&used) {
                    wrong.push(format!("{}:{number} uses {used}", source.path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "against the direction:\n{}", wrong.join("\n"));
    assert!(unpaid.is_empty(), "paid, so their rows can go: {unpaid:?}");
}

#[test]
fn every_row_stands_on_rows_above_it() {
    for (n, (module, may)) in MAY_USE.iter().enumerate() {
        for used in *may {
            let place = MAY_USE.iter().position(|(name, _)| name == used);
            assert!(place.is_some_and(|place| place < n), "`{module}` uses `{used}`");
        }
    }
}

#[test]
fn what_decides_does_not_act() {
    let sources = sources();
    let mut wrong = Vec::new();
    for (place, edges) in PURE {
        let inside = |source: &&Source| {
            let name = source.path.file_name().unwrap().to_string_lossy();
            source.path.starts_with(place) && !edges.contains(&name.as_ref())
        };
        let mut found = sources.iter().filter(inside).peekable();
        assert!(found.peek().is_some(), "there is no {place}");
        for source in found {
            for (number, line) in source.code() {
                let effects = EFFECTS.iter().filter(|effect| line.contains(**effect));
                wrong.extend(effects.map(|e| format!("{}:{number} {e}", source.path.display())));
            }
        }
    }
    assert!(wrong.is_empty(), "in a pure file:\n{}", wrong.join("\n"));
}

#[test]
fn libraries_stay_where_they_are_known() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (number, line) in source.code() {
            let names = KNOWN_TO.iter().filter(|(library, places)| {
                line.contains(&format!("{library}::"))
                    && !places.iter().any(|place| source.path.starts_with(place))
            });
            wrong.extend(names.map(|(l, _)| format!("{}:{number} {l}", source.path.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_failpoint_is_hit_at_exactly_one_place() {
    let sources = sources();
    let elsewhere = sources.iter().filter(|source| source.path != Path::new("src/failpoint.rs"));
    let lines: Vec<_> = elsewhere.flat_map(|source| source.code().map(|(_, line)| line)).collect();
    for (point, name, _) in failpoint::ALL {
        let hit = format!("failpoint::hit(Point::{point:?})");
        let places = lines.iter().filter(|line| line.contains(&hit)).count();
        assert_eq!(places, 1, "places of `{name}`, as `{hit}`");
    }
}

#[test]
fn the_document_names_every_module_and_every_debt() {
    let text = Document::read("docs/ARCHITECTURE.md").text;
    for (module, _) in MAY_USE.iter().filter(|(module, _)| *module != "words") {
        assert!(text.contains(&format!("| `{module}` |")), "`{module}` has no row");
    }
    for (from, to, why) in DEBTS {
        assert!(text.contains(&format!("| `{from}` | `{to}` | {why} |")), "`{from}` to `{to}`");
    }
    // Files and folders that the document points to are there.
    for span in Document::read("docs/ARCHITECTURE.md").code_spans() {
        let path = ["src/", "tests/", "migrations/", "plans/"].iter().any(|f| span.starts_with(f));
        assert!(!path || root().join(&span).exists(), "there is no `{span}`");
    }
}
