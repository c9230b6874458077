//! Who may speak to the control API.
//!
//! Law: a handler gets at the orchestrator through [`Operator`] alone, and an `Operator` exists
//! only for a request with the right token. So no handler can forget to ask.
//!
//! A browser is not an operator: a request with an `Origin`, or with a `Host` that is not this
//! machine's loopback (DNS rebinding), is refused before its token is looked at.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::{Choice, ConstantTimeEq};

use super::{Shared, Token};
use crate::control::wire::{ANCHOR, ProblemCode};
use crate::orchestrator::control::core::Refusal;
use crate::secret::Secret;

/// The router's state. Its content is out of reach for handlers.
#[derive(Clone, Debug)]
pub(super) struct Access {
    shared: Arc<Shared>,
    token: Token,
    /// Opens the flags, and nothing else.
    flags: Option<Secret>,
}

/// An authenticated caller, and with it the orchestrator.
#[derive(Debug)]
pub(super) struct Operator(Arc<Shared>);

impl Deref for Operator {
    type Target = Arc<Shared>;

    fn deref(&self) -> &Arc<Shared> {
        &self.0
    }
}

/// Somebody who may evaluate flags: an operator, or whoever has the flags' own token.
#[derive(Debug)]
pub(super) struct Reader(Arc<Shared>);

impl Deref for Reader {
    type Target = Arc<Shared>;

    fn deref(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl Access {
    pub(super) fn new(shared: Arc<Shared>, token: Token, flags: Option<Secret>) -> Self {
        Self { shared, token, flags }
    }

    /// Whether the orchestrator can do its work, and will: the one thing an unknown caller may ask.
    ///
    /// # Errors
    /// With the reason.
    pub(super) fn ready(&self) -> Result<(), &'static str> {
        if self.shared.plane.leaving.load(Ordering::Relaxed) {
            return Err("it is about to stop");
        }
        self.shared.desk.ping().map_err(|_| "the store does not answer")
    }

    /// Whether the request carries the operators' token. Takes as long for a wrong one as for the
    /// right one of the same length.
    fn knows(&self, headers: &HeaderMap) -> bool {
        let Some(token) = bearer(headers) else { return false };
        let good = self.token.load();
        let good = good.accepted().map(|good| token.ct_eq(good.expose().as_bytes()));
        // All of them are compared, so that the time does not tell which one it was.
        bool::from(good.fold(Choice::from(0), |known, equal| known | equal))
    }

    /// Whether the request carries a token that opens the flags.
    fn reads_flags(&self, headers: &HeaderMap) -> bool {
        let own = self.flags.as_ref().zip(bearer(headers).or_else(|| api_key(headers)));
        let own =
            own.map_or(Choice::from(0), |(good, token)| token.ct_eq(good.expose().as_bytes()));
        bool::from(own | Choice::from(u8::from(self.knows(headers))))
    }
}

/// The token of the one `Authorization: Bearer TOKEN`.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(given), None) = (given.next(), given.next()) else { return None };
    let (scheme, token) = given.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

/// The token of the one `X-API-Key`, the other way of `OpenFeature` clients; for flags alone.
fn api_key(headers: &HeaderMap) -> Option<&[u8]> {
    let mut given = headers.get_all("x-api-key").iter();
    let (Some(given), None) = (given.next(), given.next()) else { return None };
    Some(given.as_bytes())
}

impl FromRequestParts<Access> for Reader {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, access: &Access) -> Result<Self, Refusal> {
        if access.reads_flags(&parts.headers) {
            return Ok(Self(Arc::clone(&access.shared)));
        }
        let why = "send the flags' token: `Authorization: Bearer TOKEN`, or `X-API-Key: TOKEN`";
        Err(Refusal::new(ProblemCode::Unauthorized, why))
    }
}

impl FromRequestParts<Access> for Operator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, access: &Access) -> Result<Self, Refusal> {
        if !access.knows(&parts.headers) {
            let why = if parts.headers.contains_key(AUTHORIZATION) {
                "the token is not the right one"
            } else {
                "send the token: `Authorization: Bearer TOKEN`"
            };
            return Err(Refusal::new(ProblemCode::Unauthorized, why));
        }
        if parts.headers.get(CONTENT_TYPE).is_some_and(|value| !is_json(value)) {
            return Err(Refusal::new(
                ProblemCode::UnsupportedMediaType,
                "a body is sent as `application/json`",
            ));
        }
        Ok(Self(Arc::clone(&access.shared)))
    }
}

/// Stands before every route: keeps browsers out, and marks every authenticated reply with the
/// end of the audit chain.
pub(super) async fn gate(State(access): State<Access>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if headers.contains_key(ORIGIN) {
        return forbidden("a request with an `Origin` comes from a browser");
    }
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next().map(HeaderValue::to_str), hosts.next()) {
        (Some(Ok(host)), None) if is_loopback(host) => {}
        _ => return forbidden("the `Host` is not this machine's loopback"),
    }
    let known = access.knows(headers);
    let mut response = next.run(request).await;
    if known {
        let anchor = access.shared.desk.anchor().to_string();
        let anchor = HeaderValue::try_from(anchor).expect("digits, a dot and hex");
        response.headers_mut().insert(ANCHOR, anchor);
    }
    response
}

fn forbidden(why: &str) -> Response {
    Refusal::new(ProblemCode::Forbidden, why).into_response()
}

/// Whether a content type is JSON, with or without parameters.
pub(super) fn is_json(value: &HeaderValue) -> bool {
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, "")) => name,
            Some((name, port)) if port.starts_with(':') => name,
            _ => return false,
        },
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_this_machine() {
        for ours in
            ["127.0.0.1:7700", "127.9.9.9", "localhost:1", "LOCALHOST", "[::1]:7700", "[::1]"]
        {
            assert!(is_loopback(ours), "{ours}");
        }
        for other in [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "[::2]:1",
            "[::1]x",
            "0.0.0.0",
        ] {
            assert!(!is_loopback(other), "{other}");
        }
    }

    #[test]
    fn json_is_json_whatever_its_parameters() {
        for (value, expect) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("text/plain", false),
            ("application/jsonp", false),
        ] {
            assert_eq!(is_json(&HeaderValue::from_static(value)), expect, "{value}");
        }
    }
}
