//! Values as JSON Logic sees them: borrowed from the context or the rule wherever that is possible,
//! and compared and converted by the rules of JavaScript, which JSON Logic inherits.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

/// A value while a rule is asked.
#[derive(Clone, Debug)]
pub(super) enum Val<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
    List(Vec<Self>),
    /// An object of the context. Rules can pass it around, and no more.
    Object(&'a Value),
}

impl<'a> From<&'a Value> for Val<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(on) => Self::Bool(*on),
            Value::Number(number) => Self::Number(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(_) => Self::Object(value),
        }
    }
}

impl Val<'_> {
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(on) => *on,
            Self::Number(number) => *number != 0.0 && !number.is_nan(),
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Object(_) => true,
        }
    }

    /// As a number; not a number where it is none.
    pub(super) fn number(&self) -> f64 {
        match self {
            Self::Null => 0.0,
            Self::Bool(on) => f64::from(u8::from(*on)),
            Self::Number(number) => *number,
            Self::Text(text) => text_number(text),
            Self::List(_) => text_number(&self.text()),
            Self::Object(_) => f64::NAN,
        }
    }

    /// As `cat` writes it.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Null => Cow::Borrowed(""),
            Self::Bool(on) => Cow::Borrowed(if *on { "true" } else { "false" }),
            // Whole numbers without a point, others in the fewest digits that mean them.
            Self::Number(number) => Cow::Owned(format!("{number}")),
            Self::Text(text) => Cow::Borrowed(text),
            Self::List(items) => {
                let texts: Vec<Cow<'_, str>> = items.iter().map(Self::text).collect();
                Cow::Owned(texts.join(","))
            }
            Self::Object(value) => Cow::Owned(value.to_string()),
        }
    }

    /// `===`: of one type, and equal.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            #[expect(clippy::float_cmp, reason = "that is what the operator means")]
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::List(a), Self::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_same(b))
            }
            (Self::Object(a), Self::Object(b)) => a == b,
            _ => false,
        }
    }

    /// `==`: equal once both are of one type. Null is equal to nothing but null.
    pub(super) fn is_equal(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null | Self::Object(_), _)
            | (_, Self::Null | Self::Object(_))
            | (Self::Text(_), Self::Text(_))
            | (Self::List(_), Self::List(_)) => self.is_same(other),
            (Self::List(_), Self::Text(text)) | (Self::Text(text), Self::List(_)) => {
                let list = if matches!(self, Self::List(_)) { self } else { other };
                list.text() == *text
            }
            #[expect(clippy::float_cmp, reason = "that is what the operator means")]
            _ => self.number() == other.number(),
        }
    }

    /// Texts by their characters, everything else by number; `None` where one is no number.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => Some(a.as_ref().cmp(b.as_ref())),
            _ => self.number().partial_cmp(&other.number()),
        }
    }
}

/// A text as a number. Empty is zero; `inf`, `nan` and the like are none, unlike in Rust.
fn text_number(text: &str) -> f64 {
    let text = text.trim();
    if text.is_empty() {
        return 0.0;
    }
    let digits = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    if digits { text.parse().unwrap_or(f64::NAN) } else { f64::NAN }
}
