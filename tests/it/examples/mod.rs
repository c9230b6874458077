//! Every example of every `--help`, typed on a terminal of 80 columns as an operator types it.
//!
//! A script is a list of [`Act`](act::Act)s: a line as `--help` prints it, what happens before it,
//! what is answered to its question, how it ends and what it shows. A [`Scene`](scene::Scene) is the
//! project in which they are typed, one after the other: with a plan, a ledger, and `ctx serve` in
//! front of a legacy app. Lines are given to a shell as they are, but for what is known only in the
//! scene, such as ports and the ids of runs; the tables are in `scene.rs`.
//!
//! How to add one: the example to `after_help` of its command, and an act to the script of its area.

mod act;
mod asking;
mod deciding;
mod migrating;
mod reading;
mod scene;
mod service;
mod starting;
mod writing;

use std::collections::BTreeSet;

use crate::help::{built, each, examples};

/// Every script.
const SCRIPTS: [&[act::Act]; 13] = [
    asking::SCRIPT,
    deciding::CANARY,
    deciding::LOCK,
    migrating::SCRIPT,
    reading::SCRIPT,
    service::EVENTS,
    service::EXTENSIONS,
    service::FLAGS,
    service::SCRIPT,
    starting::INIT,
    starting::REHEARSE,
    starting::SERVE,
    writing::SCRIPT,
];

#[test]
fn every_example_is_typed_and_nothing_else() {
    let mut printed = BTreeSet::new();
    each(&built(), "ctx", &mut |command, _| printed.extend(examples(command)));
    let typed: BTreeSet<String> =
        SCRIPTS.iter().flat_map(|script| script.iter()).map(|act| act.line.to_owned()).collect();
    let missing: Vec<_> = printed.difference(&typed).collect();
    assert!(missing.is_empty(), "no script types these examples: {missing:#?}");
    let unknown: Vec<_> = typed.difference(&printed).collect();
    assert!(unknown.is_empty(), "no `--help` prints what a script types: {unknown:#?}");
}
