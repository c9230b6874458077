//! flagd's definitions, and the flags that are made of them.

use std::collections::BTreeMap;

use ctx::control::config::Flag;
use ctx::control::flags::{faults, flagd};
use ctx::orchestrator::flags::evaluator::{Context, Evaluator};
use ctx::units::Percent;
use serde_json::json;

/// Laws: no text breaks the reader; what it takes has no faults, can be asked about anybody, and
/// is exported and imported again as it was, at any percentage.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let flags = match flagd::import(text) {
        Ok(flags) => flags,
        Err(faults) => return assert!(!faults.is_empty()),
    };
    let share = u32::from(bytes[bytes.len() / 2]) * 390;
    let share = Percent::from_thousandths(share).expect("255 times 390 is below the whole");
    let ramped =
        |(name, flag): (&String, &Flag)| (name.clone(), Flag { percentage: share, ..flag.clone() });
    let ramped: BTreeMap<String, Flag> = flags.iter().map(ramped).collect();
    for flags in [&flags, &ramped] {
        for (name, flag) in flags {
            assert_eq!(faults(name, flag), Vec::<String>::new());
            ask(name, flag);
        }
        let again = flagd::import(&flagd::export(flags).to_string());
        assert_eq!(again.as_ref(), Ok(flags));
    }
}

fn ask(name: &str, flag: &Flag) {
    let evaluator = Evaluator::new(name, flag).expect("it has no faults");
    for context in [
        json!({}),
        json!({ "targetingKey": "ada", "email": "ada@ctx.example", "age": 36, "version": "1.2.3" }),
        json!({ "targetingKey": 7, "email": ["a", { "b": null }], "age": "x", "version": -0.5 }),
    ] {
        let context = context.as_object().expect("it is one");
        let context = Context::new(context);
        let found = evaluator.evaluate(&context, 1_700_000_000);
        assert_eq!(found, evaluator.evaluate(&context, 1_700_000_000));
        let explained = evaluator.explain(&context, 1_700_000_000);
        assert_eq!(found, explained.map(|explained| explained.evaluation));
    }
}
