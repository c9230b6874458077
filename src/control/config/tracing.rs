//! How requests are told apart, in logs and on their way through other services.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Request ids and W3C trace context.
///
/// A valid `traceparent` and its `tracestate` always pass unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tracing {
    /// Whether every request gets an id: in `X-Request-Id` on its way upstream, with the event
    /// where it is stored, in the gateway's own refusals, and in the log.
    pub request_id: bool,
    /// Whether a sender's own `X-Request-Id` is kept, if it is 1 to 64 letters, digits, `-`, `_`,
    /// `.` or `:`. Otherwise it is replaced, which is right where senders are strangers that might
    /// pass themselves off as somebody else's request.
    pub trust_request_id: bool,
    /// Whether every answer carries the id in `X-Request-Id`; without it, what the app answers is
    /// passed on unchanged.
    pub answer_request_id: bool,
    /// Whether a request without a valid `traceparent` begins a new trace. A `tracestate` that
    /// belongs to none is taken out then.
    pub start_trace: bool,
}

impl Default for Tracing {
    fn default() -> Self {
        Self {
            request_id: true,
            trust_request_id: true,
            answer_request_id: false,
            start_trace: false,
        }
    }
}
