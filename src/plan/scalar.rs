//! Single values of a plan: texts, names, quantities with their units.

use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::fault::{At, Faults};
use super::table::Value;
use crate::ids::NameError;
use crate::judge::{Metric, Unit};
use crate::units::{Percent, duration};

/// What a value is, as a person would say it.
pub(super) fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// Reports a value of the wrong kind.
pub(super) fn wrong(value: &Value<'_>, key: &str, expected: &str, faults: &Faults<'_>) {
    let found = kind_of(value.get_ref());
    faults.push(value.span(), format!("`{key}` must be {expected}, not {found}"));
}

pub(super) fn text<'d>(
    value: &'d Value<'d>,
    key: &str,
    faults: &Faults<'_>,
) -> Option<Spanned<&'d str>> {
    let text = value.get_ref().as_str();
    if text.is_none() {
        wrong(value, key, "a text", faults);
    }
    text.map(|text| value.with(text))
}

pub(super) fn name<T: FromStr<Err = NameError>>(
    text: &Spanned<&str>,
    faults: &Faults<'_>,
) -> Option<Spanned<T>> {
    let name = text.get_ref().parse().ok();
    if name.is_none() {
        no_name(text, faults);
    }
    name.map(|name| text.with(name))
}

/// Reports a text that does not follow the grammar of names.
pub(super) fn no_name(text: &Spanned<&str>, faults: &Faults<'_>) {
    let hint = "use lower-case letters, digits, `-` and `_`, at most 64 of them";
    faults.hinted(text.span(), format!("`{}` is not a name", text.get_ref()), hint);
}

pub(super) fn duration(
    value: &Value<'_>,
    key: &str,
    faults: &Faults<'_>,
) -> Option<Spanned<Duration>> {
    let hint = "write it like `500ms`, `30s`, `5m`, `1h30m` or `2d`";
    let unitless = |given: &str| {
        faults.hinted(value.span(), format!("`{key} = {given}` has no unit"), hint);
    };
    match value.get_ref() {
        DeValue::String(text) => match duration::parse(text) {
            Ok(duration) => return Some(value.with(duration)),
            Err(error) => faults.hinted(value.span(), first(&error), hint),
        },
        DeValue::Integer(given) => unitless(given.as_str()),
        DeValue::Float(given) => unitless(given.as_str()),
        _ => wrong(value, key, "a duration", faults),
    }
    None
}

pub(super) fn share(value: &Value<'_>, key: &str, faults: &Faults<'_>) -> Option<Spanned<Percent>> {
    let hint = "write a percentage like `25%`, or a fraction like `0.25`";
    let given = match value.get_ref() {
        DeValue::String(text) => text.parse::<Percent>().map_err(|error| first(&error)),
        DeValue::Float(given) => {
            let fraction = given.as_str().parse().unwrap_or(f64::NAN);
            fraction_of(fraction)
                .ok_or_else(|| format!("`{}` is not between 0.0 and 1.0", given.as_str()))
        }
        // Neither 1 nor 5 says whether it counts wholes or hundredths.
        DeValue::Integer(given) => Err(format!("`{}` has no unit", given.as_str())),
        _ => {
            wrong(value, key, "a percentage", faults);
            return None;
        }
    };
    match given {
        Ok(percent) => Some(value.with(percent)),
        Err(message) => {
            faults.hinted(value.span(), message, hint);
            None
        }
    }
}

/// What is wrong, without the advice after the semicolon: that stands in the hint.
fn first(error: &dyn std::error::Error) -> String {
    let message = error.to_string();
    message.split(';').next().unwrap_or_default().to_owned()
}

/// A fraction in 0..=1 as a share, to the nearest thousandth of a percent.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be within 0..=1 before"
)]
fn fraction_of(fraction: f64) -> Option<Percent> {
    let within = (0.0..=1.0).contains(&fraction);
    let thousandths = (fraction * f64::from(Percent::DENOMINATOR)).round();
    within.then_some(thousandths as u32).and_then(Percent::from_thousandths)
}

pub(super) fn integer(value: &DeValue<'_>) -> Option<i64> {
    let given = value.as_integer()?;
    i64::from_str_radix(given.as_str(), given.radix()).ok()
}

/// A finite number, with or without a point.
#[expect(clippy::cast_precision_loss, reason = "a plan's numbers are far below 2^52")]
pub(super) fn number(value: &DeValue<'_>) -> Option<f64> {
    let number = match value {
        DeValue::Float(given) => given.as_str().parse().ok()?,
        other => integer(other)? as f64,
    };
    Some(number).filter(|n: &f64| n.is_finite())
}

pub(super) fn metric(text: &Spanned<&str>, faults: &Faults<'_>) -> Option<Spanned<Metric>> {
    if let Ok(metric) = text.get_ref().parse() {
        return Some(text.with(metric));
    }
    let known: Vec<&str> = Metric::ALL.iter().map(|(_, name, _)| *name).collect();
    faults.unknown(text.span(), "metric", text.get_ref(), &known, "known metrics");
    None
}

/// A bound in the unit of `metric`.
pub(super) fn limit(
    value: &Value<'_>,
    key: &str,
    metric: Metric,
    faults: &Faults<'_>,
) -> Option<f64> {
    bound(value, key, metric.unit(), &format!("`{metric}`"), faults)
}

/// The unit that a bound is written in. Prometheus counts time in seconds.
pub(super) fn unit_of(value: &Value<'_>) -> Unit {
    match value.get_ref() {
        DeValue::String(text) if text.trim_end().ends_with('%') => Unit::Ratio,
        DeValue::String(text) if Unit::Seconds.parse(text).is_ok() => Unit::Seconds,
        _ => Unit::Number,
    }
}

/// A bound of `what`, in this unit.
pub(super) fn bound(
    value: &Value<'_>,
    key: &str,
    unit: Unit,
    what: &str,
    faults: &Faults<'_>,
) -> Option<f64> {
    let bound = match (value.get_ref(), unit) {
        (DeValue::String(text), _) => unit.parse(text).ok(),
        (DeValue::Float(_), Unit::Ratio) => {
            number(value.get_ref()).and_then(fraction_of).map(Percent::ratio)
        }
        (DeValue::Float(_) | DeValue::Integer(_), Unit::Number) => number(value.get_ref()),
        (DeValue::Float(_) | DeValue::Integer(_), Unit::PerMinute) => {
            number(value.get_ref()).filter(|n| *n >= 0.0)
        }
        (DeValue::Float(_) | DeValue::Integer(_), _) => None,
        _ => {
            wrong(value, key, "a bound such as `\"5%\"` or `\"500ms\"`", faults);
            return None;
        }
    };
    if bound.is_none() {
        let (is, example) = match unit {
            Unit::Ratio => ("a ratio", "`\"5%\"` or `0.05`"),
            Unit::Milliseconds => ("a time", "`\"500ms\"`"),
            Unit::Seconds => ("a time", "`\"5m\"` or `\"24h\"`"),
            Unit::PerMinute => ("a count a minute", "`10000`"),
            Unit::Number => ("a number", "`12` or `0.5`"),
        };
        let given = shown(value.get_ref());
        let message = format!("{given} cannot bound {what}, which is {is}");
        faults.hinted(value.span(), message, format!("write `{key}` like {example}"));
    }
    bound
}

fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("`{text}`"),
        DeValue::Integer(n) => format!("`{}`", n.as_str()),
        DeValue::Float(n) => format!("`{}`", n.as_str()),
        other => kind_of(other).to_owned(),
    }
}

/// A value as JSON, for the configuration and for expected answers.
pub(super) fn json(value: &Value<'_>, faults: &Faults<'_>) -> Option<serde_json::Value> {
    use serde_json::Value as Json;
    let json = match value.get_ref() {
        DeValue::String(text) => Json::from(&**text),
        DeValue::Boolean(yes) => Json::from(*yes),
        DeValue::Integer(_) | DeValue::Float(_) => {
            let number = integer(value.get_ref()).map(Json::from);
            let number = number.or_else(|| self::number(value.get_ref()).map(Json::from));
            if number.is_none() {
                let given = shown(value.get_ref());
                faults.push(value.span(), format!("{given} is not a number that JSON can hold"));
            }
            number?
        }
        DeValue::Datetime(_) => {
            faults.hinted(value.span(), "a date has no place here", "write it as a text");
            return None;
        }
        DeValue::Array(items) => {
            items.iter().map(|item| json(item, faults)).collect::<Option<Vec<_>>>()?.into()
        }
        DeValue::Table(entries) => {
            let entry = |(key, value): (&Spanned<toml::de::DeString<'_>>, _)| {
                Some((key.get_ref().to_string(), self::json(value, faults)?))
            };
            let map: Option<serde_json::Map<String, Json>> = entries.iter().map(entry).collect();
            map?.into()
        }
    };
    Some(json)
}
