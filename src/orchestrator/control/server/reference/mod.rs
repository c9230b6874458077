//! `docs/api.md`: every operation and every type of the control API, made from the table of routes
//! and the `OpenAPI` document.
//!
//! Law: the page says what the document says. What is written by hand stands above the mark in the
//! page itself, and `tests/it/api.rs` runs it.

mod types;

use std::collections::BTreeSet;

use serde_json::Value;

use self::types::{Types, described, kind, references};
use super::openapi::{document, parameter, problems};
use super::routes::{Content, Parameter, ROUTES, Route};
use super::subjects::{SUBJECTS, subject};
use crate::control::config::Config;
use crate::control::wire::ProblemCode;
use crate::kept::{self, Page, anchor};

/// The last chapters.
const CONFIGURATION: &str = "The configuration";
const TEXTS: &str = "Texts with a form";
const PARAMETERS: &str = "Headers and parameters";
const PROBLEMS: &str = "Problems";

/// Every parameter, in the order of the page.
const ALL_PARAMETERS: [Parameter; 10] = [
    Parameter::Fence,
    Parameter::MaybeFence,
    Parameter::Key,
    Parameter::IfMatch,
    Parameter::Rev,
    Parameter::Letter,
    Parameter::KeyPath,
    Parameter::From,
    Parameter::After,
    Parameter::TakenBack,
];

fn text() -> String {
    let document = document();
    let all = document["components"]["schemas"].as_object().expect("it has types").clone();
    let first = serde_json::to_value(Config::legacy("http://127.0.0.1:8000")).expect("plain data");
    let mut types = Types { left: BTreeSet::new(), all, first };
    let of_config = types.below("Config");
    // These have chapters of their own.
    let elsewhere = |name: &String| {
        of_config.contains(name) || types.is_short(name) || name.starts_with("Problem")
    };
    types.left = types.all.keys().filter(|name| !elsewhere(name)).cloned().collect();

    let mut page = Page::default();
    overview(&mut page);
    for of in SUBJECTS {
        page.heading(2, of.name);
        page.paragraph(of.about);
        let routes: Vec<&Route> = ROUTES.iter().filter(|r| subject(r).name == of.name).collect();
        for route in &routes {
            operation(&mut page, route, &document);
        }
        for route in routes {
            let operation = &document["paths"][route.path][route.method];
            let mut named = BTreeSet::new();
            references(operation, &mut named);
            for name in types.reached(&named) {
                if types.left.remove(&name) {
                    types.describe(&mut page, 3, &name);
                }
            }
        }
    }
    assert!(types.left.is_empty(), "no operation leads to {:?}", types.left);
    configuration(&mut page, &types, &of_config);
    short_types(&mut page, &types);
    parameters(&mut page);
    all_problems(&mut page, &types);
    page.into_text()
}

fn overview(page: &mut Page) {
    page.heading(2, "All operations");
    let chapters = SUBJECTS.iter().map(|s| format!("[{}](#{})", s.name, anchor(s.name)));
    let others =
        [CONFIGURATION, TEXTS, PARAMETERS, PROBLEMS].map(|h| format!("[{h}](#{})", anchor(h)));
    page.paragraph(&format!("{}.", listed(&chapters.chain(others).collect::<Vec<_>>())));
    let of = |name: &'static str| ROUTES.iter().filter(move |r| subject(r).name == name);
    let row = |route: &Route| [format!("`{}`", heading(route)), route.summary.to_owned()];
    let rows: Vec<_> = SUBJECTS.iter().flat_map(|s| of(s.name)).map(row).collect();
    page.table(["operation", "what it does"], &rows);
}

/// `PUT /v1/lease`.
fn heading(route: &Route) -> String {
    format!("{} {}", route.method.to_uppercase(), route.path)
}

fn operation(page: &mut Page, route: &Route, document: &Value) {
    page.heading(3, &format!("`{}`", heading(route)));
    page.paragraph(format!("{}. {}", route.summary, route.about).trim());
    let operation = &document["paths"][route.path][route.method];
    let mut items = Vec::new();
    if route.open {
        items.push("**Who**: anybody, without a token.".to_owned());
    }
    let sent: Vec<String> = route.parameters.iter().map(|p| sends(*p)).collect();
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    let body = (!body.is_null()).then(|| format!("a body, {}", kind(body)));
    let sent: Vec<String> = sent.into_iter().chain(body).collect();
    if !sent.is_empty() {
        items.push(format!("**Sends** {}.", listed(&sent)));
    }
    for (status, content) in route.replies {
        let reply = &operation["responses"][status.to_string()];
        let with = match content {
            Content::Nothing => "nothing".to_owned(),
            Content::Text(of) | Content::Bytes(of) => format!("`{of}`"),
            Content::Json(_) => kind(&reply["content"]["application/json"]["schema"]),
            Content::Tagged(_) => {
                format!("{}, with `ETag`", kind(&reply["content"]["application/json"]["schema"]))
            }
        };
        let why = if route.replies.len() > 1 {
            format!("; {}", reply["description"].as_str().unwrap_or_default())
        } else {
            String::new()
        };
        items.push(format!("**{status}**: {with}{why}."));
    }
    for (status, codes) in problems(route) {
        let own: Vec<String> = codes
            .iter()
            .filter(|code| route.problems.contains(code))
            .map(|code| format!("`{}`", code.name()))
            .collect();
        if !own.is_empty() {
            items.push(format!("**{status}**: {}.", listed(&own)));
        }
    }
    page.list(&items);
}

fn sends(of: Parameter) -> String {
    let told = parameter(of);
    let name = told["name"].as_str().expect("a parameter has a name");
    let optional = if told["required"] == true { "" } else { " (may be left out)" };
    match told["in"].as_str() {
        Some("path") => format!("`{{{name}}}`"),
        Some("query") => format!("`?{name}=`{optional}"),
        _ => format!("`{name}`{optional}"),
    }
}

fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    }
}

/// The document that a revision holds: what the steps of a plan change, by dotted path.
fn configuration(page: &mut Page, types: &Types, names: &[String]) {
    page.heading(2, CONFIGURATION);
    page.paragraph(
        "The document of every revision, and what a plan's `set` assigns by dotted path: \
         `cache.ttl` is the field `ttl` of `cache`, `routes.home.shadow` a field of the entry `home` \
         of `routes`. `upstreams`, `routes`, `flags` and `extensions` take whole entries too.",
    );
    let entries = |map: &str| {
        let keys = types.first[map].as_object().expect("it is a map").keys();
        listed(&keys.map(|key| format!("`{key}`")).collect::<Vec<_>>())
    };
    page.paragraph(&format!(
        "*At first* is what `ctx serve` begins with: everything goes to `legacy`. Then there are the \
         routes {} and the flags {}, all of them off; [flags.md](flags.md) says what each does.",
        entries("routes"),
        entries("flags")
    ));
    for name in names.iter().filter(|name| !types.is_short(name)) {
        types.describe(page, 3, name);
    }
}

fn short_types(page: &mut Page, types: &Types) {
    page.heading(2, TEXTS);
    for name in types.all.keys().filter(|name| types.is_short(name)) {
        let schema = &types.all[name];
        page.heading(3, &format!("`{name}`"));
        // One that is longer than a line helps nobody here; it stands in the document.
        let form = schema["pattern"].as_str().filter(|pattern| pattern.len() < 100);
        let form = form.map(|form| format!(" As a regular expression: `{form}`"));
        let form = form.unwrap_or_default();
        page.paragraph(&format!("{}{form}", described(schema)));
    }
}

fn parameters(page: &mut Page) {
    page.heading(2, PARAMETERS);
    let row = |of: Parameter| {
        let told = parameter(of);
        let word = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
        let given = if told["required"] == true { "always" } else { "" };
        [format!("`{}`", word("name")), word("in"), given.to_owned(), word("description")]
    };
    page.table(["name", "where", "given", "meaning"], &ALL_PARAMETERS.map(row));
}

fn all_problems(page: &mut Page, types: &Types) {
    page.heading(2, PROBLEMS);
    page.paragraph(
        "Every refusal is a `Problem` as `application/problem+json` (RFC 9457). An operation names \
         those of its own; these come with the kind of the operation: `unauthorized`, `forbidden`, \
         `bad_request`, `too_large`, `unsupported_media_type`, `precondition_required` where a \
         header is missing, `method_not_allowed`, and `store_failed`. `ctx help CODE` says the same.",
    );
    let mut items = Vec::new();
    for code in ProblemCode::ALL {
        items.push(format!("`{}` ({}): {}", code.name(), code.status(), code.meaning()));
    }
    page.list(&items);
    types.describe(page, 3, "Problem");
}

#[test]
fn the_kept_document_of_the_api_is_up_to_date() {
    kept::check_below_mark("docs/api.md", &text());
}

#[test]
fn every_link_within_the_page_leads_somewhere() {
    let page = text();
    let headings = page.lines().filter_map(|line| line.strip_prefix('#'));
    let there: Vec<String> = headings.map(|h| anchor(h.trim_start_matches(['#', ' ']))).collect();
    for to in page.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(there.iter().any(|heading| heading == to), "#{to}");
    }
    for heading in &there {
        assert_eq!(there.iter().filter(|other| *other == heading).count(), 1, "two of #{heading}");
    }
}

/// Tables with a head such as `inbox.` say what the configuration is at first.
#[test]
fn tables_that_are_written_by_hand_agree() {
    let first = serde_json::to_value(Config::legacy("http://127.0.0.1:8000")).unwrap();
    for (page, fewest) in [("docs/inbox.md", 8), ("docs/self-healing.md", 16)] {
        let mut seen = 0;
        for (head, name, told) in kept::defaults(page) {
            let Some(section) = head.strip_suffix('.').and_then(|key| first.get(key)) else {
                continue;
            };
            let value = section.get(&name).unwrap_or_else(|| panic!("{page}: no {head}{name}"));
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(told, value, "{page}: {head}{name}");
            seen += 1;
        }
        assert!(seen >= fewest, "{page}: {seen} defaults");
    }
}
