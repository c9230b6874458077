//! Durations as `250ms`, `30s`, `5m`, `1h30m`, `2d`.
//!
//! A bare number is refused: minutes read as seconds have reverted more than one router.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serializer};

/// Why a text is not a duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DurationError {
    #[error("`{0}` has no unit; write it like `500ms`, `30s`, `5m`, `1h30m` or `2d`")]
    NoUnit(String),
    #[error("`{0}` is not a duration; write it like `500ms`, `30s`, `5m`, `1h30m` or `2d`")]
    Malformed(String),
    #[error("`{0}` is longer than ctx can count")]
    TooLong(String),
}

/// The units in falling order, each with its length in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads a duration such as `1h30m`. Each unit may appear once.
///
/// # Errors
/// Without a unit, with an unknown one, or above 2^64 milliseconds.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let malformed = || DurationError::Malformed(text.to_owned());
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(malformed());
    }
    if rest.bytes().all(|b| b.is_ascii_digit()) && rest != "0" {
        return Err(DurationError::NoUnit(text.to_owned()));
    }
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total: u64 = 0;
    let mut seen = [false; UNITS.len()];
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        if digits == 0 || letters == 0 {
            return Err(malformed());
        }
        let unit = &rest[digits..digits + letters];
        let at = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(malformed)?;
        if std::mem::replace(&mut seen[at], true) {
            return Err(malformed());
        }
        let too_long = || DurationError::TooLong(text.to_owned());
        let count: u64 = rest[..digits].parse().map_err(|_| too_long())?;
        total = count
            .checked_mul(UNITS[at].1)
            .and_then(|ms| total.checked_add(ms))
            .ok_or_else(too_long)?;
        rest = &rest[digits + letters..];
    }
    Ok(Duration::from_millis(total))
}

/// Prints a duration in its canonical form, to the millisecond: `1h30m`, `250ms`, `0s`.
pub fn format(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, length) in UNITS {
        let count = rest / length;
        rest %= length;
        if count > 0 {
            text.push_str(&count.to_string());
            text.push_str(unit);
        }
    }
    text
}

/// Writes a duration for `#[serde(with = "crate::units::duration")]`.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// Reads a duration for `#[serde(with = "crate::units::duration")]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    parse(&text).map_err(serde::de::Error::custom)
}

/// A duration that may be absent, for `#[serde(with = "crate::units::duration::option")]`.
pub mod option {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Duration;

    /// Writes one that is there as the others.
    pub fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads one, or `null`.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = Option::<std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.map(|text| super::parse(&text).map_err(serde::de::Error::custom)).transpose()
    }
}

/// The schema of a duration, for `#[schemars(with = "duration::Text")]`.
#[derive(Debug)]
pub struct Text;

impl JsonSchema for Text {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "minLength": 2,
            "pattern": "^([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?$",
            "description": "A duration, such as `250ms`, `30s` or `1h30m`."
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, ms) in
            [("250ms", 250), ("30s", 30_000), ("1h30m", 5_400_000), ("2d", 172_800_000), ("0s", 0)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
            assert_eq!(format(Duration::from_millis(ms)), text);
        }
        assert_eq!(format(Duration::from_secs(90 * 60)), "1h30m");
        assert_eq!(parse("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn a_bare_number_or_a_strange_unit_is_refused() {
        assert!(matches!(parse("20"), Err(DurationError::NoUnit(_))));
        for text in ["", "m", "5 m", "5x", "1m1m", "1.5h", "-1s"] {
            assert!(matches!(parse(text), Err(DurationError::Malformed(_))), "{text}");
        }
        assert!(matches!(parse("99999999999999999999d"), Err(DurationError::TooLong(_))));
        assert!(matches!(parse("999999999999999d"), Err(DurationError::TooLong(_))));
    }

    proptest! {
        #[test]
        fn printing_and_reading_agree(ms in any::<u64>()) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }
    }
}
