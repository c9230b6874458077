//! A shop: a project with a plan, and the orchestrator that the plan is for, both the real binary.

use std::time::Duration;

use ctx::control::client::Client;
use ctx::control::wire::{AuditRow, State};
use ctx::error::Code;
use ctx::ledger::Ledger;
use ctx::rehearsal::legacy::Legacy;
use ctx::secret::Secret;

use crate::support::serve::{Serve, TOKEN};
use crate::support::{Ran, Test};

/// The plan file of a [`Shop`].
pub(crate) const PLAN_FILE: &str = "plans/shop.toml";
/// The ledger of a [`Shop`], in the folder where it is unless told otherwise.
pub(crate) const LEDGER: &str = ".ctx/ledger.sqlite3";

/// Two short phases, at an orchestrator that listens at `url`.
pub(crate) fn plan(url: &str) -> String {
    format!(
        r#"schema = 1

[plan]
name  = "shop"
title = "The shop behind the gateway"

[orchestrator]
url   = "{url}"
token = "env:CTX_TOKEN"

[[phase]]
id    = "caching"
title = "Cached reads"

  [[phase.step]]
  id   = "cache-reads"
  set  = {{ "cache.mode" = "read" }}
  soak = "10ms"

[[phase]]
id    = "pooling"
title = "Pooled connections"

  [[phase.step]]
  id   = "pool-ramp"
  ramp = {{ flag = "connection_pooling", to = ["25%", "100%"], soak = "10ms" }}
"#
    )
}

/// A project with a plan, and the orchestrator that the plan is for.
pub(crate) struct Shop {
    pub(crate) serve: Serve,
    pub(crate) test: Test,
    _legacy: Legacy,
}

/// What must not be half done: where the orchestrator and the ledger stand.
#[derive(Debug, PartialEq)]
pub(crate) struct Standing {
    head: u64,
    config_hash: String,
    provisional: bool,
    /// Facts in the ledger; a ledger without any says no more than none.
    facts: usize,
}

impl Shop {
    /// A shop where nothing was migrated yet.
    pub(crate) fn open() -> Self {
        let legacy = Legacy::start().unwrap();
        let test = operator();
        let serve = Serve::start(&test, &legacy.url());
        let plan = plan(&format!("http://{}", serve.control));
        Self { serve, test: test.file(PLAN_FILE, &plan), _legacy: legacy }
    }

    /// A shop whose first phase is confirmed.
    pub(crate) fn with_first_phase() -> Self {
        let shop = Self::open();
        shop.ctx(&["migrate", "phase", "1", "--yes"]).exits(Code::Done);
        shop
    }

    pub(crate) fn ctx(&self, args: &[&str]) -> Ran {
        self.test.run(args)
    }

    /// Writes the plan again, with `from` replaced.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let path = self.test.path(PLAN_FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "`{from}` is in the plan");
        std::fs::write(path, text.replace(from, to)).unwrap();
    }

    /// Where the orchestrator's control API is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.serve.control)
    }

    /// A client of the control API with the right token.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url(), Some(Secret::new(TOKEN)))
    }

    /// The orchestrator's audit chain, oldest row first.
    pub(crate) fn audit(&self) -> Vec<AuditRow> {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let call = http.get(format!("{}/v1/audit", self.url())).bearer_auth(TOKEN);
        wait_for(async { call.send().await.unwrap().json().await.unwrap() })
    }

    pub(crate) fn standing(&self) -> Standing {
        let State { head, config_hash, provisional, .. } = self.serve.state();
        let facts = facts(&self.test, LEDGER);
        Standing { head, config_hash, provisional: provisional.is_some(), facts }
    }

    /// Runs `ctx`, which must exit with `code` and leave everything as it was; gives stderr, for
    /// a snapshot.
    #[track_caller]
    pub(crate) fn refuses(&self, args: &[&str], code: Code) -> String {
        let before = self.standing();
        let ran = self.ctx(args).exits(code);
        assert_eq!(self.standing(), before, "nothing is half done");
        redact(&self.test, &ran.stderr)
    }
}

/// An operator with the right token.
pub(crate) fn operator() -> Test {
    Test::new().env("CTX_TOKEN", TOKEN).env("USER", "ada")
}

/// An operator with a plan for the orchestrator at `url`, where nothing was migrated yet.
pub(crate) fn desk(url: &str) -> Test {
    operator().file(PLAN_FILE, &plan(url))
}

/// How many facts are in the ledger at `path` in a project, besides the id that a run was going to
/// have; none without a ledger.
pub(crate) fn facts(test: &Test, path: &str) -> usize {
    let path = test.path(path);
    if !path.exists() {
        return 0;
    }
    let entries = Ledger::read(&path).unwrap().entries(0, u32::MAX).unwrap();
    entries.iter().filter(|entry| entry.kind != "run_planned").count()
}

/// Runs what a story asks of the control API itself.
pub(crate) fn wait_for<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), work).await.expect("it comes within a minute")
    })
}

/// What differs from run to run.
struct Redaction {
    /// The text before it.
    after: &'static str,
    /// What it is made of.
    of: fn(char) -> bool,
    instead: &'static str,
}

const REDACTIONS: [Redaction; 6] = [
    Redaction { after: "127.0.0.1:", of: |c| c.is_ascii_digit(), instead: "PORT" },
    Redaction { after: "run ", of: |c| c.is_ascii_hexdigit(), instead: "RUN" },
    Redaction { after: "process ", of: |c| c.is_ascii_digit(), instead: "PID" },
    Redaction { after: "last heard of ", of: |c| c.is_ascii_digit() || c == '.', instead: "AGE" },
    Redaction {
        after: "until ",
        of: |c| c.is_ascii_digit() || "-T:.Z".contains(c),
        instead: "TIME",
    },
    Redaction { after: "head ", of: |c| c.is_ascii_hexdigit(), instead: "HASH" },
];

/// What was said, without what differs from run to run.
pub(crate) fn redact(test: &Test, said: &str) -> String {
    let said = said
        .replace(&test.path("").display().to_string(), "DIR/")
        .replace(&format!("@{}", ctx::settings::host()), "@HOST");
    REDACTIONS.into_iter().fold(said, |said, Redaction { after, of, instead }| {
        let mut pieces = said.split(after);
        let mut redacted = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let rest = piece.trim_start_matches(of);
            redacted.push_str(after);
            redacted.push_str(if rest.len() < piece.len() { instead } else { "" });
            redacted.push_str(rest);
        }
        redacted
    })
}
