//! Plans as an operator meets them: files on disk, and the messages about them.

mod faults;
mod files;
mod laws;

use std::io;

use ctx::plan::{self, Fault, Plan};

/// What every plan begins with; eight lines.
const HEAD: &str = r#"schema = 1
[plan]
name = "shop"
[orchestrator]
url = "http://127.0.0.1:7700"
token = "env:CTX_TOKEN"
[guards]
errors = { metric = "error_rate", max = "5%" }
"#;

/// A phase with the beginning of a step; `id` is on line 12.
const STEP: &str = "[[phase]]\nid = \"one\"\n[[phase.step]]\nid = \"first\"\n";

/// An extension's manifest.
const MANIFEST: &str = r#"
id = "linear-integration"
name = "Linear"
version = "1.0.0"
category = "platform_integration"
platform = "linear"
upstream = "legacy"
path = "/linear/events"
"#;

/// A suite in a file of its own.
const SUITE: &str = r#"
id = "smoke"
kind = "functional"
[[case]]
name = "the service answers"
path = "/"
"#;

fn parse(text: &str) -> Result<Plan, Vec<Fault>> {
    plan::parse("plans/shop.toml", text, &|file| match file {
        "linear.toml" => Ok(MANIFEST.to_owned()),
        "suites/smoke.toml" => Ok(SUITE.to_owned()),
        "suites/odd.toml" => {
            Ok("id = \"odd\"\nkind = \"functional\"\n[[case]]\nname = \"n\"\npaht = \"/\"\n"
                .to_owned())
        }
        "suites/broken.toml" => Ok("id = \"broken\nkind = 1\n".to_owned()),
        "odd.toml" => Ok("id = \"odd\"\ncolour = \"red\"\n".to_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    })
}

/// `LINE:COLUMN MESSAGE` of each fault of `text`.
fn faults(text: &str) -> Vec<String> {
    let faults = parse(text).err().unwrap_or_default();
    faults.iter().map(|f| format!("{}:{} {}", f.line, f.column, f.message)).collect()
}
