//! Backups, told as stories: what goes in comes out, and what does not count is never restored.

mod command;
mod damage;
mod disk;
mod fixture;
mod inbox;
mod live;

use std::path::Path;

use ctx::backup::manifest::Kind;
use ctx::backup::restoration::{Effect, plan_restore};
use ctx::backup::restore::{Decision, extract, restore};
use ctx::backup::{BackupError, Found, create, list, load, verify};
use ctx::clock::ManualClock;
use ctx::control::config::{CacheMode, Config};
use rusqlite::Connection;

use fixture::{Service, rows};

#[tokio::test]
async fn a_backup_holds_everything_and_is_proven() {
    let service = Service::new();
    let manifest = service.back_up("b-1").await.unwrap();
    let labels: Vec<_> = manifest.parts.iter().map(ctx::backup::manifest::Part::label).collect();
    assert_eq!(labels, ["config", "database", "cache", "service app.db", "service data/visits.db"]);
    let path = service.backup("b-1");
    assert_eq!(load(&path).unwrap(), manifest);
    assert!(verify::verify(&path).unwrap().sound());
    let names: Vec<_> = fixture::names(&path);
    assert_eq!(
        names,
        [
            "cache.json.gz",
            "config.json.gz",
            "database.sqlite3.gz",
            "manifest.json",
            "service-1.sqlite3.gz",
            "service-2.sqlite3.gz"
        ]
    );
    let size: u64 = names.iter().map(|name| path.join(name).metadata().unwrap().len()).sum();
    assert_eq!(manifest.bytes(), size);
}

#[tokio::test]
async fn a_database_in_use_is_backed_up_with_what_is_only_in_its_log() {
    let service = Service::new();
    let writer = Connection::open(service.path("app.db")).unwrap();
    writer.execute_batch("INSERT INTO users (name) VALUES ('in the log'); BEGIN").unwrap();
    writer.execute("INSERT INTO users (name) VALUES ('not committed')", []).unwrap();
    service.back_up("b-1").await.unwrap();
    let out = service.path("out");
    extract(&service.backup("b-1"), &out, &[Kind::Service]).unwrap();
    let names = rows(&out.join("service-1.sqlite3"), "SELECT name FROM users ORDER BY id");
    assert_eq!(names, ["ada", "grace", "in the log"]);
}

#[tokio::test]
async fn what_was_changed_since_comes_back_and_can_be_taken_back_again() {
    let service = Service::new();
    let before = service.content();
    let manifest = service.back_up("b-1").await.unwrap();

    service.source.change(|state| {
        state.config.cache.mode = CacheMode::Read;
        state.rev = 57;
        state.cache.entries.clear();
    });
    let app = Connection::open(service.path("app.db")).unwrap();
    app.execute_batch("INSERT INTO users (name) VALUES ('eve'); CREATE TABLE more (x)").unwrap();
    let after = service.content();
    assert_ne!(after, before);

    let safety = service.back_up("b-2").await.unwrap();
    let plan = plan_restore(&manifest, &safety, &[]);
    let effects: Vec<_> = plan.parts.iter().map(|part| &part.effect).collect();
    assert!(matches!(
        effects[..],
        [
            Effect::Replaced(_),
            Effect::Offline,
            Effect::Replaced(_),
            Effect::Replaced(_),
            Effect::Same
        ]
    ));
    let path = service.backup("b-1");
    let databases = service.databases();
    let decision =
        Decision { path: &path, restoration: &plan, safety: &safety, databases: &databases };
    let done = restore(&service.source, decision).await.unwrap();
    assert_eq!(done, ["service app.db", "cache", "config"]);
    assert_eq!(service.content(), before);
    // The service kept its connection all the while.
    let users: i64 = app.query_row("SELECT count(*) FROM users", [], |row| row.get(0)).unwrap();
    assert_eq!(users, 2);

    let now = service.back_up("b-3").await.unwrap();
    let back = plan_restore(&safety, &now, &[]);
    let path = service.backup("b-2");
    let decision =
        Decision { path: &path, restoration: &back, safety: &now, databases: &databases };
    restore(&service.source, decision).await.unwrap();
    assert_eq!(service.content(), after);
}

#[tokio::test]
async fn nothing_is_written_before_everything_is_known_to_be_there() {
    let service = Service::new();
    let manifest = service.back_up("b-1").await.unwrap();
    Connection::open(service.path("app.db")).unwrap().execute_batch("DELETE FROM notes").unwrap();
    service.source.change(|state| state.config = Config::legacy("http://127.0.0.1:9"));
    let safety = service.back_up("b-2").await.unwrap();
    let plan = plan_restore(&manifest, &safety, &[]);
    let content = service.content();
    let (path, databases) = (service.backup("b-1"), service.databases());
    let good = Decision { path: &path, restoration: &plan, safety: &safety, databases: &databases };

    let nowhere = restore(&service.source, Decision { databases: &[], ..good }).await;
    assert!(matches!(nowhere, Err(BackupError::UnknownDatabase(_))), "{nowhere:?}");
    let mut poor = safety.clone();
    poor.parts.retain(|part| part.content.kind() != Kind::Service);
    let unsafe_ = restore(&service.source, Decision { safety: &poor, ..good }).await;
    assert!(matches!(unsafe_, Err(BackupError::NoSafety { .. })), "{unsafe_:?}");
    // Even a part that is not wanted must be sound.
    std::fs::remove_file(path.join("service-2.sqlite3.gz")).unwrap();
    let damaged = restore(&service.source, good).await;
    assert!(matches!(damaged, Err(BackupError::Damaged(_))), "{damaged:?}");
    assert_eq!(service.content(), content);
}

#[tokio::test]
async fn a_restore_that_fails_half_way_says_what_was_done() {
    let service = Service::new();
    let manifest = service.back_up("b-1").await.unwrap();
    service.source.change(|state| {
        state.config.cache.mode = CacheMode::Read;
        state.cache.entries.clear();
        state.fails = Some("put config");
    });
    let safety = service.back_up("b-2").await.unwrap();
    let plan = plan_restore(&manifest, &safety, &[]);
    let (path, databases) = (service.backup("b-1"), service.databases());
    let decision =
        Decision { path: &path, restoration: &plan, safety: &safety, databases: &databases };
    let error = restore(&service.source, decision).await.unwrap_err();
    assert_eq!(error.to_string(), "restored cache, then failed to restore config");
}

#[tokio::test]
async fn a_folder_gets_everything_even_the_orchestrators_own_database() {
    let service = Service::new();
    service.back_up("b-1").await.unwrap();
    let out = service.path("deep/out");
    let files = extract(&service.backup("b-1"), &out, &[]).unwrap();
    assert_eq!(files.len(), 5);
    assert_eq!(
        fixture::names(&out),
        ["cache.json", "config.json", "database.sqlite3", "service-1.sqlite3", "service-2.sqlite3"]
    );
    let config: Config =
        serde_json::from_slice(&std::fs::read(out.join("config.json")).unwrap()).unwrap();
    assert_eq!(config, service.source.config());
    assert_eq!(rows(&out.join("database.sqlite3"), "SELECT rev FROM revision"), ["41"]);
    let again = extract(&service.backup("b-1"), &out, &[]);
    assert!(matches!(again, Err(BackupError::NotEmpty(_))), "{again:?}");
}

#[tokio::test]
async fn a_source_that_fails_or_lies_leaves_no_backup() {
    for fails in ["config", "database", "cache", "garbage", "hash", "moved"] {
        let service = Service::new();
        service.source.change(|state| state.fails = Some(fails));
        let error = service.back_up("b-1").await.unwrap_err();
        assert!(nothing_is_left(&service), "{fails}: {error:?}");
    }
}

#[tokio::test]
async fn a_database_that_is_no_good_leaves_no_backup() {
    let service = Service::new();
    std::fs::remove_file(service.path("data/visits.db")).unwrap();
    let missing = service.back_up("b-1").await.unwrap_err();
    assert!(missing.to_string().contains("data/visits.db"), "{missing}");
    std::fs::write(service.path("data/visits.db"), "garbage".repeat(1000)).unwrap();
    let garbage = service.back_up("b-1").await.unwrap_err();
    assert!(garbage.to_string().contains("data/visits.db"), "{garbage}");
    assert!(nothing_is_left(&service));
}

fn nothing_is_left(service: &Service) -> bool {
    list(&service.home()).unwrap().is_empty()
}

#[tokio::test]
async fn a_backup_never_overwrites_another() {
    let service = Service::new();
    service.back_up("b-1").await.unwrap();
    let before = std::fs::read(service.backup("b-1").join("manifest.json")).unwrap();
    assert!(service.back_up("b-1").await.is_err());
    assert_eq!(std::fs::read(service.backup("b-1").join("manifest.json")).unwrap(), before);
}

#[tokio::test]
async fn a_backup_that_is_given_up_half_way_does_not_count() {
    let service = Service::new();
    service.source.change(|state| state.fails = Some("hangs"));
    let clock = ManualClock::default();
    let never = create(&service.source, service.request("b-1"), &clock);
    let timeout = std::time::Duration::from_millis(50);
    assert!(tokio::time::timeout(timeout, never).await.is_err());
    assert!(nothing_is_left(&service));
}

#[tokio::test]
async fn a_folder_without_a_manifest_is_incomplete_and_never_restored() {
    let service = Service::new();
    service.back_up("b-1").await.unwrap();
    let manifest = service.back_up("b-2").await.unwrap();
    let path = service.backup("b-2");
    std::fs::remove_file(path.join("manifest.json")).unwrap();
    let found = list(&service.home()).unwrap();
    assert!(matches!(&found[..], [Found::Incomplete { id }, Found::Complete(_)] if id == "b-2"));
    let refused = |result: Result<(), BackupError>| {
        assert!(matches!(&result, Err(BackupError::Incomplete(id)) if id == "b-2"), "{result:?}");
    };
    refused(verify::verify(&path).map(drop));
    refused(extract(&path, Path::new("/nonexistent"), &[]).map(drop));
    let plan = plan_restore(&manifest, &manifest, &[]);
    let decision = Decision { path: &path, restoration: &plan, safety: &manifest, databases: &[] };
    refused(restore(&service.source, decision).await.map(drop));
}
