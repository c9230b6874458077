//! Guards and canaries as they cross the wire, and as they are judged.
//!
//! The orchestrator judges the guards that are armed there with the code that ctx itself uses, so
//! both sides mean the same by the same numbers.

use std::time::Duration;

use super::canary::Compare;
use super::guard::{Guard, OnNoData};
use super::measure::{Measure, Query};
use super::metric::KEPT;
use super::{Limit, Metric, Verdict};
use crate::control::armed::{
    ArmedCanary, ArmedGuard, ArmedQuery, Bound, CanaryLook, CanaryOutcome,
};
use crate::error::did_you_mean;
use crate::secret::SecretRef;
use crate::units::Percent;

/// The shortest and the longest time from one look to the next.
const EVERY: std::ops::RangeInclusive<u64> = 100..=86_400_000;
/// The shortest and the longest patience.
const PATIENCE: std::ops::RangeInclusive<u64> = 1..=604_800_000;
/// The most consecutive breaches that a guard may wait for.
const BREACHES: std::ops::RangeInclusive<u32> = 1..=1000;

/// Reads a guard from the wire.
///
/// # Errors
/// Says which value breaks which rule.
pub fn read(armed: &ArmedGuard) -> Result<Guard, String> {
    let ArmedGuard { id, metric, query, limit, breaches, min_samples, every_ms, patience_ms } =
        armed;
    let say = |what: String| format!("guard `{id}`: {what}");
    let wrong = |what: &str| Err(say(what.to_owned()));
    let measure = match query {
        Some(asked) => Measure::Query(read_query(metric, asked).map_err(say)?),
        None => Measure::Own(read_metric(metric).map_err(say)?),
    };
    let limit = match *limit {
        Bound::AtMost(bound) => Limit::AtMost(bound),
        Bound::AtLeast(bound) => Limit::AtLeast(bound),
    };
    if !limit.bound().is_finite() {
        return wrong("`limit` must be a finite number");
    }
    if !BREACHES.contains(breaches) {
        return wrong("`breaches` must be within 1..=1,000");
    }
    if !EVERY.contains(every_ms) {
        return wrong("`every_ms` must be within 100..=86,400,000");
    }
    let kept = u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX);
    if measure.own().is_some_and(Metric::is_windowed) && *every_ms > kept {
        return wrong("`every_ms` may be 600,000 at most: answers are counted for ten minutes");
    }
    if patience_ms.is_some_and(|ms| !PATIENCE.contains(&ms)) {
        return wrong("`patience_ms` must be within 1..=604,800,000");
    }
    let (on_no_data, patience) = match patience_ms {
        Some(ms) => (OnNoData::Fail, Duration::from_millis(*ms)),
        None => (OnNoData::Ignore, Duration::ZERO),
    };
    Ok(Guard {
        id: id.clone(),
        measure,
        limit,
        breaches: *breaches,
        min_samples: *min_samples,
        every: Duration::from_millis(*every_ms),
        on_no_data,
        patience,
    })
}

fn read_metric(metric: &str) -> Result<Metric, String> {
    metric.parse().map_err(|()| {
        let names = Metric::ALL.map(|(_, name, _)| name);
        let hint = match did_you_mean(metric, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("metrics are {}", names.join(", ")),
        };
        let shown: String = metric.chars().take(64).collect();
        format!("there is no metric `{shown}`; {hint}")
    })
}

fn read_query(from: &str, asked: &ArmedQuery) -> Result<Query, String> {
    let ArmedQuery { query, url, token, unit } = asked;
    let reference = token.as_ref().map(|token| token.parse::<SecretRef>());
    if let Some(Err(error)) = reference {
        return Err(format!("`token`: {error}"));
    }
    if !url.starts_with("http://") || url.contains(char::is_whitespace) {
        return Err("`url` must be like `http://127.0.0.1:9090`".to_owned());
    }
    if query.trim().is_empty() || query.len() > 4096 {
        return Err("`query` must have 1 to 4,096 bytes".to_owned());
    }
    Ok(Query {
        query: query.clone(),
        from: from.to_owned(),
        url: url.clone(),
        token: token.clone(),
        unit: serde_json::from_value(unit.as_str().into())
            .map_err(|_| "`unit` must be ratio, milliseconds, seconds, per_minute or number")?,
    })
}

fn write_query(query: &Query) -> ArmedQuery {
    let unit = serde_json::to_value(query.unit).expect("a unit is a word");
    ArmedQuery {
        query: query.query.clone(),
        url: query.url.clone(),
        token: query.token.clone(),
        unit: unit.as_str().unwrap_or_default().to_owned(),
    }
}

/// Writes a guard for the wire; its times are real time already, and are rounded up to whole
/// milliseconds and brought within what [`read`] takes.
pub fn write(guard: &Guard) -> ArmedGuard {
    let millis =
        |time: Duration| u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    ArmedGuard {
        id: guard.id.clone(),
        metric: match &guard.measure {
            Measure::Own(metric) => metric.name().to_owned(),
            Measure::Query(query) => query.from.clone(),
        },
        query: guard.measure.query().map(write_query),
        limit: match guard.limit {
            Limit::AtMost(bound) => Bound::AtMost(bound),
            Limit::AtLeast(bound) => Bound::AtLeast(bound),
        },
        breaches: guard.breaches.clamp(*BREACHES.start(), *BREACHES.end()),
        min_samples: guard.min_samples,
        every_ms: millis(guard.every).clamp(*EVERY.start(), *EVERY.end()),
        patience_ms: match guard.on_no_data {
            OnNoData::Fail => {
                Some(millis(guard.patience).clamp(*PATIENCE.start(), *PATIENCE.end()))
            }
            OnNoData::Ignore => None,
        },
    }
}

/// Reads from the wire how a canary is compared, and with which probability of a false alarm.
///
/// # Errors
/// Says which value breaks which rule.
pub fn read_canary(armed: &ArmedCanary) -> Result<(Compare, f64), String> {
    let ArmedCanary { upstream, at, alpha, .. } = armed;
    let compare = Compare {
        max_error_increase: armed.max_error_increase,
        max_latency_ratio: armed.max_latency_ratio,
        max_tail_ratio: armed.max_tail_ratio,
        min_samples: armed.min_samples,
    };
    let wrong = |what: &str| Err(format!("canary `{upstream}`: {what}"));
    if upstream.is_empty() || upstream.len() > 64 {
        return Err("a canary's `upstream` must have 1 to 64 bytes".to_owned());
    }
    if at.len() > 64 {
        return wrong("`at` may have at most 64 entries");
    }
    if !(0.0..=1.0).contains(&compare.max_error_increase) {
        return wrong("`max_error_increase` must be within 0..=1");
    }
    let ratios = [compare.max_latency_ratio, compare.max_tail_ratio];
    if !ratios.iter().all(|ratio| ratio.is_finite() && *ratio >= 1.0) {
        return wrong("`max_latency_ratio` and `max_tail_ratio` must be at least 1");
    }
    if !(*alpha > 0.0 && *alpha < 1.0) {
        return wrong("`alpha` is a probability between 0 and 1");
    }
    Ok((compare, *alpha))
}

/// Writes for the wire how a canary is compared at some of its shares.
pub fn write_canary(
    upstream: &str,
    at: Vec<Percent>,
    (compare, alpha): (Compare, f64),
) -> ArmedCanary {
    let Compare { max_error_increase, max_latency_ratio, max_tail_ratio, min_samples } = compare;
    ArmedCanary {
        upstream: upstream.to_owned(),
        at,
        max_error_increase,
        max_latency_ratio,
        max_tail_ratio,
        min_samples,
        alpha,
    }
}

/// What a look at a canary came to, for the wire.
pub fn write_look(upstream: &str, at: Percent, verdict: &Verdict) -> CanaryLook {
    let outcome = match verdict {
        Verdict::Pass(_) => CanaryOutcome::Promote,
        Verdict::Inconclusive(_) => CanaryOutcome::Hold,
        Verdict::Fail(_) => CanaryOutcome::Abort,
    };
    CanaryLook { upstream: upstream.to_owned(), at, outcome, why: verdict.why().to_owned() }
}

/// What a look at a canary came to, from the wire.
pub fn read_look(look: &CanaryLook) -> Verdict {
    let why = look.why.clone();
    match look.outcome {
        CanaryOutcome::Promote => Verdict::Pass(why),
        CanaryOutcome::Hold => Verdict::Inconclusive(why),
        CanaryOutcome::Abort => Verdict::Fail(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        Guard {
            id: "error-rate".parse().unwrap(),
            measure: Metric::ErrorRate.into(),
            limit: Limit::AtMost(0.05),
            breaches: 3,
            min_samples: 50,
            every: Duration::from_secs(1),
            on_no_data: OnNoData::Fail,
            patience: Duration::from_secs(300),
        }
    }

    #[test]
    fn a_guard_survives_the_wire() {
        assert_eq!(read(&write(&guard())), Ok(guard()));
        let ignoring = Guard { on_no_data: OnNoData::Ignore, patience: Duration::ZERO, ..guard() };
        assert_eq!(read(&write(&ignoring)), Ok(ignoring));
        let query = Query {
            query: "sum(up)".to_owned(),
            from: "prom".to_owned(),
            url: "http://127.0.0.1:9090".to_owned(),
            token: Some("env:TOKEN".to_owned()),
            unit: crate::judge::Unit::PerMinute,
        };
        let asking = Guard { measure: Measure::Query(query), ..guard() };
        assert_eq!(read(&write(&asking)), Ok(asking));
        let hasty = Guard { every: Duration::from_micros(1), ..guard() };
        assert_eq!(read(&write(&hasty)).unwrap().every, Duration::from_millis(100));
    }

    #[test]
    fn a_canary_survives_the_wire() {
        let good = write_canary("next", vec![Percent::whole(5)], (Compare::default(), 0.01));
        assert_eq!(read_canary(&good), Ok((Compare::default(), 0.01)));
        for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Inconclusive] {
            let verdict = verdict("both numbers".to_owned());
            assert_eq!(read_look(&write_look("next", Percent::whole(5), &verdict)), verdict);
        }
        let why = |armed: ArmedCanary| read_canary(&armed).unwrap_err();
        for (armed, field) in [
            (ArmedCanary { upstream: String::new(), ..good.clone() }, "upstream"),
            (ArmedCanary { at: vec![Percent::ZERO; 65], ..good.clone() }, "at"),
            (ArmedCanary { max_error_increase: 1.5, ..good.clone() }, "max_error_increase"),
            (ArmedCanary { max_error_increase: f64::NAN, ..good.clone() }, "max_error_increase"),
            (ArmedCanary { max_latency_ratio: 0.9, ..good.clone() }, "max_latency_ratio"),
            (ArmedCanary { max_tail_ratio: f64::INFINITY, ..good.clone() }, "max_tail_ratio"),
            (ArmedCanary { alpha: 0.0, ..good.clone() }, "alpha"),
            (ArmedCanary { alpha: f64::NAN, ..good.clone() }, "alpha"),
        ] {
            assert!(why(armed).contains(&format!("`{field}`")), "{field}");
        }
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        let good = write(&guard());
        let why = |armed: ArmedGuard| read(&armed).unwrap_err();
        let misspelt = why(ArmedGuard { metric: "eror_rate".to_owned(), ..good.clone() });
        assert_eq!(
            misspelt,
            "guard `error-rate`: there is no metric `eror_rate`; did you mean `error_rate`?"
        );
        let strange = why(ArmedGuard { metric: "xyz".to_owned(), ..good.clone() });
        assert!(strange.contains("metrics are"), "{strange}");
        for (armed, field) in [
            (ArmedGuard { limit: Bound::AtMost(f64::NAN), ..good.clone() }, "limit"),
            (ArmedGuard { breaches: 0, ..good.clone() }, "breaches"),
            (ArmedGuard { breaches: 1001, ..good.clone() }, "breaches"),
            (ArmedGuard { every_ms: 99, ..good.clone() }, "every_ms"),
            (ArmedGuard { every_ms: 600_001, ..good.clone() }, "every_ms"),
            (ArmedGuard { every_ms: 86_400_001, ..good.clone() }, "every_ms"),
            (ArmedGuard { patience_ms: Some(0), ..good.clone() }, "patience_ms"),
        ] {
            assert!(why(armed).contains(field), "{field}");
        }
    }
}
