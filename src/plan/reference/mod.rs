//! `docs/plan.md`: every table and key of a plan, made from the shapes that the readers use.
//!
//! Law: the page says what the parser does. Names, kinds, defaults and ranges come from the shapes
//! ([`truth`] holds the defaults and ranges against what is read), and the examples are the parts
//! of `plans/reference.toml`, which is a plan without faults and has every key.
//!
//! How to add a table: nothing to do here. Its shape is found; add an example to the plan, under a
//! line `# --- HEADING`.

mod truth;

use std::collections::VecDeque;

use schemars::schema_for;
use serde_json::Value;

use super::read::{MANIFEST, PLAN_FILE};
use super::shape::{Key, Kind, Shape};
use super::usual::Usual;
use crate::judge::{Metric, Unit};
use crate::kept::{self, Page, anchor};

/// The plan that has every key.
const EXAMPLES: &str = include_str!("../../../plans/reference.toml");

/// An extension that has every key of a manifest of its kind.
const EXTENSION: &str = include_str!("../../../examples/extensions/greeter.toml");

/// One table of the page.
#[derive(Clone, Debug)]
struct Section {
    /// As TOML has it: `[[phase.step]]`; NAME where the plan chooses.
    heading: String,
    /// The path of its keys: `phase.step`.
    path: String,
    shape: &'static Shape,
}

impl Section {
    /// The top of a file.
    fn top(heading: &str, shape: &'static Shape) -> Self {
        Self { heading: heading.to_owned(), path: String::new(), shape }
    }

    /// The table that `key` of this one is, if it is one.
    fn child(&self, key: &Key) -> Option<Self> {
        let dot = if self.path.is_empty() { "" } else { "." };
        let path = format!("{}{dot}{}", self.path, key.name);
        let (heading, path, shape) = match key.kind {
            Kind::Table(shape) => (format!("[{path}]"), path, shape),
            Kind::Tables(shape) => (format!("[[{path}]]"), path, shape),
            Kind::Map(Kind::Table(shape)) => {
                (format!("[{path}.NAME]"), format!("{path}.NAME"), *shape)
            }
            _ => return None,
        };
        Some(Self { heading, path, shape })
    }

    fn children(&self) -> impl Iterator<Item = Self> {
        self.shape.keys.iter().filter_map(|key| self.child(key))
    }

    fn title(&self) -> String {
        if self.heading.starts_with('[') {
            format!("`{}`", self.heading)
        } else {
            self.heading.clone()
        }
    }
}

/// Where each shape is described: where it is least deep. A shape may be in several places.
fn homes(top: &Section) -> Vec<Section> {
    let (mut found, mut queue) = (Vec::<Section>::new(), VecDeque::from([top.clone()]));
    while let Some(section) = queue.pop_front() {
        if !found.iter().any(|home| std::ptr::eq(home.shape, section.shape)) {
            queue.extend(section.children());
            found.push(section);
        }
    }
    found
}

/// The sections of a file in the order of its text.
fn sections(top: &Section) -> Vec<Section> {
    fn add(section: &Section, homes: &[Section], found: &mut Vec<Section>) {
        found.push(section.clone());
        for child in section.children() {
            if homes.iter().any(|home| home.heading == child.heading) {
                add(&child, homes, found);
            }
        }
    }
    let mut found = Vec::new();
    add(top, &homes(top), &mut found);
    found
}

fn plan() -> Vec<Section> {
    sections(&Section::top("Top level", &PLAN_FILE))
}

fn manifest() -> Vec<Section> {
    sections(&Section::top("An extension's manifest", &MANIFEST))
}

/// What stands below `# --- HEADING` in the plan of examples.
fn example(heading: &str) -> Option<&'static str> {
    let (_, rest) = EXAMPLES.split_once(&format!("\n# --- {heading}\n"))?;
    Some(rest.split("\n# --- ").next().unwrap_or(rest).trim())
}

fn text() -> String {
    let mut page = Page::default();
    for section in plan() {
        table(&mut page, 2, &section, &plan());
        if let Some(example) = example(&section.heading) {
            page.block("toml", example);
        }
    }
    let (top, rest) = {
        let mut all = manifest();
        (all.remove(0), all)
    };
    table(&mut page, 2, &top, &manifest());
    page.block("toml", EXTENSION);
    for section in rest {
        table(&mut page, 3, &section, &manifest());
    }
    metrics(&mut page);
    page.into_text()
}

fn table(page: &mut Page, level: usize, section: &Section, all: &[Section]) {
    page.heading(level, &section.title());
    if !section.shape.about.is_empty() {
        page.paragraph(section.shape.about);
    }
    let keys = section.shape.keys;
    let row = |key: &Key| {
        let value = format!("{} {}", value(key.kind, section.child(key), all), key.range);
        [format!("`{}`", key.name), value.trim_end().to_owned(), usual(key), key.doc.to_owned()]
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    page.table(["key", "value", "default", "meaning"], &rows);
    let notes: Vec<String> = keys.iter().filter_map(note).collect();
    page.list(&notes);
}

fn usual(key: &Key) -> String {
    match key.usual {
        _ if key.required => "**needed**".to_owned(),
        Usual::Nothing => String::new(),
        Usual::Is(usual) => format!("`{usual}`"),
        Usual::Said(words) => words.to_owned(),
    }
}

/// What a value is, in a word or two.
fn value(kind: Kind, child: Option<Section>, all: &[Section]) -> String {
    let word = match kind {
        Kind::Text => "text",
        Kind::Name => "name",
        Kind::Duration => "duration",
        Kind::Share => "share",
        Kind::Size => "size",
        Kind::Bool => "`true`, `false`",
        Kind::Count => "count",
        Kind::Number => "number",
        Kind::Limit => "bound",
        Kind::Days => "days",
        Kind::Metric => "[metric](#metrics)",
        Kind::Query => "query",
        Kind::Reference => "reference",
        Kind::Url => "URL",
        Kind::Choice(_) => "word",
        Kind::Texts => "texts",
        Kind::Names => "names",
        Kind::Shares => "shares",
        Kind::Any => "any",
        Kind::Table(_) | Kind::Tables(_) | Kind::Map(_) => {
            let many = if matches!(kind, Kind::Table(_)) { "table" } else { "tables" };
            let Some(child) = child else {
                return if matches!(kind, Kind::Map(Kind::Text)) {
                    "table of texts"
                } else {
                    "table"
                }
                .to_owned();
            };
            let home = all.iter().find(|home| std::ptr::eq(home.shape, child.shape));
            let home = home.expect("every shape has a section");
            return format!("[{many}](#{})", anchor(&home.title()));
        }
    };
    word.to_owned()
}

/// What there is to know about a key besides its row.
fn note(key: &Key) -> Option<String> {
    let mut text = String::new();
    if let Kind::Choice(words) = key.kind {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        // Those that are explained one by one need not be listed.
        if !words.iter().all(|word| key.more.contains(word.as_str())) {
            let (last, others) = words.split_last().expect("a choice has words");
            text = format!("{} or {last}. ", others.join(", "));
        }
    }
    text.push_str(key.more);
    (!text.is_empty()).then(|| format!("`{}`: {}", key.name, text.trim_end()))
}

fn metrics(page: &mut Page) {
    page.heading(2, "Metrics");
    page.paragraph(
        "What `metric` may be, measured by the orchestrator itself. A bound is written in the unit \
         of its metric.",
    );
    let schema = schema_for!(Metric);
    let words = schema.get("oneOf").and_then(Value::as_array).expect("every metric is described");
    let mut notes = Vec::new();
    let rows = Metric::ALL.map(|(_, name, unit)| {
        let word = words.iter().find(|word| word["const"] == name).expect("it is described");
        let doc = word["description"].as_str().expect("it is described");
        let bound = match unit {
            Unit::Ratio => "`\"5%\"`",
            Unit::Milliseconds => "`\"500ms\"`",
            Unit::Seconds => "`\"24h\"`",
            Unit::PerMinute | Unit::Number => "`10000`",
        };
        let [name, bound] = [format!("`{name}`"), bound.to_owned()];
        let (doc, more) = kept::divided(&[name.clone(), bound.clone()], doc);
        if !more.is_empty() {
            notes.push(format!("{name}: {more}"));
        }
        [name, bound, doc]
    });
    page.table(["metric", "a bound", "meaning"], &rows);
    page.list(&notes);
}

#[test]
fn the_kept_document_of_plans_is_up_to_date() {
    kept::check_below_mark("docs/plan.md", &text());
}

#[test]
fn every_table_has_an_example() {
    for section in plan() {
        assert!(example(&section.heading).is_some(), "{}", section.heading);
    }
    let marks = EXAMPLES.lines().filter_map(|line| line.strip_prefix("# --- "));
    for mark in marks {
        assert!(plan().iter().any(|section| section.heading == mark), "there is no {mark}");
    }
}

/// That the parts of the plan are without a fault is shown by `tests/it/plan/files.rs`.
#[test]
fn every_key_is_in_an_example() {
    fn look(section: &Section, value: &toml::Value, used: &mut Vec<(*const Shape, String)>) {
        let toml::Value::Table(table) = value else {
            value.as_array().into_iter().flatten().for_each(|item| look(section, item, used));
            return;
        };
        for (name, value) in table {
            used.push((section.shape, name.clone()));
            let key = section.shape.key(name).expect("the plan is without faults");
            let Some(child) = section.child(key) else { continue };
            if let (Kind::Map(_), toml::Value::Table(entries)) = (key.kind, value) {
                entries.values().for_each(|entry| look(&child, entry, used));
            } else {
                look(&child, value, used);
            }
        }
    }
    let mut used = Vec::new();
    look(&plan()[0], &toml::from_str(EXAMPLES).unwrap(), &mut used);
    for section in plan() {
        for key in section.shape.keys {
            let is = |(shape, name): &(*const Shape, String)| {
                std::ptr::eq(*shape, section.shape) && name == key.name
            };
            assert!(used.iter().any(is), "{}: `{}` is in no example", section.heading, key.name);
        }
    }
}

#[test]
fn every_anchor_is_there() {
    let page = text();
    let headings: Vec<String> = page
        .lines()
        .filter_map(|l| l.strip_prefix('#'))
        .map(|l| anchor(l.trim_start_matches(['#', ' '])))
        .collect();
    for to in page.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(headings.iter().any(|heading| heading == to), "#{to}");
    }
}
