//! What a flag's definition must keep beyond its types, and its form in other tools.
//!
//! The law: whatever passes [`faults`] can be evaluated for every context, and can be written as
//! a definition of flagd and read back as the same flag ([`flagd`]).

pub mod flagd;
pub mod rule;

use serde_json::Value;

use crate::control::config::{Flag, flag};

/// How long a name of a flag or a variant may be, in bytes: it is hashed with each key.
const LONGEST: usize = 200;
/// How many variants a flag may have.
const MOST_VARIANTS: usize = 100;
/// The names of metadata that ctx itself writes.
pub(crate) const RESERVED: &str = "ctx.";

/// What the variants of a boolean flag are called.
pub const ON: &str = "on";
pub const OFF: &str = "off";

/// All that is wrong with a flag, each with its path; nothing for a good one.
pub fn faults(name: &str, flag: &Flag) -> Vec<String> {
    let at = format!("flags.{name}");
    let mut faults = Vec::new();
    let mut fault = |field: &str, why: String| faults.push(format!("{at}{field}: {why}"));
    if let Some(why) = bad_name(name) {
        fault("", why);
    }
    if flag::ALL.contains(&name) && !flag.is_boolean() {
        let why = "is the orchestrator's own, and stays boolean";
        fault(".variants", format!("`{name}` {why}"));
    }
    for name in flag.variants.keys() {
        if let Some(why) = bad_name(name) {
            fault(".variants", why);
        }
    }
    if flag.variants.len() > MOST_VARIANTS {
        fault(".variants", format!("there are more than {MOST_VARIANTS}"));
    }
    let mut kinds = flag.variants.iter().map(|(name, value)| (name, kind(value)));
    if let Some((first, kind)) = kinds.next() {
        if kind == "null" || kind == "a list" {
            let why = format!("`{first}` is {kind}, not a boolean, a number, a text or an object");
            fault(".variants", why);
        } else if let Some((other, another)) = kinds.find(|(_, other)| *other != kind) {
            let why =
                format!("all are of one type, but `{first}` is {kind} and `{other}` {another}");
            fault(".variants", why);
        }
    }
    let set = [flag.default_variant.is_some(), flag.targeting.is_some()];
    for (field, _) in [".default_variant", ".targeting"].iter().zip(set).filter(|(_, set)| *set) {
        if flag.variants.is_empty() {
            fault(field, "the flag has no variants that it could name".to_owned());
        }
    }
    if let Some(default) = &flag.default_variant
        && !flag.variants.is_empty()
        && !flag.variants.contains_key(default)
    {
        let known: Vec<&str> = flag.variants.keys().map(String::as_str).collect();
        fault(".default_variant", format!("there is no `{default}`, only {}", known.join(", ")));
    }
    for (name, value) in &flag.metadata {
        if name.starts_with(RESERVED) {
            fault(".metadata", format!("`{name}`: names with `{RESERVED}` are written by ctx"));
        }
        if !matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_)) {
            let kind = kind(value);
            fault(".metadata", format!("`{name}` is {kind}, not a text, a number or a boolean"));
        }
    }
    if let Some(targeting) = flag.targeting.as_ref().filter(|targeting| !is_none(targeting)) {
        let at = format!("{at}.targeting");
        faults.extend(rule::read(targeting, &at).err().unwrap_or_default());
    }
    faults
}

/// Whether this targeting is none: flagd writes that as an empty object.
pub fn is_none(targeting: &Value) -> bool {
    targeting.as_object().is_some_and(serde_json::Map::is_empty)
}

fn bad_name(name: &str) -> Option<String> {
    let why = match name {
        "" => "is empty",
        name if name.len() > LONGEST => "is longer than 200 bytes",
        name if name.chars().any(char::is_control) => "has control characters",
        _ => return None,
    };
    Some(format!("the name {name:?} {why}"))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::units::Percent;

    fn with(change: impl FnOnce(&mut Flag)) -> Vec<String> {
        let mut flag = Flag::boolean(true, Percent::ALL);
        flag.variants =
            BTreeMap::from([("a".to_owned(), json!("x")), ("b".to_owned(), json!("y"))]);
        change(&mut flag);
        faults("checkout", &flag)
    }

    #[test]
    fn a_good_flag_has_no_faults() {
        assert_eq!(with(|_| {}), Vec::<String>::new());
        assert_eq!(with(|flag| flag.default_variant = Some("b".into())), Vec::<String>::new());
        assert_eq!(with(|flag| flag.targeting = Some(json!({}))), Vec::<String>::new());
    }

    #[test]
    fn what_types_cannot_keep_is_refused_all_at_once() {
        let said = with(|flag| {
            flag.variants.insert("c".into(), json!(3));
            flag.default_variant = Some("z".into());
            flag.metadata.insert("ctx.percentage".into(), json!({}));
            flag.targeting = Some(json!({ "foo": 1 }));
        });
        let starts = [
            "flags.checkout.variants: all are of one type, but `a` is a text and `c` a number",
            "flags.checkout.default_variant: there is no `z`, only a, b, c",
            "flags.checkout.metadata: `ctx.percentage`: names with `ctx.` are written by ctx",
            "flags.checkout.metadata: `ctx.percentage` is an object, not",
            "flags.checkout.targeting: operator `foo` is not supported",
        ];
        assert_eq!(said.len(), starts.len(), "{said:?}");
        for (said, start) in said.iter().zip(starts) {
            assert!(said.starts_with(start), "{said}");
        }
    }
}
