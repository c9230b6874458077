//! Targeting rules: which variant of a flag a context gets, in flagd's JSON Logic.
//!
//! The law: a rule is read once, whole, and either all of it is understood or all that is not is
//! named with the path to where it stands. Nothing is left to be found out when a user asks, so the
//! tree has no place for an unknown operator, a share that is no number, or a variable whose
//! name is computed.
//!
//! The operators are those of flagd's targeting schema that look at a context; see [`OPS`] and [`SPECIAL`].
//! What they mean is `src/orchestrator/flags/evaluate.rs`. How to add one: a variant of [`Op`], its
//! row in [`OPS`], its arm there.

mod read;

use serde_json::Value;

pub(crate) use self::read::fixed_weight;
pub use self::read::{DEEPEST, MOST_NODES, read};

/// A flag's targeting, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Targeting {
    pub root: Rule,
    /// Whether the answer depends on the time.
    pub clock: bool,
}

/// A rule: JSON Logic with every name resolved.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// Null, a boolean, a number or a text.
    Literal(Value),
    List(Box<[Self]>),
    /// A value of the context, by the steps that lead to it.
    Var {
        path: Box<[Box<str>]>,
        default: Box<Self>,
    },
    /// `$flagd.flagKey`: the flag's own name.
    FlagKey,
    /// `$flagd.timestamp`: seconds since 1970.
    Timestamp,
    If(Choice),
    Fractional(Fractional),
    SemVer {
        left: Box<Self>,
        comparison: Comparison,
        right: Box<Self>,
    },
    Call(Op, Box<[Self]>),
}

impl Rule {
    pub const NULL: Self = Self::Literal(Value::Null);
}

/// `if`: the first branch whose condition holds, or what stands at the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Condition and result.
    pub branches: Box<[(Rule, Rule)]>,
    pub otherwise: Box<Rule>,
}

/// `fractional`: a share of keys for each of several results.
#[derive(Clone, Debug, PartialEq)]
pub struct Fractional {
    /// What is hashed; absent, the flag's name and the targeting key.
    pub key: Option<Box<Rule>>,
    /// Which argument the first part is.
    pub first: usize,
    pub parts: Box<[Part]>,
    /// The sum of all weights, where none is computed.
    pub total: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub result: Rule,
    pub weight: Weight,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Weight {
    Fixed(u32),
    Computed(Rule),
}

/// The largest sum of weights: what flagd's 32-bit integers hold.
pub const MOST_WEIGHT: u32 = i32::MAX.unsigned_abs();

/// How `sem_ver` compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// `^`: the same major version.
    SameMajor,
    /// `~`: the same major and minor version.
    SameMinor,
}

/// An operator that takes its arguments as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Equal,
    StrictEqual,
    NotEqual,
    StrictNotEqual,
    Not,
    Truthy,
    And,
    Or,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Cat,
    StartsWith,
    EndsWith,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Min,
    Max,
}

/// Name, operator, and how many arguments it takes at least and at most.
pub(super) const OPS: [(&str, Op, usize, usize); 23] = [
    ("==", Op::Equal, 2, 2),
    ("===", Op::StrictEqual, 2, 2),
    ("!=", Op::NotEqual, 2, 2),
    ("!==", Op::StrictNotEqual, 2, 2),
    ("!", Op::Not, 1, 1),
    ("!!", Op::Truthy, 1, 1),
    ("and", Op::And, 1, MANY),
    ("or", Op::Or, 1, MANY),
    ("<", Op::Less, 2, 3),
    ("<=", Op::LessOrEqual, 2, 3),
    (">", Op::Greater, 2, 2),
    (">=", Op::GreaterOrEqual, 2, 2),
    ("in", Op::In, 2, 2),
    ("cat", Op::Cat, 0, MANY),
    ("starts_with", Op::StartsWith, 2, 2),
    ("ends_with", Op::EndsWith, 2, 2),
    ("+", Op::Add, 1, MANY),
    ("-", Op::Subtract, 1, 2),
    ("*", Op::Multiply, 1, MANY),
    ("/", Op::Divide, 2, 2),
    ("%", Op::Remainder, 2, 2),
    ("min", Op::Min, 1, MANY),
    ("max", Op::Max, 1, MANY),
];

const MANY: usize = usize::MAX;

/// The operators with a reader of their own.
pub(super) const SPECIAL: [&str; 4] = ["var", "if", "fractional", "sem_ver"];
