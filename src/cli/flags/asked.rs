//! `ctx flags eval` and `ctx flags explain`: what a flag is for somebody, and why.

use serde_json::{Map, Value, json};

use super::find;
use crate::cli::Context;
use crate::clock::{Clock, SystemClock};
use crate::control::config::{Config, Flag};
use crate::error::{Code, Failure, Result};
use crate::orchestrator::flags::evaluator::{Context as Given, Evaluator, Reason};
use crate::orchestrator::flags::explain::{Explained, What};

#[derive(Debug, clap::Args)]
pub(super) struct Asked {
    /// The flag
    key: String,
    /// The targeting key; without one a percentage is a throw of the dice
    #[arg(long, value_name = "KEY")]
    user: Option<String>,
    /// What else a rule may look at, such as `plan=pro` or `age=36`; may be repeated
    ///
    /// A value that is JSON is taken as that, anything else as text.
    #[arg(long = "context", value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, Value)>,
}

impl Asked {
    fn context(&self) -> Map<String, Value> {
        let user = self.user.iter().map(|user| ("targetingKey".to_owned(), json!(user)));
        self.attributes.iter().cloned().chain(user).collect()
    }

    fn whom(&self) -> &str {
        self.user.as_deref().unwrap_or("anybody")
    }
}

fn attribute(text: &str) -> std::result::Result<(String, Value), String> {
    let (name, value) =
        text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("write it `name=value`")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((name.to_owned(), value))
}

/// A flag, found and compiled.
fn compiled<'a>(asked: &Asked, config: &'a Config) -> Result<(&'a Flag, Evaluator)> {
    let flag = find(config, &asked.key)?;
    let evaluator = Evaluator::new(&asked.key, flag).map_err(|faults| {
        let what = format!("flag `{}` cannot be evaluated", asked.key);
        faults.into_iter().fold(Failure::new(Code::Refused, what), Failure::why)
    })?;
    Ok((flag, evaluator))
}

fn seconds() -> u64 {
    u64::try_from(SystemClock.wall().timestamp()).unwrap_or_default()
}

/// As a person reads it: texts without quotes, and a boolean flag as `on` or `off`.
fn shown(evaluator: &Evaluator, value: Option<&Value>) -> String {
    match value {
        Some(Value::Bool(on)) if evaluator.is_boolean() => {
            if *on { "on" } else { "off" }.to_owned()
        }
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => "what the application says".to_owned(),
    }
}

fn no_key(asked: &Asked) -> Failure {
    Failure::new(Code::Usage, format!("nothing tells what `{}` is for anybody", asked.key))
        .why("its percentage is decided by the targeting key")
        .hint("name one: `--user KEY`")
}

pub(super) fn eval(context: &Context, asked: &Asked, config: &Config) -> Result<Code> {
    let (_, evaluator) = compiled(asked, config)?;
    let thrown = Value::Bool(evaluator.is_boolean() && evaluator.throw());
    let given = asked.context();
    let (value, variant, reason) = match evaluator.evaluate(&Given::new(&given), seconds()) {
        Ok(found) => (found.value, found.variant, found.reason),
        Err(_) if evaluator.is_boolean() => (Some(&thrown), None, Reason::Split),
        Err(_) => return Err(no_key(asked)),
    };
    if context.ui.json {
        let Asked { key, user, .. } = asked;
        let mut found = json!({ "schema": "ctx.flag-evaluation/1", "flag": key, "user": user,
            "value": value, "variant": variant, "reason": reason });
        if evaluator.is_boolean() {
            found["on"] = json!(value);
        }
        context.ui.json(&found);
    } else {
        context.ui.out(shown(&evaluator, value));
    }
    Ok(Code::Done)
}

pub(super) fn tell(context: &Context, asked: &Asked, config: &Config) -> Result<Code> {
    let (flag, evaluator) = compiled(asked, config)?;
    let given = asked.context();
    let explained = match evaluator.explain(&Given::new(&given), seconds()) {
        Ok(explained) => explained,
        Err(_) if evaluator.is_boolean() => {
            undecided(context, asked, flag);
            return Ok(Code::Done);
        }
        Err(_) => return Err(no_key(asked)),
    };
    if context.ui.json {
        context.ui.json(&as_json(asked, flag, &evaluator, &explained));
    } else {
        for line in lines(asked, flag, &evaluator, &explained) {
            context.ui.say(line);
        }
    }
    Ok(Code::Done)
}

/// Tells that there is no key, so that each question of a boolean flag is another throw.
fn undecided(context: &Context, asked: &Asked, flag: &Flag) {
    let (key, percentage) = (&asked.key, flag.percentage);
    if context.ui.json {
        let (nothing, limit) = (Value::Null, percentage.thousandths());
        context.ui.json(&json!({ "schema": "ctx.flag-explanation/1", "flag": key,
            "user": asked.user, "on": nothing, "value": nothing, "variant": nothing,
            "reason": Reason::Split, "hash": nothing, "bucket": nothing, "limit": limit,
            "percentage": percentage, "bucketing": flag.bucketing, "steps": [] }));
        return;
    }
    context.ui.say(format!("{key} is on or off for anybody"));
    let odds = format!("without a key, the dice decide: on in {percentage} of the questions");
    context.ui.say(format!("rule     {odds}"));
}

fn as_json(asked: &Asked, flag: &Flag, evaluator: &Evaluator, explained: &Explained<'_>) -> Value {
    let Explained { evaluation, share, steps } = explained;
    let step = |(at, what): (&str, &What)| match what {
        What::Holds => json!({ "at": at, "why": "holds" }),
        What::Otherwise => json!({ "at": at, "why": "otherwise" }),
        What::NoSplit => json!({ "at": at, "why": "no_split" }),
        What::Names => json!({ "at": at, "why": "names" }),
        What::Split { place, from, to } => json!({ "at": at, "why": "split",
            "hashed": place.text, "hash": place.hash, "bucket": place.bucket, "of": place.total,
            "from": from, "to": to }),
    };
    let steps: Vec<Value> = steps.iter().map(|s| step((s.at.as_str(), &s.what))).collect();
    let mut found = json!({ "schema": "ctx.flag-explanation/1", "flag": asked.key,
        "user": asked.user, "value": evaluation.value, "variant": evaluation.variant,
        "reason": evaluation.reason, "hash": share.as_ref().map(|share| share.hash),
        "bucket": share.as_ref().map(|share| share.bucket),
        "limit": if flag.enabled { flag.percentage.thousandths() } else { 0 },
        "percentage": flag.percentage, "bucketing": flag.bucketing, "steps": steps });
    if evaluator.is_boolean() {
        found["on"] = json!(evaluation.value);
    }
    found
}

fn lines(
    asked: &Asked,
    flag: &Flag,
    evaluator: &Evaluator,
    explained: &Explained<'_>,
) -> Vec<String> {
    let Explained { evaluation, share, steps } = explained;
    let value = shown(evaluator, evaluation.value);
    let variant = evaluation.variant.filter(|_| !evaluator.is_boolean());
    let variant = variant.map(|name| format!(" (variant `{name}`)")).unwrap_or_default();
    let mut lines = vec![format!("{} is {value}{variant} for {}", asked.key, asked.whom())];
    let percentage = flag.percentage;
    if let Some(share) = share {
        lines.push(format!("hash     {} = murmur3-32 of `{}`", share.hash, share.text));
        lines.push(format!("bucket   {} = hash x 100,000 / 2^32", share.bucket));
    }
    let limit = percentage.thousandths();
    let inside = share.as_ref().is_some_and(|share| share.bucket < limit);
    let sign = if inside { "below" } else { "not below" };
    lines.push(match evaluation.reason {
        Reason::Disabled if evaluator.is_boolean() => {
            "rule     the flag is disabled, so it is off for everybody".to_owned()
        }
        Reason::Disabled => "rule     the flag is disabled, so it says nothing".to_owned(),
        _ if !evaluator.is_boolean() && flag.targeting.is_none() => {
            "rule     there is no targeting, so everybody gets the default variant".to_owned()
        }
        _ if limit == 100_000 && !evaluator.is_boolean() => {
            format!("rule     at {percentage} the targeting is asked for every key")
        }
        _ if limit == 0 || limit == 100_000 => {
            format!("rule     at {percentage} no key matters")
        }
        _ => format!("rule     {sign} {limit}, which is {percentage}"),
    });
    for step in steps {
        let at = &step.at;
        let told = match &step.what {
            What::Holds => format!("branch   {at}: its condition is the first that holds"),
            What::Otherwise => format!("branch   {at}: no condition holds"),
            What::NoSplit => format!("split    {at}: no key to split by, or no weight"),
            What::Names => continue,
            What::Split { place, from, to } => {
                let (hash, text, total) = (place.hash, &place.text, place.total);
                lines.push(format!("hash     {hash} = murmur3-32 of `{text}`"));
                lines.push(format!("bucket   {} = hash x {total} / 2^32", place.bucket));
                format!("split    {at}: from {from} to below {to}")
            }
        };
        lines.push(told);
    }
    if !steps.is_empty() && evaluation.reason == Reason::Default {
        lines.push("default  the rule names no variant that there is".to_owned());
    }
    lines
}
