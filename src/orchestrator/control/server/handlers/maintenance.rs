//! `/v1/database`, `/v1/legacy/cleanup`

use axum::Json;
use axum::response::Response;

use crate::control::wire::{ProblemCode, RevisionResult};
use crate::orchestrator::control::core::Refusal;
use crate::orchestrator::control::desk::Keyed;
use crate::orchestrator::control::server::access::Operator;
use crate::orchestrator::control::server::file;
use crate::orchestrator::control::server::input::{Fenced, Key};

pub(in super::super) async fn database(operator: Operator) -> Result<Response, Refusal> {
    let snapshots = operator.desk.snapshots()?;
    // Copying a large database takes a while, and the lease must go on being renewed meanwhile.
    let copied = tokio::task::spawn_blocking(move || snapshots.take()).await;
    let failed = |error: &dyn std::error::Error| {
        tracing::error!(%error, "the database could not be copied");
        Refusal::new(ProblemCode::StoreFailed, "the database could not be copied")
    };
    let snapshot = copied.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
    file::stream(snapshot, "application/vnd.sqlite3").map_err(|error| failed(&error))
}

pub(in super::super) async fn cleanup(
    operator: Operator,
    Fenced(fence): Fenced,
    Key(key): Key,
) -> Result<Json<RevisionResult>, Refusal> {
    operator.desk.cleanup(Keyed { fence: &fence, key: &key }).map(Json)
}
