//! The one place that asks.

use std::time::Duration;

use serde_json::Value;

use super::answer::{self, NoNumber};
use super::tls;
use crate::error::did_you_mean;
use crate::judge::measure::Query;
use crate::judge::promql;
use crate::secret::{SecretRef, redacted, shown_url};

/// How long an answer may take. A guard that waits for it is inconclusive meanwhile.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The most bytes of an answer: the names of all metrics of a large server fit.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// Asks Prometheus servers. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
}

impl Default for Client {
    fn default() -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(TIMEOUT)
            .build()
            .expect("a client without TLS can be built");
        Self { http }
    }
}

impl Client {
    /// Asks for the query's number; `now` in seconds since the Unix epoch.
    ///
    /// # Errors
    /// Says why there is none.
    pub async fn ask(&self, query: &Query, now: f64) -> Result<f64, NoNumber> {
        let data = self.post(query, "/api/v1/query", &[("query", &query.query)]).await?;
        answer::number(&data, now)
    }

    /// Looks whether a query can ever come to a number: it is parsed, comes to no more than one
    /// number, and every metric that it selects is known to the server. That there is no number
    /// now is no fault: there may be no traffic yet.
    ///
    /// # Errors
    /// Says what is wrong, and for a metric that is not known, which one may be meant.
    pub async fn check(&self, query: &Query, now: f64) -> Result<(), String> {
        match self.ask(query, now).await {
            Ok(_) | Err(NoNumber::Nothing | NoNumber::NotANumber(_)) => {}
            Err(error) => return Err(error.to_string()),
        }
        for metric in promql::selected(&query.query).metrics {
            let path = "/api/v1/label/__name__/values";
            let only = format!("{{__name__={}}}", Value::from(metric.as_str()));
            let say = |error: NoNumber| error.to_string();
            let known = self.get(query, path, &[("match[]", &only)]).await.map_err(say)?;
            if known.as_array().is_some_and(|names| !names.is_empty()) {
                continue;
            }
            let all = self.get(query, path, &[]).await.map_err(say)?;
            let names = all.as_array().into_iter().flatten().filter_map(Value::as_str);
            let near = did_you_mean(&metric, names);
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(format!("there is no metric `{metric}` at {}{near}", query.url));
        }
        Ok(())
    }

    async fn post(
        &self,
        query: &Query,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<Value, NoNumber> {
        let call = self.http.post(format!("{}{path}", query.url));
        let kind = "application/x-www-form-urlencoded";
        self.send(query, call.header("content-type", kind).body(encoded(form))).await
    }

    async fn get(
        &self,
        query: &Query,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<Value, NoNumber> {
        self.send(query, self.http.get(format!("{}{path}?{}", query.url, encoded(form)))).await
    }

    async fn send(&self, query: &Query, call: reqwest::RequestBuilder) -> Result<Value, NoNumber> {
        let call = authorized(query, call)?;
        if !query.url.starts_with("https://") {
            return send(query, call).await;
        }
        let url = shown_url(&query.url);
        let request = call.build().map_err(|_| away(&format!("{url} is no URL")))?;
        let sending = tls::send(&url, query.ca.as_deref(), request, MAX_BODY);
        let answer = tokio::time::timeout(TIMEOUT, sending).await;
        let late = |_| away(&format!("{url} does not answer within {TIMEOUT:?}"));
        let (status, body) = answer.map_err(late)?.map_err(|why| away(&why))?;
        answer::open(status, &body)
    }
}

fn away(text: &str) -> NoNumber {
    NoNumber::Away(redacted(text).into_owned())
}

fn authorized(
    query: &Query,
    call: reqwest::RequestBuilder,
) -> Result<reqwest::RequestBuilder, NoNumber> {
    let Some(reference) = &query.token else { return Ok(call) };
    let token = reference.parse::<SecretRef>().and_then(|reference| reference.resolve());
    Ok(call.bearer_auth(token.map_err(|error| away(&error.to_string()))?.expose()))
}

async fn send(query: &Query, call: reqwest::RequestBuilder) -> Result<Value, NoNumber> {
    let failed = |error: &reqwest::Error| {
        let url = shown_url(&query.url);
        away(&match error {
            _ if error.is_timeout() => format!("{url} does not answer within {TIMEOUT:?}"),
            _ if error.is_connect() => format!("{url} cannot be reached"),
            _ => format!("{url} broke off its answer"),
        })
    };
    let mut response = call.send().await.map_err(|error| failed(&error))?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| failed(&error))? {
        body.extend_from_slice(&part);
        if body.len() > MAX_BODY {
            return Err(away("the answer is larger than 16 MiB"));
        }
    }
    answer::open(status, &body)
}

/// Pairs as a form writes them.
fn encoded(form: &[(&str, &str)]) -> String {
    let pair = |(key, value): &(&str, &str)| format!("{}={}", escape(key), escape(value));
    form.iter().map(pair).collect::<Vec<_>>().join("&")
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', hex(byte >> 4), hex(byte & 15)]);
        }
    }
    out
}

fn hex(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_survives_the_form() {
        assert_eq!(
            encoded(&[("query", "a{b=\"c d\"} + 1")]),
            "query=a%7Bb%3D%22c%20d%22%7D%20%2B%201"
        );
        assert_eq!(encoded(&[("match[]", "é")]), "match%5B%5D=%C3%A9");
    }
}
