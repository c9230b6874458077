//! A recorded fact for machines: the same shape in `ctx show --json` and in the events of a run.

use serde_json::{Value, json};

use super::sentence::{level, sentence};
use crate::clock::{from_wall_ms, rfc3339};
use crate::ids::RunId;
use crate::ledger::fact::{Fact, Recorded, RunKind};

/// The fact with its time, in words and in its own fields.
pub fn record(recorded: &Recorded) -> Value {
    let fact = &recorded.fact;
    json!({
        "type": fact.kind(),
        "ts": rfc3339(from_wall_ms(recorded.at_ms)),
        "ledger_seq": recorded.seq,
        "run_id": recorded.run.as_ref().map(RunId::as_str),
        "level": level(fact),
        "message": sentence(fact),
        "data": data(fact),
    })
}

/// The fact's own fields, without the documents that a run begins with and without the half of a
/// fence that proves it is held.
pub fn data(fact: &Fact) -> Value {
    match fact {
        Fact::RunBegun(begun) => json!({
            "kind": run_kind(&begun.kind),
            "plan": begun.plan,
            "plan_hash": begun.file_hash,
            "phases": begun.phases,
            "orchestrator": begun.base.orchestrator,
            "base_rev": begun.base.rev,
            "by": begun.by,
        }),
        Fact::LeaseTaken { fence, pid, .. } => json!({"fence": fence.counter, "pid": pid}),
        other => {
            let mut value = serde_json::to_value(other).expect("a fact is plain data");
            if let Some(fields) = value.as_object_mut() {
                fields.remove("fact");
            }
            value
        }
    }
}

fn run_kind(kind: &RunKind) -> &'static str {
    match kind {
        RunKind::Migrate => "migrate",
        RunKind::Rollback { .. } => "rollback",
    }
}
