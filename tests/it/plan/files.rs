//! Plan files on disk, and what `ctx plan` prints about them.

use std::path::{Path, PathBuf};

use ctx::plan;

use super::{HEAD, MANIFEST, STEP};

/// Every plan of the repository, wherever in `plans/` it lies.
fn plans() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let folders = [root.clone(), root.join("examples")];
    let entries = folders.iter().flat_map(|f| std::fs::read_dir(f).expect("the folder is there"));
    let paths = entries.map(|entry| entry.expect("an entry is readable").path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect()
}

#[test]
fn every_plan_of_the_repository_is_without_faults() {
    let plans = plans();
    assert!(plans.len() >= 2, "{plans:?}");
    for path in plans {
        if let Err(failure) = plan::load(&path) {
            panic!("{}\n{}", failure.what, failure.why.join("\n"));
        }
    }
}

#[test]
fn a_file_that_gives_no_text_is_a_clear_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = plan::load(&folder.path().join("none.toml")).expect_err("it is missing");
    assert_eq!(missing.code.number(), 2);
    assert!(missing.what.starts_with("there is no plan file"), "{}", missing.what);
    let directory = plan::load(folder.path()).expect_err("it is a directory");
    assert!(directory.what.contains("is a directory"), "{}", directory.what);
    let path = folder.path().join("latin1.toml");
    std::fs::write(&path, b"schema = 1\n# caf\xe9\n").expect("written");
    let encoded = plan::load(&path).expect_err("it is not UTF-8");
    assert_eq!((encoded.code.number(), encoded.why.len()), (40, 1));
    assert!(encoded.why[0].ends_with("line 2"), "{}", encoded.why[0]);
}

#[test]
fn a_link_out_of_the_folder_is_not_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let outside = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(outside.path(), MANIFEST).expect("written");
    std::os::unix::fs::symlink(outside.path(), folder.path().join("ext.toml")).expect("linked");
    let path = folder.path().join("plan.toml");
    std::fs::write(&path, format!("{HEAD}{STEP}install = \"ext.toml\"\n")).expect("written");
    let failure = plan::load(&path).expect_err("the link leads out");
    assert_eq!(failure.code.number(), 40);
    assert!(failure.why[0].contains("leads out of the plan's folder"), "{}", failure.why[0]);
}

/// Runs ctx in `folder` and returns its exit code and stdout.
fn ctx(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ctx"));
    command.args(arguments).current_dir(folder).env_clear();
    let output = command.output().expect("ctx runs");
    (
        output.status.code().expect("it ended by itself"),
        String::from_utf8_lossy(&output.stdout).into(),
    )
}

#[test]
fn check_lists_faults_for_people_and_for_machines() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("plans")).expect("made");
    let path = folder.path().join("plans/shop.toml");
    std::fs::write(&path, format!("{HEAD}{STEP}backup = true\ncolour = 1\n")).expect("written");
    let (code, text) = ctx(folder.path(), &["plan", "check"]);
    assert_eq!(code, 40);
    assert!(text.ends_with("\nplans/shop.toml has 1 fault\n"), "{text}");
    let (code, text) = ctx(folder.path(), &["plan", "check", "--json"]);
    let faults: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!((code, &faults[0]["line"], &faults[0]["column"]), (40, &14.into(), &1.into()));
    let (code, _) = ctx(folder.path(), &["plan", "show"]);
    assert_eq!(code, 40);

    std::fs::write(&path, format!("{HEAD}{STEP}backup = true\n")).expect("written");
    let (code, text) = ctx(folder.path(), &["plan", "check"]);
    assert_eq!(code, 0);
    insta::assert_snapshot!(text, @"plans/shop.toml: no faults; 1 phase, 1 step, 1 guard, 0 criteria, 0 milestones, 0 suites");
    let (code, text) = ctx(folder.path(), &["plan", "show", "--phase", "2"]);
    assert_eq!((code, text.as_str()), (2, ""));
}

#[test]
fn the_schema_is_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, text) = ctx(folder.path(), &["plan", "schema"]);
    let schema: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(code, 0);
    assert_eq!(schema["properties"]["phase"]["type"], "array");
}

#[test]
fn a_preview_shows_what_changes_and_fits_the_terminal() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (code, shop) = ctx(root, &["plan", "show", "plans/examples/shop.toml"]);
    assert_eq!(code, 0);
    insta::assert_snapshot!(shop, @r"
    shop-checkout: The checkout behind the orchestrator
    1 phase, 4 steps, soaks of 55m, no point of no return

    Phase 1 `checkout`: Checkout on pooled connections, days 1-3
      The checkout keeps its answers and loses its connection set-up time
      soaks      55m
      guards     error_rate at most 1%, latency_p99 at most 1s
      must meet  latency_p95 at most 200ms
      on failure this phase is rolled back

      1. `route`: The checkout is a route of its own; a shopper stays on one side of
        every percentage
         does       sets 1 value
           routes.checkout  absent -> {cache false, kind read, max_body absent, path
             /checkout, shadow false, sticky x-shopper, synchronous false}
         soaks      10m
         undo       the configuration before

      2. `pool-ramp`
         does       raises flag `connection_pooling` to 10%, 50%, 100%
           flags.connection_pooling.enabled  false -> true
           flags.connection_pooling.percentage  0% -> 10% -> 50% -> 100%
         soaks      15m after each of 3 parts
         undo       the configuration before

      3. `warm-cache`: Catalogue pages are rendered ahead of time
         does       runs `true`
         undo       runs `true`

      4. `smoke`
         does       runs suite smoke
         undo       nothing to undo
    ");
    let (_, whole) = ctx(root, &["plan", "show", "plans/contexten.toml"]);
    assert!(whole.lines().all(|line| line.chars().count() <= 80), "{whole}");
    let (_, last) = ctx(root, &["plan", "show", "plans/contexten.toml", "--phase", "4"]);
    assert!(last.contains("mode  legacy -> enhanced\n"), "{last}");
    assert!(last.contains("NO UNDO"), "{last}");
    assert!(
        last.ends_with(
            "POINT OF NO RETURN: step `legacy-cleanup` of phase 4 `full-enhancement` cannot\n  be undone\n"
        ),
        "{last}"
    );
}
