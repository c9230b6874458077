//! Amounts of memory as `512KiB`, `256MiB`, `2GiB`.
//!
//! A bare number is refused, and so is `MB`: which of the two megabytes it means is a matter of
//! taste.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serializer};

/// Why a text is not an amount of memory.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an amount of memory; write it like `512KiB`, `256MiB` or `2GiB`")]
pub struct SizeError(String);

/// The units in falling order, each with its length in bytes.
const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Reads an amount such as `256MiB`, in bytes.
///
/// # Errors
/// Without a unit, with another one, or above 2^64 bytes.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    let bytes = UNITS.iter().find_map(|(unit, length)| {
        let digits = text.trim().strip_suffix(unit)?;
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse::<u64>().ok()?.checked_mul(*length)).flatten()
    });
    bytes.ok_or_else(|| SizeError(text.to_owned()))
}

/// Prints an amount in the largest unit that leaves no rest, rounded down to KiB.
pub fn format(bytes: u64) -> String {
    let fits = |(_, length): &&(&str, u64)| bytes >= *length && bytes.is_multiple_of(*length);
    let (unit, length) = UNITS.iter().find(fits).unwrap_or(&UNITS[2]);
    format!("{}{unit}", bytes / length)
}

/// Writes an amount for `#[serde(with = "crate::units::size")]`.
pub fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*bytes))
}

/// Reads an amount for `#[serde(with = "crate::units::size")]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    parse(&text).map_err(serde::de::Error::custom)
}

/// The schema of an amount, for `#[schemars(with = "size::Text")]`.
#[derive(Debug)]
pub struct Text;

impl JsonSchema for Text {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9]{1,9}(GiB|MiB|KiB)$",
            "description": "An amount of memory, such as `256MiB`."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_printed() {
        for (text, bytes) in [("512KiB", 512 << 10), ("256MiB", 256 << 20), ("2GiB", 2 << 30)] {
            assert_eq!(parse(text), Ok(bytes));
            assert_eq!(format(bytes), text);
        }
        assert_eq!(format(3 << 29), "1536MiB");
        for text in ["", "256", "256MB", "MiB", "-1MiB", "1.5GiB", "99999999999999GiB"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
