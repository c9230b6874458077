//! Reading a TOML table of a known shape: every accessor reports what is wrong and goes on.
//!
//! An accessor returns `None` for a key that is absent and for one that was faulty; the fault is
//! on record then, and a plan with faults is never used.

use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{At, Faults};
use super::scalar;
use super::shape::{Key, Kind, Shape};
use super::source::Span;
use super::usual::{Literal, Usual};
use crate::ids::{NameError, is_name};
use crate::judge::{Metric, Unit};
use crate::units::Percent;

pub(super) type Value<'d> = Spanned<DeValue<'d>>;

/// A table being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'d> {
    shape: &'static Shape,
    entries: &'d DeTable<'d>,
    start: usize,
    end: usize,
    pub(super) faults: &'d Faults<'d>,
}

impl<'d> Table<'d> {
    /// Takes a value as a table of `shape`; reports unknown and missing keys.
    pub(super) fn open(
        value: &'d Value<'d>,
        shape: &'static Shape,
        faults: &'d Faults<'d>,
    ) -> Option<Self> {
        match value.get_ref() {
            DeValue::Table(entries) => Some(Self::of(entries, value.span(), shape, faults)),
            other => {
                let keys: Vec<&str> = shape.names().take(3).collect();
                let hint =
                    format!("{} is a table with keys such as `{}`", shape.what, keys.join("`, `"));
                let given = scalar::kind_of(other);
                faults.hinted(value.span(), format!("expected a table, found {given}"), hint);
                None
            }
        }
    }

    /// The document itself, or a table that was already found to be one.
    pub(super) fn of(
        entries: &'d DeTable<'d>,
        span: Span,
        shape: &'static Shape,
        faults: &'d Faults<'d>,
    ) -> Self {
        for (key, _) in entries {
            let name: &str = key.get_ref();
            if shape.key(name).is_none() {
                let keys: Vec<&str> = shape.names().collect();
                faults.unknown_key(key.span(), name, &keys);
            }
        }
        for key in shape.keys.iter().filter(|key| key.required) {
            if !entries.contains_key(key.name) && !faults.is_broken() {
                let message = format!("{} needs `{}`", shape.what, key.name);
                faults.hinted(span.clone(), message, format!("`{}`: {}", key.name, key.doc));
            }
        }
        Self { shape, entries, start: span.start, end: span.end, faults }
    }

    pub(super) fn span(&self) -> Span {
        self.start..self.end
    }

    /// The line it begins on.
    pub(super) fn line(&self) -> u32 {
        self.faults.line(&self.span())
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The value of `key`, which the shape must name with a kind that `fits`.
    fn get(&self, key: &str, fits: fn(&Kind) -> bool) -> Option<&'d Value<'d>> {
        let known = self.shape.key(key).is_some_and(|key| fits(&key.kind));
        debug_assert!(known, "`{key}` is read as its shape says");
        self.entries.get(key)
    }

    /// From the key to the end of its value.
    pub(super) fn entry_span(&self, key: &str) -> Span {
        match self.entries.get_key_value(key) {
            Some((key, value)) => key.span().start..value.span().end.max(key.span().end),
            None => self.span(),
        }
    }

    /// The span of the key itself.
    pub(super) fn key_span(&self, key: &str) -> Span {
        self.entries.get_key_value(key).map_or_else(|| self.span(), |(key, _)| key.span())
    }

    pub(super) fn text(&self, key: &str) -> Option<Spanned<&'d str>> {
        let fits = |kind: &Kind| {
            !matches!(kind, Kind::Any | Kind::Table(_) | Kind::Tables(_) | Kind::Map(_))
        };
        let value = self.get(key, fits)?;
        scalar::text(value, key, self.faults)
    }

    pub(super) fn string(&self, key: &str) -> Option<String> {
        self.text(key).map(|text| (*text.get_ref()).to_owned())
    }

    pub(super) fn name<T: FromStr<Err = NameError>>(&self, key: &str) -> Option<Spanned<T>> {
        let value = self.get(key, |kind| matches!(kind, Kind::Name))?;
        scalar::name(&scalar::text(value, key, self.faults)?, self.faults)
    }

    /// A name of something without a type for its ids.
    pub(super) fn word(&self, key: &str) -> Option<Spanned<String>> {
        let text = self.text(key)?;
        let word = is_name(text.get_ref()).then(|| text.with((*text.get_ref()).to_owned()));
        if word.is_none() {
            scalar::no_name(&text, self.faults);
        }
        word
    }

    pub(super) fn duration(&self, key: &str) -> Option<Spanned<Duration>> {
        let value = self.get(key, |kind| matches!(kind, Kind::Duration))?;
        scalar::duration(value, key, self.faults)
    }

    pub(super) fn share(&self, key: &str) -> Option<Spanned<Percent>> {
        let value = self.get(key, |kind| matches!(kind, Kind::Share))?;
        scalar::share(value, key, self.faults)
    }

    pub(super) fn bool(&self, key: &str) -> Option<Spanned<bool>> {
        let value = self.get(key, |kind| matches!(kind, Kind::Bool))?;
        let given = value.get_ref().as_bool();
        if given.is_none() {
            scalar::wrong(value, key, "`true` or `false`", self.faults);
        }
        given.map(|given| value.with(given))
    }

    pub(super) fn count(&self, key: &str) -> Option<Spanned<u64>> {
        let value = self.get(key, |kind| matches!(kind, Kind::Count))?;
        let given = scalar::integer(value.get_ref()).and_then(|n| u64::try_from(n).ok());
        if given.is_none() {
            scalar::wrong(value, key, "a whole number from 0", self.faults);
        }
        given.map(|given| value.with(given))
    }

    pub(super) fn number(&self, key: &str) -> Option<Spanned<f64>> {
        let value = self.get(key, |kind| matches!(kind, Kind::Number))?;
        let given = scalar::number(value.get_ref());
        if given.is_none() {
            scalar::wrong(value, key, "a number", self.faults);
        }
        given.map(|given| value.with(given))
    }

    /// What `key` is when it is left out, as far as `pick` takes it.
    fn usual<T>(&self, key: &str, pick: fn(Literal) -> Option<T>) -> T {
        let usual = match self.shape.key(key) {
            Some(Key { usual: Usual::Is(usual), .. }) => pick(*usual),
            _ => None,
        };
        usual.expect("the shape says what is usual where its reader asks for it")
    }

    /// What `key` is when it is left out.
    pub(super) fn usual_duration(&self, key: &str) -> Duration {
        self.usual(key, |usual| if let Literal::Lasts(lasts) = usual { Some(lasts) } else { None })
    }

    /// What `key` is when it is left out.
    pub(super) fn usual_count(&self, key: &str) -> u64 {
        self.usual(key, |usual| if let Literal::Count(count) = usual { Some(count) } else { None })
    }

    /// What `key` is when it is left out.
    pub(super) fn usual_number(&self, key: &str) -> f64 {
        self.usual(key, |usual| if let Literal::Number(n) = usual { Some(n) } else { None })
    }

    /// What `key` is when it is left out, in bytes.
    pub(super) fn usual_size(&self, key: &str) -> u64 {
        self.usual(key, |usual| if let Literal::Size(bytes) = usual { Some(bytes) } else { None })
    }

    /// What `key` is when it is left out.
    pub(super) fn usual_word(&self, key: &str) -> &'static str {
        self.usual(key, |usual| if let Literal::Word(word) = usual { Some(word) } else { None })
    }

    /// The duration of `key`, or its usual one.
    pub(super) fn lasting(&self, key: &str) -> Duration {
        self.duration(key).map_or_else(|| self.usual_duration(key), Spanned::into_inner)
    }

    /// As [`Table::lasting`]; `None` after a fault, which is called `else_wise` where the duration
    /// is out of the range of `key`.
    pub(super) fn lasting_within(&self, key: &str, else_wise: &str) -> Option<Duration> {
        let Some(given) = self.duration(key) else {
            return (!self.has(key)).then(|| self.usual_duration(key));
        };
        let lasts = *given.get_ref();
        let fits = self.within(key, Literal::Lasts(lasts));
        if !fits {
            self.faults.push(given.span(), else_wise);
        }
        fits.then_some(lasts)
    }

    /// The count of `key`, or its usual one.
    pub(super) fn counted(&self, key: &str) -> u64 {
        self.count(key).map_or_else(|| self.usual_count(key), Spanned::into_inner)
    }

    /// The share of `key` as a ratio, or its usual one.
    pub(super) fn ratio(&self, key: &str) -> f64 {
        let usual = |usual| if let Literal::Share(ratio) = usual { Some(ratio) } else { None };
        self.share(key).map_or_else(|| self.usual(key, usual), |share| share.get_ref().ratio())
    }

    /// The truth value of `key`, or its usual one.
    pub(super) fn truth(&self, key: &str) -> bool {
        let usual = |usual| if let Literal::Bool(yes) = usual { Some(yes) } else { None };
        self.bool(key).map_or_else(|| self.usual(key, usual), Spanned::into_inner)
    }

    /// As [`Table::choice`]; the key's usual word where it has none, or no known one.
    pub(super) fn chosen<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> T {
        self.choice(key, words).unwrap_or_else(|| {
            let usual = self.usual_word(key);
            let row = words.iter().find(|(word, _)| *word == usual);
            row.expect("the usual word is one of the key's words").1
        })
    }

    /// Whether `value` is one that `key` takes.
    pub(super) fn within(&self, key: &str, value: Literal) -> bool {
        self.shape.key(key).is_some_and(|key| key.range.holds(value))
    }

    /// A bound in the unit of `metric`.
    pub(super) fn limit(&self, key: &str, metric: Metric) -> Option<f64> {
        let value = self.get(key, |kind| matches!(kind, Kind::Limit))?;
        scalar::limit(value, key, metric, self.faults)
    }

    /// A bound of a query: its unit is `unit`, or what the bound is written in.
    pub(super) fn bound(&self, key: &str, unit: Option<Unit>) -> Option<(f64, Unit)> {
        let value = self.get(key, |kind| matches!(kind, Kind::Limit))?;
        let unit = unit.unwrap_or_else(|| scalar::unit_of(value));
        scalar::bound(value, key, unit, "the query", self.faults).map(|bound| (bound, unit))
    }

    pub(super) fn metric(&self, key: &str) -> Option<Spanned<Metric>> {
        scalar::metric(&self.text(key)?, self.faults)
    }

    /// One of the words that the shape lists, read as a `T`.
    pub(super) fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let value = self.get(key, |kind| matches!(kind, Kind::Choice(_)))?;
        let text = scalar::text(value, key, self.faults)?;
        let found = words.iter().find(|(word, _)| word == text.get_ref());
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.faults.unknown(text.span(), key, text.get_ref(), &known, "it is one of");
        }
        found.map(|(_, value)| *value)
    }

    /// The values of an array; an absent key is an empty one.
    fn array(&self, key: &str, fits: fn(&Kind) -> bool, of: &str) -> Vec<&'d Value<'d>> {
        let Some(value) = self.get(key, fits) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            scalar::wrong(value, key, &format!("an array of {of}"), self.faults);
            return Vec::new();
        };
        items.iter().collect()
    }

    /// Whether `key` is there and is an array or a table without entries.
    pub(super) fn is_empty(&self, key: &str) -> bool {
        self.entries.get(key).is_some_and(|value| match value.get_ref() {
            DeValue::Array(items) => items.is_empty(),
            DeValue::Table(entries) => entries.is_empty(),
            _ => false,
        })
    }

    pub(super) fn texts(&self, key: &str) -> Vec<Spanned<&'d str>> {
        let items = self.array(key, |kind| matches!(kind, Kind::Texts | Kind::Names), "texts");
        items.into_iter().filter_map(|item| scalar::text(item, key, self.faults)).collect()
    }

    pub(super) fn strings(&self, key: &str) -> Vec<String> {
        self.texts(key).into_iter().map(|text| (*text.get_ref()).to_owned()).collect()
    }

    pub(super) fn names<T: FromStr<Err = NameError>>(&self, key: &str) -> Vec<Spanned<T>> {
        let texts = self.texts(key);
        texts.iter().filter_map(|text| scalar::name(text, self.faults)).collect()
    }

    pub(super) fn shares(&self, key: &str) -> Vec<Spanned<Percent>> {
        let items = self.array(key, |kind| matches!(kind, Kind::Shares), "percentages");
        items.into_iter().filter_map(|item| scalar::share(item, key, self.faults)).collect()
    }

    /// Any value at all.
    pub(super) fn any(&self, key: &str) -> Option<&'d Value<'d>> {
        self.get(key, |kind| matches!(kind, Kind::Any))
    }

    pub(super) fn table(&self, key: &str) -> Option<Self> {
        let Some(Kind::Table(shape)) = self.shape.key(key).map(|key| key.kind) else {
            debug_assert!(false, "`{key}` is read as its shape says");
            return None;
        };
        Self::open(self.entries.get(key)?, shape, self.faults)
    }

    pub(super) fn tables(&self, key: &str) -> Vec<Self> {
        let Some(Kind::Tables(shape)) = self.shape.key(key).map(|key| key.kind) else {
            debug_assert!(false, "`{key}` is read as its shape says");
            return Vec::new();
        };
        let items = self.array(key, |_| true, "tables");
        items.into_iter().filter_map(|item| Self::open(item, shape, self.faults)).collect()
    }

    /// The entries of a table whose keys the plan chooses, in the order of the text.
    pub(super) fn map(&self, key: &str) -> Vec<(Spanned<&'d str>, &'d Value<'d>)> {
        let Some(value) = self.get(key, |kind| matches!(kind, Kind::Map(_))) else {
            return Vec::new();
        };
        let DeValue::Table(entries) = value.get_ref() else {
            scalar::wrong(value, key, "a table", self.faults);
            return Vec::new();
        };
        let mut entries: Vec<_> =
            entries.iter().map(|(key, value)| (key.with(&**key.get_ref()), value)).collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
    }

    /// As [`Table::map`], with texts as values.
    pub(super) fn pairs(&self, key: &str) -> Vec<(String, String)> {
        let entries = self.map(key).into_iter();
        let pair = |(name, value): (Spanned<&str>, &'d Value<'d>)| {
            let text = scalar::text(value, name.get_ref(), self.faults)?;
            Some(((*name.get_ref()).to_owned(), (*text.get_ref()).to_owned()))
        };
        entries.filter_map(pair).collect()
    }
}
