//! A share of traffic, in thousandths of a percent.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A share between 0 % and 100 %, exact to a thousandth of a percent.
///
/// Integers rather than a float: a configuration is compared byte for byte after a rollback, and
/// `0.1 + 0.2` must not decide whether that comparison holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u32);

/// Why a text is not a share.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PercentError {
    #[error("`{0}` is not a percentage; write it like `25%` or `0.5%`")]
    NotANumber(String),
    #[error("`{0}` is not between 0% and 100%")]
    OutOfRange(String),
    #[error("`{0}` is finer than a thousandth of a percent")]
    TooFine(String),
}

impl Percent {
    pub const ZERO: Self = Self(0);
    pub const ALL: Self = Self(Self::DENOMINATOR);
    /// The number of thousandths of a percent in the whole.
    pub const DENOMINATOR: u32 = 100_000;

    /// Makes a share from whole percents, saturating at 100.
    pub const fn whole(percent: u32) -> Self {
        if percent >= 100 { Self::ALL } else { Self(percent * 1000) }
    }

    /// Makes a share from thousandths of a percent; `None` above 100 %.
    pub const fn from_thousandths(thousandths: u32) -> Option<Self> {
        if thousandths <= Self::DENOMINATOR { Some(Self(thousandths)) } else { None }
    }

    /// The share in thousandths of a percent, 0..=100,000.
    pub const fn thousandths(self) -> u32 {
        self.0
    }

    /// The share as a ratio in 0..=1.
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / f64::from(Self::DENOMINATOR)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1000, self.0 % 1000);
        if rest == 0 {
            return write!(f, "{whole}%");
        }
        let digits = format!("{rest:03}");
        write!(f, "{whole}.{}%", digits.trim_end_matches('0'))
    }
}

impl FromStr for Percent {
    type Err = PercentError;

    fn from_str(text: &str) -> Result<Self, PercentError> {
        let not_a_number = || PercentError::NotANumber(text.to_owned());
        let number = text.trim().strip_suffix('%').ok_or_else(not_a_number)?.trim_end();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) || number.ends_with('.') {
            return Err(not_a_number());
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 3 {
            return Err(PercentError::TooFine(text.to_owned()));
        }
        let out_of_range = || PercentError::OutOfRange(text.to_owned());
        let whole: u32 = whole.parse().map_err(|_| out_of_range())?;
        let rest: u32 = format!("{fraction:0<3}").parse().map_err(|_| not_a_number())?;
        let thousandths = whole.checked_mul(1000).and_then(|w| w.checked_add(rest));
        thousandths.and_then(Self::from_thousandths).ok_or_else(out_of_range)
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Percent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": r"^(100(\.0{1,3})?|[0-9]{1,2}(\.[0-9]{1,3})?)%$",
            "description": "A share of traffic, such as `25%` or `0.5%`."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_value_are_the_same_thing() {
        for (text, thousandths) in [("0%", 0), ("0.5%", 500), ("25%", 25_000), ("100%", 100_000)] {
            let percent: Percent = text.parse().unwrap();
            assert_eq!(percent.thousandths(), thousandths);
            assert_eq!(percent.to_string(), text);
        }
        assert_eq!("33.330%".parse::<Percent>().unwrap().to_string(), "33.33%");
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for text in ["25", "", "%", "-1%", "1.%", "a%", "1e2%"] {
            assert!(matches!(text.parse::<Percent>(), Err(PercentError::NotANumber(_))), "{text}");
        }
        assert!(matches!("100.001%".parse::<Percent>(), Err(PercentError::OutOfRange(_))));
        assert!(matches!("99999999999%".parse::<Percent>(), Err(PercentError::OutOfRange(_))));
        assert!(matches!("0.0001%".parse::<Percent>(), Err(PercentError::TooFine(_))));
    }
}
