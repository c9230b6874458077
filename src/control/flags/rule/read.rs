//! JSON becomes a rule, or all of its faults.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{
    Choice, Comparison, Fractional, MANY, MOST_WEIGHT, OPS, Part, Rule, SPECIAL, Targeting, Weight,
};

/// How deep a rule may be nested: it is read and asked by recursion.
pub const DEEPEST: usize = 24;
/// How many values a rule may consist of.
pub const MOST_NODES: usize = 4_096;
/// How many faults are named before the rest is left out.
const MOST_FAULTS: usize = 20;

/// Reads a rule that stands at `at`, such as `flags.checkout.targeting`.
///
/// # Errors
/// All that is wrong, each with its path.
pub fn read(targeting: &Value, at: &str) -> Result<Targeting, Vec<String>> {
    let mut reader = Reader::default();
    let root = reader.rule(targeting, at, 0);
    let Reader { clock, faults, .. } = reader;
    if faults.is_empty() { Ok(Targeting { root, clock }) } else { Err(faults) }
}

#[derive(Debug, Default)]
struct Reader {
    nodes: usize,
    clock: bool,
    faults: Vec<String>,
}

impl Reader {
    /// Notes a fault; what is returned stands where the rule would, and is never asked.
    fn fault(&mut self, at: &str, why: &str) -> Rule {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(format!("{at}: {why}"));
        }
        Rule::NULL
    }

    fn rule(&mut self, value: &Value, at: &str, depth: usize) -> Rule {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            if self.nodes == MOST_NODES + 1 {
                self.fault(at, &format!("the rule has more than {MOST_NODES} values"));
            }
            return Rule::NULL;
        }
        if depth > DEEPEST {
            return self.fault(at, &format!("the rule is nested deeper than {DEEPEST} levels"));
        }
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Rule::Literal(value.clone())
            }
            Value::Array(items) => Rule::List(self.all(items, at, depth)),
            Value::Object(map) => self.operation(map, at, depth),
        }
    }

    fn all(&mut self, items: &[Value], at: &str, depth: usize) -> Box<[Rule]> {
        let rule = |(i, item)| self.rule(item, &format!("{at}[{i}]"), depth + 1);
        items.iter().enumerate().map(rule).collect()
    }

    fn operation(&mut self, map: &Map<String, Value>, at: &str, depth: usize) -> Rule {
        let mut entries = map.iter();
        let (Some((name, given)), None) = (entries.next(), entries.next()) else {
            return self.fault(at, "an operation is an object with one operator");
        };
        let inside = format!("{at}.{name}");
        match name.as_str() {
            "var" => return self.var(given, &inside, depth),
            "if" => return self.choice(given, &inside, depth),
            "fractional" => return self.fractional(given, &inside, depth),
            "sem_ver" => return self.sem_ver(given, &inside, depth),
            "$ref" => {
                let why =
                    "`$ref` is resolved when a definition is imported, and means nothing here";
                return self.fault(at, why);
            }
            _ => {}
        }
        let Some((_, op, least, most)) = OPS.iter().find(|(known, ..)| known == name) else {
            return self.fault(at, &unsupported(name));
        };
        let args = self.args(given, &inside, depth);
        if args.len() < *least || args.len() > *most {
            let takes = match (*least, *most) {
                (1, 1) => "one argument".to_owned(),
                (least, most) if least == most => format!("{least} arguments"),
                (least, MANY) => format!("{least} or more arguments"),
                (least, most) => format!("{least} to {most} arguments"),
            };
            return self.fault(&inside, &format!("`{name}` takes {takes}, not {}", args.len()));
        }
        Rule::Call(*op, args)
    }

    /// The arguments of an operator; a single one needs no list.
    fn args(&mut self, given: &Value, at: &str, depth: usize) -> Box<[Rule]> {
        match given {
            Value::Array(items) => self.all(items, at, depth),
            single => Box::new([self.rule(single, at, depth + 1)]),
        }
    }

    fn var(&mut self, given: &Value, at: &str, depth: usize) -> Rule {
        let (name, default) = match given {
            Value::Array(items) if (1..=2).contains(&items.len()) => (&items[0], items.get(1)),
            single => (single, None),
        };
        let name = match name {
            Value::String(name) if !name.is_empty() => name,
            _ => return self.fault(at, "a variable is named by a text, such as `email`"),
        };
        let default = match default {
            Some(default) => self.rule(default, &format!("{at}[1]"), depth + 1),
            None => Rule::NULL,
        };
        match name.as_str() {
            "$flagd.flagKey" => Rule::FlagKey,
            "$flagd.timestamp" => {
                self.clock = true;
                Rule::Timestamp
            }
            other if other == "$flagd" || other.starts_with("$flagd.") => {
                let why =
                    format!("there is no `{other}`, only `$flagd.flagKey` and `$flagd.timestamp`");
                self.fault(at, &why)
            }
            path => Rule::Var {
                path: path.split('.').map(Box::from).collect(),
                default: Box::new(default),
            },
        }
    }

    fn choice(&mut self, given: &Value, at: &str, depth: usize) -> Rule {
        let args = self.args(given, at, depth).into_vec();
        if args.is_empty() {
            return self.fault(at, "`if` takes a condition and a result");
        }
        let mut rest = args.into_iter();
        let mut branches = Vec::new();
        let otherwise = loop {
            match (rest.next(), rest.next()) {
                (Some(condition), Some(result)) => branches.push((condition, result)),
                (Some(last), None) => break last,
                (None, _) => break Rule::NULL,
            }
        };
        Rule::If(Choice { branches: branches.into(), otherwise: Box::new(otherwise) })
    }

    fn fractional(&mut self, given: &Value, at: &str, depth: usize) -> Rule {
        let Value::Array(items) = given else {
            return self.fault(at, "`fractional` takes a list of shares, such as [[\"on\", 1]]");
        };
        let (key, shares, first) = match items.split_first() {
            None | Some((Value::Array(_), _)) => (None, items.as_slice(), 0),
            Some((Value::Null, rest)) => (None, rest, 1),
            Some((key, rest)) => {
                (Some(Box::new(self.rule(key, &format!("{at}[0]"), depth + 1))), rest, 1)
            }
        };
        if shares.is_empty() {
            return self.fault(at, "`fractional` takes at least one share, such as [\"on\", 1]");
        }
        let mut parts = Vec::with_capacity(shares.len());
        let mut total = Some(0_u64);
        for (i, share) in shares.iter().enumerate() {
            let part = self.part(share, &format!("{at}[{}]", i + first), depth + 1);
            total = match part.weight {
                Weight::Fixed(weight) => total.map(|total| total + u64::from(weight)),
                Weight::Computed(_) => None,
            };
            parts.push(part);
        }
        let fixed = parts.iter().all(|part| matches!(part.weight, Weight::Fixed(_)));
        let total = total.filter(|_| fixed).map(u32::try_from);
        let total = match total {
            None => None,
            Some(Ok(total)) if total <= MOST_WEIGHT => Some(total),
            Some(_) => {
                return self.fault(at, &format!("the weights add up to more than {MOST_WEIGHT}"));
            }
        };
        Rule::Fractional(Fractional { key, first, parts: parts.into(), total })
    }

    fn part(&mut self, share: &Value, at: &str, depth: usize) -> Part {
        let none = Part { result: Rule::NULL, weight: Weight::Fixed(0) };
        let items = match share {
            Value::Array(items) if (1..=2).contains(&items.len()) => items,
            _ => {
                self.fault(at, "a share is a list of a variant and a weight, such as [\"on\", 1]");
                return none;
            }
        };
        let result = self.rule(&items[0], &format!("{at}[0]"), depth + 1);
        if matches!(result, Rule::List(_)) {
            self.fault(&format!("{at}[0]"), "a variant is a name, not a list");
            return none;
        }
        let at = format!("{at}[1]");
        let weight = match items.get(1) {
            None | Some(Value::Null) => Weight::Fixed(1),
            Some(Value::Number(number)) => {
                let Some(weight) = number.as_f64().and_then(fixed_weight) else {
                    let why =
                        format!("a weight is a whole number up to {MOST_WEIGHT}, not {number}");
                    self.fault(&at, &why);
                    return none;
                };
                Weight::Fixed(weight)
            }
            Some(other @ Value::Object(_)) => Weight::Computed(self.rule(other, &at, depth + 1)),
            Some(other) => {
                self.fault(&at, &format!("a weight is a whole number, not {other}"));
                return none;
            }
        };
        Part { result, weight }
    }

    fn sem_ver(&mut self, given: &Value, at: &str, depth: usize) -> Rule {
        let Some([left, comparison, right]) = given.as_array().map(Vec::as_slice) else {
            return self.fault(at, "`sem_ver` takes a version, a comparison and a version");
        };
        let left = self.rule(left, &format!("{at}[0]"), depth + 1);
        let right = self.rule(right, &format!("{at}[2]"), depth + 1);
        let comparison = match comparison.as_str() {
            Some("=") => Comparison::Equal,
            Some("!=") => Comparison::NotEqual,
            Some("<") => Comparison::Less,
            Some("<=") => Comparison::LessOrEqual,
            Some(">") => Comparison::Greater,
            Some(">=") => Comparison::GreaterOrEqual,
            Some("^") => Comparison::SameMajor,
            Some("~") => Comparison::SameMinor,
            _ => {
                let why =
                    format!("versions compare by =, !=, <, <=, >, >=, ^ or ~, not {comparison}");
                return self.fault(&format!("{at}[1]"), &why);
            }
        };
        Rule::SemVer { left: Box::new(left), comparison, right: Box::new(right) }
    }
}

/// A weight as flagd takes it: whole, at most 2^31 - 1, and zero where it is less than that.
pub(crate) fn fixed_weight(weight: f64) -> Option<u32> {
    if weight.fract() != 0.0 || weight > f64::from(MOST_WEIGHT) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in 0..2^31, whole"
    )]
    Some(weight.max(0.0) as u32)
}

fn unsupported(name: &str) -> String {
    let mut why = format!("operator `{name}` is not supported; these are: ");
    let known = SPECIAL.iter().copied().chain(OPS.iter().map(|(name, ..)| *name));
    for (i, name) in known.enumerate() {
        let _ = write!(why, "{}{name}", if i == 0 { "" } else { ", " });
    }
    why
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(rule: &Value) -> Vec<String> {
        read(rule, "flags.checkout.targeting").unwrap_err()
    }

    #[test]
    fn an_unknown_operator_is_named_with_its_place() {
        let said = faults(&json!({ "if": [{ "foo": [1] }, "a", { "cat": [{ "bar": 1 }, "x"] }] }));
        assert_eq!(said.len(), 2, "all at once: {said:?}");
        let start =
            "flags.checkout.targeting.if[0]: operator `foo` is not supported; these are: var";
        assert!(said[0].starts_with(start), "{said:?}");
        let start = "flags.checkout.targeting.if[2].cat[0]: operator `bar` is not supported";
        assert!(said[1].starts_with(start), "{said:?}");
    }

    #[test]
    fn what_is_no_rule_is_refused_with_its_reason() {
        for (rule, why) in [
            (json!({ "var": { "var": "x" } }), ".var: a variable is named by a text"),
            (json!({ "var": "$flagd.colour" }), ".var: there is no `$flagd.colour`"),
            (json!({ "==": [1] }), ".==: `==` takes 2 arguments, not 1"),
            (json!({ "<": [1] }), ".<: `<` takes 2 to 3 arguments, not 1"),
            (json!({ "a": 1, "b": 2 }), ": an operation is an object with one operator"),
            (json!({}), ": an operation is an object with one operator"),
            (json!({ "if": [] }), ".if: `if` takes a condition"),
            (json!({ "$ref": "staff" }), ": `$ref` is resolved"),
            (json!({ "fractional": "on" }), ".fractional: `fractional` takes a list"),
            (json!({ "fractional": [] }), ".fractional: `fractional` takes at least one"),
            (
                json!({ "fractional": [["a", 0.5]] }),
                ".fractional[0][1]: a weight is a whole number",
            ),
            (
                json!({ "fractional": [["a", "9"]] }),
                ".fractional[0][1]: a weight is a whole number",
            ),
            (
                json!({ "fractional": [["a", 4e9]] }),
                ".fractional[0][1]: a weight is a whole number",
            ),
            (json!({ "fractional": ["k", "a"] }), ".fractional[1]: a share is a list"),
            (
                json!({ "fractional": [["a", 2_000_000_000], ["b", 2_000_000_000]] }),
                ".fractional: the weights add up to more than 2147483647",
            ),
            (json!({ "sem_ver": ["1.0.0", "=>", "2.0.0"] }), ".sem_ver[1]: versions compare by"),
            (json!({ "sem_ver": ["1.0.0"] }), ".sem_ver: `sem_ver` takes a version"),
        ] {
            let said = faults(&rule);
            let start = format!("flags.checkout.targeting{why}");
            assert!(said.len() == 1 && said[0].starts_with(&start), "{rule}: {said:?}");
        }
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let deep = (0..100).fold(json!(true), |inner, _| json!({ "!": [inner] }));
        assert!(faults(&deep)[0].contains("nested deeper than 24 levels"));
        let wide = json!({ "cat": vec!["x"; 5_000] });
        assert_eq!(faults(&wide).len(), 1);
        assert!(faults(&wide)[0].contains("more than 4096 values"));
    }

    #[test]
    fn what_a_rule_looks_at_is_known() {
        let clock = |rule: &Value| read(rule, "t").unwrap().clock;
        assert!(!clock(&json!({ "fractional": [["a", 1]] })));
        assert!(clock(&json!({ "<": [{ "var": "$flagd.timestamp" }, 5] })));
    }
}
