//! Why a flag is on or off for a key: what `ctx flags explain` prints, and what `OpenFeature`
//! clients are told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Key, Share, hash, scale};
use crate::control::config::Flag;
use crate::units::Percent;

/// Why an evaluation came out as it did; the words are `OpenFeature`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// The flag is off for everybody.
    Disabled,
    /// Its percentage is 0 % or 100 %: no key matters.
    Static,
    /// The key's bucket decided, or a throw of the dice where there is no key.
    Split,
}

/// An evaluation, with everything that decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explained {
    pub on: bool,
    pub reason: Reason,
    /// The 32-bit hash of flag and key; absent without a key.
    pub hash: Option<u32>,
    /// Where that falls, in 0..100,000. The key is in iff this is below `limit`.
    pub bucket: Option<u32>,
    /// The percentage in force, in thousandths of a percent.
    pub limit: u32,
}

/// Evaluates the flag `name` for a targeting key; as in flagd, an empty key is none.
pub fn explain(name: &str, flag: &Flag, key: Option<&str>) -> Explained {
    let share = if flag.enabled { flag.percentage } else { Percent::ZERO };
    let reason = match share {
        _ if !flag.enabled => Reason::Disabled,
        Percent::ZERO | Percent::ALL => Reason::Static,
        _ => Reason::Split,
    };
    let given = Key::from_value(key.map(str::as_bytes));
    let hash = match given {
        Key::Sticky(key) => Some(hash(name, key)),
        Key::Random => None,
    };
    let on = Share::new(name, share).includes(given);
    Explained { on, reason, hash, bucket: hash.map(scale), limit: share.thousandths() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::config::Bucketing;

    fn flag(enabled: bool, percent: u32) -> Flag {
        Flag { enabled, percentage: Percent::whole(percent), bucketing: Bucketing::FlagdV2 }
    }

    #[test]
    fn the_reason_is_what_decided() {
        let reason = |flag| explain("new", &flag, Some("ada")).reason;
        assert_eq!(reason(flag(false, 100)), Reason::Disabled);
        assert_eq!(reason(flag(true, 0)), Reason::Static);
        assert_eq!(reason(flag(true, 100)), Reason::Static);
        assert_eq!(reason(flag(true, 50)), Reason::Split);
        assert!(!explain("new", &flag(false, 100), Some("ada")).on);
        assert!(explain("new", &flag(true, 100), None).on);
    }

    #[test]
    fn what_is_said_of_the_bucket_is_what_decides() {
        for user in 0..500 {
            let user = user.to_string();
            let said = explain("new", &flag(true, 30), Some(&user));
            assert_eq!(said.on, said.bucket.unwrap() < said.limit, "{user}");
        }
        let nobody = explain("new", &flag(true, 30), Some(""));
        assert_eq!((nobody.bucket, nobody.hash), (None, None));
    }
}
