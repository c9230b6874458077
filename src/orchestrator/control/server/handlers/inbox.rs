//! `/v1/inbox`

use std::sync::Arc;

use axum::Json;
use axum::response::Response;

use crate::clock::{from_wall_ms, rfc3339};
use crate::control::inbox::{
    DeadLetter, DeadLetterContent, InboxEvent, InboxEvents, InboxRestored, InboxView, Letters,
    LettersMoved,
};
use crate::control::wire::ProblemCode;
use crate::orchestrator::control::core::{Fate, Refusal};
use crate::orchestrator::control::server::access::Operator;
use crate::orchestrator::control::server::file;
use crate::orchestrator::control::server::input::{
    After, Body, CACHE_BODY, Fenced, Letter, Params,
};
use crate::orchestrator::gateway::{delivery, ids};
use crate::orchestrator::inbox::{Event, Inbox, Kept, Line, NotRestored, Refused, Returned};
use crate::orchestrator::store::StoreError;
use crate::orchestrator::store::inbox::Inbox as Stored;

/// The most dead letters of one answer, and of one request.
const MOST: usize = 1000;
/// More attempts than any event has had.
const MOST_ATTEMPTS: u32 = 1_000_000;

pub(in super::super) async fn view(operator: Operator) -> Result<Json<InboxView>, Refusal> {
    let census = inbox(&operator)?.read(Stored::census).map_err(|error| failed(&error))?;
    let now_ms = operator.plane.clock.wall().timestamp_millis();
    let age = |since: i64| u64::try_from(now_ms.saturating_sub(since)).unwrap_or(0);
    let (pending, dead) = (census.pending, census.dead);
    Ok(Json(InboxView { pending, oldest_ms: census.oldest_ms.map(age), dead }))
}

pub(in super::super) async fn dead(
    operator: Operator,
    Params(After { after }): Params<After>,
) -> Result<Json<Vec<DeadLetter>>, Refusal> {
    let dead = inbox(&operator)?.read(|store| store.dead(after, MOST));
    let dead = dead.map_err(|error| failed(&error))?;
    Ok(Json(dead.into_iter().map(letter).collect()))
}

pub(in super::super) async fn dead_letter(
    operator: Operator,
    Letter(id): Letter,
) -> Result<Json<DeadLetterContent>, Refusal> {
    let found = inbox(&operator)?.read(|store| store.dead_letter(id));
    let found = found.map_err(|error| failed(&error))?;
    let unknown = || Refusal::new(ProblemCode::NotFound, format!("there is no dead letter {id}"));
    let (Kept { id, event, attempts, .. }, why) = found.ok_or_else(unknown)?;
    let (request_id, trace_id) = ids::of_lines(&event.headers);
    let mut headers = event.headers;
    // Who reads the log of a dead letter need not be able to send it again in the sender's name.
    headers.retain(|(name, _)| !name.contains("signature") && name != "authorization");
    let line = Line {
        id,
        source: event.source,
        delivery: event.delivery,
        target: event.target,
        received_ms: event.received_ms,
        attempts,
        why,
        bytes: event.body.len() as u64,
    };
    let body = hex::encode(event.body);
    let letter = letter(line);
    Ok(Json(DeadLetterContent { letter, request_id, trace_id, headers, body }))
}

pub(in super::super) async fn replay(
    operator: Operator,
    Body(letters): Body<Letters>,
) -> Result<Json<LettersMoved>, Refusal> {
    let inbox = inbox(&operator)?;
    let audit = record(&operator, &inbox, &letters, Fate::Replayed)?;
    let now_ms = operator.plane.clock.wall().timestamp_millis();
    let Letters { ids, by, .. } = letters;
    let all = ids.is_empty();
    let moved = inbox.replay((!all).then_some(ids), now_ms).await.map_err(refused)?;
    tracing::info!(moved, all, by, audit, "dead letters are tried again");
    Ok(Json(LettersMoved { moved, audit }))
}

pub(in super::super) async fn discard(
    operator: Operator,
    Body(letters): Body<Letters>,
) -> Result<Json<LettersMoved>, Refusal> {
    let inbox = inbox(&operator)?;
    let audit = record(&operator, &inbox, &letters, Fate::Discarded)?;
    let Letters { ids, by, .. } = letters;
    let moved = inbox.discard(ids).await.map_err(refused)?;
    tracing::warn!(moved, by, audit, "dead letters are discarded");
    Ok(Json(LettersMoved { moved, audit }))
}

/// Puts on record what is about to be done: what is done is never without its row.
fn record(
    operator: &Operator,
    inbox: &Inbox,
    letters: &Letters,
    fate: Fate,
) -> Result<u64, Refusal> {
    if letters.ids.len() > MOST {
        return Err(Refusal::new(ProblemCode::BadRequest, format!("at most {MOST} ids")));
    }
    let found = match fate {
        // To discard none is to discard none: only a replay may be of all.
        Fate::Discarded if letters.ids.is_empty() => Ok(0),
        Fate::Replayed | Fate::Discarded => inbox.read(|store| store.dead_among(&letters.ids)),
    };
    operator.desk.letters(letters, fate, found.map_err(|error| failed(&error))?)
}

pub(in super::super) async fn database(operator: Operator) -> Result<Response, Refusal> {
    let snapshots = inbox(&operator)?.snapshots().map_err(|error| failed(&error))?;
    // Copying many events takes a while, and the lease must go on being renewed meanwhile.
    let copied = tokio::task::spawn_blocking(move || snapshots.take()).await;
    let failed = |error: &dyn std::error::Error| {
        tracing::error!(%error, "the inbox could not be copied");
        Refusal::new(ProblemCode::StoreFailed, "the inbox could not be copied")
    };
    let snapshot = copied.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
    file::stream(snapshot, "application/vnd.sqlite3").map_err(|error| failed(&error))
}

pub(in super::super) async fn restore(
    operator: Operator,
    Fenced(fence): Fenced,
    Body(InboxEvents { begins, events }): Body<InboxEvents, CACHE_BODY>,
) -> Result<Json<InboxRestored>, Refusal> {
    let inbox = inbox(&operator)?;
    let now_ms = operator.plane.clock.wall().timestamp_millis();
    let returned: Vec<Returned> =
        events.into_iter().map(|event| returned(event, now_ms)).collect::<Result<_, Refusal>>()?;
    let all = returned.len();
    // On record first: what is done is never without its row.
    operator.desk.inbox_restored(&fence, all)?;
    match inbox.restore(begins, returned, now_ms).await {
        Ok(restored) => {
            tracing::info!(restored, all, "events of a backup are in the inbox");
            Ok(Json(InboxRestored { restored, known: all as u64 - restored }))
        }
        Err(NotRestored::InUse(events)) => {
            let why = format!("there are {events} events in it already");
            Err(Refusal::new(ProblemCode::InboxInUse, why))
        }
        Err(NotRestored::Refused(error)) => Err(refused(error)),
    }
}

/// An event out of a backup, with what can be told of it.
fn returned(event: InboxEvent, now_ms: i64) -> Result<Returned, Refusal> {
    let bad = |_| Refusal::new(ProblemCode::BadRequest, "the body of an event is not hex");
    let body = hex::decode(event.body).map_err(bad)?;
    Ok(Returned {
        number: event.number,
        event: Event {
            source: event.source,
            delivery: event.delivery,
            body_hash: delivery::body_hash(&body),
            target: event.target,
            headers: event.headers,
            body,
            // Whoever sets their clock wrong sends no events from the future.
            received_ms: i64::try_from(event.received_ms).map_or(now_ms, |then| then.min(now_ms)),
        },
        attempts: event.attempts.min(MOST_ATTEMPTS),
        answered: event.answered.min(MOST_ATTEMPTS),
        dead: event.dead,
    })
}

fn inbox(operator: &Operator) -> Result<Arc<Inbox>, Refusal> {
    let inbox = operator.plane.inbox.get().cloned();
    inbox.ok_or_else(|| Refusal::new(ProblemCode::StoreFailed, "there is no inbox"))
}

fn letter(line: Line) -> DeadLetter {
    let Line { id, source, delivery, target, received_ms, attempts, why, bytes } = line;
    let received = rfc3339(from_wall_ms(received_ms));
    DeadLetter { id, source, delivery, target, received, attempts, why, bytes }
}

fn failed(error: &StoreError) -> Refusal {
    tracing::error!(%error, "the inbox cannot be read");
    Refusal::new(ProblemCode::StoreFailed, "the inbox cannot be read")
}

fn refused(refused: Refused) -> Refusal {
    Refusal::new(ProblemCode::StoreFailed, refused.to_string())
}
