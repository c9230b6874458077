//! Versions as `sem_ver` compares them: semantic versioning 2.0, with a leading `v` allowed, and
//! `1` and `1.2` meaning `1.0.0` and `1.2.0`. Build data after `+` does not count.

use std::cmp::Ordering;

use crate::control::flags::rule::Comparison;

#[derive(Debug, PartialEq, Eq)]
struct Version<'a> {
    /// Major, minor, patch.
    core: [u64; 3],
    /// What stands after `-`; empty for a release.
    pre: &'a str,
}

/// Compares two versions; `None` where one of them is none.
pub(super) fn compare(left: &str, comparison: Comparison, right: &str) -> Option<bool> {
    let (left, right) = (parse(left)?, parse(right)?);
    let order = left.order(&right);
    Some(match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
        Comparison::SameMajor => left.core[0] == right.core[0],
        Comparison::SameMinor => left.core[..2] == right.core[..2],
    })
}

fn parse(text: &str) -> Option<Version<'_>> {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let (text, build) = match text.split_once('+') {
        Some((text, build)) => (text, Some(build)),
        None => (text, None),
    };
    let (numbers, pre) = match text.split_once('-') {
        Some((numbers, pre)) => (numbers, Some(pre)),
        None => (text, None),
    };
    let mut core = [0; 3];
    let mut given = 0;
    for number in numbers.split('.') {
        *core.get_mut(given)? = digits(number)?;
        given += 1;
    }
    // As in flagd, what is short is a release without build data.
    let short = given < 3 && (pre.is_some() || build.is_some());
    let words = |text: &str| text.split('.').all(is_word);
    let fits = pre.is_none_or(|pre| words(pre) && pre.split('.').all(without_leading_zero))
        && build.is_none_or(words);
    (fits && !short).then(|| Version { core, pre: pre.unwrap_or_default() })
}

fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (plain && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok()).flatten()
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn without_leading_zero(text: &str) -> bool {
    text == "0" || !text.starts_with('0') || !text.bytes().all(|b| b.is_ascii_digit())
}

impl Version<'_> {
    fn order(&self, other: &Self) -> Ordering {
        self.core.cmp(&other.core).then_with(|| match (self.pre, other.pre) {
            ("", "") => Ordering::Equal,
            ("", _) => Ordering::Greater,
            (_, "") => Ordering::Less,
            (a, b) => order_pre(a, b),
        })
    }
}

/// Numbers by value, before words; words by their bytes; a prefix before what continues it.
fn order_pre(a: &str, b: &str) -> Ordering {
    let number = |word: &str| word.bytes().all(|b| b.is_ascii_digit());
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match (number(a), number(b)) {
                // Without leading zeros, the longer number is the greater one.
                (true, true) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => a.cmp(b),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_the_standard_says() {
        let rising = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "v1.0.0",
            "1.0.1",
            "1.2",
            "V2",
        ];
        for (i, left) in rising.iter().enumerate() {
            for (j, right) in rising.iter().enumerate() {
                let less = compare(left, Comparison::Less, right);
                assert_eq!(less, Some(i < j), "{left} < {right}");
                assert_eq!(compare(left, Comparison::Equal, right), Some(i == j));
            }
        }
        assert_eq!(compare("1.0.0+a", Comparison::Equal, "1.0.0+b"), Some(true));
        assert_eq!(compare("1.9.3", Comparison::SameMajor, "1.0.0"), Some(true));
        assert_eq!(compare("1.9.3", Comparison::SameMinor, "1.9.0"), Some(true));
        assert_eq!(compare("1.9.3", Comparison::SameMinor, "1.8.0"), Some(false));
    }

    #[test]
    fn what_is_no_version_compares_to_nothing() {
        for text in ["", "v", "a", "1.", "1.2.3.4", "01.2.3", "1.2-x", "1.0.0-", "1.0.0-01", "1 .0"]
        {
            assert_eq!(compare(text, Comparison::Equal, "1.0.0"), None, "{text}");
        }
    }
}
