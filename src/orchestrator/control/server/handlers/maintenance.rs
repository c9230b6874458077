//! `/v1/cache`, `/v1/database`, `/v1/legacy/cleanup`

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;

use crate::control::observe::CacheSnapshot;
use crate::control::wire::{ProblemCode, RevisionResult};
use crate::orchestrator::control::core::Refusal;
use crate::orchestrator::control::desk::Keyed;
use crate::orchestrator::control::server::access::Operator;
use crate::orchestrator::control::server::file;
use crate::orchestrator::control::server::input::{Body, CACHE_BODY, Fenced, Key};

pub(in super::super) async fn cache(operator: Operator) -> Json<CacheSnapshot> {
    Json(operator.plane.cache.snapshot())
}

pub(in super::super) async fn restore_cache(
    operator: Operator,
    Fenced(fence): Fenced,
    Body(snapshot): Body<CacheSnapshot, CACHE_BODY>,
) -> Result<StatusCode, Refusal> {
    // On record first: what is done is never without its row.
    operator.desk.cache_restored(&fence, snapshot.entries.len())?;
    match operator.plane.cache.restore(snapshot) {
        Ok(_) => Ok(StatusCode::NO_CONTENT),
        Err(error) => Err(Refusal::new(ProblemCode::BadRequest, error.to_string())),
    }
}

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
    let result = operator.desk.cleanup(Keyed { fence: &fence, key: &key })?;
    if !result.replayed {
        operator.plane.cache.clear();
    }
    Ok(Json(result))
}
