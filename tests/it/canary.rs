//! `ctx canary judge`: the judge on recorded samples, and beside other software.

use std::io::Write;
use std::process::{Command, Stdio};

use ctx::error::Code;
use ctx::load::dice::Dice;
use serde_json::{Value, json};

use crate::support::{Test, peer};

const FILE: &str = "samples.json";

fn judge(samples: &Value, code: Code) -> Value {
    let test = Test::new().file(FILE, &samples.to_string());
    let ran = test.run(&["canary", "judge", FILE, "--json"]);
    serde_json::from_str(&ran.exits(code).stdout).unwrap()
}

fn recorded(metrics: &Value) -> Value {
    json!({ "schema": "ctx.samples/1", "metrics": metrics })
}

fn values(baseline: &[f64], canary: &[f64]) -> Value {
    let arms = json!({ "kind": "values", "name": "latency", "unit": "ms" });
    with_arms(arms, &json!(baseline), &json!(canary))
}

fn with_arms(mut metric: Value, baseline: &Value, canary: &Value) -> Value {
    metric["baseline"] = baseline.clone();
    metric["canary"] = canary.clone();
    metric
}

#[test]
fn a_verdict_names_each_metric_and_says_what_follows() {
    let fast: Vec<f64> = (0..12).map(|n| 100.0 + f64::from(n)).collect();
    let slow: Vec<f64> = fast.iter().map(|value| value * 1.5).collect();
    let worse = judge(&recorded(&json!([values(&fast, &slow)])), Code::CriteriaNotMet);
    assert_eq!(worse["verdict"], "fail");
    assert_eq!(
        (&worse["metrics"][0]["metric"], &worse["metrics"][0]["exact"]),
        (&json!("latency"), &json!(true))
    );
    let outcomes = json!({ "kind": "outcomes", "name": "errors" });
    let healthy = with_arms(outcomes, &json!(vec![false; 500]), &json!(vec![false; 150]));
    let same = judge(&recorded(&json!([values(&fast, &fast), healthy])), Code::Done);
    assert_eq!(same["verdict"], "pass");
    let mut slow_tail: Vec<f64> = [&fast[..], &fast].concat().repeat(20);
    let control = slow_tail.clone();
    slow_tail.iter_mut().step_by(10).for_each(|value| *value *= 4.0);
    let all = values(&control, &slow_tail);
    let mut tail = all.clone();
    (tail["kind"], tail["name"]) = (json!("tail"), json!("latency_p95"));
    let worse = judge(&recorded(&json!([all, tail])), Code::CriteriaNotMet);
    let verdicts = [&worse["metrics"][0]["verdict"], &worse["metrics"][1]["verdict"]];
    assert_eq!(verdicts, ["pass", "fail"], "ranks do not show it: {worse}");
    let few = judge(&recorded(&json!([values(&fast, &slow[..3])])), Code::Awaiting);
    assert_eq!(few["verdict"], "inconclusive");

    let test = Test::new().file(FILE, &recorded(&json!([values(&fast, &slow)])).to_string());
    test.run(&["canary", "judge", FILE]).exits(Code::CriteriaNotMet).says(&[
        "latency canary 158.2ms (n=12) vs control 105.5ms (n=12)",
        "-> worse",
        "the canary is worse",
    ]);
}

#[test]
fn the_same_samples_give_the_same_bytes() {
    let mut dice = Dice::new(3);
    let mut arm = |n: usize| (0..n).map(|_| number(&mut dice)).collect::<Vec<_>>();
    let text = recorded(&json!([values(&arm(300), &arm(70))])).to_string();
    let test = Test::new().file(FILE, &text);
    let once = || test.run(&["canary", "judge", FILE, "--json"]).stdout;
    assert_eq!(once(), once());
}

#[test]
fn a_file_that_is_none_is_refused_with_what_to_do() {
    for (text, why) in [
        ("{", "EOF"),
        (r#"{"schema": "x", "metrics": []}"#, "its schema is `x`"),
        (r#"{"schema": "ctx.samples/1", "metrics": []}"#, "it has no metrics"),
        (r#"{"schema": "ctx.samples/1", "alpha": 2, "metrics": []}"#, "`alpha` is a probability"),
        (
            r#"{"schema": "ctx.samples/1", "metrics": [{"kind": "sorts"}]}"#,
            "unknown variant `sorts`",
        ),
        (
            r#"{"schema": "ctx.samples/1", "metrics": [{"kind": "values", "name": "x",
                "min_effect": -1, "baseline": [], "canary": []}]}"#,
            "metric `x`: `min_effect` is not below zero",
        ),
    ] {
        let test = Test::new().file(FILE, text);
        let ran = test.run(&["canary", "judge", FILE]).exits(Code::Usage);
        assert!(ran.stderr.contains(why), "{text}: {}", ran.stderr);
        assert!(ran.stderr.contains("samples.json"), "{}", ran.stderr);
    }
    Test::new().run(&["canary", "judge", "nowhere.json"]).exits(Code::Usage);
}

/// A positive number with five digits.
fn number(dice: &mut Dice) -> f64 {
    let digits = u32::try_from(dice.below(100_000)).unwrap();
    f64::from(digits) / 100.0
}

#[test]
fn scipy_computes_the_same_p_values() {
    let Some(()) = peer::require("scipy") else { return };
    let mut dice = Dice::new(20);
    let size = |dice: &mut Dice, most: u64| 5 + usize::try_from(dice.below(most)).unwrap();
    let mut metrics = Vec::new();
    for case in 0..120 {
        // Small and large arms, and every third with ties.
        let most = if case % 2 == 0 { 10 } else { 200 };
        let (ours, theirs) = (size(&mut dice, most), size(&mut dice, most));
        let mut arm = |n: usize, scale: f64| -> Vec<f64> {
            let value = |_| match case % 3 {
                0 if most > 10 || n < 7 => (number(&mut dice) / 100.0 * scale).floor(),
                _ => number(&mut dice) * scale,
            };
            (0..n).map(value).collect()
        };
        let baseline = arm(theirs, 1.0);
        metrics.push(values(&baseline, &arm(ours, 1.2)));
    }
    for _ in 0..80 {
        let (ours, theirs) = (size(&mut dice, 300), size(&mut dice, 3000));
        let mut arm = |n: usize, percent: u64| -> Vec<bool> {
            (0..n).map(|_| dice.below(100) < percent).collect()
        };
        let baseline = arm(theirs, 3);
        let outcomes = json!({ "kind": "outcomes", "name": "errors" });
        metrics.push(with_arms(outcomes, &json!(baseline), &json!(arm(ours, 6))));
    }
    let test = Test::new().file(FILE, &recorded(&json!(metrics)).to_string());
    let found: Value =
        serde_json::from_str(&test.run(&["canary", "judge", FILE, "--json"]).stdout).unwrap();
    let cases = metrics.iter().zip(found["metrics"].as_array().unwrap()).map(|(given, found)| {
        json!({ "kind": given["kind"], "baseline": given["baseline"], "canary": given["canary"],
            "p": found["p"], "exact": found["exact"] })
        .to_string()
    });
    let script = format!("{}/tests/scipy/recompute.py", env!("CARGO_MANIFEST_DIR"));
    let mut scipy = Command::new(peer::python())
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = cases.collect::<Vec<_>>().join("\n");
    scipy.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let said = scipy.wait_with_output().unwrap();
    let off: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(off["cases"], 200, "{off}");
    assert!(off["exact"].as_f64().unwrap() < 1e-9, "{off}");
    assert!(off["asymptotic"].as_f64().unwrap() < 1e-6, "{off}");
}
