//! Flags, as applications and operators ask for them.

mod typed;
mod vectors;

use std::process::Command;

use ctx::error::Code;
use ctx::rehearsal::legacy::Legacy;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::serve::{Serve, TOKEN};
use crate::support::{Ran, Test, block_on, peer};

const READER: &str = "a-token-that-opens-the-flags-only";

struct World {
    serve: Serve,
    test: Test,
    _legacy: Legacy,
}

impl World {
    fn new() -> Self {
        let test = Test::new().env("CTX_TOKEN", TOKEN).env("FLAGS", READER);
        let legacy = Legacy::start().unwrap();
        let serve = Serve::with(&test, &legacy.url(), &["--flags-token", "env:FLAGS"]);
        Self { serve, test, _legacy: legacy }
    }

    fn ctx(&self, args: &[&str]) -> Ran {
        let url = self.url();
        self.test.run(&[args, &["--orchestrator", &url]].concat())
    }

    fn url(&self) -> String {
        format!("http://{}", self.serve.control)
    }

    /// Asks as a client of the protocol does.
    fn ask(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> (StatusCode, String, Value) {
        let url = format!("{}/ofrep/v1/evaluate/flags{path}", self.url());
        block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let mut call = client.post(url).bearer_auth(READER).body(body.to_owned());
            for (name, value) in headers {
                call = call.header(*name, *value);
            }
            let answer = call.send().await.unwrap();
            let tag = answer.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
            let status = answer.status();
            let body = answer.text().await.unwrap();
            (status, tag.unwrap_or_default(), serde_json::from_str(&body).unwrap_or_default())
        })
    }
}

#[test]
fn a_flag_is_set_listed_evaluated_and_explained() {
    let world = World::new();
    let set = ["flags", "set", "connection_pooling", "--on", "--percentage", "30%", "--yes"];
    world.ctx(&set).exits(Code::Done).says(&["connection_pooling is on at 30% as of revision 2"]);
    world.ctx(&set).exits(Code::Done).warns(&["nothing to do: connection_pooling is on at 30%"]);
    let list = world.ctx(&["flags", "list"]).exits(Code::Done);
    assert!(list.stdout.contains("connection_pooling"), "{}", list.stdout);
    let mut on = 0;
    for user in ["ada", "grace", "edsger", "barbara", "tony", "leslie", "donald", "frances"] {
        let eval = world.ctx(&["flags", "eval", "connection_pooling", "--user", user]);
        let eval = eval.exits(Code::Done).stdout;
        let explain = ["flags", "explain", "connection_pooling", "--user", user, "--json"];
        let why = world.ctx(&explain).exits(Code::Done).json();
        let below = why["bucket"].as_u64().unwrap() < why["limit"].as_u64().unwrap();
        assert_eq!((why["limit"].as_u64(), why["on"].as_bool()), (Some(30_000), Some(below)));
        assert_eq!(eval.trim(), if below { "on" } else { "off" });
        on += u32::from(below);
    }
    assert!((1..8).contains(&on), "some of them are in");
    let said = world.ctx(&["flags", "explain", "connection_pooling", "--user", "ada"]);
    let said = said.exits(Code::Done).stdout;
    for part in ["is o", "hash", "murmur3-32 of `connection_poolingada`", "bucket", "rule"] {
        assert!(said.contains(part), "{said}");
    }
    let nobody = ["flags", "explain", "connection_pooling"];
    world.ctx(&nobody).exits(Code::Done).says(&["the dice decide: on in 30% of the questions"]);
    let nobody = world.ctx(&[&nobody[..], &["--json"]].concat()).exits(Code::Done).json();
    assert_eq!((&nobody["bucket"], &nobody["limit"]), (&Value::Null, &json!(30_000)));
    world
        .ctx(&["flags", "eval", "conection_pooling"])
        .exits(Code::Usage)
        .warns(&["there is no flag `conection_pooling`", "did you mean `connection_pooling`?"]);
    world.ctx(&["flags", "set", "connection_pooling", "--yes"]).exits(Code::Usage);
}

#[test]
fn the_protocol_s_answers_and_faults() {
    let world = World::new();
    world.ctx(&["flags", "set", "caching_layer", "--on", "--percentage", "50%", "--yes"]);
    let ada = r#"{"context":{"targetingKey":"ada","team":"blue"}}"#;
    let (status, _, body) = world.ask("/caching_layer", ada, &[]);
    let on = body["value"].as_bool().unwrap();
    assert_eq!(
        (status, body),
        (
            StatusCode::OK,
            json!({ "key": "caching_layer", "value": on, "reason": "SPLIT",
            "variant": if on { "on" } else { "off" },
            "metadata": { "percentage": "50%", "bucketing": "flagd-v2" } })
        )
    );
    let (_, _, body) = world.ask("/self_healing", ada, &[]);
    assert_eq!((&body["value"], &body["reason"]), (&json!(false), &json!("DISABLED")));
    for (path, body, status, code) in [
        ("/nothing", ada, StatusCode::NOT_FOUND, "FLAG_NOT_FOUND"),
        ("/caching_layer", "{", StatusCode::BAD_REQUEST, "PARSE_ERROR"),
        (
            "/caching_layer",
            r#"{"context":{"targetingKey":7}}"#,
            StatusCode::BAD_REQUEST,
            "INVALID_CONTEXT",
        ),
    ] {
        let (found, _, said) = world.ask(path, body, &[]);
        assert_eq!((found, &said["errorCode"]), (status, &json!(code)), "{path} {body}");
        assert_eq!(said["key"], path[1..], "{path}");
    }
    let (status, tag, body) = world.ask("", ada, &[]);
    assert_eq!((status, body["flags"].as_array().unwrap().len()), (StatusCode::OK, 8));
    let (status, ..) = world.ask("", ada, &[("if-none-match", &tag)]);
    assert_eq!(status, StatusCode::NOT_MODIFIED);
    let (status, other, _) =
        world.ask("", r#"{"context":{"targetingKey":"x"}}"#, &[("if-none-match", &tag)]);
    assert!(status == StatusCode::OK && other != tag, "another user, another answer");
    world.ctx(&["flags", "set", "caching_layer", "--percentage", "60%", "--yes"]);
    let (status, ..) = world.ask("", ada, &[("if-none-match", &tag)]);
    assert_eq!(status, StatusCode::OK, "a flag has changed");
    let (_, _, body) = world.ask("/caching_layer", "", &[]);
    assert_eq!(body["errorCode"], "TARGETING_KEY_MISSING", "nothing is decided by dice here");
}

#[test]
fn the_flags_token_opens_the_flags_and_nothing_else() {
    let world = World::new();
    let status = |path: &str, token: &str| {
        let (post, url) = (path.starts_with("/ofrep"), world.url() + path);
        block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let call = if post { client.post(url) } else { client.get(url) };
            call.bearer_auth(token).send().await.unwrap().status().as_u16()
        })
    };
    assert_eq!(status("/ofrep/v1/evaluate/flags", READER), 200);
    assert_eq!(status("/ofrep/v1/evaluate/flags", TOKEN), 200);
    assert_eq!(status("/ofrep/v1/evaluate/flags", "wrong"), 401);
    for path in ["/v1/state", "/v1/metrics", "/metrics", "/v1/inbox", "/openapi.json"] {
        assert_eq!((status(path, READER), status(path, TOKEN)), (401, 200), "{path}");
    }
}

#[test]
fn an_open_feature_client_sees_what_ctx_says() {
    if peer::require("openfeature").is_none() {
        return;
    }
    let world = World::new();
    world.ctx(&["flags", "set", "caching_layer", "--on", "--percentage", "40%", "--yes"]);
    let users: Vec<String> = (0..30).map(|n| format!("user-{n}")).collect();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openfeature/evaluate.py");
    let output = Command::new(peer::python())
        .args([script, &world.url(), READER, "caching_layer"])
        .args(&users)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut on = 0;
    for user in &users {
        let theirs = &found["users"][user];
        let ours = ["flags", "eval", "caching_layer", "--user", user, "--json"];
        let ours = world.ctx(&ours).exits(Code::Done).json();
        assert_eq!(theirs["value"], ours["on"], "{user}");
        assert_eq!(theirs["metadata"]["percentage"], "40%");
        on += u32::from(theirs["value"] == true);
    }
    assert!((3..=24).contains(&on), "about 40 % of 30: {on}");
    assert_eq!(found["missing"]["error"], "FLAG_NOT_FOUND");
    assert_eq!(found["wrong_type"]["error"], "TYPE_MISMATCH");
    assert_eq!(found["wrong_type"]["value"], "fallback");
    assert_eq!(found["stranger"]["error"], "GENERAL", "the default stands");
    assert_eq!(found["stranger"]["value"], true);
}
