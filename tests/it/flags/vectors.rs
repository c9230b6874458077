//! Our bucketing beside flagd's, as somebody else's hash and Python's whole numbers compute it.

use std::collections::BTreeMap;
use std::process::Command;

use ctx::control::config::Flag;
use ctx::control::flags::flagd;
use ctx::orchestrator::flags::evaluator::{Context, Evaluator};
use ctx::units::Percent;
use serde_json::{Map, Value, json};

use crate::support::peer;

/// The seed is fixed, so that a failure is the same failure tomorrow.
const SEED: &str = "20261126";
const CASES: &str = "4000";

#[test]
fn thousands_of_random_keys_fall_where_flagd_puts_them() {
    if peer::require("mmh3").is_none() {
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openfeature/vectors.py");
    let output = Command::new(peer::python()).args([script, CASES, SEED]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let cases: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(cases.len().to_string(), CASES);
    let (mut on, mut parts) = (0, 0);
    for case in &cases {
        let context = Map::from_iter([("targetingKey".to_owned(), case["user"].clone())]);
        let shares = |key: Option<Value>| {
            let weights = case["weights"].as_array().unwrap().iter().enumerate();
            let shares = weights.map(|(part, weight)| json!([part.to_string(), weight]));
            Value::from(key.into_iter().chain(shares).collect::<Vec<_>>())
        };
        let salt = json!({ "cat": [case["salt"], { "var": "targetingKey" }] });
        for (key, part) in [(None, "part"), (Some(salt), "salted")] {
            let found = typed(case, &json!({ "fractional": shares(key) }));
            let found =
                found.evaluate(&Context::new(&context), 0).unwrap().variant.map(str::to_owned);
            assert_eq!(found, case[part].as_u64().map(|part| part.to_string()), "{part}: {case}");
            parts += u32::from(found.is_some_and(|part| part != "0"));
        }
        let share = u32::try_from(case["thousandths"].as_u64().unwrap()).unwrap();
        let flag = Flag::boolean(true, Percent::from_thousandths(share).unwrap());
        let flag = Evaluator::new(case["flag"].as_str().unwrap(), &flag).unwrap();
        let found = flag.evaluate(&Context::new(&context), 0).unwrap().value.cloned();
        assert_eq!(found, Some(case["on"].clone()), "{case}");
        on += u32::from(found == Some(json!(true)));
    }
    assert!((1_000..3_000).contains(&on) && parts > 1_000, "all sides are seen: {on}, {parts}");
}

#[test]
fn an_exported_percentage_is_the_same_share_without_us() {
    let colours = json!({ "red": 1, "blue": 2, "none": 0 });
    let split = json!({ "fractional": [["red", 1], ["blue", 3]] });
    let staff = json!({ "if": [{ "var": "staff" }, "blue", "red"] });
    let of = |share: &str, rule: Option<&Value>| {
        let mut flag = json!({ "enabled": true, "percentage": share, "bucketing": "flagd-v2" });
        if let Some(rule) = rule {
            flag["variants"] = colours.clone();
            flag["default_variant"] = json!("none");
            flag["targeting"] = rule.clone();
        }
        serde_json::from_value::<Flag>(flag).unwrap()
    };
    for share in ["0%", "0.5%", "30%", "99.999%", "100%"] {
        for rule in [None, Some(&split), Some(&staff)] {
            let flag = of(share, rule);
            let mut plain = flagd::export(&BTreeMap::from([("new".to_owned(), flag.clone())]));
            // What is left is all that flagd looks at.
            plain["flags"]["new"]["metadata"] = json!({});
            let plain = flagd::import(&plain.to_string()).unwrap()["new"].clone();
            assert_eq!(plain.percentage, Percent::ALL, "nothing of it is ours");
            let ours = Evaluator::new("new", &flag).unwrap();
            let theirs = Evaluator::new("new", &plain).unwrap();
            for user in 0..500 {
                let context = json!({ "targetingKey": format!("user-{user}"), "staff": user % 2 });
                let context = Context::new(context.as_object().unwrap());
                let variant = |flag: &Evaluator| {
                    flag.evaluate(&context, 0).unwrap().variant.map(str::to_owned)
                };
                assert_eq!(variant(&ours), variant(&theirs), "user-{user} at {share}: {rule:?}");
            }
        }
    }
}

/// A flag with a variant for each part of its rule, and no default.
fn typed(case: &Value, rule: &Value) -> Evaluator {
    let variants: Map<String, Value> = (0..8).map(|part| (part.to_string(), part.into())).collect();
    let flag = json!({ "enabled": true, "percentage": "100%", "bucketing": "flagd-v2",
        "variants": variants, "targeting": rule });
    let flag: Flag = serde_json::from_value(flag).unwrap();
    Evaluator::new(case["flag"].as_str().unwrap(), &flag).unwrap()
}
