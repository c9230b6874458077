//! What the operators of a targeting rule mean.
//!
//! Law: asking a rule never fails, and depends on nothing but the rule, the flag's name, the
//! context and the second it is asked at. What does not fit (a word where a number belongs, a
//! share without a key) comes out as null, as in flagd, and null means the default variant.
//!
//! `fractional` is flagd's second version, from its `fractional.go`: whole numbers throughout.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::murmur::Murmur;
use super::value::Val;
use super::version;
use crate::control::flags::rule::{
    Choice, Fractional, MOST_WEIGHT, Op, Rule, Weight, fixed_weight,
};

/// What the key is called in a context.
const TARGETING_KEY: &str = "targetingKey";

/// What is known of whoever a flag is asked for; made once, and asked for as many flags as needed.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    key: Option<&'a str>,
    attributes: &'a Map<String, Value>,
    /// The same attributes in a row, where they are few: that is the faster way to find one.
    few: Vec<(&'a str, &'a Value)>,
}

/// How many attributes are few.
const FEW: usize = 16;

impl<'a> Context<'a> {
    /// A context with its `targetingKey` among the attributes; as in flagd, an empty one is none.
    pub fn new(attributes: &'a Map<String, Value>) -> Self {
        let key = attributes.get(TARGETING_KEY).and_then(Value::as_str);
        let few = attributes.iter().take(if attributes.len() <= FEW { FEW } else { 0 });
        Self {
            key: key.filter(|key| !key.is_empty()),
            attributes,
            few: few.map(|(name, value)| (name.as_str(), value)).collect(),
        }
    }

    pub fn key(&self) -> Option<&'a str> {
        self.key
    }

    pub fn attributes(&self) -> &'a Map<String, Value> {
        self.attributes
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        match self.few.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => Some(value),
            None if self.attributes.len() <= FEW => None,
            None => self.attributes.get(name),
        }
    }
}

/// What a rule can see.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    pub flag: &'a str,
    /// The hash of the flag's name.
    pub begun: Murmur,
    pub context: &'a Context<'a>,
    /// Seconds since 1970.
    pub now: u64,
}

impl<'a> Scope<'a> {
    pub(super) fn value(&self, rule: &'a Rule) -> Val<'a> {
        match rule {
            Rule::Literal(value) => Val::from(value),
            Rule::List(items) => Val::List(items.iter().map(|item| self.value(item)).collect()),
            Rule::Var { path, default } => match self.lookup(path) {
                None | Some(Value::Null) => self.value(default),
                Some(value) => Val::from(value),
            },
            Rule::FlagKey => Val::Text(Cow::Borrowed(self.flag)),
            #[expect(clippy::cast_precision_loss, reason = "seconds fit for ages to come")]
            Rule::Timestamp => Val::Number(self.now as f64),
            Rule::If(choice) => self.value(self.branch(choice).1),
            Rule::Fractional(split) => match self.place(split) {
                Some(placed) => self.value(&split.parts[placed.part].result),
                None => Val::Null,
            },
            Rule::SemVer { left, comparison, right } => {
                let (left, right) = (self.value(left), self.value(right));
                match version::compare(&left.text(), *comparison, &right.text()) {
                    Some(holds) => Val::Bool(holds),
                    None => Val::Null,
                }
            }
            Rule::Call(op, args) => self.call(*op, args),
        }
    }

    /// The text that a rule is, where that takes a look and no calculation: most of them are.
    #[inline]
    pub(super) fn text(&self, rule: &'a Rule) -> Option<&'a str> {
        match rule {
            Rule::Literal(value) => value.as_str(),
            Rule::Var { path, .. } => match &**path {
                [name] => self.context.get(name)?.as_str(),
                _ => None,
            },
            Rule::FlagKey => Some(self.flag),
            _ => None,
        }
    }

    fn lookup(&self, path: &[Box<str>]) -> Option<&'a Value> {
        let (first, rest) = path.split_first()?;
        let mut at = self.context.get(first)?;
        for step in rest {
            at = match at {
                Value::Object(map) => map.get(step.as_ref())?,
                Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(at)
    }

    /// The branch that is taken: its number, counted from the end of conditions for the last one.
    pub(super) fn branch(&self, choice: &'a Choice) -> (usize, &'a Rule) {
        let holds =
            |(_, (condition, _)): &(usize, &'a (Rule, Rule))| self.value(condition).is_true();
        match choice.branches.iter().enumerate().find(holds) {
            Some((i, (_, result))) => (2 * i + 1, result),
            None => (2 * choice.branches.len(), &choice.otherwise),
        }
    }

    /// Where a split puts this context; `None` without a key, or where the weights are none.
    pub(super) fn place(&self, split: &'a Fractional) -> Option<Placed> {
        let hash = self.hash(split)?;
        match split.total {
            Some(total) => {
                let weight = |weight: &Weight| match weight {
                    Weight::Fixed(weight) => *weight,
                    Weight::Computed(_) => 0,
                };
                pick(hash, total, split.parts.iter().map(|part| weight(&part.weight)))
            }
            None => self.place_computed(split, hash),
        }
    }

    /// With weights that the context decides.
    fn place_computed(&self, split: &'a Fractional, hash: u32) -> Option<Placed> {
        let weights: Option<Vec<u32>> =
            split.parts.iter().map(|part| self.weight(&part.weight)).collect();
        let weights = weights?;
        let total: u64 = weights.iter().copied().map(u64::from).sum();
        let total = u32::try_from(total).ok().filter(|total| *total <= MOST_WEIGHT)?;
        pick(hash, total, weights.into_iter())
    }

    fn weight(&self, weight: &'a Weight) -> Option<u32> {
        match weight {
            Weight::Fixed(weight) => Some(*weight),
            Weight::Computed(rule) => match self.value(rule) {
                Val::Null => Some(1),
                Val::Number(number) if !number.is_nan() => fixed_weight(number),
                _ => None,
            },
        }
    }

    /// The hash that a split goes by; `None` where there is nothing to hash.
    fn hash(&self, split: &'a Fractional) -> Option<u32> {
        let hash = match split.key.as_deref() {
            None => self.own_hash()?,
            // The usual form: flag and an attribute, joined. Nothing is joined for it.
            Some(Rule::Call(Op::Cat, parts)) => self.hash_of_all(parts),
            Some(rule) => match self.value(rule) {
                Val::Text(text) => Murmur::of(text.as_bytes()),
                Val::Null => self.own_hash()?,
                _ => return None,
            },
        };
        Some(hash.finish())
    }

    /// That of what [`Op::Cat`] makes of these parts.
    fn hash_of_all(&self, parts: &'a [Rule]) -> Murmur {
        let (mut hash, mut first, mut last) = (Murmur::default(), None, None);
        for part in parts {
            let text = match self.text(part) {
                Some(text) => Cow::Borrowed(text),
                None => Cow::Owned(self.value(part).text().into_owned()),
            };
            first = first.or_else(|| text.chars().next());
            last = text.chars().next_back().or(last);
            hash = hash.then(text.as_bytes());
        }
        // There is white space to trim only where there is some at an end.
        if first.is_some_and(char::is_whitespace) || last.is_some_and(char::is_whitespace) {
            return Murmur::of(self.cat(parts).as_bytes());
        }
        hash
    }

    /// Its parts as one text. Like flagd's, it has no white space at its ends unless it is a
    /// single part, which stays what it is.
    fn cat(&self, parts: &'a [Rule]) -> String {
        let joined: String =
            parts.iter().map(|part| self.value(part).text().into_owned()).collect();
        if parts.len() == 1 { joined } else { joined.trim().to_owned() }
    }

    /// That of the flag's name and the targeting key.
    fn own_hash(&self) -> Option<Murmur> {
        self.context.key.map(|key| self.begun.then(key.as_bytes()))
    }

    /// The text that a split hashes, for people.
    pub(super) fn hashed(&self, split: &'a Fractional) -> String {
        match split.key.as_deref().map(|rule| self.value(rule)) {
            Some(Val::Text(text)) => text.into_owned(),
            _ => format!("{}{}", self.flag, self.context.key.unwrap_or_default()),
        }
    }

    fn call(&self, op: Op, args: &'a [Rule]) -> Val<'a> {
        let arg = |i: usize| self.value(&args[i]);
        let holds = Val::Bool;
        if let [left, right] = args
            && let (Some(left), Some(right)) = (self.text(left), self.text(right))
        {
            match op {
                Op::Equal | Op::StrictEqual => return holds(left == right),
                Op::NotEqual | Op::StrictNotEqual => return holds(left != right),
                Op::StartsWith => return holds(left.starts_with(right)),
                Op::EndsWith => return holds(left.ends_with(right)),
                Op::In => return holds(right.contains(left)),
                _ => {}
            }
        }
        match op {
            Op::Equal => holds(arg(0).is_equal(&arg(1))),
            Op::NotEqual => holds(!arg(0).is_equal(&arg(1))),
            Op::StrictEqual => holds(arg(0).is_same(&arg(1))),
            Op::StrictNotEqual => holds(!arg(0).is_same(&arg(1))),
            Op::Not => holds(!arg(0).is_true()),
            Op::Truthy => holds(arg(0).is_true()),
            Op::And | Op::Or => self.first(args, op == Op::Or),
            Op::Less => holds(self.ascend(args, Ordering::is_lt)),
            Op::LessOrEqual => holds(self.ascend(args, Ordering::is_le)),
            Op::Greater => holds(arg(0).order(&arg(1)).is_some_and(Ordering::is_gt)),
            Op::GreaterOrEqual => holds(arg(0).order(&arg(1)).is_some_and(Ordering::is_ge)),
            Op::In => holds(self.is_in(&args[0], &args[1])),
            Op::Cat => Val::Text(Cow::Owned(self.cat(args))),
            Op::StartsWith | Op::EndsWith => match (arg(0), arg(1)) {
                (Val::Text(text), Val::Text(part)) if op == Op::StartsWith => {
                    holds(text.starts_with(part.as_ref()))
                }
                (Val::Text(text), Val::Text(part)) => holds(text.ends_with(part.as_ref())),
                _ => Val::Null,
            },
            Op::Add => self.fold(args, |a, b| a + b),
            Op::Multiply => self.fold(args, |a, b| a * b),
            Op::Min => self.fold(args, f64::min),
            Op::Max => self.fold(args, f64::max),
            Op::Subtract if args.len() == 1 => number(-arg(0).number()),
            Op::Subtract => number(arg(0).number() - arg(1).number()),
            Op::Divide => number(arg(0).number() / arg(1).number()),
            Op::Remainder => number(arg(0).number() % arg(1).number()),
        }
    }

    /// The first value that is as true as it should be, or else the last one.
    fn first(&self, args: &'a [Rule], wanted: bool) -> Val<'a> {
        let mut last = Val::Null;
        for arg in args {
            last = self.value(arg);
            if last.is_true() == wanted {
                break;
            }
        }
        last
    }

    fn ascend(&self, args: &'a [Rule], fits: fn(Ordering) -> bool) -> bool {
        let mut before = self.value(&args[0]);
        args[1..].iter().all(|arg| {
            let next = self.value(arg);
            let holds = before.order(&next).is_some_and(fits);
            before = next;
            holds
        })
    }

    /// Whether a text has a part, or a list an item. A list is looked through as it stands.
    fn is_in(&self, needle: &'a Rule, hay: &'a Rule) -> bool {
        if let (Rule::List(items), Some(needle)) = (hay, self.text(needle)) {
            return items.iter().any(|item| match (self.text(item), item) {
                (Some(item), _) => item == needle,
                // A literal that is no text is not the same as one.
                (None, Rule::Literal(_)) => false,
                (None, item) => self.value(item).is_same(&Val::Text(needle.into())),
            });
        }
        let needle = &self.value(needle);
        if let Rule::List(items) = hay {
            return items.iter().any(|item| self.value(item).is_same(needle));
        }
        match self.value(hay) {
            Val::Text(text) => match needle {
                Val::Text(needle) => text.contains(needle.as_ref()),
                _ => false,
            },
            Val::List(items) => items.iter().any(|item| item.is_same(needle)),
            _ => false,
        }
    }

    fn fold(&self, args: &'a [Rule], step: fn(f64, f64) -> f64) -> Val<'a> {
        let numbers = args.iter().map(|arg| self.value(arg).number());
        number(numbers.reduce(step).unwrap_or(f64::NAN))
    }
}

/// A number, or null where the calculation gave none.
fn number(number: f64) -> Val<'static> {
    if number.is_finite() { Val::Number(number) } else { Val::Null }
}

/// Where a context falls in a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub hash: u32,
    /// `hash * total / 2^32`, in 0..total.
    pub bucket: u32,
    pub total: u32,
    /// Which part of the split has this bucket, and from where to where it reaches.
    pub part: usize,
    pub from: u32,
    pub to: u32,
}

fn pick(hash: u32, total: u32, weights: impl Iterator<Item = u32>) -> Option<Placed> {
    let bucket = u32::try_from((u64::from(hash) * u64::from(total)) >> 32).ok()?;
    let mut from = 0;
    for (part, weight) in weights.enumerate() {
        let to = from + weight;
        if bucket < to {
            return Some(Placed { hash, bucket, total, part, from, to });
        }
        from = to;
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::control::flags::rule::read;

    fn asked(rule: &Value, context: &Value) -> Value {
        let targeting = read(rule, "t").unwrap();
        let context = Context::new(context.as_object().unwrap());
        let begun = Murmur::of(b"flag");
        let scope = Scope { flag: "flag", begun, context: &context, now: 1_700_000_000 };
        match scope.value(&targeting.root) {
            Val::Null => Value::Null,
            Val::Bool(on) => on.into(),
            Val::Number(number) => number.into(),
            Val::Text(text) => text.into_owned().into(),
            Val::List(_) | Val::Object(_) => panic!("no test ends with one"),
        }
    }

    #[test]
    fn operators_mean_what_they_mean_elsewhere() {
        let context = json!({ "email": "ada@example.com", "age": 36, "team": null, "n": "5",
            "tags": ["a", "b"], "of": { "x": [{ "y": 7 }] }, "version": "1.4.2" });
        let table = [
            (json!({ "var": "email" }), json!("ada@example.com")),
            (json!({ "var": ["team", "none"] }), json!("none")),
            (json!({ "var": "of.x.0.y" }), json!(7.0)),
            (json!({ "var": "of.x.9.y" }), json!(null)),
            (json!({ "var": "$flagd.flagKey" }), json!("flag")),
            (json!({ "var": "$flagd.timestamp" }), json!(1_700_000_000.0)),
            (json!({ "if": [false, 1, { "var": "team" }, 2, 3] }), json!(3.0)),
            (json!({ "if": [{ "var": "age" }, "yes"] }), json!("yes")),
            (json!({ "if": [false, "yes"] }), json!(null)),
            (json!({ "==": [{ "var": "n" }, 5] }), json!(true)),
            (json!({ "===": [{ "var": "n" }, 5] }), json!(false)),
            (json!({ "==": [{ "var": "team" }, 0] }), json!(false)),
            (json!({ "!=": [1, true] }), json!(false)),
            (json!({ "!==": [1, true] }), json!(true)),
            (json!({ "!": { "var": "tags" } }), json!(false)),
            (json!({ "!!": ["0"] }), json!(true)),
            (json!({ "and": [1, "", 3] }), json!("")),
            (json!({ "or": [0, "", 3] }), json!(3.0)),
            (json!({ "<": [1, { "var": "n" }, 9] }), json!(true)),
            (json!({ "<=": [5, { "var": "n" }, 4] }), json!(false)),
            (json!({ ">": ["b", "a"] }), json!(true)),
            (json!({ ">=": ["word", 1] }), json!(false)),
            (json!({ "in": ["example", { "var": "email" }] }), json!(true)),
            (json!({ "in": ["b", { "var": "tags" }] }), json!(true)),
            (json!({ "in": [36, [35, { "var": "age" }]] }), json!(true)),
            (json!({ "in": ["36", [35, 36]] }), json!(false)),
            (json!({ "cat": ["a", 1, 1.5, null, true, { "var": "tags" }] }), json!("a11.5truea,b")),
            (json!({ "cat": [" a", " b\n"] }), json!("a b")),
            (json!({ "cat": [" a "] }), json!(" a ")),
            (json!({ "cat": " a " }), json!(" a ")),
            (json!({ "starts_with": [{ "var": "email" }, "ada@"] }), json!(true)),
            (json!({ "ends_with": [{ "var": "email" }, "@example.org"] }), json!(false)),
            (json!({ "ends_with": [{ "var": "age" }, "6"] }), json!(null)),
            (json!({ "sem_ver": [{ "var": "version" }, ">=", "1.4.0"] }), json!(true)),
            (json!({ "sem_ver": [{ "var": "email" }, ">=", "1.4.0"] }), json!(null)),
            (json!({ "+": [1, "2", 3] }), json!(6.0)),
            (json!({ "-": [{ "var": "age" }] }), json!(-36.0)),
            (json!({ "-": [1, 3] }), json!(-2.0)),
            (json!({ "*": [2, 3, 4] }), json!(24.0)),
            (json!({ "/": [1, 0] }), json!(null)),
            (json!({ "%": [7, 3] }), json!(1.0)),
            (json!({ "min": [3, 1, 2] }), json!(1.0)),
            (json!({ "max": [3, 1, 2] }), json!(3.0)),
        ];
        for (rule, expect) in table {
            assert_eq!(asked(&rule, &context), expect, "{rule}");
        }
    }

    #[test]
    fn a_split_by_joined_texts_goes_by_what_they_are_joined_to() {
        let parts: Vec<_> = (0..100).map(|n| json!([n, 1])).collect();
        let by = |key: Value| {
            let split: Vec<_> = std::iter::once(key).chain(parts.clone()).collect();
            asked(&json!({ "fractional": split }), &json!({ "who": " ada\t", "none": "" }))
        };
        let plain = by(json!({ "cat": ["salt", "ada"] }));
        assert_eq!(by(json!({ "cat": [" salt", "ada"] })), plain);
        assert_eq!(by(json!({ "cat": ["sal", "tada", "\n", { "var": "none" }] })), plain);
        assert_eq!(by(json!({ "cat": ["", { "var": "who" }] })), by(json!("ada")));
        assert_eq!(by(json!({ "cat": [{ "var": "who" }] })), by(json!(" ada\t")));
        assert_eq!(by(json!({ "cat": { "var": "who" } })), by(json!(" ada\t")));
    }

    #[test]
    fn a_split_without_a_key_or_with_odd_weights_is_null() {
        let ada = json!({ "targetingKey": "ada" });
        let table = [
            (json!([["a", 1]]), json!({}), json!(null)),
            (json!([["a", 1]]), json!({ "targetingKey": "" }), json!(null)),
            (json!([["a", 1]]), json!({ "targetingKey": 7 }), json!(null)),
            (json!([["a", 0], ["b", 0]]), ada.clone(), json!(null)),
            (json!([["a", -5], ["b", 1]]), ada.clone(), json!("b")),
            (json!([["a", 0], ["b"]]), ada.clone(), json!("b")),
            (json!([{ "var": "none" }, ["a", 1]]), ada.clone(), json!("a")),
            (json!([{ "var": "none" }, ["a", 1]]), json!({}), json!(null)),
            (json!([{ "+": [1, 1] }, ["a", 1]]), ada.clone(), json!(null)),
            (json!([["a", { "var": "w" }]]), json!({ "targetingKey": "k", "w": 0.5 }), json!(null)),
            (json!([["a", { "var": "w" }]]), json!({ "targetingKey": "k", "w": "1" }), json!(null)),
            (json!([["a", { "var": "w" }]]), ada.clone(), json!("a")),
            (json!([["a", { "-": [3, 9] }], ["b", 1]]), ada.clone(), json!("b")),
            (json!([[{ "if": [true, "c"] }, 1]]), ada, json!("c")),
        ];
        for (split, context, expect) in table {
            assert_eq!(asked(&json!({ "fractional": split }), &context), expect, "{split}");
        }
    }
}
