//! What holds for every plan: its hash, its size, and that no text makes the parser panic.

use ctx::plan::{self, render};
use proptest::prelude::*;

use super::{HEAD, STEP, faults, parse};

#[test]
fn a_phase_is_hashed_by_what_it_means() {
    let body = format!("{STEP}soak = \"1h\"\n");
    let hash = |text: &str| {
        let plan = parse(text).expect("no faults");
        plan::phase_hash(&plan.phases[0], &plan.guards, &plan.suites)
    };
    let first = hash(&format!("{HEAD}{body}"));
    let same = [
        format!("# moved by a comment\n\n{HEAD}{}", body.replace(" = ", "   =   ")),
        format!("{HEAD}{}", body.replace("1h", "60m")),
        format!("{HEAD}{body}[[phase]]\nid = \"two\"\nstep = [{{ id = \"a\", backup = true }}]\n"),
        format!(
            "{HEAD}{body}[[suite]]\nid = \"s\"\nkind = \"functional\"\ncase = [{{ name = \"n\", path = \"/\" }}]\n"
        ),
    ];
    for text in same {
        assert_eq!(hash(&text), first, "{text}");
    }
    for text in [
        format!("{HEAD}{}", body.replace("1h", "2h")),
        format!("{}{body}", HEAD.replace("5%", "6%")),
    ] {
        assert_ne!(hash(&text), first, "{text}");
    }
}

#[test]
fn a_thousand_steps_parse() {
    let step = |n| format!("[[phase.step]]\nid = \"s{n}\"\nset = {{ \"cache.ttl\" = \"{n}s\" }}\n");
    let steps: String = (1..=1000).map(step).collect();
    let plan = parse(&format!("{HEAD}[[phase]]\nid = \"one\"\n{steps}")).expect("no faults");
    assert_eq!(plan.phases[0].steps.len(), 1000);
}

#[test]
fn too_much_is_refused() {
    let huge = " ".repeat(plan::MAX_BYTES + 1);
    assert_eq!(faults(&huge), ["1:1 the plan is larger than 1 MiB"]);
    let deep =
        format!("{HEAD}{STEP}set = {{ a = {}1{} }}\n", "[".repeat(50_000), "]".repeat(50_000));
    assert!(!faults(&deep).is_empty());
}

#[test]
fn too_many_things_are_refused_at_once() {
    let ramp = (0..2001).map(|n| format!("\"{}.{:02}%\"", n / 100, n % 100));
    let ramp = ramp.collect::<Vec<_>>().join(",");
    let ramp = format!("{HEAD}{STEP}ramp = {{ flag = \"auto_scaling\", to = [{ramp}] }}\n");
    assert_eq!(faults(&ramp), ["13:38 2001 entries are more than 2000"]);
    let steps = "[[phase.step]]\n".repeat(60_000);
    let steps = format!("{HEAD}[[phase]]\nid = \"one\"\n{steps}");
    assert_eq!(faults(&steps).len(), 1);
    let step = "[[phase.step]]\na = 1\nb = 1\nc = 1\n".repeat(1900);
    let many = format!("[[phase]]\n{step}").repeat(4);
    let many = faults(&format!("{HEAD}{many}"));
    assert!(many[0].ends_with("the plan has more than 20000 values"), "{many:?}");
}

/// Pieces of plans, so that random texts get past the first line.
const PIECES: [&str; 30] = [
    "[[phase]]\n",
    "[[phase.step]]\n",
    "[phase.step.set]\n",
    "[guards.a]\n",
    "[[suite]]\n",
    "[[suite.case]]\n",
    "[[criterion]]\n",
    "[backup]\n",
    "id = \"a\"\n",
    "soak = \"1h\"\n",
    "metric = \"cpu\"\n",
    "max = \"5%\"\n",
    "max = 0.5\n",
    "days = \"1-2\"\n",
    "step = [{}]\n",
    "run = { do = [\"a\"], undo = [\"b\"] }\n",
    "test = [\"a\"]\n",
    "case = 1\n",
    "= [",
    "ramp = { flag = \"auto_scaling\", to = [\"5%\"] }\n",
    "\"cache.mode\" = \"read\"\n",
    "canary = { upstream = \"b\", url = \"http://b\", to = [\"5%\"] }\n",
    "\"\"\"",
    "irreversible = true\n",
    "install = \"linear.toml\"\n",
    "uninstall = \"linear-integration\"\n",
    "\"a\" = 1979-05-27\n",
    "call = { do = { url = \"/a\" } }\n",
    "kind = \"load\"\n",
    "load = { rate = 1, lasts = \"1s\" }\n",
];

/// Plans put together at random.
fn arrangements() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..24)
        .prop_map(|pieces| format!("{HEAD}{}", pieces.concat()))
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_arrangement_of_pieces_makes_the_parser_panic(text in arrangements()) {
        match parse(&text) {
            Ok(_) => {}
            Err(faults) => {
                prop_assert!(!faults.is_empty());
                for fault in &faults {
                    prop_assert!(!render::fault(fault, true).is_empty());
                }
            }
        }
    }

    #[test]
    fn no_bytes_make_the_edge_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("written");
        let _ = plan::load(file.path());
    }
}
