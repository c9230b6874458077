//! The defaults and ranges of the reference, held against what the reader makes of a plan.

use std::io;

use super::{Section, manifest, plan};
use crate::control::config::{Extension, Process};
use crate::kept;
use crate::plan::model::{Action, Category, Compare, CriterionCheck, Guard, Plan};
use crate::plan::parse;
use crate::plan::shape::{Key, Kind};
use crate::plan::usual::{Literal, Range, Usual};
use crate::units::{duration, size};

/// A plan that leaves out whatever may be left out.
const PLAIN: &str = r#"
schema = 1
plan = { name = "plain" }
orchestrator = { url = "http://127.0.0.1:7700" }
[metrics.prom]
url = "http://127.0.0.1:9090"
[guards.own]
metric = "latency_p95"
max = "1s"
[guards.asked]
query = "up"
max = "90%"
[guards.ranged]
query = "rate(up[2m])"
max = 1
[[phase]]
id = "one"
[[phase.step]]
id = "ramp"
ramp = { flag = "connection_pooling", to = ["5%"] }
[[phase.step]]
id = "long-ramp"
soak = "5m"
ramp = { flag = "connection_pooling", to = ["10%"] }
[[phase.step]]
id = "canary"
canary = { upstream = "next", url = "http://127.0.0.1:8001", to = ["5%"] }
[[phase.step]]
id = "run"
run = { do = ["true"], undo = ["true"] }
[[phase.step]]
id = "call"
call = { do = { url = "/a" }, undo = { url = "/b" } }
[[phase.step]]
id = "install"
install = "program.toml"
[[phase.milestone]]
id = "there"
title = "There"
[[criterion]]
id = "fast"
metric = "latency_p95"
max = "1s"
[[criterion]]
id = "works"
suite = "smoke"
[[criterion]]
id = "alike"
metric = "parity"
min = "99%"
[[risk]]
id = "loss"
title = "Loss"
[[suite]]
id = "smoke"
kind = "functional"
case = [
  { name = "read", path = "/" },
  { name = "write", path = "/", body = "x" },
  { name = "forged", path = "/", body = "x", sign_as = "github", signature = "wrong" },
]
[alerts]
chat = { webhook = "env:CHAT" }
oncall = { pagerduty = "env:KEY" }
am = { alertmanager = "http://127.0.0.1:9093" }
log = { command = ["logger"] }
"#;

/// An extension that leaves out whatever may be left out.
const PROGRAM: &str = r#"
id = "program"
name = "Program"
version = "1.0.0"
category = "event_processor"
platform = "linear"
command = ["true"]
config_schema = { a = { type = "string" } }
"#;

/// What a key of the table needs around it to be read.
const AROUND: [(&str, &str); 12] = [
    ("Top level", ""),
    ("[guards.NAME]", "[guards.g]\nmetric = \"cpu\"\nmax = \"90%\"\n"),
    (
        "[phase.step.canary]",
        "[[phase.step]]\nid = \"s\"\n[phase.step.canary]\nupstream = \"next\"\n\
         url = \"http://127.0.0.1:1\"\nto = [\"5%\"]\n",
    ),
    (
        "[phase.step.run]",
        "[[phase.step]]\nid = \"s\"\n[phase.step.run]\ndo = [\"a\"]\nundo = [\"a\"]\n",
    ),
    (
        "[phase.step.call]",
        "[[phase.step]]\nid = \"s\"\n[phase.step.call]\ndo = { url = \"/\" }\nundo = { url = \"/\" }\n",
    ),
    ("[[criterion]]", "[[criterion]]\nid = \"c\"\nmetric = \"error_rate\"\nmax = \"1%\"\n"),
    (
        "[suite.case.expect]",
        "[[suite]]\nid = \"s\"\nkind = \"functional\"\n[[suite.case]]\nname = \"c\"\npath = \"/\"\n\
         [suite.case.expect]\n",
    ),
    (
        "[suite.load]",
        "[[suite]]\nid = \"s\"\nkind = \"load\"\n[[suite.case]]\nname = \"c\"\npath = \"/\"\n\
         [suite.load]\nrate = 1\nlasts = \"1s\"\n",
    ),
    ("[alerts.NAME]", "[alerts.a]\nwebhook = \"env:CHAT\"\n"),
    ("An extension's manifest", ""),
    ("[limits]", "[limits]\n"),
    ("[replicas]", "[replicas]\n"),
];

fn read(text: &str, program: &str) -> Result<Plan, Vec<String>> {
    let file = |name: &str| match name {
        "program.toml" => Ok(program.to_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    let plan = parse("truth.toml", text, &file);
    plan.map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn plain() -> Plan {
    read(PLAIN, PROGRAM).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn key(heading: &str, name: &str) -> &'static Key {
    let mut all = plan().into_iter().chain(manifest());
    let section = all.find(|section| section.heading == heading);
    section
        .and_then(|section| section.shape.key(name))
        .unwrap_or_else(|| panic!("{heading} {name}"))
}

/// What the reader makes of keys that are left out, as a plan would say it.
fn left_out() -> Vec<(&'static str, &'static str, String)> {
    let plan = plain();
    let (phase, guard) = (&plan.phases[0], &plan.guards[0]);
    let action = |step: &str| &phase.steps.iter().find(|s| s.id.as_str() == step).unwrap().action;
    let Action::Canary { compare, .. } = action("canary") else { panic!("{phase:?}") };
    let Action::Run { timeout: run, .. } = action("run") else { panic!("{phase:?}") };
    let Action::Call { timeout: call, request, .. } = action("call") else { panic!("{phase:?}") };
    let Action::Install { assignment } = action("install") else { panic!("{phase:?}") };
    let CriterionCheck::Metric { window, min_samples, .. } = &plan.criteria[0].check else {
        panic!("{:?}", plan.criteria)
    };
    let extension: Extension = serde_json::from_value(assignment.value.clone()).unwrap();
    let Process { limits, replicas, start_timeout, config_schema, .. } =
        extension.process().unwrap();
    let &Compare { max_error_increase, max_latency_ratio, max_tail_ratio, min_samples: few } =
        compare;
    let Guard { breaches, min_samples: least, patience, on_no_data, .. } = guard;
    let pager = plan.alerts.iter().find(|sink| sink.to.kind() == "pagerduty").unwrap();
    let word = |value: serde_json::Value| value.as_str().unwrap().to_owned();
    let stays = |key: &str| {
        // Without its undo, and without the word that would let it be.
        let text = PLAIN.replace(", undo = [\"true\"]", "");
        assert!(!text.contains(key));
        read(&text, PROGRAM).is_ok().to_string()
    };
    vec![
        ("[guards.NAME]", "for", breaches.to_string()),
        ("[guards.NAME]", "min_samples", least.to_string()),
        ("[guards.NAME]", "patience", duration::format(*patience)),
        ("[guards.NAME]", "on_no_data", word(serde_json::json!(on_no_data))),
        ("[[phase]]", "on_failure", word(serde_json::json!(phase.on_failure))),
        ("[[phase]]", "irreversible", stays("irreversible")),
        ("[[phase.step]]", "irreversible", stays("irreversible")),
        ("[[phase.step]]", "soak", duration::format(phase.steps[0].soak)),
        (
            "[phase.step.canary]",
            "max_error_increase",
            Literal::Share(max_error_increase).to_string(),
        ),
        ("[phase.step.canary]", "max_latency_ratio", max_latency_ratio.to_string()),
        ("[phase.step.canary]", "max_tail_ratio", max_tail_ratio.to_string()),
        ("[phase.step.canary]", "min_samples", few.to_string()),
        ("[phase.step.run]", "timeout", duration::format(*run)),
        ("[phase.step.call]", "timeout", duration::format(*call)),
        ("[phase.step.call.do]", "method", request.method.clone()),
        ("[[criterion]]", "window", duration::format(*window)),
        ("[[criterion]]", "min_samples", min_samples.to_string()),
        ("[[risk]]", "severity", word(serde_json::json!(plan.risks[0].severity))),
        ("[[suite.case]]", "signature", plan.suites[0].cases[0].signature.name().to_owned()),
        ("[[suite.case]]", "repeat", plan.suites[0].cases[0].repeat.to_string()),
        ("[alerts.NAME]", "timeout", duration::format(pager.timeout)),
        ("[alerts.NAME]", "url", word(serde_json::json!(pager.to)["pagerduty"]["url"].clone())),
        ("An extension's manifest", "start_timeout", duration::format(*start_timeout)),
        ("[limits]", "memory", size::format(limits.memory)),
        ("[limits]", "open_files", limits.open_files.to_string()),
        ("[limits]", "timeout", duration::format(limits.timeout)),
        ("[limits]", "in_flight", limits.in_flight.to_string()),
        ("[limits]", "queue", limits.queue.to_string()),
        ("[limits]", "wait", duration::format(limits.wait)),
        ("[replicas]", "min", replicas.min.to_string()),
        ("[config_schema.NAME]", "required", config_schema["a"].required.to_string()),
    ]
}

#[test]
fn every_default_is_what_a_plan_without_the_key_means() {
    let rows = left_out();
    for (heading, name, means) in &rows {
        let Usual::Is(usual) = key(heading, name).usual else { panic!("{heading} {name}") };
        assert_eq!(usual.to_string(), *means, "{heading} {name}");
    }
    for Section { heading, shape, .. } in plan().into_iter().chain(manifest()) {
        for key in shape.keys.iter().filter(|key| matches!(key.usual, Usual::Is(_))) {
            let row = rows.iter().any(|(table, name, _)| *table == heading && *name == key.name);
            assert!(row, "{heading} {} is not read here", key.name);
        }
    }
}

#[test]
fn what_depends_on_other_keys_is_as_it_is_told() {
    let plan = plain();
    let told = |heading, name, expect: &str| {
        let Usual::Said(words) = key(heading, name).usual else { panic!("{heading} {name}") };
        assert_eq!(words, expect, "{heading} {name}");
    };
    told("[plan]", "title", "the name");
    assert_eq!(plan.title, plan.name.as_str());
    told("[[phase]]", "title", "the id");
    let phase = &plan.phases[0];
    assert_eq!(phase.title, phase.id.as_str());
    told("[[phase.milestone]]", "after", "the end of the phase");
    assert_eq!(plan.milestones[0].after, None);
    told("[phase.step.ramp]", "soak", "the step's");
    assert_eq!(phase.steps[1].soak, std::time::Duration::from_secs(300));

    told("[guards.NAME]", "every", "1s, or the query's");
    let every: Vec<String> = plan.guards.iter().map(|g| duration::format(g.every)).collect();
    assert_eq!(every, ["1s", "15s", "2m"]);
    told("[guards.NAME]", "from", "the only one");
    told("[guards.NAME]", "unit", "as the bound");
    let asked = |n: usize| plan.guards[n].measure.query().unwrap();
    assert_eq!(asked(1).from, "prom");
    assert_eq!([1, 2].map(|n| serde_json::json!(asked(n).unit)), ["ratio", "number"]);

    told("[[criterion]]", "category", "as its metric");
    let category: Vec<Category> = plan.criteria.iter().map(|c| c.category).collect();
    assert_eq!(category, [Category::Performance, Category::Functionality, Category::Functionality]);

    told("[[suite.case]]", "method", "POST with a `body`, else GET");
    told("[suite.case.expect]", "status", "200, or 401 when spoilt");
    let cases = plan.suites[0].cases.iter();
    let cases: Vec<_> = cases.map(|c| (c.request.method.as_str(), c.expect.status)).collect();
    assert_eq!(cases, [("GET", 200), ("POST", 200), ("POST", 401)]);

    told("[alerts.NAME]", "from", "by the sink");
    let from: Vec<_> = plan.alerts.iter().map(|s| (s.to.kind(), s.from.name())).collect();
    let expect = [
        ("webhook", "info"),
        ("pagerduty", "error"),
        ("alertmanager", "warning"),
        ("command", "info"),
    ];
    assert_eq!(from, expect);
}

/// The pages on guards, canaries and extensions have tables of their own.
#[test]
fn tables_that_are_written_by_hand_agree() {
    for (page, heading, fewest) in [
        ("docs/guards.md", "[guards.NAME]", 4),
        ("docs/canary.md", "[phase.step.canary]", 4),
        ("docs/extensions.md", "An extension's manifest", 8),
    ] {
        let mut seen = 0;
        for (_, name, told) in kept::defaults(page) {
            // `limits.memory` is in the table below.
            let (heading, name) = match name.split_once('.') {
                Some((table, name)) => (format!("[{table}]"), name.to_owned()),
                None => (heading.to_owned(), name),
            };
            let mut all = plan().into_iter().chain(manifest());
            let section = all.find(|section| section.heading == heading);
            let key = section.and_then(|section| section.shape.key(&name));
            if let Some(Key { usual: Usual::Is(usual), .. }) = key {
                assert_eq!(told, usual.to_string(), "{page}: {heading} {name}");
                seen += 1;
            }
        }
        assert!(seen >= fewest, "{page}: {seen} defaults");
    }
}

/// Values at both ends of a range, and those next to them outside.
fn ends(kind: Kind, range: Range) -> (Vec<String>, Vec<String>) {
    let quoted = |text: &str| format!("\"{text}\"");
    let none = || match kind {
        Kind::Duration => quoted("0s"),
        Kind::Size => quoted("0KiB"),
        _ => "0".to_owned(),
    };
    let some = || match kind {
        Kind::Duration => quoted("1ms"),
        Kind::Size => quoted("1KiB"),
        _ => "0.001".to_owned(),
    };
    let below = |end: Literal| match end {
        Literal::Count(count) => (count - 1).to_string(),
        Literal::Number(number) => (number - 0.001).to_string(),
        other => panic!("{other}"),
    };
    let above = |end: Literal| match end {
        Literal::Count(count) => (count + 1).to_string(),
        Literal::Lasts(lasts) => quoted(&format!("{}1ms", duration::format(lasts))),
        other => panic!("{other}"),
    };
    match range {
        Range::All => (Vec::new(), Vec::new()),
        Range::AboveZero => (vec![some()], vec![none()]),
        Range::UpTo(most) => (vec![some(), quoted(&most.to_string())], vec![none(), above(most)]),
        Range::From(least) => (vec![least.to_string()], vec![below(least)]),
        Range::Between(least, most) => {
            (vec![least.to_string(), most.to_string()], vec![below(least), above(most)])
        }
    }
}

#[test]
fn every_range_is_what_the_reader_takes() {
    let base = "schema = 1\nplan = { name = \"a\" }\norchestrator = { url = \"http://127.0.0.1:1\" }\n\
                [[phase]]\nid = \"p\"\n[[phase.step]]\nid = \"first\"\ninstall = \"program.toml\"\n";
    let program = |line: &str| PROGRAM.replace("config_schema", &format!("{line}config_schema"));
    let mut seen = 0;
    for (n, Section { heading, shape, .. }) in plan().into_iter().chain(manifest()).enumerate() {
        let of_plan = n < plan().len();
        for key in shape.keys {
            let (inside, outside) = ends(key.kind, key.range);
            let values = inside.into_iter().map(|v| (v, true));
            for (value, taken) in values.chain(outside.into_iter().map(|v| (v, false))) {
                let around = AROUND.iter().find(|(name, _)| *name == heading);
                let around = around.unwrap_or_else(|| panic!("nothing is around {heading}")).1;
                let line = format!("{} = {value}\n", key.name);
                // The lines that say nothing of this key.
                let others = |text: &str| {
                    let own = format!("{} = ", key.name);
                    let others = text.lines().filter(|line| !line.starts_with(&own));
                    others.collect::<Vec<_>>().join("\n") + "\n"
                };
                let read = if of_plan && around.is_empty() {
                    read(&(line + &others(base)), PROGRAM)
                } else if of_plan {
                    read(&(base.to_owned() + &others(around) + &line), PROGRAM)
                } else if around.is_empty() {
                    read(base, &program(&line))
                } else {
                    read(base, &format!("{PROGRAM}{around}{line}"))
                };
                assert_eq!(read.is_ok(), taken, "{heading} {} = {value}: {read:?}", key.name);
                seen += 1;
            }
        }
    }
    assert!(seen > 30, "{seen}");
}
