//! A failed call as the operator meets it.

use std::error::Error;

use super::client::ControlError;
use super::wire::ProblemCode;
use crate::error::{Code, Failure};

/// What failed, why, and what to do next.
pub fn control_failure(error: &ControlError) -> Failure {
    match error {
        ControlError::Unreachable { url, source } | ControlError::Unknown { url, source } => {
            let what = match error {
                ControlError::Unreachable { .. } => {
                    format!("the orchestrator at {url} does not answer")
                }
                _ => error.to_string(),
            };
            Failure::new(Code::Unreachable, what)
                .why(root(source))
                .hint("start it with `ctx serve`, or name another with `--orchestrator URL`")
        }
        ControlError::Refused(problem) if problem.code == ProblemCode::Unauthorized => {
            Failure::new(Code::Refused, "the orchestrator does not accept the token")
                .why(error.to_string())
                .hint(
                    "`ctx serve` says where its token is; the plan's `[orchestrator] token` \
                     names it, or without a plan the last run's, or `CTX_TOKEN`",
                )
        }
        ControlError::Refused(_) => {
            Failure::new(Code::Refused, "the orchestrator refused").why(error.to_string())
        }
        ControlError::Stranger { .. } => {
            Failure::new(Code::Unreachable, "there is no orchestrator at that address")
                .why(error.to_string())
                .hint("name the control address that `ctx serve` printed, not the data address")
        }
    }
}

/// What lies at the bottom: the layers of an HTTP client above it only say that sending failed.
fn root(error: &dyn Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}
