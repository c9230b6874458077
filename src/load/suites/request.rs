//! A case of a suite becomes a request: where it goes, its signature, its fresh delivery id.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Uri};

use super::Target;
use crate::control::config::Platform;
use crate::load::dice::Dice;
use crate::load::sign::{self, Secrets};
use crate::load::source::{Outgoing, Source};
use crate::plan::model::{Case, Request, Signature};
use crate::secret::Secret;

/// The prefix of a path on the control API.
const CONTROL: &str = "control:";

/// How old a stale signature is: older than any platform's events are taken.
const STALE: TimeDelta = TimeDelta::days(1);

/// A request that is ready to be sent.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub method: Method,
    pub url: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Makes the request of a case.
///
/// # Errors
/// Says what of the case cannot be sent.
pub fn prepare(case: &Case, target: &Target, dice: &mut Dice) -> Result<Prepared, String> {
    let (base, token, path) = match case.request.url.strip_prefix(CONTROL) {
        Some(path) => {
            let control = target.control.as_ref();
            let (url, token) = control.ok_or("there is no control API to ask")?;
            (url.as_str(), token.as_ref(), path)
        }
        None if is_path(&case.request) => (target.data.as_str(), None, case.request.url.as_str()),
        None => ("", None, case.request.url.as_str()),
    };
    let url = format!("{}{path}", base.trim_end_matches('/'));
    if url.parse::<Uri>().is_err() {
        return Err(format!("`{url}` is not a URL"));
    }
    let (method, mut headers, body) = parts(case, &target.secrets, target.clock.wall(), dice)?;
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| "the token of the control API has characters that no header may have")?;
        value.set_sensitive(true);
        headers.entry(AUTHORIZATION).or_insert(value);
    }
    Ok(Prepared { method, url, headers, body })
}

/// The cases with a path on the data plane, in turn, for ever.
#[derive(Debug)]
pub(super) struct CaseSource {
    cases: Vec<Case>,
    next: usize,
    target: Target,
    dice: Dice,
}

impl CaseSource {
    /// `None` when no case can be sent to the data plane.
    pub(super) fn new(cases: &[Case], target: &Target, mut dice: Dice) -> Option<Self> {
        let cases: Vec<Case> = cases
            .iter()
            .filter(|case| is_path(&case.request) && prepare(case, target, &mut dice).is_ok())
            .cloned()
            .collect();
        (!cases.is_empty()).then(|| Self { cases, next: 0, target: target.clone(), dice })
    }

    /// Those that are sent. The number of a case is what an observer is told about its requests.
    pub(super) fn cases(&self) -> &[Case] {
        &self.cases
    }
}

impl Source for CaseSource {
    fn next(&mut self) -> Outgoing {
        let n = self.next % self.cases.len();
        let case = &self.cases[n];
        self.next = self.next.wrapping_add(1);
        let now = self.target.clock.wall();
        let (method, headers, body) = parts(case, &self.target.secrets, now, &mut self.dice)
            .expect("only cases that can be prepared were taken");
        let (path, expect) = (case.request.url.clone(), case.expect.status);
        Outgoing { method, path, headers, body, expect, delivery: Some(n.to_string()) }
    }
}

/// Whether the request goes to the data plane.
fn is_path(request: &Request) -> bool {
    request.url.starts_with('/')
}

/// What is the same wherever the request goes. A header that the case gives itself stays as it
/// is, so that a case can send a wrong signature or repeat a delivery.
fn parts(
    case: &Case,
    secrets: &Secrets,
    now: DateTime<Utc>,
    dice: &mut Dice,
) -> Result<(Method, HeaderMap, Bytes), String> {
    let request = &case.request;
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| format!("`{}` is not a method", request.method))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("`{name}` is not the name of a header"))?;
        let value = HeaderValue::from_str(value)
            .map_err(|_| format!("the value of header `{name}` has characters it may not have"))?;
        headers.append(name, value);
    }
    let mut body = request.body.clone().unwrap_or_default();
    if let Some(platform) = case.sign_as {
        let id = fresh_id(platform, dice);
        let at = if case.signature == Signature::Stale { now - STALE } else { now };
        body = sign::refresh(platform, &body, &id, at);
        let delivery = sign::delivery_header(platform).map(|name| (name, id));
        let proof = proof(platform, case.signature, secrets.of(platform), body.as_bytes(), at)?;
        for (name, value) in delivery.into_iter().chain(proof) {
            let value = HeaderValue::from_str(&value).expect("signatures are plain ASCII");
            headers.entry(name).or_insert(value);
        }
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    }
    Ok((method, headers, body.into()))
}

/// The headers that prove where the event comes from, or fail to.
fn proof(
    platform: Platform,
    signature: Signature,
    secret: Option<&Secret>,
    body: &[u8],
    at: DateTime<Utc>,
) -> Result<Vec<(&'static str, String)>, String> {
    let sign = |secret: &Secret, body: &[u8]| sign::headers(platform, Some(secret), body, at);
    let Some(secret) = secret else {
        return match signature {
            Signature::Right => Ok(sign::headers(platform, None, body, at)),
            _ => Err(format!(
                "no secret of `{}` is known here, so nothing could be refused for its signature; \
                 give the route a `secret` by reference, and ctx the same reference",
                platform.name()
            )),
        };
    };
    Ok(match signature {
        Signature::Right | Signature::Stale => sign(secret, body),
        Signature::Wrong => sign(&Secret::new(format!("not {}", secret.expose())), body),
        Signature::OtherBytes => sign(secret, &[body, b" "].concat()),
        Signature::Missing => sign::headers(platform, None, body, at),
    })
}

fn fresh_id(platform: Platform, dice: &mut Dice) -> String {
    match platform {
        Platform::Slack => format!("Ev{}", dice.id(12)),
        Platform::Linear | Platform::Github => dice.uuid(),
    }
}
