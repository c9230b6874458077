//! A secret that goes in anywhere comes out nowhere.
//!
//! Each source gets a value of its own; then everything is done that ctx does, good and bad, and
//! every byte that is left or was said is searched for every value, in each of its forms.

mod canary;
mod search;
mod world;

use std::io::Write;

use ctx::error::Code;
use flate2::{Compression, write::GzEncoder};
use rusqlite::Connection;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::block_on;
use crate::support::serve::Serve;
use canary::{Canary, base64};
use search::Search;
use world::{Token, World};

#[test]
fn no_secret_is_left_anywhere_whose_token_is_in_the_environment() {
    whole_life(Token::Environment);
}

#[test]
fn no_secret_is_left_anywhere_whose_token_is_in_a_file() {
    whole_life(Token::File);
}

#[test]
fn no_secret_is_left_anywhere_whose_token_was_made_by_serve() {
    whole_life(Token::Kept);
}

#[test]
fn a_crash_leaves_no_image_of_the_memory() {
    // Where core files are wanted, as on the machines of many developers.
    let limit = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let test = crate::shop::operator();
    let serve = Serve::start(&test, "http://127.0.0.1:9");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", serve.id())).unwrap();
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
    let soft = core.and_then(|limits| limits.split_whitespace().next());
    assert_eq!(soft, Some("0"), "{limits}");
}

fn whole_life(token: Token) {
    let mut world = World::new(token);
    block_on(world.traffic());
    world.ctx(&["plan", "check", "plans/hush.toml"]);
    world.ctx(&["plan", "show", "plans/hush.toml"]);
    world.once(&["migrate", "phase", "1", "--yes", "--json"], Code::Done);
    block_on(world.traffic());
    world.once(&["migrate", "phase", "2", "--yes"], Code::RolledBack);
    for args in [
        &["status"][..],
        &["validate"],
        &["test", "smoke"],
        &["history"],
        &["report"],
        &["report", "--format", "md"],
        &["report", "--format", "json"],
        &["report", "-o", "report.md"],
        &["ledger", "verify"],
        &["ledger", "info"],
        &["ledger", "export"],
        &["backup", "create", "--yes"],
        &["backup", "list"],
        &["backup", "verify"],
        &["completions", "bash"],
        &["config", "show", "--origin"],
        &["config", "show", "--live", "--origin"],
    ] {
        world.ctx(args);
    }
    let runs = ctx::ledger::Ledger::read(&world.test.path(".ctx/ledger.sqlite3")).unwrap();
    let runs = runs.runs(9).unwrap();
    for run in &runs {
        world.ctx(&["show", run.run.short()]);
    }
    for backup in std::fs::read_dir(world.test.path(".ctx/backups")).unwrap() {
        let id = backup.unwrap().file_name().into_string().unwrap();
        world.ctx(&["backup", "show", &id]);
    }
    block_on(world.replies());
    let seen = world.search();
    assert!(seen.bytes > 500_000, "only {} bytes were searched", seen.bytes);
    assert_eq!(seen.found, Vec::<String>::new());
    let log = String::from_utf8_lossy(&world.serve_log()).into_owned();
    assert!(log.contains("path=routes.github.secret value=env:HUSH_GITHUB"), "{log}");
    world.once(&["rollback", "--yes"], Code::Done);
    assert_eq!(world.search().found, Vec::<String>::new());
}

#[test]
fn no_secret_is_repeated_to_who_put_it_in_the_wrong_place() {
    let mut world = World::new(Token::Environment);
    let wrong = world.canary("a wrong token");
    world.fails_with("CTX_TOKEN", &wrong, &["status", "--live"]);
    world.fails_with("CTX_TOKEN", &wrong, &["migrate", "phase", "1", "--yes"]);
    let there = world.control().to_owned();
    for args in [&["status", "--live"][..], &["migrate", "phase", "1", "--yes", "--json"]] {
        let secret = world.canary("a setting's URL");
        // A URL ends its credentials at the first slash.
        let secret = secret.replace('/', "_");
        world.canaries.last_mut().unwrap().value = secret.clone();
        world.fails_with("CTX_ORCHESTRATOR", &format!("http://ada:{secret}@{there}"), args);
        world.fails_with("CTX_ORCHESTRATOR", &format!("http://{there}/?token={secret}"), args);
        world.fails_with("CTX_ORCHESTRATOR", &format!("ftp://ada:{secret}@{there}"), args);
    }
    let secret = world.canary("a flag").replace('/', "_");
    world.canaries.last_mut().unwrap().value = secret.clone();
    let url = format!("http://ada:{secret}@127.0.0.1:1");
    let deep = format!("{url}/x?y");
    let literal = format!("github={secret}");
    for args in [
        &["serve", "--legacy", &url][..],
        &["serve", "--legacy", "http://127.0.0.1:1", "--token", &secret],
        &["serve", "--legacy", "http://127.0.0.1:1", "--slack-secret", &secret],
        &["load", &url],
        &["load", &deep],
        &["load", "http://127.0.0.1:1", "--webhooks", "github", "--secret", &literal],
        &["status", "--live", "--orchestrator", &url],
    ] {
        world.fails_with("HUSH", "", args);
    }
    for line in [
        "[[phase]]\nid = \"x\"\n[[phase.step]]\nid = \"s\"\nset = { \"routes.github.secret\" = \"SECRET\" }\n",
        "[[phase]]\nid = \"x\"\n[[phase.step]]\nid = \"s\"\nset = { \"upstreams.legacy.url\" = \"http://a:SECRET@127.0.0.1:1\" }\n",
        "[[phase]]\nid = \"x\"\n[[phase.step]]\nid = \"s\"\ncall = { do = { url = \"/\", headers = { authorization = \"Bearer SECRET\" } }, undo = { url = \"/\" } }\n",
        "[[phase]]\nid = \"x\"\n[[phase.step]]\nid = \"s\"\ncall = { do = { url = \"http://a:SECRET@127.0.0.1/\" }, undo = { url = \"/\" } }\n",
        "[[suite]]\nid = \"x\"\nkind = \"functional\"\ncase = [{ name = \"n\", path = \"/\", headers = { Cookie = \"a=SECRET\" } }]\n",
    ] {
        let plan = std::fs::read_to_string(world.test.path("plans/hush.toml")).unwrap();
        world.test.write("plans/wrong.toml", &format!("{plan}{}", line.replace("SECRET", &secret)));
        world.fails_with("HUSH", "", &["plan", "check", "plans/wrong.toml"]);
        world.fails_with(
            "HUSH",
            "",
            &["--plan", "plans/wrong.toml", "migrate", "phase", "1", "--yes"],
        );
    }
    std::fs::remove_file(world.test.path("plans/wrong.toml")).unwrap();
    assert_eq!(world.search().found, Vec::<String>::new());
}

/// The variables of webhook secrets are a program's to have: it may be one that signs.
#[test]
fn a_program_of_a_plan_is_not_given_the_token_and_cannot_make_ctx_repeat_it() {
    let mut world = World::new(Token::Environment);
    world.canaries.retain(|canary| canary.source == "the token");
    let plan = std::fs::read_to_string(world.test.path("plans/hush.toml")).unwrap();
    world.test.write("plans/hush.toml", &plan.replace("echo broken >&2", "env >&2"));
    world.once(&["migrate", "phase", "1", "--yes"], Code::Done);
    assert_eq!(world.environment().found, Vec::<String>::new());
    world.once(&["migrate", "phase", "2", "--yes"], Code::RolledBack);
    world.ctx(&["report"]);
    assert_eq!(world.search().found, Vec::<String>::new());
}

#[test]
fn a_secret_that_is_somewhere_is_found_there() {
    let canary = Canary::new("a test");
    let value = canary.value.clone();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let found = || {
        let mut search = Search::of(std::slice::from_ref(&canary));
        search.folder(folder.path(), &|_| false);
        search.found.len()
    };
    let form = |text: String| {
        let mut search = Search::of(std::slice::from_ref(&canary));
        search.bytes("a text", text.as_bytes());
        search.found.len()
    };
    assert_eq!((found(), form("canary".to_owned())), (0, 0));
    for text in [
        format!("Bearer {value}\n"),
        value.replace('+', "%2B").replace('/', "%2F"),
        hex::encode(&value),
        hex::encode_upper(&value),
        base64(value.as_bytes()),
        base64(format!("Basic ada:{value}").as_bytes()),
        base64(format!("x{value}x").as_bytes()),
        value.replace('/', "\\/"),
    ] {
        assert!(form(format!("{{\"x\":\"{text}\"}}")) > 0, "{text}");
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(value.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    for (name, bytes) in [("log", value.as_bytes()), ("part.gz", &gzip[..])] {
        std::fs::write(at(name), bytes).unwrap();
        assert!(found() > 0, "{name}");
        std::fs::remove_file(at(name)).unwrap();
    }
    // In a value of a database that is longer than a page, and in a log that was not folded in.
    let database = Connection::open(at("x.sqlite3")).unwrap();
    database.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)").unwrap();
    let long = format!("{}{value}{}", "x".repeat(4050), "y".repeat(4050));
    database.execute("INSERT INTO t VALUES (?1)", [long]).unwrap();
    assert!(at("x.sqlite3-wal").exists() && found() > 0);
    drop(database);
    assert!(!at("x.sqlite3-wal").exists() && found() > 0);
    std::fs::remove_file(at("x.sqlite3")).unwrap();
    std::fs::write(at("note"), "").unwrap();
    std::fs::rename(at("note"), at(&value.replace('/', "%2F").replace('+', "%2B"))).unwrap();
    assert!(found() > 0, "in a file's name");
}
