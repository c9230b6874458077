//! The text of a plan.

use std::io;

use ctx::plan::preview::Preview;
use ctx::plan::{self, Fault, Plan, render};

/// The extension's manifest that plans may name.
pub const MANIFEST: &str = r#"
id = "linear-integration"
name = "Linear"
version = "1.0.0"
category = "platform_integration"
platform = "linear"
upstream = "legacy"
path = "/linear/events"
"#;

/// Laws: it never panics; what is refused has at least one fault, each of which stands within
/// the text and can be shown; what is accepted is whole, small enough, reads the same twice, and
/// has a preview or a reason why not.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match parse(&text) {
        Ok(plan) => accepted(&text, &plan),
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a word");
            for fault in &faults {
                within(&text, fault);
            }
        }
    }
}

fn parse(text: &str) -> Result<Plan, Vec<Fault>> {
    // Manifests go through the same reader: any file of that name is the text itself.
    plan::parse("plans/fuzz.toml", text, &|file| match file {
        "odd.toml" => Ok(text.to_owned()),
        _ if file.contains("..") || file.starts_with('/') => panic!("`{file}` leaves the folder"),
        _ if file.contains('x') => Err(io::ErrorKind::NotFound.into()),
        _ => Ok(MANIFEST.to_owned()),
    })
}

fn accepted(text: &str, plan: &Plan) {
    assert!(text.len() <= plan::MAX_BYTES, "a plan of {} bytes is too large", text.len());
    assert_eq!(parse(text).as_ref(), Ok(plan), "read twice, it is another plan");
    let hashes = |plan: &Plan| -> Vec<String> {
        let hash = |phase| plan::phase_hash(phase, &plan.guards, &plan.suites);
        plan.phases.iter().map(hash).collect()
    };
    assert_eq!(hashes(plan), hashes(&plan.clone()));
    let shown = |plan| format!("{:?}", Preview::of(plan));
    assert_eq!(shown(plan), shown(plan), "two previews of one plan differ");
}

fn within(text: &str, fault: &Fault) {
    // A fault of a manifest stands within that.
    let text = if fault.file == "plans/fuzz.toml" { text } else { MANIFEST };
    let lines: Vec<&str> = text.split('\n').collect();
    assert!((1..=lines.len()).contains(&fault.line), "{fault}: there are {} lines", lines.len());
    let columns = lines[fault.line - 1].chars().count() + 1;
    assert!((1..=columns).contains(&fault.column), "{fault}: the line has {columns} columns");
    assert!(!fault.message.is_empty(), "{fault:?}");
    for color in [false, true] {
        assert!(!render::fault(fault, color).is_empty());
    }
    assert!(!render::cause(fault).is_empty());
}
