//! A flag, compiled: what it is for a context.
//!
//! The law: the same flag and the same context give the same answer, on every instance and after
//! every restart. A percentage decides first, and only adds keys as it grows; whoever is in gets
//! what the rule says, everybody else the default variant.
//!
//! A rule that splits keys itself would split the very keys that the percentage has picked: of the
//! first half of all buckets, everybody falls into the first half. So the percentage of a flag with
//! a rule is decided under a name of its own, `NAME/percentage`; whether the rule splits or not, so
//! that nobody changes sides when it is given its first split.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use super::evaluate::Context;
use super::evaluate::Scope;
use super::murmur::Murmur;
use super::value::Val;
use super::{Key, Share};
use crate::control::config::Flag;
use crate::control::flags::rule::{Rule, Targeting, read};
use crate::control::flags::{OFF, ON, is_none};
use crate::units::Percent;

/// Why an evaluation came out as it did; the words are `OpenFeature`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// The flag is off for everybody.
    Disabled,
    /// Nothing of the context matters.
    Static,
    /// The key's bucket decided, or a throw of the dice where there is no key.
    Split,
    /// The rule named the variant.
    TargetingMatch,
    /// The rule named none that there is.
    Default,
}

/// What a flag is for a context. Without a value, the application's own default stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation<'a> {
    pub value: Option<&'a Value>,
    pub variant: Option<&'a str>,
    pub reason: Reason,
}

/// The percentage decides, and there is no key to decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the percentage is decided by the targeting key, and there is none")]
pub struct KeyMissing;

/// A flag as it is asked.
#[derive(Clone, Debug)]
pub struct Evaluator {
    name: Box<str>,
    begun: Murmur,
    enabled: bool,
    pub(super) percentage: Percent,
    pub(super) share: Share,
    /// Whether it is on or off by percentage alone.
    boolean: bool,
    variants: Box<[(Box<str>, Value)]>,
    default: Option<usize>,
    pub(super) targeting: Option<Targeting>,
}

/// The number of a variant, and the reason.
type Found = (Option<usize>, Reason);

impl Evaluator {
    /// Compiles a flag.
    ///
    /// # Errors
    /// All that is wrong with its targeting; nothing for a flag of a checked document.
    pub fn new(name: &str, flag: &Flag) -> Result<Self, Vec<String>> {
        let given = flag.targeting.as_ref().filter(|targeting| !is_none(targeting));
        let targeting = given.map(|rule| read(rule, &format!("flags.{name}.targeting")));
        let targeting = targeting.transpose()?;
        let own = BTreeMap::from([(OFF.to_owned(), false.into()), (ON.to_owned(), true.into())]);
        let boolean = flag.is_boolean();
        let variants = if boolean { &own } else { &flag.variants };
        let default = if boolean { Some(OFF) } else { flag.default_variant.as_deref() };
        let default = default.and_then(|name| variants.keys().position(|known| known == name));
        let share = if targeting.is_some() { &format!("{name}/percentage") } else { name };
        Ok(Self {
            name: name.into(),
            begun: Murmur::of(name.as_bytes()),
            enabled: flag.enabled,
            percentage: flag.percentage,
            share: Share::new(share, flag.percentage),
            boolean,
            variants: variants.iter().map(|(k, v)| (k.as_str().into(), v.clone())).collect(),
            default,
            targeting,
        })
    }

    /// Whether it is on or off by percentage alone.
    pub fn is_boolean(&self) -> bool {
        self.boolean
    }

    /// Whether what it is depends on the time.
    pub fn looks_at_the_clock(&self) -> bool {
        self.targeting.as_ref().is_some_and(|targeting| targeting.clock)
    }

    /// What it is for a context at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// When only a key could tell whether the context is in.
    pub fn evaluate(&self, context: &Context<'_>, now: u64) -> Result<Evaluation<'_>, KeyMissing> {
        let (variant, reason) = self.find(&self.scope(context, now), |_, _| ())?;
        let variant = variant.map(|variant| &self.variants[variant]);
        Ok(Evaluation {
            value: variant.map(|(_, value)| value),
            variant: variant.map(|(name, _)| name.as_ref()),
            reason,
        })
    }

    /// What the percentage goes by. Under a name of its own, flagd joins that name and the key with
    /// `cat`, which leaves no white space at the end.
    pub(super) fn sticky<'a>(&self, key: &'a str) -> &'a str {
        if self.targeting.is_some() { key.trim_end() } else { key }
    }

    pub(super) fn scope<'a>(&'a self, context: &'a Context<'a>, now: u64) -> Scope<'a> {
        Scope { flag: &self.name, begun: self.begun, context, now }
    }

    /// Finds the variant; `step` is told each rule on the way and where it leads.
    pub(super) fn find<'a>(
        &'a self,
        scope: &Scope<'a>,
        mut step: impl FnMut(&'a Rule, Option<usize>),
    ) -> Result<Found, KeyMissing> {
        if !self.enabled {
            // Off is what a boolean flag is then; of another one, only the application knows.
            return Ok((self.default.filter(|_| self.boolean), Reason::Disabled));
        }
        let by_default = |reason| match self.default {
            Some(default) => (Some(default), reason),
            None => (None, Reason::Default),
        };
        if self.targeting.is_none() && !self.boolean {
            return Ok(by_default(Reason::Static));
        }
        let reason = match self.percentage {
            Percent::ZERO => return Ok(by_default(Reason::Static)),
            Percent::ALL => Reason::Static,
            _ => {
                let key = scope.context.key().ok_or(KeyMissing)?;
                if !self.share.includes(Key::Sticky(self.sticky(key).as_bytes())) {
                    return Ok(by_default(Reason::Split));
                }
                Reason::Split
            }
        };
        let Some(targeting) = &self.targeting else {
            return Ok((self.named(ON), reason));
        };
        let (mut rule, mut reason) = (&targeting.root, Reason::TargetingMatch);
        loop {
            rule = match rule {
                Rule::If(choice) => {
                    let (argument, next) = scope.branch(choice);
                    step(rule, Some(argument));
                    next
                }
                Rule::Fractional(split) => {
                    let Some(placed) = scope.place(split) else {
                        step(rule, None);
                        return Ok(by_default(Reason::Default));
                    };
                    step(rule, Some(placed.part));
                    reason = Reason::Split;
                    &split.parts[placed.part].result
                }
                _ => break,
            };
        }
        step(rule, None);
        let meant = match scope.text(rule) {
            Some(name) => self.named(name),
            None => self.meant(&scope.value(rule)),
        };
        Ok(match meant {
            Some(variant) => (Some(variant), reason),
            None => by_default(Reason::Default),
        })
    }

    /// The variant that the outcome of a rule names.
    fn meant(&self, outcome: &Val<'_>) -> Option<usize> {
        match outcome {
            Val::Text(name) => self.named(name),
            Val::Bool(_) | Val::Number(_) => self.named(&outcome.text()),
            Val::Null | Val::List(_) | Val::Object(_) => None,
        }
    }

    fn named(&self, name: &str) -> Option<usize> {
        self.variants.iter().position(|(known, _)| known.as_ref() == name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn evaluator(flag: &Value) -> Evaluator {
        let mut whole = json!({ "enabled": true, "percentage": "100%", "bucketing": "flagd-v2" });
        for (field, value) in flag.as_object().unwrap() {
            whole[field] = value.clone();
        }
        let flag: Flag = serde_json::from_value(whole).unwrap();
        assert_eq!(crate::control::flags::faults("new", &flag), Vec::<String>::new());
        Evaluator::new("new", &flag).unwrap()
    }

    fn said(flag: &Evaluator, context: &Value) -> (Value, Option<String>, Reason) {
        let found = flag.evaluate(&Context::new(context.as_object().unwrap()), 0).unwrap();
        (found.value.cloned().unwrap_or_default(), found.variant.map(str::to_owned), found.reason)
    }

    #[test]
    fn a_boolean_flag_is_decided_by_its_percentage() {
        let ada = json!({ "targetingKey": "ada" });
        let reason = |flag: Value| said(&evaluator(&flag), &ada).2;
        assert_eq!(reason(json!({ "enabled": false })), Reason::Disabled);
        assert_eq!(reason(json!({ "percentage": "0%" })), Reason::Static);
        assert_eq!(reason(json!({ "percentage": "100%" })), Reason::Static);
        assert_eq!(reason(json!({ "percentage": "50%" })), Reason::Split);
        let off = said(&evaluator(&json!({ "enabled": false })), &json!({}));
        assert_eq!(off, (json!(false), Some("off".into()), Reason::Disabled));
        let on = said(&evaluator(&json!({})), &json!({}));
        assert_eq!(on, (json!(true), Some("on".into()), Reason::Static));
        let half = evaluator(&json!({ "percentage": "50%" }));
        for context in [json!({}), json!({ "targetingKey": "" })] {
            assert_eq!(
                half.evaluate(&Context::new(context.as_object().unwrap()), 0),
                Err(KeyMissing)
            );
        }
    }

    #[test]
    fn a_rule_names_a_variant_or_the_default_stands() {
        let colours = json!({ "red": "#f00", "blue": "#00f" });
        let rule = json!({ "if": [{ "in": ["@ctx", { "var": "email" }] }, "blue",
            { "var": "wish" }, { "var": "wish" }] });
        let flag = json!({ "variants": colours, "default_variant": "red", "targeting": rule });
        let with = evaluator(&flag);
        let staff = json!({ "email": "ada@ctx" });
        assert_eq!(
            said(&with, &staff),
            (json!("#00f"), Some("blue".into()), Reason::TargetingMatch)
        );
        let red = |reason| (json!("#f00"), Some("red".into()), reason);
        assert_eq!(said(&with, &json!({})), red(Reason::Default));
        assert_eq!(said(&with, &json!({ "wish": "green" })), red(Reason::Default));
        let mut off = flag.clone();
        off["enabled"] = json!(false);
        assert_eq!(said(&evaluator(&off), &staff), (Value::Null, None, Reason::Disabled));
        let mut none = flag.clone();
        none["percentage"] = json!("0%");
        assert_eq!(said(&evaluator(&none), &staff), red(Reason::Static));
        let mut open = flag.clone();
        open.as_object_mut().unwrap().remove("default_variant");
        assert_eq!(said(&evaluator(&open), &json!({})), (Value::Null, None, Reason::Default));
        let mut bare = flag;
        bare.as_object_mut().unwrap().remove("targeting");
        assert_eq!(said(&evaluator(&bare), &staff), red(Reason::Static));
    }

    #[test]
    fn the_percentage_and_a_split_do_not_pick_the_same_keys() {
        let flag = evaluator(&json!({ "percentage": "50%", "default_variant": "none",
            "variants": { "a": 1, "b": 2, "none": 0 },
            "targeting": { "fractional": [["a", 1], ["b", 1]] } }));
        let mut seen = BTreeMap::<_, u32>::new();
        for user in 0..4_000 {
            let found = said(&flag, &json!({ "targetingKey": format!("user-{user}") }));
            assert_eq!(found.2, Reason::Split);
            *seen.entry(found.1.unwrap()).or_default() += 1;
        }
        assert!((1_850..2_150).contains(&seen["none"]), "{seen:?}");
        assert!((850..1_150).contains(&seen["a"]), "{seen:?}");
    }

    #[test]
    fn who_is_in_stays_in_when_the_rule_is_given_its_first_split() {
        let with = |rule: &Value| {
            evaluator(&json!({ "percentage": "50%", "default_variant": "none",
                "variants": { "a": 1, "b": 2, "none": 0 }, "targeting": rule }))
        };
        let plain = with(&json!({ "if": [true, "a"] }));
        let split = with(&json!({ "fractional": [["a", 1], ["b", 1]] }));
        for user in 0..1_000 {
            let context = json!({ "targetingKey": format!("user-{user}") });
            let out = |flag| said(flag, &context).1.as_deref() == Some("none");
            assert_eq!(out(&plain), out(&split), "{context}");
        }
    }

    proptest! {
        #[test]
        fn growing_a_percentage_moves_nobody_out(
            key in "[a-z0-9-]{1,40}",
            low in 0..=100_000u32,
            more in 0..=100_000u32,
            split: bool,
        ) {
            let high = low.saturating_add(more).min(100_000);
            let rule = if split {
                json!({ "fractional": [["a", 3], ["b", 7]] })
            } else {
                json!({ "if": [{ "var": "targetingKey" }, "a"] })
            };
            let at = |thousandths| {
                let share = Percent::from_thousandths(thousandths).unwrap();
                let flag = evaluator(&json!({ "percentage": share, "targeting": rule,
                    "variants": { "a": true, "b": false, "none": false }, "default_variant": "none" }));
                said(&flag, &json!({ "targetingKey": key })).1.unwrap()
            };
            let (before, after) = (at(low), at(high));
            prop_assert!(before == "none" || before == after, "{} became {}", before, after);
            prop_assert_eq!(at(0), "none");
            prop_assert!(at(100_000) != "none");
        }
    }
}
