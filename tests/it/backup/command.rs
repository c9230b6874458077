//! `ctx backup`, as an operator and a script meet it, without an orchestrator.

use ctx::error::Code;

use super::fixture::Service;
use crate::support::Test;

/// A project with one backup in its default place.
async fn project() -> Test {
    let test = Test::new();
    let service = Service::new();
    let mut request = service.request("b-20300101t000000-4f1d");
    request.home = test.path(".ctx");
    let clock = ctx::clock::ManualClock::default();
    ctx::backup::create(&service.source, request, &clock).await.unwrap();
    test
}

#[tokio::test]
async fn a_backup_is_listed_shown_and_verified_offline() {
    let test = project().await;
    std::fs::create_dir(test.path(".ctx/backups/b-2")).unwrap();
    test.run(&["backup", "list"])
        .exits(Code::Done)
        .says(&["b-20300101t000000-4f1d", "complete", "incomplete"])
        .warns(&["only complete backups can be restored"]);
    let listed = test.run(&["backup", "list", "--json"]).exits(Code::Done).json();
    assert_eq!(listed["backups"][0]["rev"], 41);
    test.run(&["backup", "show", "b-2030"]).exits(Code::Done).says(&[
        "revision 41",
        "service data/visits.db",
        "2 tables, 4 rows",
    ]);
    test.run(&["backup", "verify"]).exits(Code::Done).says(&[": sound: 5 parts"]);
    test.run(&["backup", "verify", "b-2"])
        .exits(Code::Refused)
        .warns(&["backup `b-2` is incomplete: it has no manifest"]);
    test.run(&["backup", "show", "nope"]).exits(Code::Usage).warns(&["there is no backup `nope`"]);
    // A slip in an id that was typed.
    test.run(&["backup", "show", "b-20300101t000000-4f1e"])
        .exits(Code::Usage)
        .warns(&["did you mean `b-20300101t000000-4f1d`?"]);
}

#[tokio::test]
async fn a_damaged_backup_is_told_part_by_part() {
    let test = project().await;
    let folder = test.path(".ctx/backups/b-20300101t000000-4f1d");
    std::fs::remove_file(folder.join("cache.json.gz")).unwrap();
    std::fs::write(folder.join("config.json.gz"), "x").unwrap();
    test.run(&["backup", "verify"])
        .exits(Code::Failure)
        .says(&["cache: it is missing", "config: it is not the file that was written"])
        .warns(&["1 backup damaged"]);
    let doc = test.run(&["backup", "verify", "--json"]).exits(Code::Failure).json();
    assert_eq!(
        (&doc["sound"], &doc["backups"][0]["parts"][2]["fault"]),
        (&false.into(), &"it is missing".into())
    );
    test.run(&["backup", "restore", "b-20", "--to", "out"]).exits(Code::Refused).warns(&[
        "is damaged",
        "cache: it is missing",
        "restore another one",
    ]);
    assert!(!test.path("out/config.json").exists());
}

#[tokio::test]
async fn a_backup_is_restored_into_a_folder() {
    let test = project().await;
    test.run(&["backup", "restore", "b-20", "--to", "out", "--part", "database"])
        .exits(Code::Done)
        .says(&["out/database.sqlite3"])
        .warns(&["nothing that runs was changed"]);
    assert_eq!(super::fixture::names(&test.path("out")), ["database.sqlite3"]);
}

#[tokio::test]
async fn a_restore_into_the_service_needs_a_yes_and_never_takes_the_database() {
    let test = project().await;
    let test = test.env("CTX_ORCHESTRATOR", "http://127.0.0.1:9").env("CTX_TOKEN", "any");
    test.run(&["backup", "restore", "b-20", "--no-input"])
        .exits(Code::NeedsConfirmation)
        .warns(&["--yes"]);
    test.run(&["backup", "restore", "b-20", "--part", "database", "--yes"])
        .exits(Code::Usage)
        .warns(&["offline only", "--to DIR"]);
    test.run(&["backup", "restore", "b-20", "--yes"])
        .exits(Code::Unreachable)
        .warns(&["does not answer"]);
    test.run(&["backup", "create"]).exits(Code::Unreachable).warns(&["does not answer"]);
    assert_eq!(super::fixture::names(&test.path(".ctx/backups")).len(), 1, "no half of a backup");
}
