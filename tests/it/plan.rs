//! Plans as an operator meets them: files on disk, and the messages about them.

use std::path::{Path, PathBuf};

/// Every plan of the repository, wherever in `plans/` it lies.
fn plans() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let folders = [root.clone(), root.join("examples")];
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let paths = files.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect()
}

#[test]
fn every_plan_of_the_repository_is_without_faults() {
    let plans = plans();
    assert!(plans.len() >= 2, "{plans:?}");
    for path in plans {
        if let Err(failure) = ctx::plan::load(&path) {
            panic!("{}\n{}", failure.what, failure.why.join("\n"));
        }
    }
}
