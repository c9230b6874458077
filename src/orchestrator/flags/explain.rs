//! Why a flag is what it is for a context: what `ctx flags explain` prints.

use super::evaluate::Placed;
use super::evaluator::{Context, Evaluation, Evaluator, KeyMissing};
use super::{Key, scale};
use crate::control::flags::rule::Rule;
use crate::units::Percent;

/// An evaluation, with everything that decided it.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained<'a> {
    pub evaluation: Evaluation<'a>,
    /// How the percentage was decided; absent without a key.
    pub share: Option<Bucketed>,
    /// The rule's ways, from its root to what named the variant.
    pub steps: Vec<Step>,
}

/// Where a key falls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucketed {
    /// The text that is hashed.
    pub text: String,
    pub hash: u32,
    /// `hash * total / 2^32`.
    pub bucket: u32,
    pub total: u32,
}

/// One decision on the way through a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it leads, such as `targeting.if[1].fractional[0]`.
    pub at: String,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The first condition that holds.
    Holds,
    /// No condition holds.
    Otherwise,
    /// The key's bucket is in `from..to`.
    Split { place: Bucketed, from: u32, to: u32 },
    /// There is no key to split by, or no weight.
    NoSplit,
    /// What names the variant.
    Names,
}

impl Evaluator {
    /// Evaluates for a context, and tells why; see [`Self::evaluate`].
    ///
    /// # Errors
    /// When only a key could tell whether the context is in.
    pub fn explain(&self, context: &Context<'_>, now: u64) -> Result<Explained<'_>, KeyMissing> {
        let evaluation = self.evaluate(context, now)?;
        let mut steps = Vec::new();
        let scope = self.scope(context, now);
        let mut at = "targeting".to_owned();
        self.find(&scope, |rule, way| {
            let what = match (rule, way) {
                (Rule::If(choice), Some(argument)) => {
                    at = format!("{at}.if[{argument}]");
                    let last = argument == 2 * choice.branches.len();
                    if last { What::Otherwise } else { What::Holds }
                }
                (Rule::Fractional(split), Some(part)) => {
                    at = format!("{at}.fractional[{}]", part + split.first);
                    match scope.place(split) {
                        Some(placed) => split_at(scope.hashed(split), placed),
                        None => What::NoSplit,
                    }
                }
                (Rule::Fractional(_), None) => What::NoSplit,
                _ => What::Names,
            };
            steps.push(Step { at: at.clone(), what });
        })?;
        Ok(Explained { evaluation, share: self.bucketed(context), steps })
    }

    /// Where the percentage puts a key.
    fn bucketed(&self, context: &Context<'_>) -> Option<Bucketed> {
        let (key, name) = (self.sticky(context.key()?), self.share.name());
        let hash = self.share.hash(key.as_bytes());
        Some(Bucketed {
            text: format!("{name}{key}"),
            hash,
            bucket: scale(hash),
            total: Percent::DENOMINATOR,
        })
    }

    /// Whether a boolean flag is on where there is no key: each question is a throw of the dice.
    pub fn throw(&self) -> bool {
        self.share.includes(Key::Random)
    }
}

fn split_at(text: String, placed: Placed) -> What {
    let Placed { hash, bucket, total, from, to, .. } = placed;
    What::Split { place: Bucketed { text, hash, bucket, total }, from, to }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::control::config::Flag;

    fn evaluator(percent: u32) -> Evaluator {
        Evaluator::new("new", &Flag::boolean(true, Percent::whole(percent))).unwrap()
    }

    #[test]
    fn what_is_said_of_the_bucket_is_what_decides() {
        let flag = evaluator(30);
        for user in 0..500 {
            let context = json!({ "targetingKey": user.to_string() });
            let said = flag.explain(&Context::new(context.as_object().unwrap()), 0).unwrap();
            let on = said.evaluation.value == Some(&json!(true));
            let share = said.share.unwrap();
            assert_eq!(on, share.bucket < flag.percentage.thousandths(), "{user}");
            assert_eq!(share.text, format!("new{user}"));
        }
    }

    #[test]
    fn each_decision_of_a_rule_is_told_with_its_place() {
        let flag = json!({ "enabled": true, "percentage": "100%", "bucketing": "flagd-v2",
            "variants": { "a": 1, "b": 2 }, "default_variant": "a",
            "targeting": { "if": [{ "var": "staff" }, "b",
                { "fractional": [{ "var": "email" }, ["a", 0], ["b", 10]] }] } });
        let flag = Evaluator::new("new", &serde_json::from_value(flag).unwrap()).unwrap();
        let steps = |context: serde_json::Value| -> Vec<(String, What)> {
            let said = flag.explain(&Context::new(context.as_object().unwrap()), 0).unwrap();
            said.steps.into_iter().map(|step| (step.at, step.what)).collect()
        };
        assert_eq!(
            steps(json!({ "staff": true })),
            [("targeting.if[1]".into(), What::Holds), ("targeting.if[1]".into(), What::Names)]
        );
        let told = steps(json!({ "email": "test" }));
        assert_eq!(told[0], ("targeting.if[2]".into(), What::Otherwise));
        assert_eq!(told[1].0, "targeting.if[2].fractional[2]");
        let (text, hash) = ("test".to_owned(), 0xba6b_d213);
        let place = Bucketed { text, hash, bucket: 7, total: 10 };
        assert_eq!(told[1].1, What::Split { place, from: 0, to: 10 });
        assert_eq!(steps(json!({}))[1].1, What::NoSplit);
    }
}
