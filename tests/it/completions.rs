//! The completion scripts in `completions/` are those that this ctx prints.

use std::path::Path;

use clap::ValueEnum;
use ctx::cli::completions::Shell;

#[test]
fn completion_scripts_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
    for shell in Shell::value_variants() {
        let file = folder.join(shell.file());
        let stored = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            stored == shell.script(),
            "completions/{} is stale; regenerate: cargo run -- completions --write completions",
            shell.file()
        );
    }
}
