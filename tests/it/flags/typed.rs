//! Flags with variants and rules: in and out of flagd's definitions, and over OFREP.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use ctx::error::Code;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{READER, World};
use crate::support::{block_on, peer};

/// A shop's flags: one of each type, one that is off, and one that only names a default.
const SHOP: &str = r##"{
  "$schema": "https://flagd.dev/schema/v0/flags.json",
  "$evaluators": { "staff": { "ends_with": [{ "var": "email" }, "@ctx.example"] } },
  "metadata": { "flagSetId": "shop" },
  "flags": {
    "header": {
      "state": "ENABLED",
      "variants": { "red": "#f00", "green": "#0f0", "blue": "#00f" },
      "defaultVariant": "red",
      "targeting": { "if": [{ "$ref": "staff" }, "blue",
        { "fractional": [["green", 30], ["blue", 20], ["red", 50]] }] }
    },
    "limit": { "state": "ENABLED", "variants": { "low": 10, "high": 250 }, "defaultVariant": "low",
      "targeting": { "if": [{ ">=": [{ "var": "age" }, 18] }, "high"] } },
    "ratio": { "state": "ENABLED", "variants": { "half": 0.5 }, "defaultVariant": "half" },
    "beta": { "state": "ENABLED", "variants": { "on": true, "off": false }, "defaultVariant": "off",
      "targeting": { "if": [{ "in": ["beta", { "var": "groups" }] }, "on"] } },
    "layout": { "state": "ENABLED", "defaultVariant": "wide",
      "variants": { "wide": { "columns": 3 }, "narrow": { "columns": 1 } },
      "targeting": { "if": [{ "sem_ver": [{ "var": "version" }, "<", "2.0.0"] }, "narrow"] } },
    "gone": { "state": "DISABLED", "variants": { "a": "x" }, "defaultVariant": "a" },
    "open": { "state": "ENABLED", "variants": { "a": "x" } }
  }
}"##;

fn shop() -> World {
    let world = World::new();
    world.test.write("shop.json", SHOP);
    let names = "new: beta, gone, header, layout, limit, open, ratio; changed: none";
    world.ctx(&["flags", "import", "shop.json", "--yes"]).exits(Code::Done).says(&[names]);
    world
}

fn flags(world: &World) -> Value {
    world.ctx(&["flags", "list", "--json"]).exits(Code::Done).json()["flags"].clone()
}

#[test]
fn a_definition_is_imported_evaluated_and_explained() {
    let world = shop();
    world
        .ctx(&["flags", "import", "shop.json", "--yes"])
        .exits(Code::Done)
        .warns(&["nothing to do: 7 flags of `shop.json` are as they should be"]);
    world.ctx(&["flags", "list"]).exits(Code::Done).says(&["header", "blue, green, red"]);
    let eval = |args: &[&str]| {
        let ran = world.ctx(&[&["flags", "eval"], args].concat()).exits(Code::Done);
        ran.stdout.trim().to_owned()
    };
    assert_eq!(eval(&["header", "--context", "email=ada@ctx.example"]), "#00f");
    assert_eq!(eval(&["limit", "--context", "age=36"]), "250");
    assert_eq!(eval(&["limit", "--context", "age=3"]), "10");
    assert_eq!(eval(&["beta", "--context", r#"groups=["beta"]"#]), "true");
    assert_eq!(eval(&["layout", "--context", "version=1.9.3"]), r#"{"columns":1}"#);
    assert_eq!(eval(&["gone", "--user", "ada"]), "what the application says");
    let header = |user: &str| {
        world
            .ctx(&["flags", "explain", "header", "--user", user, "--json"])
            .exits(Code::Done)
            .json()
    };
    for user in ["ada", "grace", "edsger", "barbara"] {
        let why = header(user);
        assert_eq!(why["reason"], "SPLIT");
        let split = &why["steps"][1];
        assert_eq!(split["hashed"], format!("header{user}"));
        let bucket = split["hash"].as_u64().unwrap() * 100 / (1 << 32);
        let (part, variant) = match bucket {
            0..30 => (0, "green"),
            30..50 => (1, "blue"),
            _ => (2, "red"),
        };
        assert_eq!((split["bucket"].as_u64(), &why["variant"]), (Some(bucket), &json!(variant)));
        assert_eq!(split["at"], format!("targeting.if[2].fractional[{part}]"));
    }
    world.ctx(&["flags", "explain", "header", "--user", "ada"]).exits(Code::Done).says(&[
        "(variant `",
        "branch   targeting.if[2]: no condition holds",
        "murmur3-32 of `headerada`",
        "hash x 100 / 2^32",
        "split    targeting.if[2].fractional[",
    ]);
    let staff = ["flags", "explain", "header", "--context", "email=ada@ctx.example"];
    world
        .ctx(&staff)
        .exits(Code::Done)
        .says(&["header is #00f (variant `blue`)", "targeting.if[1]"]);
}

#[test]
fn the_definition_in_the_documents_is_one() {
    let text = include_str!("../../../docs/flags.md");
    let definition = text.split("```json").nth(1).unwrap().split("```").next().unwrap();
    let flags = ctx::control::flags::flagd::import(definition).unwrap();
    assert!(flags["header"].targeting.is_some());
}

#[test]
fn a_faulty_definition_changes_nothing_and_names_all_faults() {
    let world = World::new();
    let before = flags(&world);
    world.test.write(
        "bad.json",
        &json!({ "flags": {
            "fine": { "state": "ENABLED", "variants": { "a": 1 }, "defaultVariant": "a" },
            "checkout": { "state": "ENABLED", "variants": { "a": 1 },
                "targeting": { "if": [{ "regex": ["a", { "var": "email" }] }, "a"] } },
            "mixed": { "state": "ENABLED", "variants": { "a": 1, "b": "two" } },
            "caching_layer": { "state": "ENABLED", "variants": { "a": 1 } },
        } })
        .to_string(),
    );
    world.ctx(&["flags", "import", "bad.json", "--yes"]).exits(Code::Refused).warns(&[
        "`bad.json` is not imported: 3 faults",
        "flags.checkout.targeting.if[0]: operator `regex` is not supported; these are: var, if,",
        "flags.mixed.variants: all are of one type, but `a` is a number and `b` a text",
        "flags.caching_layer.variants: `caching_layer` is the orchestrator's own, and stays boolean",
    ]);
    world.ctx(&["flags", "import", "none.json", "--yes"]).exits(Code::Usage);
    assert_eq!(flags(&world), before);
}

#[test]
fn what_one_orchestrator_exports_another_imports_as_it_was() {
    let (one, other) = (shop(), World::new());
    for (flag, share) in [("header", "12.5%"), ("limit", "0%"), ("caching_layer", "40%")] {
        one.ctx(&["flags", "set", flag, "--on", "--percentage", share, "--yes"]).exits(Code::Done);
    }
    let exported = one.ctx(&["flags", "export"]).exits(Code::Done);
    let shares = &exported.json()["flags"]["caching_layer"]["targeting"]["fractional"];
    assert_eq!(*shares, json!([["on", 40_000], ["off", 60_000]]), "as flagd would decide it");
    other.test.write("all.json", &exported.stdout);
    other.ctx(&["flags", "import", "all.json", "--yes"]).exits(Code::Done);
    assert_eq!(flags(&one), flags(&other));
}

/// What each of many users gets: all flags at once, as a client of the protocol sees them.
fn sides(world: &World) -> BTreeMap<String, Value> {
    let user = |n| {
        let user = format!("user-{n}");
        let asked = json!({ "context": { "targetingKey": user, "age": n } }).to_string();
        let (status, _, found) = world.ask("", &asked, &[]);
        assert_eq!(status, StatusCode::OK);
        (user, found["flags"].clone())
    };
    (0..40).map(user).collect()
}

#[test]
fn nobody_changes_sides_on_a_restart_or_another_instance() {
    let mut one = shop();
    let other = shop();
    for world in [&one, &other] {
        for flag in ["header", "caching_layer"] {
            let set = ["flags", "set", flag, "--on", "--percentage", "60%", "--yes"];
            world.ctx(&set).exits(Code::Done);
        }
    }
    let before = sides(&one);
    assert_eq!(sides(&one), before, "a retry");
    assert_eq!(sides(&other), before, "another instance");
    one.serve.restart(&one.test);
    assert_eq!(sides(&one), before, "a restart");
}

#[test]
fn nobody_leaves_while_the_percentage_grows() {
    let world = shop();
    let variants = |share: &str| -> Vec<String> {
        world.ctx(&["flags", "set", "header", "--percentage", share, "--yes"]).exits(Code::Done);
        let user = |n| json!({ "context": { "targetingKey": format!("user-{n}") } }).to_string();
        let variant = |n| world.ask("/header", &user(n), &[]).2["variant"].as_str().unwrap().into();
        (0..60).map(variant).collect()
    };
    let (mut before, mut moved) = (vec!["red".to_owned(); 60], 0);
    for share in ["0%", "5%", "25%", "50%", "99%", "100%"] {
        let after = variants(share);
        for (user, (before, after)) in before.iter().zip(&after).enumerate() {
            assert!(before == after || before == "red", "user-{user} left {before} at {share}");
            moved += u32::from(before != after);
        }
        before = after;
    }
    assert!(moved > 15, "about half of them came in: {moved}");
}

#[test]
fn the_protocol_carries_values_of_every_type_and_their_reasons() {
    let world = shop();
    let said = |flag: &str, context: Value| {
        let (status, _, body) =
            world.ask(&format!("/{flag}"), &json!({ "context": context }).to_string(), &[]);
        assert_eq!(status, StatusCode::OK, "{body}");
        (body["value"].clone(), body["variant"].clone(), body["reason"].clone())
    };
    let is = |value: Value, variant: &str, reason: &str| (value, json!(variant), json!(reason));
    let staff = json!({ "email": "ada@ctx.example" });
    assert_eq!(said("header", staff), is(json!("#00f"), "blue", "TARGETING_MATCH"));
    assert_eq!(said("header", json!({ "targetingKey": "ada" })).2, "SPLIT");
    assert_eq!(said("header", json!({})), is(json!("#f00"), "red", "DEFAULT"));
    assert_eq!(said("ratio", json!({})), is(json!(0.5), "half", "STATIC"));
    assert_eq!(said("limit", json!({ "age": 18 })), is(json!(250), "high", "TARGETING_MATCH"));
    let wide = is(json!({ "columns": 3 }), "wide", "DEFAULT");
    assert_eq!(said("layout", json!({ "version": "2.1.0" })), wide);
    assert_eq!(said("gone", json!({})), is(Value::Null, "", "DISABLED"));
    assert_eq!(said("open", json!({})), is(Value::Null, "", "DEFAULT"));
    world.ctx(&["flags", "set", "header", "--percentage", "50%", "--yes"]).exits(Code::Done);
    let (status, _, body) = world.ask("/header", "{}", &[]);
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        (&body["errorCode"], &body["key"]),
        (&json!("TARGETING_KEY_MISSING"), &json!("header"))
    );
    for body in [r#"{"context": 7}"#, r#"{"context": {"targetingKey": []}}"#] {
        let (status, _, said) = world.ask("/header", body, &[]);
        assert_eq!(
            (status, &said["errorCode"]),
            (StatusCode::BAD_REQUEST, &json!("INVALID_CONTEXT"))
        );
    }
    let (status, _, all) = world.ask("", "{}", &[]);
    assert_eq!(world.ask("/", "{}", &[]).2, all, "a slash at the end makes no difference");
    assert_eq!(status, StatusCode::OK, "one flag without an answer does not spoil the others");
    let header = all["flags"].as_array().unwrap().iter().find(|flag| flag["key"] == "header");
    assert_eq!(header.unwrap()["errorCode"], "TARGETING_KEY_MISSING");
}

#[test]
fn a_tag_stands_for_flags_and_context_in_any_order() {
    let world = shop();
    let tag = |body: &str, given: &str| {
        let (status, tag, _) = world.ask("", body, &[("if-none-match", given)]);
        (status, tag)
    };
    let (_, first) = tag(r#"{"context": {"targetingKey": "ada", "age": 3}}"#, "");
    let turned = tag(r#"{"context": {"age": 3, "targetingKey": "ada"}}"#, &first);
    assert_eq!(turned, (StatusCode::NOT_MODIFIED, first.clone()));
    let (status, older) = tag(r#"{"context": {"targetingKey": "ada", "age": 33}}"#, &first);
    assert!(status == StatusCode::OK && older != first);
    let timed = json!({ "flags": { "night": { "state": "ENABLED", "variants": { "a": 1, "b": 2 },
        "defaultVariant": "a",
        "targeting": { "if": [{ ">": [{ "var": "$flagd.timestamp" }, 1] }, "b"] } } } });
    world.test.write("night.json", &timed.to_string());
    world.ctx(&["flags", "import", "night.json", "--yes"]).exits(Code::Done);
    let (_, found, _) = world.ask("/night", "{}", &[]);
    assert_eq!(found, "", "one flag has no tag");
    let (status, _) = tag(r#"{"context": {"targetingKey": "ada", "age": 3}}"#, &first);
    assert_eq!(status, StatusCode::OK, "there is a flag more");
    assert_eq!(world.ask("/night", "{}", &[]).2["value"], 2);
}

#[test]
fn the_flags_token_is_taken_as_an_api_key_too() {
    let world = World::new();
    let status = |headers: &[(&'static str, &str)], path: &str| {
        let url = world.url() + path;
        block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let post = path.starts_with("/ofrep");
            let mut call = if post { client.post(url) } else { client.get(url) };
            for (name, value) in headers {
                call = call.header(*name, *value);
            }
            call.send().await.unwrap().status().as_u16()
        })
    };
    let all = "/ofrep/v1/evaluate/flags";
    assert_eq!(status(&[("x-api-key", READER)], all), 200);
    assert_eq!(status(&[("x-api-key", "wrong")], all), 401);
    assert_eq!(status(&[("x-api-key", READER), ("x-api-key", READER)], all), 401);
    assert_eq!(status(&[("x-api-key", READER)], "/v1/state"), 401);
    assert_eq!(status(&[("x-api-key", crate::support::serve::TOKEN)], "/v1/state"), 401);
}

#[test]
fn the_open_feature_sdk_reads_flags_of_every_type() {
    if peer::require("openfeature").is_none() {
        return;
    }
    let world = shop();
    let ask = |ask: &str, key: &str, user: Option<&str>, context: Value, default: Value| json!({ "ask": ask, "key": key, "user": user, "context": context, "default": default });
    let staff = json!({ "email": "ada@ctx.example" });
    let questions = [
        ask("boolean", "beta", None, json!({ "groups": ["beta"] }), json!(false)),
        ask("string", "header", None, staff, json!("#fff")),
        ask("string", "header", Some("ada"), json!({}), json!("#fff")),
        ask("integer", "limit", None, json!({ "age": 40 }), json!(1)),
        ask("float", "ratio", None, json!({}), json!(1.5)),
        ask("object", "layout", None, json!({ "version": "1.0.0" }), json!({})),
        ask("string", "gone", None, json!({}), json!("mine")),
        ask("string", "open", None, json!({}), json!("mine")),
        ask("string", "limit", None, json!({}), json!("mine")),
        ask("boolean", "none", None, json!({}), json!(true)),
    ];
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openfeature/typed.py");
    let mut child = Command::new(peer::python())
        .args([script, &world.url(), READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let asked = json!(questions).to_string();
    child.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let eval = ["flags", "eval", "header", "--user", "ada", "--json"];
    let ours = world.ctx(&eval).exits(Code::Done).json();
    let expect = [
        (json!(true), "TARGETING_MATCH", Value::Null),
        (json!("#00f"), "TARGETING_MATCH", Value::Null),
        (ours["value"].clone(), "SPLIT", Value::Null),
        (json!(250), "TARGETING_MATCH", Value::Null),
        (json!(0.5), "STATIC", Value::Null),
        (json!({ "columns": 1 }), "TARGETING_MATCH", Value::Null),
        (json!("mine"), "DISABLED", Value::Null),
        (json!("mine"), "DEFAULT", Value::Null),
        (json!("mine"), "ERROR", json!("TYPE_MISMATCH")),
        (json!(true), "ERROR", json!("FLAG_NOT_FOUND")),
    ];
    for ((question, found), (value, reason, error)) in questions.iter().zip(&found).zip(expect) {
        assert_eq!((&found["value"], &found["error"]), (&value, &error), "{question}: {found}");
        let said = found["reason"].as_str().unwrap();
        assert!(said.ends_with(reason), "{question}: {found}");
    }
    assert_eq!(found[0]["metadata"]["flagSetId"], "shop");
}
