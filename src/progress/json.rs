//! A run as JSON lines on stdout: one record for each fact, and nothing that is only for people.
//!
//! The first record is always `version`, the last always `run_end`, on success and on failure
//! alike. Every record has `ts`, `seq` (from 0), `run_id`, `type`, `level` and `message`. A gap in
//! `seq` is what was left out while nobody read, and `left_out` of `run_end` counts it. Fields and types may be added within a schema version; readers skip what they do
//! not know.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::lines::{follow, taken_up};
use super::pulse::{self, Pace};
use super::{Observer, Tick};
use crate::clock::{Clock, WallMs, from_wall_ms, rfc3339};
use crate::error::{Code, Failure};
use crate::ids::RunId;
use crate::ledger::fact::Recorded;
use crate::report::Place;
use crate::report::record::data;
use crate::report::sentence::{Level, level, sentence};
use crate::ui::{Sink, Worth};

/// The version of the records.
const SCHEMA: &str = "ctx.events/1";

/// Writes one JSON record a line.
#[derive(Debug)]
pub struct JsonLines<W> {
    out: W,
    clock: Arc<dyn Clock>,
    seq: u64,
    left_out: u64,
    run: Option<RunId>,
    place: Option<Place>,
    pace: Pace,
}

impl<W: Sink> JsonLines<W> {
    /// Writes the `version` record, and then whatever happens.
    pub fn new(out: W, clock: Arc<dyn Clock>) -> Self {
        let (place, pace) = (None, Pace::default());
        let mut lines = Self { out, clock, seq: 0, left_out: 0, run: None, place, pace };
        let version = env!("CARGO_PKG_VERSION");
        let now = lines.now();
        lines.record(
            now,
            "version",
            Level::Info,
            &format!("ctx {version}"),
            json!({
                "schema": SCHEMA,
                "ctx": version,
            }),
        );
        lines
    }

    fn now(&self) -> WallMs {
        self.clock.wall().timestamp_millis()
    }

    /// Writes one record; the fields of `more` stand beside those that every record has.
    fn record(&mut self, at_ms: WallMs, kind: &str, level: Level, message: &str, more: Value) {
        let mut record = Map::new();
        record.insert("type".to_owned(), kind.into());
        record.insert("ts".to_owned(), rfc3339(from_wall_ms(at_ms)).into());
        record.insert("seq".to_owned(), self.seq.into());
        record.insert("run_id".to_owned(), self.run.as_ref().map(RunId::as_str).into());
        record.insert("level".to_owned(), json!(level));
        record.insert("message".to_owned(), message.into());
        if let Value::Object(more) = more {
            record.extend(more);
        }
        self.seq += 1;
        self.pace.spoken(at_ms);
        let worth = match kind {
            "version" | "run_end" => Worth::Result,
            "progress" => Worth::Passing,
            _ => Worth::Record,
        };
        // A reader that does not read must not stop a run; the ledger has it all.
        let taken = self.out.put(worth, &format!("{}\n", Value::Object(record)));
        self.left_out += u64::from(!taken);
    }

    fn place_fields(&self) -> Value {
        let Some(place) = &self.place else { return json!({}) };
        let phase = place.phase();
        let mut fields = json!({
            "phase": phase.id,
            "phase_number": phase.number,
            "parts_done": place.parts_done,
            "parts_total": place.parts(),
        });
        if let Some(at) = &place.at {
            fields["step"] = json!(at.step);
            fields["part"] = json!(at.part);
            fields["parts"] = json!(at.parts);
        }
        fields
    }
}

impl<W: Sink> Observer for JsonLines<W> {
    fn resumed(&mut self, facts: &[Recorded]) {
        self.place = Place::of(facts);
        if let Some(place) = &self.place {
            self.run.clone_from(&place.run);
            let (message, fields) = (taken_up(place), self.place_fields());
            self.record(self.now(), "run_resumed", Level::Info, &message, fields);
        }
    }

    fn fact(&mut self, recorded: &Recorded) {
        follow(&mut self.place, recorded);
        self.run.clone_from(&recorded.run);
        let mut fields = self.place_fields();
        fields["ledger_seq"] = recorded.seq.into();
        fields["data"] = data(&recorded.fact);
        let fact = &recorded.fact;
        self.record(recorded.at_ms, fact.kind(), level(fact), &sentence(fact), fields);
    }

    fn tick(&mut self, tick: &Tick) {
        if !self.pace.due(tick) {
            return;
        }
        let mut fields = self.place_fields();
        let guards = tick.guards.iter().map(|glance| {
            json!({"guard": glance.guard, "look": pulse::word(&glance.look), "why": glance.look.why()})
        });
        fields["guards"] = guards.collect();
        if let Some(soak) = tick.soak {
            let (elapsed, total) = (soak.elapsed.as_millis(), soak.total.as_millis());
            fields["soak"] = json!({"elapsed_ms": elapsed, "total_ms": total});
        }
        let message = pulse::sentence(self.place.as_ref(), tick);
        self.record(tick.at_ms, "progress", Level::Info, &message, fields);
    }

    fn end(&mut self, result: Result<Code, &Failure>) {
        let now = self.now();
        let (code, level, message, why, hints) = match result {
            Ok(code) => (code, Level::Info, code.name(), &[][..], &[][..]),
            Err(failure) => {
                let Failure { code, what, why, hints } = failure;
                (*code, Level::Error, what.as_str(), why.as_slice(), hints.as_slice())
            }
        };
        self.record(
            now,
            "run_end",
            level,
            message,
            json!({
                "exit_code": code.number(),
                "code": code.name(),
                "why": why,
                "hints": hints,
                "left_out": self.left_out,
            }),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::report::fixture::breached;

    fn records(tell: impl FnOnce(&mut JsonLines<Vec<u8>>)) -> Vec<Value> {
        let mut lines = JsonLines::new(Vec::new(), Arc::new(ManualClock::default()));
        tell(&mut lines);
        let text = String::from_utf8(lines.out).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn every_stream_begins_with_a_version_and_ends_with_an_exit_code() {
        let failure = Failure::new(Code::Unreachable, "the orchestrator does not answer")
            .why("connection refused")
            .hint("start it with `ctx serve`");
        let records = records(|lines| lines.end(Err(&failure)));
        assert_eq!(records.len(), 2);
        assert_eq!(records[0]["type"], "version");
        assert_eq!(records[0]["schema"], SCHEMA);
        assert_eq!(records[0]["run_id"], Value::Null);
        assert_eq!(
            records[1],
            json!({
                "type": "run_end",
                "ts": rfc3339(ManualClock::default().wall()),
                "seq": 1,
                "run_id": null,
                "level": "error",
                "message": "the orchestrator does not answer",
                "exit_code": 32,
                "code": "ORCHESTRATOR_UNREACHABLE",
                "why": ["connection refused"],
                "hints": ["start it with `ctx serve`"],
                "left_out": 0,
            })
        );
    }

    /// Nobody reads what can be left out.
    #[derive(Debug, Default)]
    struct Unread(Vec<u8>);

    impl Sink for Unread {
        fn put(&mut self, worth: Worth, text: &str) -> bool {
            worth == Worth::Result && self.0.put(worth, text)
        }
    }

    #[test]
    fn what_was_left_out_is_a_gap_in_the_numbers_and_counted_at_the_end() {
        let mut lines = JsonLines::new(Unread::default(), Arc::new(ManualClock::default()));
        let facts = breached();
        for fact in &facts {
            lines.fact(fact);
        }
        lines.end(Ok(Code::RolledBack));
        let text = String::from_utf8(lines.out.0).unwrap();
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert_eq!(
            (&last["left_out"], &last["seq"]),
            (&json!(facts.len()), &json!(facts.len() + 1))
        );
    }

    #[test]
    fn every_record_has_the_same_head_and_no_secret() {
        let records = records(|lines| {
            for fact in breached() {
                lines.fact(&fact);
            }
            lines.end(Ok(Code::RolledBack));
        });
        for (seq, record) in records.iter().enumerate() {
            assert_eq!(record["seq"], seq, "{record}");
            for field in ["type", "ts", "level", "message"] {
                assert!(record[field].is_string(), "{field} of {record}");
            }
            assert!(record.as_object().unwrap().contains_key("run_id"), "{record}");
        }
        let last = records.last().unwrap();
        assert_eq!((&last["exit_code"], &last["code"]), (&json!(20), &json!("PHASE_ROLLED_BACK")));
        let fence = "00ff".repeat(4);
        assert!(!records.iter().any(|record| record.to_string().contains(&fence)));
        let breach = records.iter().find(|record| record["type"] == "guard_breached").unwrap();
        assert_eq!(breach["data"]["guard"], "error-rate");
        assert_eq!((&breach["part"], &breach["parts"]), (&json!(2), &json!(4)));
    }
}
