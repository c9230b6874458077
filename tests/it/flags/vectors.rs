//! Our bucketing beside flagd's, as somebody else's hash and Python's whole numbers compute it.

use std::process::Command;

use ctx::control::config::Flag;
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

/// A flag with a variant for each part of its rule, and no default.
fn typed(case: &Value, rule: &Value) -> Evaluator {
    let variants: Map<String, Value> = (0..8).map(|part| (part.to_string(), part.into())).collect();
    let flag = json!({ "enabled": true, "percentage": "100%", "bucketing": "flagd-v2",
        "variants": variants, "targeting": rule });
    let flag: Flag = serde_json::from_value(flag).unwrap();
    Evaluator::new(case["flag"].as_str().unwrap(), &flag).unwrap()
}
