//! `ctx backup` against a running `ctx serve`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use ctx::backup::Sink;
use ctx::backup::live::{Held, with_lease};
use ctx::control::client::{Client, ControlError};
use ctx::control::config::CacheMode;
use ctx::error::Code;
use ctx::ledger::Ledger;
use ctx::ledger::fact::Fact;
use ctx::secret::SecretRef;

use super::fixture::rows;
use crate::support::Test;

const TOKEN: &str = "5f2d7a51c0ffee005f2d7a51c0ffee00";

const PLAN: &str = r#"
schema = 1

[plan]
name  = "shop"
title = "The shop behind the gateway"

[orchestrator]
url   = "URL"
token = "env:CTX_TOKEN"

[backup]
databases = ["shop.db"]

[[phase]]
id    = "caching"
title = "Cached reads"

  [[phase.step]]
  id  = "cache-reads"
  set = { "cache.mode" = "read" }
"#;

/// A running orchestrator, and a project that knows it.
struct Serving {
    child: Child,
    client: Client,
    test: Test,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Serving {
    fn new() -> Self {
        let test = Test::new();
        let mut child = Command::new(env!("CARGO_BIN_EXE_ctx"))
            .args(["serve", "--legacy", "http://127.0.0.1:9", "--json"])
            .args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--workers", "1"])
            .arg("--state")
            .arg(test.path("state"))
            .env("CTX_TOKEN", TOKEN)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        let url = said["control"].as_str().unwrap().to_owned();
        let test = test.file("token", TOKEN);
        let token = format!("file:{}", test.path("token").display());
        let token = token.parse::<SecretRef>().unwrap().resolve().unwrap();
        let client = Client::new(&url, Some(token));
        let test = test.file("plans/shop.toml", &PLAN.replace("URL", &url)).env("CTX_TOKEN", TOKEN);
        let shop = rusqlite::Connection::open(test.path("plans/shop.db")).unwrap();
        shop.execute_batch("CREATE TABLE orders (id); INSERT INTO orders VALUES (1), (2)").unwrap();
        Self { child, client, test }
    }

    fn orders(&self) -> Vec<String> {
        rows(&self.test.path("plans/shop.db"), "SELECT id FROM orders ORDER BY id")
    }

    async fn turn_the_cache_on(&self) {
        let mut config = self.client.state().await.unwrap().body.config;
        config.cache.mode = CacheMode::Read;
        let change = async |fence: &_| -> Result<(), ControlError> {
            Held { client: &self.client, fence }.config(config, "a test").await.unwrap();
            Ok(())
        };
        with_lease(&self.client, None, change).await.unwrap();
    }
}

#[tokio::test]
async fn a_running_service_is_backed_up_and_put_back() {
    let serving = Serving::new();
    let before = serving.client.state().await.unwrap().body;
    let made = serving.test.run(&["backup", "create"]).exits(Code::Done);
    let id = made.stdout.trim();
    serving.test.run(&["backup", "verify"]).exits(Code::Done).says(&["sound: 5 parts"]);
    serving
        .test
        .run(&["backup", "restore", id, "--yes"])
        .exits(Code::Done)
        .warns(&["nothing to do: everything is as it was backed up"]);

    serving.turn_the_cache_on().await;
    let shop = rusqlite::Connection::open(serving.test.path("plans/shop.db")).unwrap();
    shop.execute_batch("INSERT INTO orders VALUES (3)").unwrap();
    assert_ne!(serving.client.state().await.unwrap().body.config_hash, before.config_hash);

    serving.test.run(&["backup", "restore", id, "--yes"]).exits(Code::Done).warns(&[
        "config: is replaced; lost would be:",
        "every change of the configuration from revision 1 to 2",
        "table `orders` goes from 3 rows to 2",
        "database: stays; it needs `--to DIR`",
        "restored service shop.db, config",
    ]);
    let after = serving.client.state().await.unwrap().body;
    assert_eq!(after.config_hash, before.config_hash);
    assert_eq!((after.head, after.confirmed, after.lease), (3, 3, None));
    assert_eq!(serving.orders(), ["1", "2"]);

    let ledger = Ledger::read(&serving.test.path(".ctx/ledger.sqlite3")).unwrap();
    assert!(ledger.verify().unwrap().intact());
    let entries = ledger.entries(0, 100).unwrap();
    let last: Fact = serde_json::from_value(entries.last().unwrap().body.clone()).unwrap();
    let Fact::BackupRestored { backup, parts, safety: Some(safety) } = last else {
        panic!("{last:?}")
    };
    assert_eq!((backup.as_str(), parts.len()), (id, 2));

    // The safety backup takes the restore back.
    serving.test.run(&["backup", "restore", safety.as_str(), "--yes"]).exits(Code::Done);
    assert_eq!(serving.orders(), ["1", "2", "3"]);
    let again = serving.client.state().await.unwrap().body;
    assert_eq!(again.config.cache.mode, CacheMode::Read);
}

#[tokio::test]
async fn a_restore_waits_for_no_lease_of_somebody_else() {
    let serving = Serving::new();
    let made = serving.test.run(&["backup", "create"]).exits(Code::Done);
    let id = made.stdout.trim();
    let other = async |_: &_| -> Result<(), ControlError> {
        serving.test.run(&["backup", "restore", id, "--yes"]).exits(Code::Locked);
        Ok(())
    };
    with_lease(&serving.client, None, other).await.unwrap();
}
