//! flagd's definitions: `ctx flags import` reads them, `ctx flags export` writes them.
//!
//! The law: what was exported is imported as the very same flags, and flagd itself puts every
//! key where ctx does. A percentage is not part of flagd's definitions, so it is written as a
//! `fractional` of the same buckets, and named in the flag's metadata (`ctx.percentage`, and
//! `ctx.boolean` for a flag without variants), by which it is recognised again. Where the two do not fit each other, the import is refused.
//!
//! Source: flagd's `flags.json` schema, version 0. `$evaluators` are shared rules: each `$ref` to
//! one becomes a copy of it. The set's metadata becomes that of each flag.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::rule::MOST_NODES;
use super::{OFF, ON, faults, is_none};
use crate::control::config::{Bucketing, Flag};
use crate::units::Percent;

const SCHEMA: &str = "https://flagd.dev/schema/v0/flags.json";
const PERCENTAGE: &str = "ctx.percentage";
const BUCKETING: &str = "ctx.bucketing";
/// Whether the variants are only there for flagd.
const BOOLEAN: &str = "ctx.boolean";

/// How long the path to a rule may be before no more is put there; a good one is far shorter.
const FARTHEST: usize = 4_096;

/// Writes flags as a definition.
pub fn export(flags: &BTreeMap<String, Flag>) -> Value {
    let flags: Map<String, Value> =
        flags.iter().map(|(name, flag)| (name.clone(), exported(flag))).collect();
    json!({ "$schema": SCHEMA, "flags": flags })
}

/// The parts of a definition that say what a flag is.
#[derive(Clone, Debug, PartialEq)]
struct Core {
    variants: BTreeMap<String, Value>,
    default: Option<String>,
    targeting: Option<Value>,
}

fn exported(flag: &Flag) -> Value {
    let Core { variants, default, targeting } = core(flag);
    let mut metadata = flag.metadata.clone();
    metadata.insert(BUCKETING.to_owned(), json!(flag.bucketing));
    if flag.is_boolean() {
        metadata.insert(BOOLEAN.to_owned(), true.into());
    }
    if flag.is_boolean() || flag.percentage != Percent::ALL {
        metadata.insert(PERCENTAGE.to_owned(), json!(flag.percentage));
    }
    let state = if flag.enabled { "ENABLED" } else { "DISABLED" };
    let mut all = json!({ "state": state, "variants": variants, "metadata": metadata });
    if let Some(default) = default {
        all["defaultVariant"] = default.into();
    }
    if let Some(targeting) = targeting {
        all["targeting"] = targeting;
    }
    all
}

fn core(flag: &Flag) -> Core {
    let share = flag.percentage.thousandths();
    let rest = Percent::DENOMINATOR - share;
    if flag.is_boolean() {
        let on = flag.percentage == Percent::ALL;
        let split = (share > 0 && !on).then(|| json!({ "fractional": [[ON, share], [OFF, rest]] }));
        return Core {
            variants: BTreeMap::from([(ON.into(), true.into()), (OFF.into(), false.into())]),
            default: Some(if on { ON } else { OFF }.to_owned()),
            targeting: split,
        };
    }
    let targeting = match &flag.targeting {
        Some(rule) if flag.percentage != Percent::ALL && !is_none(rule) => {
            // See `src/orchestrator/flags/evaluator.rs` for why.
            let key =
                json!([{ "var": "$flagd.flagKey" }, "/percentage", { "var": "targetingKey" }]);
            let parts = json!([{ "cat": key }, [true, share], [false, rest]]);
            let within = json!({ "and": [{ "var": "targetingKey" }, { "fractional": parts }] });
            Some(json!({ "if": [within, rule, null] }))
        }
        rule => rule.clone(),
    };
    Core { variants: flag.variants.clone(), default: flag.default_variant.clone(), targeting }
}

/// Reads a definition.
///
/// # Errors
/// All that is wrong with it, each with its path.
pub fn import(text: &str) -> Result<BTreeMap<String, Flag>, Vec<String>> {
    let whole: Value = serde_json::from_str(text).map_err(|error| vec![error.to_string()])?;
    let mut import = Import::default();
    let Some(top) = import.object(Some(&whole), "the definition") else {
        return Err(import.faults);
    };
    import.known(top, "", &["$schema", "flags", "$evaluators", "metadata"]);
    let empty = Map::new();
    let evaluators = top.get("$evaluators").map(|given| import.object(Some(given), "$evaluators"));
    let evaluators = evaluators.flatten().unwrap_or(&empty);
    let shared = top.get("metadata").map(|given| import.object(Some(given), "metadata"));
    let shared = shared.flatten().unwrap_or(&empty);
    let mut flags = BTreeMap::new();
    for (name, given) in import.object(top.get("flags"), "flags").unwrap_or(&empty) {
        if let Some(flag) = import.flag(name, given, shared, evaluators) {
            import.faults.extend(faults(name, &flag));
            flags.insert(name.clone(), flag);
        }
    }
    if import.faults.is_empty() { Ok(flags) } else { Err(import.faults) }
}

#[derive(Debug, Default)]
struct Import {
    faults: Vec<String>,
}

impl Import {
    fn fault(&mut self, at: &str, why: &str) {
        self.faults.push(format!("{at}: {why}"));
    }

    fn object<'a>(&mut self, given: Option<&'a Value>, at: &str) -> Option<&'a Map<String, Value>> {
        let map = given.and_then(Value::as_object);
        if map.is_none() {
            let what = given.map_or("is missing", |_| "is no object");
            self.fault(at, what);
        }
        map
    }

    fn known(&mut self, map: &Map<String, Value>, at: &str, known: &[&str]) {
        for field in map.keys().filter(|field| !known.contains(&field.as_str())) {
            let known = known.join(", ");
            let at = if at.is_empty() { field.clone() } else { format!("{at}.{field}") };
            self.fault(&at, &format!("`{field}` is not supported; these are: {known}"));
        }
    }

    fn flag(
        &mut self,
        name: &str,
        given: &Value,
        shared: &Map<String, Value>,
        evaluators: &Map<String, Value>,
    ) -> Option<Flag> {
        let at = format!("flags.{name}");
        let (before, map) = (self.faults.len(), self.object(Some(given), &at)?);
        self.known(map, &at, &["state", "variants", "defaultVariant", "targeting", "metadata"]);
        let enabled = match map.get("state").and_then(Value::as_str) {
            Some("ENABLED") => true,
            Some("DISABLED") => false,
            _ => {
                self.fault(&format!("{at}.state"), "is `ENABLED` or `DISABLED`");
                false
            }
        };
        let variants = self.object(map.get("variants"), &format!("{at}.variants"));
        let variants: BTreeMap<String, Value> =
            variants.map(|map| map.clone().into_iter().collect()).unwrap_or_default();
        if variants.is_empty() && self.faults.len() == before {
            self.fault(&format!("{at}.variants"), "there is none");
        }
        let default = match map.get("defaultVariant") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name.clone()),
            Some(other) => {
                self.fault(&format!("{at}.defaultVariant"), &format!("is a name, not {other}"));
                None
            }
        };
        let mut targeting = map.get("targeting").filter(|rule| !rule.is_null()).cloned();
        if let Some(rule) = &mut targeting {
            let mut left = MOST_NODES;
            self.expand(rule, evaluators, &format!("{at}.targeting"), &mut Vec::new(), &mut left);
        }
        let own = map.get("metadata").map(|own| self.object(Some(own), &format!("{at}.metadata")));
        let metadata = shared.iter().chain(own.flatten().into_iter().flatten());
        let mut metadata: BTreeMap<String, Value> =
            metadata.map(|(name, value)| (name.clone(), value.clone())).collect();
        let bucketing = metadata.remove(BUCKETING).map(serde_json::from_value);
        let bucketing = bucketing.unwrap_or(Ok(Bucketing::FlagdV2)).unwrap_or_else(|error| {
            self.fault(&format!("{at}.metadata.{BUCKETING}"), &error.to_string());
            Bucketing::FlagdV2
        });
        let percentage = metadata.remove(PERCENTAGE).map(serde_json::from_value::<Percent>);
        let percentage = percentage.transpose().unwrap_or_else(|error| {
            self.fault(&format!("{at}.metadata.{PERCENTAGE}"), &error.to_string());
            None
        });
        let boolean = metadata.remove(BOOLEAN) == Some(true.into());
        if self.faults.len() > before {
            return None;
        }
        let core = Core { variants, default, targeting };
        let Some(flag) = recognised(&core, boolean, percentage) else {
            let share = percentage.unwrap_or_default();
            let why = format!(
                "it says {share}, and `targeting` says something else; \
                remove `{PERCENTAGE}` to take the targeting as it stands"
            );
            self.fault(&format!("{at}.metadata.{PERCENTAGE}"), &why);
            return None;
        };
        Some(Flag { enabled, bucketing, metadata, ..flag })
    }

    /// Puts a copy of the shared rule in the place of each `$ref`.
    fn expand(
        &mut self,
        rule: &mut Value,
        evaluators: &Map<String, Value>,
        at: &str,
        within: &mut Vec<String>,
        left: &mut usize,
    ) {
        // What is too large or too deep is named once the rule is read.
        let Some(less) = left.checked_sub(1).filter(|_| at.len() <= FARTHEST) else { return };
        *left = less;
        if let Value::Object(map) = rule
            && map.len() == 1
            && let Some(name) = map.get("$ref")
        {
            let Some(name) = name.as_str().map(str::to_owned) else {
                return self.fault(at, "`$ref` is a name of `$evaluators`");
            };
            let Some(shared) = evaluators.get(&name) else {
                return self.fault(at, &format!("`$evaluators` has no `{name}`"));
            };
            if within.contains(&name) {
                return self.fault(at, &format!("`{name}` of `$evaluators` refers to itself"));
            }
            within.push(name);
            *rule = shared.clone();
            self.expand(rule, evaluators, at, within, left);
            within.pop();
            return;
        }
        let inside: Vec<(String, &mut Value)> = match rule {
            Value::Object(map) => {
                map.iter_mut().map(|(name, value)| (format!("{at}.{name}"), value)).collect()
            }
            Value::Array(items) => {
                let place = |(i, item)| (format!("{at}[{i}]"), item);
                items.iter_mut().enumerate().map(place).collect()
            }
            _ => return,
        };
        for (at, value) in inside {
            self.expand(value, evaluators, &at, within, left);
        }
    }
}

/// The flag that a definition stands for; `None` where the percentage does not fit the targeting.
fn recognised(core: &Core, boolean: bool, percentage: Option<Percent>) -> Option<Flag> {
    let share = percentage.unwrap_or(Percent::ALL);
    let typed = |targeting: Option<Value>| Flag {
        variants: core.variants.clone(),
        default_variant: core.default.clone(),
        targeting,
        ..Flag::boolean(true, share)
    };
    if boolean {
        return Some(Flag::boolean(true, share)).filter(|flag| self::core(flag) == *core);
    }
    if percentage.is_none() {
        return Some(typed(core.targeting.clone()));
    }
    let inner = core.targeting.as_ref().and_then(|rule| rule.pointer("/if/1")).cloned();
    let mut candidates = [typed(inner), typed(core.targeting.clone())].into_iter();
    candidates.find(|flag| self::core(flag) == *core)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(name: &str, flag: &Value) -> Result<Flag, Vec<String>> {
        let text = json!({ "flags": { name: flag } }).to_string();
        import(&text).map(|flags| flags[name].clone())
    }

    #[test]
    fn a_definition_of_flagd_is_read() {
        let text = json!({
            "$schema": SCHEMA,
            "metadata": { "flagSetId": "shop", "owner": "nobody" },
            "$evaluators": {
                "staff": { "ends_with": [{ "var": "email" }, "@ctx.example"] },
                "insiders": { "or": [{ "$ref": "staff" }, { "var": "beta" }] },
            },
            "flags": {
                "header": {
                    "state": "ENABLED",
                    "variants": { "red": "#f00", "blue": "#00f" },
                    "defaultVariant": "red",
                    "targeting": { "if": [{ "$ref": "insiders" }, "blue", null] },
                    "metadata": { "owner": "ada" },
                },
                "plain": { "state": "DISABLED", "variants": { "on": true, "off": false } },
            },
        });
        let flags = import(&text.to_string()).unwrap();
        let header = &flags["header"];
        let staff = json!({ "ends_with": [{ "var": "email" }, "@ctx.example"] });
        let rule = json!({ "if": [{ "or": [staff, { "var": "beta" }] }, "blue", null] });
        assert_eq!(header.targeting, Some(rule));
        assert_eq!((header.enabled, header.percentage), (true, Percent::ALL));
        let metadata = [("flagSetId", "shop"), ("owner", "ada")];
        let metadata = metadata.map(|(name, value)| (name.to_owned(), value.into()));
        assert_eq!(header.metadata, BTreeMap::from(metadata));
        assert!(!flags["plain"].enabled && flags["plain"].default_variant.is_none());
    }

    #[test]
    fn all_faults_are_named_at_once() {
        let text = json!({
            "$evaluators": { "a": { "!": { "$ref": "b" } }, "b": { "!": { "$ref": "a" } } },
            "colour": 1,
            "flags": {
                "a": { "state": "ON", "variants": {} },
                "b": { "state": "ENABLED", "variants": { "x": 1, "y": "2" }, "sorce": 1 },
                "c": { "state": "ENABLED", "variants": { "x": 1 }, "targeting": { "$ref": "none" } },
                "d": { "state": "ENABLED", "variants": { "x": 1 }, "targeting": { "$ref": "a" } },
                "e": { "state": "ENABLED", "variants": { "x": 1 }, "defaultVariant": "y",
                    "targeting": { "if": [{ "regex": ["a", "b"] }, "x"] } },
                "f": { "state": "ENABLED", "variants": { "x": 1 },
                    "metadata": { "ctx.bucketing": "flagd-v3", "ctx.percentage": "200%" } },
                "g": 7,
            },
        });
        let said = import(&text.to_string()).unwrap_err();
        let starts = [
            "colour: `colour` is not supported; these are: $schema, flags",
            "flags.a.state: is `ENABLED` or `DISABLED`",
            "flags.b.sorce: `sorce` is not supported; these are: state",
            "flags.c.targeting: `$evaluators` has no `none`",
            "flags.d.targeting.!.!: `a` of `$evaluators` refers to itself",
            "flags.e.default_variant: there is no `y`, only x",
            "flags.e.targeting.if[0]: operator `regex` is not supported; these are: var, if",
            "flags.f.metadata.ctx.bucketing: unknown variant `flagd-v3`, expected `flagd-v2`",
            "flags.f.metadata.ctx.percentage: `200%` is not between 0% and 100%",
            "flags.g: is no object",
        ];
        assert_eq!(said.len(), starts.len(), "{said:#?}");
        for (said, start) in said.iter().zip(starts) {
            assert!(said.starts_with(start), "{said}\n{start}");
        }
        assert_eq!(import("{").unwrap_err().len(), 1);
        assert_eq!(import("[]").unwrap_err(), ["the definition: is no object"]);
    }

    #[test]
    fn a_percentage_that_was_edited_on_one_side_is_refused() {
        let flags = BTreeMap::from([("new".to_owned(), Flag::boolean(true, Percent::whole(30)))]);
        let mut flag = export(&flags)["flags"]["new"].clone();
        assert_eq!(one("new", &flag), Ok(flags["new"].clone()));
        flag["metadata"]["ctx.percentage"] = json!("40%");
        let why = one("new", &flag).unwrap_err();
        assert!(why[0].starts_with("flags.new.metadata.ctx.percentage: it says 40%"), "{why:?}");
        flag["metadata"] = json!({});
        let taken = one("new", &flag).unwrap();
        assert_eq!(
            taken.targeting,
            Some(json!({ "fractional": [["on", 30_000], ["off", 70_000]] }))
        );
    }

    #[test]
    fn shared_rules_do_not_multiply_without_end() {
        let mut evaluators = Map::from_iter([("e0".to_owned(), json!("x"))]);
        for level in 1..30 {
            let before = json!({ "$ref": format!("e{}", level - 1) });
            evaluators.insert(format!("e{level}"), json!({ "cat": [before, before] }));
        }
        let text = json!({ "$evaluators": evaluators, "flags": { "a": { "state": "ENABLED",
            "variants": { "x": 1 }, "targeting": { "$ref": "e29" } } } });
        assert!(!import(&text.to_string()).unwrap_err().is_empty());
    }

    fn rules() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            (-1e9..1e9_f64).prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
            "[a-z]{1,5}(\\.[a-z]{1,5})?".prop_map(|name| json!({ "var": name })),
            Just(json!({ "var": "$flagd.timestamp" })),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let pair = (inner.clone(), inner.clone());
            prop_oneof![
                proptest::collection::vec(inner.clone(), 1..5).prop_map(|all| json!({ "if": all })),
                proptest::collection::vec(inner.clone(), 1..4)
                    .prop_map(|all| json!({ "cat": all })),
                pair.clone().prop_map(|(a, b)| json!({ "==": [a, b] })),
                pair.prop_map(|(a, b)| json!({ "in": [a, b] })),
                (0..1000u32, 0..1000u32)
                    .prop_map(|(a, b)| json!({ "fractional": [["a", a], ["b", b]] })),
            ]
        })
    }

    fn flags() -> impl Strategy<Value = Flag> {
        let percentage = prop_oneof![Just(0), Just(100_000), 0..=100_000u32]
            .prop_map(|share| Percent::from_thousandths(share).unwrap());
        let name = || prop_oneof!["on|off|true|false", "\\PC{1,6}"];
        let texts =
            proptest::collection::btree_map(name(), "\\PC{0,6}".prop_map(Value::from), 0..4);
        let numbers =
            proptest::collection::btree_map(name(), any::<i64>().prop_map(Value::from), 0..4);
        let booleans =
            proptest::collection::btree_map(name(), any::<bool>().prop_map(Value::from), 0..4);
        let objects = proptest::collection::btree_map(
            name(),
            any::<Option<u8>>().prop_map(|inner| json!({ "inner": inner })),
            0..4,
        );
        let variants = prop_oneof![texts, numbers, booleans, objects];
        let targeting = proptest::option::of(prop_oneof![Just(json!({})), rules()]);
        let metadata = proptest::collection::btree_map(
            "[a-z.]{1,8}",
            any::<i32>().prop_map(Value::from),
            0..3,
        );
        (any::<bool>(), percentage, variants, any::<Option<u8>>(), targeting, metadata).prop_map(
            |(enabled, percentage, variants, default, targeting, mut metadata)| {
                metadata.retain(|name, _| !name.starts_with(super::super::RESERVED));
                let names: Vec<String> = variants.keys().cloned().collect();
                let typed = !names.is_empty();
                let default = default.filter(|_| typed);
                Flag {
                    default_variant: default.map(|i| names[usize::from(i) % names.len()].clone()),
                    // Null is how a definition says that there is none.
                    targeting: targeting.filter(|rule| typed && !rule.is_null()),
                    variants,
                    metadata,
                    ..Flag::boolean(enabled, percentage)
                }
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_exported_is_imported_as_it_was(name in "[a-z._]{1,9}", flag in flags()) {
            prop_assert_eq!(faults(&name, &flag), Vec::<String>::new());
            let flags = BTreeMap::from([(name, flag)]);
            let text = serde_json::to_string_pretty(&export(&flags)).unwrap();
            prop_assert_eq!(import(&text), Ok(flags));
        }
    }
}
