//! A project with a secret in every place that takes one, and everything that is done with it.

use std::path::Path;

use ctx::control::config::Platform;
use ctx::error::Code;
use ctx::load::sign;
use ctx::rehearsal::legacy::Legacy;
use ctx::secret::Secret;

use super::canary::Canary;
use super::search::Search;
use crate::support::serve::Serve;
use crate::support::{Ran, Test};

const PLAN: &str = r#"schema = 1
[plan]
name = "hush"
[orchestrator]
url = "http://CONTROL"
token = "TOKEN"
[guards]
processor = { metric = "cpu", max = "100%", every = "200ms" }
[[suite]]
id = "smoke"
kind = "functional"
case = [
  { name = "up", path = "/" },
  { name = "state", path = "control:/v1/state" },
  { name = "hook", method = "POST", path = "/github/events", headers = { "x-github-event" = "ping" }, body = { zen = "x" }, sign_as = "github" },
]
[[phase]]
id = "one"
[[phase.step]]
id = "cache"
set = { "cache.mode" = "read", "cache.ttl" = "60s" }
soak = "250ms"
[[phase.step]]
id = "look"
run = { do = ["sh", "look.sh"], undo = ["true"] }
[[phase.step]]
id = "ask"
call = { do = { method = "GET", url = "control:/v1/health" }, undo = { method = "GET", url = "/" } }
[[phase.step]]
id = "check"
test = ["smoke"]
[[phase]]
id = "two"
[[phase.step]]
id = "ttl"
set = { "cache.ttl" = "61s" }
soak = "250ms"
[[phase.step]]
id = "fails"
run = { do = ["sh", "-c", "echo broken >&2; exit 1"], undo = ["true"] }
"#;

/// What a program of the plan looks at: its own arguments, and those of the `ctx` that runs it.
const LOOK: &str = "cat /proc/self/cmdline /proc/$$/cmdline /proc/$PPID/cmdline > seen-arguments\n\
                    mkdir -p environment\ncat /proc/self/environ > environment/seen\n";

/// Where the operators' token is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token {
    Environment,
    File,
    /// Made by `ctx serve`.
    Kept,
}

pub(super) struct World {
    pub(super) test: Test,
    serve: Serve,
    _legacy: Legacy,
    token: String,
    github: Canary,
    pub(super) canaries: Vec<Canary>,
    /// Everything that was said, and by whom.
    said: Vec<(String, Vec<u8>)>,
}

impl World {
    pub(super) fn new(kind: Token) -> Self {
        let [token, github, linear, slack] =
            ["the token", "github", "linear", "slack"].map(Canary::new);
        let legacy = Legacy::start().unwrap();
        let mut test = Test::new()
            .file("secrets/linear", &format!("{}\n", linear.value))
            .file("secrets/token", &format!("{}\n", token.value))
            .file("look.sh", LOOK)
            .env("CTX_LOG", "trace")
            .env("USER", "ada")
            .env("CONTEXTEN_ENHANCED_MODE", "true")
            .env("HUSH_GITHUB", &github.value)
            .env("HUSH_SLACK", &slack.value);
        let mut args = vec!["--github-secret", "env:HUSH_GITHUB", "--slack-secret"];
        args.extend(["env:HUSH_SLACK", "--linear-secret", "file:secrets/linear"]);
        let mut canaries = vec![github.clone(), linear, slack];
        let (reference, mut token) = match kind {
            Token::Environment => {
                test = test.env("CTX_TOKEN", &token.value);
                ("env:CTX_TOKEN", token)
            }
            Token::File => {
                args.extend(["--token", "file:secrets/token"]);
                ("file:secrets/token", token)
            }
            Token::Kept => ("file:state/token", token),
        };
        let serve = Serve::with(&test, &legacy.url(), &args);
        if kind == Token::Kept {
            token.value = std::fs::read_to_string(test.path("state/token")).unwrap().trim().into();
        }
        canaries.push(token.clone());
        let plan = PLAN.replace("CONTROL", &serve.control).replace("TOKEN", reference);
        test.write("plans/hush.toml", &plan);
        let token = token.value;
        Self { test, serve, _legacy: legacy, token, github, canaries, said: Vec::new() }
    }

    /// Runs `ctx`, and keeps what it says; plainly and as JSON.
    pub(super) fn ctx(&mut self, args: &[&str]) {
        for json in [&[][..], &["--json"]] {
            let args = [args, json].concat();
            let ran = self.test.run(&args);
            self.keep(&format!("ctx {}", args.join(" ")), ran);
        }
    }

    /// Runs `ctx` once; it must end so.
    pub(super) fn once(&mut self, args: &[&str], code: Code) {
        let ran = self.test.run(args).exits(code);
        self.keep(&format!("ctx {}", args.join(" ")), ran);
    }

    /// Runs `ctx` with more in its environment; it must fail, or say what is wrong.
    pub(super) fn fails_with(&mut self, name: &str, value: &str, args: &[&str]) {
        let mut command = self.test.command(args);
        let output = command.env(name, value).stdin(std::process::Stdio::null()).output().unwrap();
        assert!(!output.status.success() || args[0] == "status", "{args:?} with {name}");
        self.said.push((format!("stdout of ctx {} with {name}", args[0]), output.stdout));
        self.said.push((format!("stderr of ctx {} with {name}", args[0]), output.stderr));
    }

    fn keep(&mut self, who: &str, ran: Ran) {
        // What a person types is theirs to see; what is searched is the answer.
        let who: String = who.chars().take(40).collect();
        self.said.push((format!("stdout of `{who}`"), ran.stdout.into_bytes()));
        self.said.push((format!("stderr of `{who}`"), ran.stderr.into_bytes()));
    }

    /// A secret of this source, which is to be put in somewhere.
    pub(super) fn canary(&mut self, source: &'static str) -> String {
        let canary = Canary::new(source);
        self.canaries.push(canary.clone());
        canary.value
    }

    /// Sends events and reads with secrets in their headers through the gateway.
    pub(super) async fn traffic(&mut self) {
        let (bearer, cookie) = (self.canary("a bearer"), self.canary("a cookie"));
        let forged = self.canary("a forged signature");
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}", self.serve.data);
        let body = r#"{"zen":"x"}"#;
        let secret = Secret::new(self.github.value.clone());
        let proof =
            sign::headers(Platform::Github, Some(&secret), body.as_bytes(), chrono::Utc::now());
        for good in [true, false] {
            let mut event = http
                .post(format!("{url}/github/events"))
                .header("authorization", format!("Bearer {bearer}"))
                .header("cookie", format!("session={cookie}"))
                .header("x-github-event", "ping")
                .header("x-github-delivery", format!("d-{good}"))
                .header("content-type", "application/json")
                .body(body);
            if good {
                for (name, value) in &proof {
                    event = event.header(*name, value);
                }
            } else {
                event = event.header("x-hub-signature-256", &forged);
            }
            let answer = event.send().await.unwrap();
            assert_eq!(answer.status() == 401, !good, "{answer:?}");
            self.said
                .push(("an answer of the gateway".into(), answer.bytes().await.unwrap().into()));
        }
        for _ in 0..2 {
            let read = http.get(&url).header("cookie", &cookie).bearer_auth(&bearer);
            let answer = read.send().await.unwrap();
            self.said
                .push(("an answer of the gateway".into(), answer.bytes().await.unwrap().into()));
            http.get(&url).send().await.unwrap();
        }
    }

    /// Asks the control API everything, as an operator and as somebody else.
    pub(super) async fn replies(&mut self) {
        let wrong = self.canary("a wrong token");
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        for path in [
            "livez",
            "readyz",
            "metrics",
            "openapi.json",
            "v1/lease",
            "v1/state",
            "v1/revisions",
            "v1/revisions/1",
            "v1/revisions/2",
            "v1/metrics",
            "v1/health",
            "v1/cache",
            "v1/audit",
            "v1/database",
            "v1/nothing",
        ] {
            let url = format!("http://{}/{path}", self.serve.control);
            for token in [&self.token, &wrong] {
                let answer = http.get(&url).bearer_auth(token).send().await.unwrap();
                let refused = answer.status() == 401;
                assert!(refused == (token == &wrong) || path.len() < 8, "{path}: {answer:?}");
                let head = format!("{:?}", answer.headers()).into_bytes();
                let body = answer.bytes().await.unwrap();
                self.said.push((format!("the reply to {path}"), [&head[..], &body].concat()));
            }
        }
    }

    /// Searches everything that is there now.
    pub(super) fn search(&self) -> Search {
        let mut search = Search::of(&self.canaries);
        for (who, bytes) in &self.said {
            search.bytes(who, bytes);
        }
        let seen = search.arguments(&self.test.path(""));
        assert!(seen >= 1, "`ctx serve` runs in this folder");
        let root = self.test.path("");
        let own = ["secrets", "state/token", "environment"].map(|name| root.join(name));
        search.folder(&root, &|path: &Path| own.iter().any(|own| own == path));
        search
    }

    /// The environment that a program of the plan had.
    pub(super) fn environment(&self) -> Search {
        let mut search = Search::of(&self.canaries);
        search.folder(&self.test.path("environment"), &|_| false);
        search
    }

    pub(super) fn serve_log(&self) -> Vec<u8> {
        std::fs::read(self.test.path("serve.log")).unwrap()
    }

    pub(super) fn control(&self) -> &str {
        &self.serve.control
    }
}
