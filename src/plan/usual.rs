//! What holds where a key is left out, and which values it takes: known to the readers, the schema
//! and the reference from one place.
//!
//! A reader has no default of its own: it asks the table, which looks here. So a document that is
//! made from the shapes cannot say anything else than what a plan means.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::units::{duration, size};

/// What holds where a key is left out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Usual {
    /// Nothing: there is none of what the key would say.
    Nothing,
    Is(Literal),
    /// It depends on other keys, in words.
    Said(&'static str),
}

/// A value as a plan has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Literal {
    Bool(bool),
    Count(u64),
    Number(f64),
    Lasts(Duration),
    /// As a ratio in 0..=1.
    Share(f64),
    /// In bytes.
    Size(u64),
    Word(&'static str),
}

/// Which values of its kind a key takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Range {
    All,
    /// More than zero.
    AboveZero,
    /// More than zero, and at most this.
    UpTo(Literal),
    /// This, and more.
    From(Literal),
    /// These, and what is between them.
    Between(Literal, Literal),
}

impl Literal {
    /// How much it is, among values of its kind.
    #[expect(clippy::cast_precision_loss, reason = "a plan's numbers are far below 2^52")]
    fn amount(self) -> f64 {
        match self {
            Self::Bool(_) | Self::Word(_) => 0.0,
            Self::Count(count) | Self::Size(count) => count as f64,
            Self::Number(number) | Self::Share(number) => number,
            Self::Lasts(lasts) => lasts.as_secs_f64(),
        }
    }

    /// As a value of JSON, in the form that a plan would have it.
    pub(super) fn json(self) -> Value {
        match self {
            Self::Bool(yes) => json!(yes),
            Self::Count(count) => json!(count),
            Self::Number(number) => json!(number),
            Self::Lasts(_) | Self::Share(_) | Self::Size(_) | Self::Word(_) => {
                json!(self.to_string())
            }
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(yes) => yes.fmt(f),
            Self::Count(count) => count.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Lasts(lasts) => duration::format(*lasts).fmt(f),
            // To the thousandth of a percent, as plans are read.
            Self::Share(ratio) => write!(f, "{}%", (ratio * 100_000.0).round() / 1000.0),
            Self::Size(bytes) => size::format(*bytes).fmt(f),
            Self::Word(word) => word.fmt(f),
        }
    }
}

impl Range {
    /// Whether `value` is within it.
    pub(super) fn holds(self, value: Literal) -> bool {
        let amount = value.amount();
        match self {
            Self::All => true,
            Self::AboveZero => amount > 0.0,
            Self::UpTo(most) => amount > 0.0 && amount <= most.amount(),
            Self::From(least) => amount >= least.amount(),
            Self::Between(least, most) => (least.amount()..=most.amount()).contains(&amount),
        }
    }
}

impl fmt::Display for Range {
    /// What stands after the name of a kind: `≥ 1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => Ok(()),
            Self::AboveZero => write!(f, "> 0"),
            Self::UpTo(most) => write!(f, "> 0, ≤ {most}"),
            Self::From(least) => write!(f, "≥ {least}"),
            Self::Between(least, most) if least == most => write!(f, "= {least}"),
            Self::Between(least, most) => write!(f, "{least} to {most}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_its_ends_but_for_zero() {
        let second = Literal::Lasts(Duration::from_secs(1));
        for (range, value, expect) in [
            (Range::AboveZero, Literal::Number(0.0), false),
            (Range::AboveZero, Literal::Number(0.1), true),
            (Range::UpTo(second), Literal::Lasts(Duration::ZERO), false),
            (Range::UpTo(second), second, true),
            (Range::UpTo(second), Literal::Lasts(Duration::from_millis(1001)), false),
            (Range::From(Literal::Count(1)), Literal::Count(0), false),
            (Range::From(Literal::Count(1)), Literal::Count(1), true),
            (Range::Between(Literal::Count(1), Literal::Count(2)), Literal::Count(2), true),
            (Range::Between(Literal::Count(1), Literal::Count(2)), Literal::Count(3), false),
            (Range::All, Literal::Count(0), true),
        ] {
            assert_eq!(range.holds(value), expect, "{range}: {value}");
        }
    }
}
