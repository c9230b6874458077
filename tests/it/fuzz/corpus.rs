//! Real inputs to begin with, and the words that mean something in them.

use std::fs;
use std::path::Path;

use ctx::control::config::{Config, Platform};
use ctx::control::document::Assignment;
use ctx::control::wire::{LeaseRequest, RevisionRequest};
use ctx::ids::RunId;
use serde_json::json;

use super::targets::{backup, webhook};

pub(super) const PLAN_WORDS: &[&str] = &[
    "[[phase]]\n",
    "[[phase.step]]\n",
    "[guards.a]\n",
    "[[suite]]\n",
    "[[suite.case]]\n",
    "[[criterion]]\n",
    "[[milestone]]\n",
    "[backup]\n",
    "id = \"a\"\n",
    "soak = \"1h\"\n",
    "max = \"5%\"\n",
    "days = \"1-2\"\n",
    "run = { do = [\"a\"], undo = [\"b\"] }\n",
    "= [",
    "{",
    "}",
    "]",
    "\"\"\"",
    "'''",
    "\\u0000",
    "\u{feff}",
    "\u{202e}",
    "é",
    "\r\n",
    "\0",
    "1979-05-27",
    "nan",
    "inf",
    "-",
    "irreversible = true\n",
    "install = \"linear.toml\"\n",
    "install = \"../x.toml\"\n",
    "\"cache.mode\" = \"read\"\n",
    "..",
    "[",
    "[[",
    "a.b.c.d = 1\n",
];

pub(super) const WORDS: &[&str] =
    &[".", ":", "%", "ms", "s", "m", "h", "d", "env:", "file:", "http://", "[::1]", "ff", "+", " "];

pub(super) const JSON_WORDS: &[&str] = &[
    "null",
    "true",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"\"",
    "\"x\":1,",
    "7.0",
    "1e3",
    "\\u0000",
    "\\ud800",
    "\"config\":",
    "\"legacy\"",
    "$FENCE",
    "$REV",
    "ctx-fence: 1.ff\n",
    "idempotency-key: k\n",
    "if-match: \"1\"\n",
    "origin: x\n",
    "host: evil\n",
    "transfer-encoding: chunked\n",
    "content-length: 3\n",
    "authorization: Bearer x\n",
    "content-type: text/plain\n",
    "stranger",
    "%2e%2e",
    "?after=",
    "?from=-1",
    "\n\n",
];

pub(super) const EVENT_WORDS: &[&str] = &[
    "x-hub-signature-256: sha256=",
    "x-slack-signature: v0=",
    "linear-signature: ",
    "\n",
    "\n\n",
    "x-slack-request-timestamp: ",
    "linear-timestamp: ",
    "connection: host, te, x-mine\n",
    "x-forwarded-for: 6.6.6.6\n",
    "x-ctx-a: 1\n",
    "proxy-a: b\n",
    "te: trailers\n",
    "x-mine: 1\n",
    "keep-alive: 1\n",
    "content-length: 3\n",
    "host: a\n",
    "\"webhookTimestamp\":",
    "\"event_id\":",
    "1700000000",
    "1700000000000",
    "+",
    "sha256=",
    "A",
];

/// Every plan of the project, and a small one: mutations of it get further.
pub(super) fn plans() -> Vec<Vec<u8>> {
    let small = r#"schema = 1
[plan]
name = "shop"
[orchestrator]
url = "http://127.0.0.1:7700"
token = "env:CTX_TOKEN"
[guards]
errors = { metric = "error_rate", max = "5%" }
[[suite]]
id = "smoke"
kind = "functional"
case = [{ name = "up", path = "/" }]
[[phase]]
id = "one"
days = "1-2"
[[phase.step]]
id = "first"
soak = "1h"
set = { "cache.mode" = "read", "cache.ttl" = "5s" }
[[phase.step]]
id = "second"
test = ["smoke"]
"#;
    let mut plans = vec![small.as_bytes().to_vec()];
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("plans"), &mut plans);
    plans
}

fn files(folder: &Path, found: &mut Vec<Vec<u8>>) {
    let mut paths: Vec<_> = folder.read_dir().unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "toml") {
            found.push(fs::read(path).unwrap());
        }
    }
}

pub(super) fn words() -> Vec<Vec<u8>> {
    let words = [
        "7.00ff00ff00ff00ff",
        "100%",
        "0.0001%",
        "12.5%",
        "1h30m",
        "250ms",
        "365d",
        "1d2h3m4s5ms",
        "env:CTX_TOKEN",
        "file:/run/secrets/token",
        "xoxb-12345678-hush",
        "http://127.0.0.1:7700",
        "http://user:pass@127.0.0.1:7700/x?y#z",
        "b-20300101-000000-abcd",
        "linear-integration",
        "0123456789abcdef0123456789abcdef",
    ];
    words.map(|word| word.as_bytes().to_vec()).to_vec()
}

fn lease() -> LeaseRequest {
    LeaseRequest {
        run: RunId::try_from("5eed".repeat(8)).unwrap(),
        holder: "ada".to_owned(),
        host: "desk".to_owned(),
        pid: 7,
        ttl_ms: 30_000,
        min_token: 0,
        last_anchor: None,
    }
}

fn revision() -> RevisionRequest {
    let mut config = Config::legacy("http://127.0.0.1:9");
    config.cache.capacity = 7;
    RevisionRequest { config, confirm_within_ms: Some(60_000), reason: "a step".to_owned() }
}

pub(super) fn documents() -> Vec<Vec<u8>> {
    let assign = |path: &str, value| Assignment { path: path.to_owned(), value };
    let assignments = vec![
        assign("cache.mode", json!("read")),
        assign("cache.ttl", json!("5s")),
        assign("canary", json!({"upstream": "b", "weight": "5%"})),
        assign(
            "upstreams.b",
            json!({"url": "http://127.0.0.1:1", "connect_timeout": "2s", "timeout": "9s"}),
        ),
        assign(
            "flags.auto_scaling",
            json!({"enabled": true, "percentage": "5%", "bucketing": "sender"}),
        ),
        assign("flags.auto_scaling", json!(null)),
        assign(
            "flags.header",
            json!({"enabled": true, "percentage": "5%", "bucketing": "flagd-v2",
                "variants": {"a": 1, "b": 2}, "targeting": {"fractional": [["a", 1], ["b", 1]]}}),
        ),
        assign("flags.header.default_variant", json!("a")),
        assign("flags.header.targeting", json!(null)),
    ];
    let rows = json!([{"seq": 1, "at_ms": 0, "kind": "birth", "run": null, "rev": 1,
        "config_hash": "ff", "fence": null, "key": null, "detail": "x", "hash": "ff"}]);
    let cache = json!({"entries": [{"key": "GET /", "status": 200, "headers": [["a", "b"]],
        "body": "00ff", "ttl_ms": 1}]});
    let mut documents = vec![
        serde_json::to_vec(&lease()).unwrap(),
        serde_json::to_vec(&revision()).unwrap(),
        revision().config.canonical(),
        serde_json::to_vec(&rows).unwrap(),
        serde_json::to_vec(&cache).unwrap(),
        serde_json::to_vec(&assignments).unwrap(),
    ];
    documents.extend(assignments.iter().map(|one| serde_json::to_vec(&[one]).unwrap()));
    documents
}

/// Words of flagd's definitions.
pub(super) const FLAG_WORDS: &[&str] = &[
    "{\"var\":\"email\"}",
    "\"fractional\"",
    "\"sem_ver\"",
    "\"$ref\"",
    "\"$flagd.timestamp\"",
    "\"in\"",
    "\"cat\"",
    "\"and\"",
    "\"%\"",
    "\"/\"",
    "\"-\"",
    "[[\"a\",1],[\"b\",2]]",
    "null",
    "true",
    "-1",
    "0.5",
    "1e300",
    "\"DISABLED\"",
    "\"^\"",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
];

/// Definitions that have a bit of everything.
pub(super) fn definitions() -> Vec<Vec<u8>> {
    let flag = |variants, targeting| {
        json!({ "flags": { "f": { "state": "ENABLED", "variants": variants,
            "defaultVariant": "a", "targeting": targeting, "metadata": { "owner": "ada" } } },
            "$evaluators": { "staff": { "ends_with": [{ "var": "email" }, "example"] } } })
    };
    let email = json!({ "cat": [{ "var": "$flagd.flagKey" }, { "var": "email" }] });
    let texts = json!({ "a": "x", "b": "y" });
    [
        flag(texts.clone(), json!({ "if": [{ "$ref": "staff" }, "a", "b"] })),
        flag(texts.clone(), json!({ "fractional": [email, ["a", 10], ["b", { "var": "age" }]] })),
        flag(texts.clone(), json!({ "fractional": [["a"], [{ "if": [true, "b"] }, 3]] })),
        flag(
            json!({ "a": 1, "b": 2.5 }),
            json!({ "if": [{ "sem_ver": [{ "var": "version" }, "~",
            "1.2.0"] }, "a", { ">": [{ "%": [{ "var": ["age", 7] }, 5] }, 2] }, "b"] }),
        ),
        flag(
            json!({ "a": {}, "b": {} }),
            json!({ "or": [{ "and": [{ "in": [{ "var": "age" },
            [1, 36]] }, "a"] }, { "<": [1, { "var": "age" }, 9] }, { "!": ["b"] }] }),
        ),
        flag(
            json!({ "a": true }),
            json!({ "max": [{ "-": [1] }, { "*": [2, "3"] }, { "/": [1, 0] }] }),
        ),
    ]
    .iter()
    .map(|definition| serde_json::to_vec(definition).unwrap())
    .collect()
}

/// Every request of the control API, in an order in which all of them are granted.
pub(super) fn requests() -> Vec<Vec<u8>> {
    let lease = serde_json::to_string(&lease()).unwrap();
    let revision = serde_json::to_string(&revision()).unwrap();
    let fenced = "ctx-fence: $FENCE\nidempotency-key: ";
    let mut requests = vec![
        format!("PUT /v1/lease operator\n\n{lease}"),
        format!("PUT /v1/lease operator\nctx-fence: $FENCE\n\n{lease}"),
        format!("POST /v1/revisions operator\n{fenced}k1\nif-match: \"$REV\"\n\n{revision}"),
        format!("POST /v1/revisions/$REV/confirm operator\n{fenced}k2\n\n"),
        format!("POST /v1/revisions operator\n{fenced}k3\nif-match: \"$REV\"\n\n{revision}"),
        format!("POST /v1/revisions/$REV/revert operator\n{fenced}k4\n\n"),
        format!("POST /v1/legacy/cleanup operator\n{fenced}k5\n\n"),
        "PUT /v1/cache operator\nctx-fence: $FENCE\n\n{\"entries\":[]}".to_owned(),
        "GET /v1/revisions/1 operator\n\n".to_owned(),
        "GET /v1/operations/k1 operator\nctx-fence: $FENCE\n\n".to_owned(),
        "GET /v1/metrics?from=0 operator\n\n".to_owned(),
        "GET /v1/audit?after=1 operator\n\n".to_owned(),
    ];
    for path in ["lease", "state", "revisions", "metrics", "health", "cache"] {
        requests.push(format!("GET /v1/{path} operator\n\n"));
        requests.push(format!("GET /v1/{path} stranger\n\n"));
    }
    for path in ["/livez", "/readyz", "/openapi.json", "/metrics"] {
        requests.push(format!("GET {path} stranger\n\n"));
    }
    requests.into_iter().map(String::into_bytes).collect()
}

/// A signed event of each platform, and unsigned ones.
pub(super) fn events() -> Vec<Vec<u8>> {
    let event = |platform: Platform, body: &str| {
        let mac = |parts: &[&[u8]]| webhook::hmac(parts);
        let body_bytes = body.as_bytes();
        let proof = match platform {
            Platform::Github => format!("x-hub-signature-256: sha256={}", mac(&[body_bytes])),
            Platform::Slack => {
                let time = webhook::NOW_MS / 1000;
                let mac = mac(&[format!("v0:{time}:").as_bytes(), body_bytes]);
                format!("x-slack-request-timestamp: {time}\nx-slack-signature: v0={mac}")
            }
            Platform::Linear => format!("linear-signature: {}", mac(&[body_bytes])),
        };
        format!("host: a\n{proof}\naccept: 1\n\n{body}").into_bytes()
    };
    let timed = format!("{{\"type\":\"Issue\",\"webhookTimestamp\":{}}}", webhook::NOW_MS);
    let late = "{\"webhookTimestamp\":1}";
    vec![
        event(Platform::Github, "{\"zen\":\"x\"}"),
        event(Platform::Slack, "{\"event_id\":\"Ev1\"}"),
        event(Platform::Linear, &timed),
        event(Platform::Linear, late),
        event(Platform::Linear, "{}"),
        event(Platform::Linear, "[]"),
        b"x-github-delivery: g-1\nlinear-delivery: l-1\n\n{}".to_vec(),
    ]
}

/// A real ledger's file.
pub(super) fn ledger() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite3");
    crate::ledger::with_history(&path);
    fs::read(&path).unwrap()
}

/// Each file of a real backup, behind the byte that chooses it.
pub(super) fn backup_files() -> Vec<Vec<u8>> {
    let file = |(index, (_, bytes)): (usize, &(String, Vec<u8>))| {
        let choice = u8::try_from(index).unwrap();
        [&[choice][..], bytes].concat()
    };
    backup::files().iter().enumerate().map(file).collect()
}
