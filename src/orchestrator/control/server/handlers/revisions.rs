//! `/v1/state`, `/v1/revisions`, `/v1/operations`

use axum::Json;
use axum::http::header::ETAG;
use axum::http::{HeaderName, StatusCode};

use crate::control::wire::{Operation, Revision, RevisionRequest, RevisionResult, State};
use crate::orchestrator::control::core::Refusal;
use crate::orchestrator::control::desk::Keyed;
use crate::orchestrator::control::server::access::Operator;
use crate::orchestrator::control::server::input::{
    Body, Expected, Fenced, Key, KeyPath, MaybeFenced, Rev,
};

/// A body under the number of the revision it is about.
type Tagged<T> = ([(HeaderName, String); 1], Json<T>);

fn tagged<T>(rev: u64, value: T) -> Tagged<T> {
    ([(ETAG, format!("\"{rev}\""))], Json(value))
}

pub(in super::super) async fn state(
    operator: Operator,
    MaybeFenced(fence): MaybeFenced,
) -> Result<Json<State>, Refusal> {
    let state = operator.desk.state(fence.as_ref(), operator.data_addr.to_string())?;
    Ok(Json(State { origins: operator.origins.clone(), ..state }))
}

pub(in super::super) async fn list(operator: Operator) -> Result<Json<Vec<Revision>>, Refusal> {
    operator.desk.revisions().map(Json)
}

pub(in super::super) async fn get(
    operator: Operator,
    Rev(rev): Rev,
) -> Result<Tagged<Revision>, Refusal> {
    operator.desk.revision(rev).map(|revision| tagged(rev, revision))
}

pub(in super::super) async fn apply(
    operator: Operator,
    Fenced(fence): Fenced,
    Key(key): Key,
    Expected(if_match): Expected,
    Body(request): Body<RevisionRequest>,
) -> Result<(StatusCode, Tagged<RevisionResult>), Refusal> {
    let result = operator.desk.apply(Keyed { fence: &fence, key: &key }, if_match, &request)?;
    let status = if result.replayed { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, tagged(result.rev, result)))
}

pub(in super::super) async fn confirm(
    operator: Operator,
    Fenced(fence): Fenced,
    Key(key): Key,
    Rev(rev): Rev,
) -> Result<Tagged<RevisionResult>, Refusal> {
    let result = operator.desk.confirm(Keyed { fence: &fence, key: &key }, rev)?;
    Ok(tagged(result.rev, result))
}

pub(in super::super) async fn revert(
    operator: Operator,
    Fenced(fence): Fenced,
    Key(key): Key,
    Rev(rev): Rev,
) -> Result<Tagged<RevisionResult>, Refusal> {
    let result = operator.desk.revert(Keyed { fence: &fence, key: &key }, rev)?;
    Ok(tagged(result.rev, result))
}

pub(in super::super) async fn operation(
    operator: Operator,
    MaybeFenced(fence): MaybeFenced,
    KeyPath(key): KeyPath,
) -> Result<Json<Operation>, Refusal> {
    operator.desk.operation(fence.as_ref(), &key).map(Json)
}
