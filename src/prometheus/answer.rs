//! What a server's answer comes to.
//!
//! The format is that of `POST /api/v1/query`: a scalar, or a vector with exactly one element.
//! Whatever else may stand there has its own name here, because each is told differently.

use serde::Deserialize;
use serde_json::Value;

/// How far the time of a sample may be from our own, in seconds.
const APART: f64 = 60.0;

/// Why a query comes to no number.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NoNumber {
    /// The query itself is at fault: it will not be better next time.
    #[error("the server refuses the query: {0}")]
    Refused(String),
    /// It does not come to one number: a vector of several elements, or another kind of value.
    #[error("{0}")]
    Shape(String),
    /// Nothing matches it.
    #[error("no data: nothing matches the query now")]
    Nothing,
    #[error("{0} is no number")]
    NotANumber(String),
    #[error("{0}")]
    Stale(String),
    /// The server does not answer, or not now.
    #[error("{0}")]
    Away(String),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status: String,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    error_type: String,
    #[serde(default)]
    error: String,
}

/// Opens an answer: its data, or what is wrong.
///
/// # Errors
/// When the server reports an error, or is not a server of this kind.
pub fn open(status: u16, body: &[u8]) -> Result<Value, NoNumber> {
    let answer: Answer = serde_json::from_slice(body).map_err(|_| match status {
        401 | 403 => NoNumber::Away(format!("the server refuses the token ({status})")),
        200..300 => NoNumber::Away("the answer is none of Prometheus' API".to_owned()),
        _ => NoNumber::Away(format!("the server answered {status}")),
    })?;
    if answer.status == "success" {
        return Ok(answer.data);
    }
    let said: String = answer.error.chars().filter(|c| !c.is_control()).take(300).collect();
    Err(match answer.error_type.as_str() {
        "bad_data" | "execution" => NoNumber::Refused(said),
        kind => NoNumber::Away(format!("the server cannot tell ({kind}): {said}")),
    })
}

/// The one number of a query's data; `now` in seconds since the Unix epoch.
///
/// # Errors
/// Says which of the many other things it is.
pub fn number(data: &Value, now: f64) -> Result<f64, NoNumber> {
    let sample = match (data["resultType"].as_str(), &data["result"]) {
        (Some("scalar"), sample) => sample,
        (Some("vector"), Value::Array(all)) => match all.as_slice() {
            [] => return Err(NoNumber::Nothing),
            [one] if one.get("value").is_some() => &one["value"],
            [_] => {
                let text = "the query comes to a histogram, not to a number";
                return Err(NoNumber::Shape(text.to_owned()));
            }
            many => {
                let text = format!("{} series match where one is needed; sum them up", many.len());
                return Err(NoNumber::Shape(text));
            }
        },
        (Some(kind), _) => {
            let text = format!("the query comes to a {kind}, not to a number");
            return Err(NoNumber::Shape(text));
        }
        (None, _) => {
            return Err(NoNumber::Away("the answer is none of Prometheus' API".to_owned()));
        }
    };
    let (Some(at), Some(text)) = (sample[0].as_f64(), sample[1].as_str()) else {
        return Err(NoNumber::Away("the answer is none of Prometheus' API".to_owned()));
    };
    if now - at > APART {
        return Err(NoNumber::Stale(format!("stale: the sample is {:.0} s old", now - at)));
    }
    if at - now > APART {
        let text = format!("the sample is {:.0} s in the future: the clocks differ", at - now);
        return Err(NoNumber::Stale(text));
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(NoNumber::NotANumber(text.chars().take(40).collect())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ask(status: u16, body: &Value) -> Result<f64, NoNumber> {
        number(&open(status, body.to_string().as_bytes())?, 1000.0)
    }

    fn vector(samples: &Value) -> Value {
        json!({"status": "success", "data": {"resultType": "vector", "result": samples}})
    }

    #[test]
    fn one_number_is_a_number() {
        let scalar = json!({"resultType": "scalar", "result": [999.5, "1.5"]});
        assert_eq!(ask(200, &json!({"status": "success", "data": scalar})), Ok(1.5));
        assert_eq!(ask(200, &vector(&json!([{"metric": {}, "value": [1000, "0.25"]}]))), Ok(0.25));
    }

    #[test]
    fn everything_else_says_what_it_is() {
        let sample = |at: f64, text: &str| json!({"metric": {}, "value": [at, text]});
        let one = |at, text| vector(&json!([sample(at, text)]));
        let error = |kind: &str| json!({"status": "error", "errorType": kind, "error": "why"});
        for (status, body, needle) in [
            (200, vector(&json!([])), "no data"),
            (200, vector(&json!([sample(1000.0, "1"), sample(1000.0, "2")])), "2 series"),
            (200, vector(&json!([{"metric": {}, "histogram": [1000, {}]}])), "histogram"),
            (200, one(1000.0, "NaN"), "NaN is no number"),
            (200, one(1000.0, "+Inf"), "+Inf is no number"),
            (200, one(900.0, "1"), "stale: the sample is 100 s old"),
            (200, one(1100.0, "1"), "clocks differ"),
            (400, error("bad_data"), "refuses the query: why"),
            (422, error("execution"), "refuses the query: why"),
            (503, error("timeout"), "cannot tell (timeout)"),
            (503, error("unavailable"), "cannot tell (unavailable)"),
            (502, json!("bad gateway"), "answered 502"),
            (401, json!("no"), "refuses the token (401)"),
            (200, json!({"hello": 1}), "none of Prometheus' API"),
            (200, json!({"status": "success", "data": {"resultType": "matrix"}}), "a matrix"),
            (200, json!({"status": "success"}), "none of Prometheus' API"),
        ] {
            let why = ask(status, &body).unwrap_err().to_string();
            assert!(why.contains(needle), "{body}: {why}");
        }
    }
}
