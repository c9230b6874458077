//! The service as it was: its endpoints answer through the gateway as they do without it, and the
//! variables that steered it steer it still.

use std::collections::BTreeMap;

use ctx::control::config::{CacheMode, Canary, HealingMode, InboxMode, Mode, Upstream};
use ctx::error::Code;
use ctx::units::Percent;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::support::Test;
use crate::support::scripted::{Scripted, exchange};
use crate::support::serve::{Serve, TOKEN};
use crate::support::uvicorn::Uvicorn;

/// One of everything that the app's surface has, and of what it refuses.
const REQUESTS: [(&str, &str, &str); 26] = [
    ("GET", "/", ""),
    ("GET", "/?utm=1&x=%20", ""),
    ("HEAD", "/", ""),
    ("PUT", "/", "x"),
    ("OPTIONS", "/", ""),
    ("GET", "/docs", ""),
    ("GET", "/redoc", ""),
    ("GET", "/openapi.json", ""),
    ("GET", "/_handled", ""),
    ("GET", "/elsewhere", ""),
    ("GET", "/linear/events", ""),
    ("DELETE", "/github/events", ""),
    ("POST", "/linear/events/", "{}"),
    ("POST", "/linear/events", r#"{"type":"Issue","action":"create"}"#),
    ("POST", "/linear/events", r#"{"type":"Cycle","action":"update"}"#),
    ("POST", "/linear/events", r#"{"type":7,"action":"create"}"#),
    ("POST", "/linear/events", ""),
    ("POST", "/linear/events", "null"),
    ("POST", "/github/events", "{}"),
    ("POST", "/github/events", r#"{"ref":"refs/heads/main","é":"ü"}"#),
    ("POST", "/github/events", "payload=%7B%7D"),
    ("POST", "/slack/events", r#"{"type":"url_verification","challenge":"c-1"}"#),
    ("POST", "/slack/events", r#"{"type":"event_callback","event":{"type":"message"}}"#),
    ("POST", "/slack/events", r#"{"type":"event_callback","event":[]}"#),
    ("POST", "/slack/events", r#"{"type":"app_rate_limited"}"#),
    ("POST", "/slack/events", "{}"),
];

/// An answer as it came, but for the moment that it was given, and with the lines of its head in
/// one order: among lines of different names it means nothing (RFC 9110, 5.3).
fn answer(addr: &str, (method, path, body): (&str, &str, &str)) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: app.example\r\nAccept: */*\r\n");
    if !body.is_empty() || method == "POST" {
        head = format!("{head}X-GitHub-Event: push\r\nContent-Length: {}\r\n", body.len());
    }
    let answer = exchange(addr, format!("{head}\r\n{body}").as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let (status, lines) = head.split_once("\r\n").unwrap();
    let moment = |line: &&str| !line.starts_with("date: ");
    let mut lines: Vec<&str> = lines.split("\r\n").filter(moment).collect();
    lines.sort_unstable();
    format!("{status}\r\n{}\r\n\r\n{body}", lines.join("\r\n"))
}

#[test]
fn every_endpoint_answers_byte_for_byte_as_without_the_gateway() {
    let Some(app) = Uvicorn::start() else { return };
    let direct = app.url().strip_prefix("http://").unwrap();
    let test = Test::new().env("CTX_TOKEN", TOKEN);
    let serve = Serve::start(&test, app.url());
    let mut statuses = BTreeMap::new();
    for request in REQUESTS {
        let expected = answer(direct, request);
        assert_eq!(answer(&serve.data, request), expected, "{request:?}");
        *statuses.entry(expected[9..12].to_owned()).or_insert(0) += 1;
    }
    let seen: Vec<&str> = statuses.keys().map(String::as_str).collect();
    assert_eq!(seen, ["200", "307", "404", "405", "500"], "the surface in all its answers");

    serve.set(|config| {
        config.mode = Mode::Enhanced;
        config.cache.mode = CacheMode::Write;
        config.inbox.mode = InboxMode::Rescue;
        config.healing.mode = HealingMode::Recover;
        config.tracing.start_trace = true;
        for flag in config.flags.values_mut() {
            (flag.enabled, flag.percentage) = (true, Percent::ALL);
        }
    });
    // Twice, so that the second round has what the first one left in the cache.
    for request in REQUESTS.iter().chain(&REQUESTS).copied() {
        let (method, ..) = request;
        let expected = answer(direct, request);
        let got = answer(&serve.data, request);
        if method == "POST" && expected.starts_with("HTTP/1.1 500") {
            // The one promise that is more than the app's: an event is kept when its handler fails.
            assert!(got.starts_with("HTTP/1.1 200 OK\r\n") && got.ends_with("stored\n"), "{got}");
            continue;
        }
        // What a cache must add: RFC 9111, 5.1.
        let aged = |line: &&str| !line.starts_with("age: ");
        let got = got.split("\r\n").filter(aged).collect::<Vec<_>>().join("\r\n");
        assert_eq!(got, expected, "{request:?}");
    }
}

fn origins(test: &Test, serve: &Serve) -> BTreeMap<String, Value> {
    let url = format!("http://{}", serve.control);
    let show = ["config", "show", "--live", "--origin", "--json", "--orchestrator", &url];
    let shown = test.run(&show).exits(Code::Done).json();
    let origins = shown["origins"].as_array().unwrap().iter();
    origins.map(|origin| (origin["name"].as_str().unwrap().to_owned(), origin.clone())).collect()
}

fn push(serve: &Serve, signature: &str) -> String {
    let head = "POST /github/events HTTP/1.1\r\nHost: a\r\nX-Hub-Signature-256: sha256=";
    exchange(&serve.data, format!("{head}{signature}\r\nContent-Length: 2\r\n\r\n{{}}").as_bytes())
}

#[test]
fn the_variables_of_the_service_mean_what_they_meant_and_say_what_became_of_them() {
    let test = Test::new().env("CTX_TOKEN", TOKEN);
    let app = Scripted::start(|_| (200, "{}".to_owned()));
    let env = [
        ("CONTEXTEN_ENHANCED_MODE", "True"),
        ("CONTEXTEN_LEGACY_FALLBACK", "FALSE"),
        ("GITHUB_WEBHOOK_SECRET", "hush-github"),
        ("LINEAR_WEBHOOK_SECRET", "hush-linear"),
        ("SLACK_SIGNING_SECRET", "hush-slack"),
        ("GITHUB_TOKEN", "hush-token"),
    ];
    let env = env.map(|(name, value)| (name, value.to_owned()));
    let serve = Serve::under(&test, &app.url(), &env).unwrap();
    let state = serve.state();
    assert_eq!((state.config.mode, state.config.legacy_fallback), (Mode::Enhanced, false));
    assert_eq!(
        state.config.routes["slack"].secret.as_deref(),
        Some("env:SLACK_SIGNING_SECRET"),
        "a secret is pointed to"
    );

    // They have their effect: what GitHub did not sign is refused, what it did is handled.
    let mut mac = Hmac::<Sha256>::new_from_slice(b"hush-github").unwrap();
    mac.update(b"{}");
    let signature = hex::encode(mac.finalize().into_bytes());
    assert!(push(&serve, &"0".repeat(64)).starts_with("HTTP/1.1 401"));
    assert!(push(&serve, &signature).starts_with("HTTP/1.1 200"));
    // And without the fallback, an event whose handler is away is not the legacy app's.
    let away = |serve: &Serve| {
        serve.set(|config| {
            let nobody = Upstream::at("http://127.0.0.1:1");
            config.upstreams.insert("nobody".to_owned(), nobody);
            config.canary = Some(Canary { upstream: "nobody".to_owned(), weight: Percent::ALL });
        });
    };
    away(&serve);
    assert!(push(&serve, &signature).starts_with("HTTP/1.1 502"));

    // `GET /v1/state`, and the command, say where it comes from.
    let said = serde_json::to_string(&state).unwrap();
    assert!(said.contains("CONTEXTEN_ENHANCED_MODE") && !said.contains("hush"), "{said}");
    let shown = origins(&test, &serve);
    assert_eq!(shown.len(), env.len(), "{shown:?}");
    let of = |name: &str, field: &str| shown[name][field].clone();
    assert_eq!(of("CONTEXTEN_ENHANCED_MODE", "path"), "mode");
    assert_eq!(of("CONTEXTEN_ENHANCED_MODE", "value"), "enhanced");
    assert_eq!(of("CONTEXTEN_LEGACY_FALLBACK", "value"), "false");
    assert_eq!(of("LINEAR_WEBHOOK_SECRET", "path"), "routes.linear.secret");
    assert_eq!(of("GITHUB_TOKEN", "used"), false);
    assert!(of("GITHUB_TOKEN", "note").as_str().unwrap().starts_with("it is the app's"));
    assert!(shown.iter().all(|(name, origin)| name == "GITHUB_TOKEN" || origin["used"] == true));
    let url = format!("http://{}", serve.control);
    let show = ["config", "show", "--live", "--origin", "--orchestrator", &url];
    test.run(&show).exits(Code::Done).says(&[
        "mode = \"enhanced\"",
        "CONTEXTEN_LEGACY_FALLBACK: legacy_fallback = false",
        "SLACK_SIGNING_SECRET: routes.slack.secret = env:SLACK_SIGNING_SECRET",
        "GITHUB_TOKEN: not used; it is the app's",
    ]);
    drop(serve);

    // Later on the stored configuration counts, and that is said too.
    let env = [("CONTEXTEN_ENHANCED_MODE", "false".to_owned())];
    let serve = Serve::under(&test, &app.url(), &env).unwrap();
    assert_eq!(serve.state().config.mode, Mode::Enhanced);
    let shown = origins(&test, &serve);
    let origin = &shown["CONTEXTEN_ENHANCED_MODE"];
    assert_eq!(origin["used"], false);
    let note = "the stored configuration is in force, and has enhanced; a plan changes it";
    assert_eq!(origin["note"], note);
}

#[test]
fn with_the_fallback_an_event_whose_handler_is_away_is_the_legacy_apps() {
    let test = Test::new().env("CTX_TOKEN", TOKEN);
    let app = Scripted::start(|_| (200, "{}".to_owned()));
    let env = [("CONTEXTEN_ENHANCED_MODE", "true"), ("CONTEXTEN_LEGACY_FALLBACK", "true")];
    let env = env.map(|(name, value)| (name, value.to_owned()));
    let serve = Serve::under(&test, &app.url(), &env).unwrap();
    serve.set(|config| {
        let nobody = Upstream::at("http://127.0.0.1:1");
        config.upstreams.insert("nobody".to_owned(), nobody);
        config.canary = Some(Canary { upstream: "nobody".to_owned(), weight: Percent::ALL });
    });
    assert!(push(&serve, "none").starts_with("HTTP/1.1 200"));
}

#[test]
fn what_never_meant_yes_is_no_and_that_is_said() {
    let test = Test::new().env("CTX_TOKEN", TOKEN);
    let app = Scripted::start(|_| (200, "{}".to_owned()));
    let env = [("CONTEXTEN_ENHANCED_MODE", "yes".to_owned())];
    let serve = Serve::under(&test, &app.url(), &env).unwrap();
    assert_eq!(serve.state().config.mode, Mode::Legacy);
    let note = "\"yes\" reads as false, as it always did; only `true` is true";
    assert_eq!(origins(&test, &serve)["CONTEXTEN_ENHANCED_MODE"]["note"], note);
    let log = std::fs::read_to_string(test.path("serve.log")).unwrap();
    assert!(log.contains("only `true` is true"), "{log}");
    drop(serve);
    let test = Test::new().env("CTX_TOKEN", TOKEN);
    let serve = Serve::start(&test, &app.url());
    assert_eq!(origins(&test, &serve), BTreeMap::new());
    // The settings of the command line have origins of their own.
    let shown = test.run(&["config", "show", "--origin"]).exits(Code::Done);
    shown.says(&["token", "env:CTX_TOKEN", "CTX_TOKEN", "ledger", "built-in"]);
}
