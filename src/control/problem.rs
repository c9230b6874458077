//! What the control API answers when it refuses: RFC 9457, with a code that programs can tell apart.
//!
//! How to add a code: a variant, its status, title, name and meaning, and its place in
//! [`ProblemCode::ALL`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::wire::LeaseView;

/// An error of the control API: RFC 9457, `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Always `about:blank`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for every problem of this code.
    pub title: String,
    /// That of the answer.
    pub status: u16,
    /// What is wrong this time, in one sentence.
    pub detail: String,
    /// For programs.
    pub code: ProblemCode,
    /// Who holds the lease, where that is the problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseView>,
}

/// The machine-readable name of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// 400: the request is malformed or its body does not fit the schema.
    BadRequest,
    /// 401: no token, or a wrong one.
    Unauthorized,
    /// 403: an `Origin` header or an unknown `Host`; a browser is not an operator.
    Forbidden,
    /// 404
    NotFound,
    /// 405
    MethodNotAllowed,
    /// 409: somebody else holds the lease.
    LeaseHeld,
    /// 409: the fence is not the current one; the lease was lost.
    StaleFence,
    /// 409: the caller has seen a newer state than this orchestrator has.
    StateRegression,
    /// 409: a provisional revision is already there.
    ProvisionalExists,
    /// 409: a phase of another run is in flight: its guards are armed.
    GuardsArmed,
    /// 409: the phase was taken back, by an armed guard or by a person; it must not go on.
    Tripped,
    /// 409: the inbox has events of its own; a backup's are put back only into an empty one.
    InboxInUse,
    /// 410: that revision is not, or no longer, the provisional one.
    NotProvisional,
    /// 412: the head is another revision than `If-Match` says.
    HeadMoved,
    /// 413: the body is larger than 1 MiB.
    TooLarge,
    /// 415: the body is not JSON by its content type.
    UnsupportedMediaType,
    /// 422: the document breaks a rule.
    InvalidConfig,
    /// 422: a guard cannot be judged: its metric is unknown, or a value is out of range.
    InvalidGuards,
    /// 422: the key was used before with another request.
    KeyReused,
    /// 428: `If-Match`, `Ctx-Fence` or `Idempotency-Key` is missing.
    PreconditionRequired,
    /// 500: the store failed; nothing was changed.
    StoreFailed,
    /// 503: the orchestrator cannot do its work.
    NotReady,
}

impl ProblemCode {
    /// The HTTP status that goes with the code.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::LeaseHeld
            | Self::StaleFence
            | Self::StateRegression
            | Self::ProvisionalExists
            | Self::GuardsArmed
            | Self::Tripped
            | Self::InboxInUse => 409,
            Self::NotProvisional => 410,
            Self::HeadMoved => 412,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::InvalidConfig | Self::InvalidGuards | Self::KeyReused => 422,
            Self::PreconditionRequired => 428,
            Self::StoreFailed => 500,
            Self::NotReady => 503,
        }
    }

    /// The title that goes with the code.
    pub const fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "bad request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not found",
            Self::MethodNotAllowed => "method not allowed",
            Self::LeaseHeld => "the lease is held",
            Self::StaleFence => "the fence is stale",
            Self::StateRegression => "the orchestrator's state is older than the caller's",
            Self::ProvisionalExists => "a provisional revision exists",
            Self::GuardsArmed => "a phase of another run is in flight",
            Self::Tripped => "the phase was taken back",
            Self::InboxInUse => "the inbox is in use",
            Self::NotProvisional => "the revision is not provisional",
            Self::HeadMoved => "the head has moved",
            Self::TooLarge => "the body is too large",
            Self::UnsupportedMediaType => "the body is not JSON",
            Self::InvalidConfig => "the configuration is invalid",
            Self::InvalidGuards => "the guards are invalid",
            Self::KeyReused => "the idempotency key was used for another request",
            Self::PreconditionRequired => "a precondition is required",
            Self::StoreFailed => "the store failed",
            Self::NotReady => "not ready",
        }
    }

    /// Every code, in the order of their statuses.
    pub const ALL: [Self; 22] = [
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::LeaseHeld,
        Self::StaleFence,
        Self::StateRegression,
        Self::ProvisionalExists,
        Self::GuardsArmed,
        Self::Tripped,
        Self::InboxInUse,
        Self::NotProvisional,
        Self::HeadMoved,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::InvalidConfig,
        Self::InvalidGuards,
        Self::KeyReused,
        Self::PreconditionRequired,
        Self::StoreFailed,
        Self::NotReady,
    ];

    /// The code with this name.
    pub fn find(given: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name().eq_ignore_ascii_case(given))
    }

    /// The name in answers, such as `head_moved`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::LeaseHeld => "lease_held",
            Self::StaleFence => "stale_fence",
            Self::StateRegression => "state_regression",
            Self::ProvisionalExists => "provisional_exists",
            Self::GuardsArmed => "guards_armed",
            Self::Tripped => "tripped",
            Self::InboxInUse => "inbox_in_use",
            Self::NotProvisional => "not_provisional",
            Self::HeadMoved => "head_moved",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::InvalidConfig => "invalid_config",
            Self::InvalidGuards => "invalid_guards",
            Self::KeyReused => "key_reused",
            Self::PreconditionRequired => "precondition_required",
            Self::StoreFailed => "store_failed",
            Self::NotReady => "not_ready",
        }
    }

    /// What it means, and what to do, for a person.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::BadRequest => {
                "The request is malformed, or its body does not fit the schema in `docs/openapi.json`; the detail names the field."
            }
            Self::Unauthorized => {
                "There is no token, or a wrong one. `ctx serve` prints where the operators' token is; a plan names it with `[orchestrator] token`."
            }
            Self::Forbidden => {
                "The request came with an `Origin` header or an unknown `Host`: a browser is not an operator."
            }
            Self::NotFound => "There is nothing at this path, or no entry of this name.",
            Self::MethodNotAllowed => "The path does not take this method.",
            Self::LeaseHeld => {
                "Somebody else holds the lease; one holder at a time changes an orchestrator. `ctx lock show` names them; the lease lapses 30 s after they were last heard of."
            }
            Self::StaleFence => {
                "The fence is not the current one: the lease lapsed, or somebody took it. Whatever was provisional under it is reverted. `ctx resume` finds out and goes on."
            }
            Self::StateRegression => {
                "The caller has seen a newer state than this orchestrator has: it was restored from an older copy. `ctx status` says how to go on."
            }
            Self::ProvisionalExists => {
                "A provisional revision is in force already; it is confirmed or reverted before another one may follow."
            }
            Self::GuardsArmed => {
                "A phase of another run is in flight there. Finish it with `ctx resume`, or take it back with `ctx abort`."
            }
            Self::Tripped => {
                "The phase was taken back, by an armed guard or by a person, and must not go on. `ctx resume` undoes the rest of it."
            }
            Self::InboxInUse => {
                "The inbox has events of its own; a backup's events are put back only into an empty one."
            }
            Self::NotProvisional => {
                "That revision is not, or no longer, the provisional one: it was confirmed, or reverted."
            }
            Self::HeadMoved => {
                "The revision in force is another one than `If-Match` says: somebody else wrote meanwhile. Read the state again; ctx does so by itself."
            }
            Self::TooLarge => "The body is larger than 1 MiB.",
            Self::UnsupportedMediaType => "The body is not JSON, by its content type.",
            Self::InvalidConfig => {
                "The document breaks a rule of the configuration; the detail names it. Nothing was changed."
            }
            Self::InvalidGuards => {
                "A guard cannot be judged: its metric is unknown, or a value is out of range. Nothing was armed."
            }
            Self::KeyReused => {
                "The idempotency key was used before, with another request. A key stands for one change."
            }
            Self::PreconditionRequired => {
                "`If-Match`, `Ctx-Fence` or `Idempotency-Key` is missing; no write goes without them."
            }
            Self::StoreFailed => {
                "The store could not be written or read, and nothing was changed. See to the disk of `ctx serve`; ctx tries again by itself."
            }
            Self::NotReady => {
                "The orchestrator cannot do its work: it is starting, stopping, or a check fails. `ctx status --live` names the check."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_by_the_name_that_answers_carry() {
        for code in ProblemCode::ALL {
            assert_eq!(serde_json::json!(code), code.name());
            assert_eq!(ProblemCode::find(code.name()), Some(code));
        }
        assert!(ProblemCode::ALL.is_sorted_by_key(|code| code.status()));
    }
}
