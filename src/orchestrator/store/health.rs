//! The history of health: results of checks, incidents, and what self-healing did about them.
//!
//! All three are bounded by number; the sums that reliability is computed from are not, because
//! they are kept beside them.

use rusqlite::{Connection, Row};

use super::{Store, StoreError, signed, unsigned};
use crate::clock::{WallMs, from_wall_ms, rfc3339};
use crate::control::observe::{Check, HealingAction, Incident, Status};
use crate::failpoint::{self, Point};

/// Results of checks that are kept: more than three days of five checks every 30 seconds.
const CHECKS: u32 = 50_000;
/// Finished incidents and actions that are kept.
const KEPT: u32 = 1000;
/// Rows of a reply.
const PAGE: u32 = 100;

/// Which incidents count against reliability: a busy processor or a full memory strains the
/// service, and is an incident; the service is down only when a part of it does not answer.
const OUTAGE: &str = "check_name NOT IN ('cpu', 'memory')";

/// One round of checks.
#[derive(Clone, Debug)]
pub struct Round {
    pub at_ms: WallMs,
    /// Time since the round before; zero when health was not watched in between.
    pub elapsed_ms: u64,
    pub checks: Vec<Check>,
}

/// Sums since the store was made, in real milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    pub total_ms: u64,
    /// With at least one outage.
    pub down_ms: u64,
    pub failures: u64,
    pub repairs: u64,
    pub repair_ms: u64,
}

impl Store {
    /// Records a round of checks, and returns the names of those whose incident begins with it.
    ///
    /// The time since the round before counts for what that round has found.
    ///
    /// # Errors
    /// When the database fails; nothing is recorded then.
    pub fn record_round(&mut self, round: &Round) -> Result<Vec<String>, StoreError> {
        let elapsed = signed(round.elapsed_ms)?;
        self.write(|transaction| {
            transaction.execute(
                &format!(
                    "UPDATE observed SET total_ms = total_ms + ?1, down_ms = down_ms +
                 iif(EXISTS (SELECT 1 FROM incidents WHERE ended = 0 AND {OUTAGE}), ?1, 0)"
                ),
                [elapsed],
            )?;
            transaction.execute(
                "UPDATE incidents SET lasted_ms = lasted_ms + ?1 WHERE ended = 0",
                [elapsed],
            )?;
            let mut began = Vec::new();
            for check in &round.checks {
                transaction.execute(
                    "INSERT INTO checks (name, status, detail, at_ms) VALUES (?1, ?2, ?3, ?4)",
                    (&check.name, status_name(check.status), &check.detail, round.at_ms),
                )?;
                match check.status {
                    Status::Unhealthy if begin(transaction, check, round.at_ms)? => {
                        began.push(check.name.clone());
                    }
                    Status::Healthy => end(transaction, &check.name)?,
                    // Not knowing neither begins nor ends an incident.
                    Status::Unhealthy | Status::Unknown => {}
                }
            }
            // What is not checked any more, such as a removed upstream, cannot go on failing.
            for name in open_incidents(transaction)? {
                if !round.checks.iter().any(|check| check.name == name) {
                    end(transaction, &name)?;
                }
            }
            bound(transaction, "checks", CHECKS)?;
            bound(transaction, "incidents", KEPT)?;
            failpoint::hit(Point::HealthWritten);
            Ok(began)
        })
        .inspect(|_| failpoint::hit(Point::HealthCommitted))
    }

    /// Ends incidents that nobody watches any more.
    ///
    /// # Errors
    /// When the database fails.
    pub fn end_incidents(&mut self) -> Result<(), StoreError> {
        self.write(|transaction| {
            open_incidents(transaction)?.iter().try_for_each(|name| end(transaction, name))
        })
    }

    /// Records what self-healing did or would have done.
    ///
    /// # Errors
    /// When the database fails.
    pub fn record_healing(
        &mut self,
        at_ms: WallMs,
        action: &str,
        because: &str,
        performed: bool,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO healing (at_ms, action, because, performed) VALUES (?1, ?2, ?3, ?4)",
                (at_ms, action, because, performed),
            )?;
            bound(transaction, "healing", KEPT)
        })
    }

    /// Incidents, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn incidents(&self) -> Result<Vec<Incident>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT check_name, detail, began_ms, iif(ended, lasted_ms, NULL) FROM incidents
             ORDER BY id DESC LIMIT {PAGE}"
        ))?;
        let rows = statement.query_and_then([], |row| {
            let lasted: Option<i64> = row.get(3)?;
            Ok(Incident {
                check: row.get(0)?,
                detail: row.get(1)?,
                began: at(row, 2)?,
                lasted_ms: lasted.map(|ms| unsigned("lasted_ms", ms)).transpose()?,
            })
        })?;
        rows.collect()
    }

    /// What self-healing did or would have done, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn healing(&self) -> Result<Vec<HealingAction>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT at_ms, action, because, performed FROM healing ORDER BY id DESC LIMIT {PAGE}"
        ))?;
        let rows = statement.query_and_then([], |row| {
            Ok(HealingAction {
                at: at(row, 0)?,
                action: row.get(1)?,
                because: row.get(2)?,
                performed: row.get(3)?,
            })
        })?;
        rows.collect()
    }

    /// How many actions of self-healing there ever were, also of those not kept any more.
    ///
    /// # Errors
    /// When the database fails.
    pub fn healing_total(&self) -> Result<u64, StoreError> {
        // Rows are numbered, and only the oldest go.
        let sql = "SELECT coalesce(max(id), 0) FROM healing";
        unsigned("id", self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    /// The sums that reliability is computed from.
    ///
    /// # Errors
    /// When the database fails.
    pub fn observed(&self) -> Result<Observed, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT total_ms, down_ms, failures, repairs, repair_ms FROM observed",
        )?;
        let mut rows = statement.query_and_then([], |row| {
            Ok(Observed {
                total_ms: unsigned("total_ms", row.get(0)?)?,
                down_ms: unsigned("down_ms", row.get(1)?)?,
                failures: unsigned("failures", row.get(2)?)?,
                repairs: unsigned("repairs", row.get(3)?)?,
                repair_ms: unsigned("repair_ms", row.get(4)?)?,
            })
        })?;
        rows.next().unwrap_or_else(|| Err(StoreError::Damaged("`observed` is empty".to_owned())))
    }
}

/// Begins an incident, unless the check has one; returns whether it began.
fn begin(connection: &Connection, check: &Check, at_ms: WallMs) -> Result<bool, StoreError> {
    let going_on = connection.execute(
        "UPDATE incidents SET detail = ?2 WHERE check_name = ?1 AND ended = 0",
        (&check.name, &check.detail),
    )?;
    if going_on > 0 {
        return Ok(false);
    }
    connection.execute(
        "INSERT INTO incidents (check_name, detail, began_ms) VALUES (?1, ?2, ?3)",
        (&check.name, &check.detail, at_ms),
    )?;
    connection.execute(
        &format!(
            "UPDATE observed SET failures = failures + 1
             FROM (SELECT 1 FROM incidents WHERE check_name = ?1 AND ended = 0 AND {OUTAGE})"
        ),
        [&check.name],
    )?;
    Ok(true)
}

fn end(connection: &Connection, name: &str) -> Result<(), StoreError> {
    connection.execute(
        &format!(
            "UPDATE observed SET repairs = repairs + 1, repair_ms = repair_ms + open.lasted_ms
             FROM (SELECT lasted_ms FROM incidents
                   WHERE check_name = ?1 AND ended = 0 AND {OUTAGE}) AS open"
        ),
        [name],
    )?;
    connection
        .execute("UPDATE incidents SET ended = 1 WHERE check_name = ?1 AND ended = 0", [name])?;
    Ok(())
}

fn open_incidents(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT check_name FROM incidents WHERE ended = 0")?;
    let names = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(names)
}

/// Deletes the oldest rows beyond `keep`. Ids only grow, so this needs no count.
fn bound(connection: &Connection, table: &str, keep: u32) -> Result<(), StoreError> {
    connection.execute(
        &format!("DELETE FROM {table} WHERE id <= (SELECT max(id) FROM {table}) - ?1"),
        [keep],
    )?;
    Ok(())
}

fn at(row: &Row<'_>, column: usize) -> Result<String, StoreError> {
    Ok(rfc3339(from_wall_ms(row.get(column)?)))
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Healthy => "healthy",
        Status::Unhealthy => "unhealthy",
        Status::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;
    use crate::clock::Tempo;
    use crate::control::observe::Reliability;

    fn round(elapsed_ms: u64, checks: &[(&str, Status)]) -> Round {
        let check = |&(name, status): &(&str, Status)| Check {
            name: name.to_owned(),
            status,
            detail: "why".to_owned(),
            at: String::new(),
        };
        Round { at_ms: 1_893_452_400_000, elapsed_ms, checks: checks.iter().map(check).collect() }
    }

    #[test]
    fn an_incident_begins_lasts_and_ends() {
        let folder = TempDir::new().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        let (good, bad, odd) = (Status::Healthy, Status::Unhealthy, Status::Unknown);
        let mut record =
            |elapsed, checks: &[_]| store.record_round(&round(elapsed, checks)).unwrap();
        assert!(record(0, &[("a", good), ("b", good)]).is_empty());
        assert_eq!(record(1000, &[("a", bad), ("b", good)]), ["a"]);
        assert!(record(1000, &[("a", bad), ("b", good)]).is_empty());
        assert_eq!(record(1000, &[("a", odd), ("b", bad)]), ["b"]);
        assert!(record(1000, &[("a", good), ("b", good)]).is_empty());
        assert!(record(1000, &[("a", good), ("b", good)]).is_empty());
        let expect =
            Observed { total_ms: 5000, down_ms: 3000, failures: 2, repairs: 2, repair_ms: 4000 };
        assert_eq!(store.observed().unwrap(), expect);
        let incidents = store.incidents().unwrap();
        let said: Vec<_> = incidents.iter().map(|i| (i.check.as_str(), i.lasted_ms)).collect();
        assert_eq!(said, [("b", Some(1000)), ("a", Some(3000))]);
    }

    /// What a folder's incidents come to, as `/v1/health` says it.
    fn reliability(folder: &TempDir) -> Reliability {
        let observed = Store::open(folder.path()).unwrap().observed().unwrap();
        crate::orchestrator::health::reliability(observed, Tempo::default())
    }

    #[test]
    fn incidents_that_overlap_are_two_failures_and_one_time_down() {
        let folder = TempDir::new().unwrap();
        let (good, bad) = (Status::Healthy, Status::Unhealthy);
        let rounds = [
            // Ten seconds each: a fails for 30 s, b for 40 s, 20 s of them together.
            (good, good),
            (bad, good),
            (bad, bad),
            (bad, bad),
            (good, bad),
            (good, bad),
            (good, good),
            (good, good),
            (good, good),
            (good, good),
            (good, good),
        ];
        let mut store = Store::open(folder.path()).unwrap();
        for (n, (a, b)) in rounds.into_iter().enumerate() {
            let elapsed = if n == 0 { 0 } else { 10_000 };
            store.record_round(&round(elapsed, &[("a", a), ("b", b)])).unwrap();
        }
        drop(store);
        let expect = Reliability {
            observed_s: 100.0,
            // Down from the first finding of a to the end of b: 50 s of 100.
            uptime: Some(0.5),
            failures: 2,
            // (30 + 40) / 2, and 50 s up for two failures.
            mttr_s: Some(35.0),
            mtbf_s: Some(25.0),
        };
        assert_eq!(reliability(&folder), expect);
    }

    #[test]
    fn an_incident_that_lasts_is_down_time_and_not_yet_a_repair() {
        let folder = TempDir::new().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        for (elapsed, status) in
            [(0, Status::Healthy), (30_000, Status::Unhealthy), (70_000, Status::Unhealthy)]
        {
            store.record_round(&round(elapsed, &[("a", status)])).unwrap();
        }
        drop(store);
        let now = reliability(&folder);
        assert!((now.uptime.unwrap() - 0.3).abs() < 1e-9, "{now:?}");
        assert_eq!((now.failures, now.mttr_s, now.mtbf_s), (1, None, Some(30.0)));
    }

    #[test]
    fn a_restart_in_the_middle_ends_what_nobody_watched_and_counts_no_time() {
        let folder = TempDir::new().unwrap();
        let (good, bad) = (Status::Healthy, Status::Unhealthy);
        let mut store = Store::open(folder.path()).unwrap();
        store.record_round(&round(0, &[("a", good)])).unwrap();
        store.record_round(&round(40_000, &[("a", bad)])).unwrap();
        store.record_round(&round(20_000, &[("a", bad)])).unwrap();
        drop(store);
        // The orchestrator dies here, for however long; on start it forgets what was open.
        let mut store = Store::open(folder.path()).unwrap();
        store.end_incidents().unwrap();
        assert_eq!(store.record_round(&round(0, &[("a", bad)])).unwrap(), ["a"], "a new incident");
        store.record_round(&round(10_000, &[("a", bad)])).unwrap();
        store.record_round(&round(10_000, &[("a", good)])).unwrap();
        drop(store);
        let expect = Reliability {
            observed_s: 80.0,
            uptime: Some(0.5),
            failures: 2,
            // Two incidents, of 20 s each.
            mttr_s: Some(20.0),
            mtbf_s: Some(20.0),
        };
        assert_eq!(reliability(&folder), expect);
    }

    proptest! {
        // Each round is a transaction on a disk.
        #![proptest_config(ProptestConfig::with_cases(12))]

        /// Whatever is found, the sums say what the incidents say, which tell it one by one.
        #[test]
        fn the_sums_are_those_of_the_recorded_incidents(
            rounds in prop::collection::vec((1_u64..60, any::<bool>(), any::<bool>()), 1..60),
        ) {
            let folder = TempDir::new().unwrap();
            let mut store = Store::open(folder.path()).unwrap();
            let status = |sick| if sick { Status::Unhealthy } else { Status::Healthy };
            let (mut total, mut down, mut before) = (0, 0, false);
            for (n, (seconds, a, b)) in rounds.into_iter().enumerate() {
                let elapsed = if n == 0 { 0 } else { seconds * 1000 };
                total += elapsed;
                down += if before { elapsed } else { 0 };
                before = a || b;
                let checks = [("a", status(a)), ("b", status(b)), ("cpu", Status::Unhealthy)];
                store.record_round(&round(elapsed, &checks)).unwrap();
            }
            let incidents = store.incidents().unwrap();
            let outages = || incidents.iter().filter(|incident| incident.check != "cpu");
            let ended: Vec<u64> = outages().filter_map(|incident| incident.lasted_ms).collect();
            let expect = Observed {
                total_ms: total,
                down_ms: down,
                failures: outages().count() as u64,
                repairs: ended.len() as u64,
                repair_ms: ended.iter().sum(),
            };
            prop_assert_eq!(store.observed().unwrap(), expect);
        }
    }

    #[test]
    fn what_is_not_watched_any_more_does_not_fail_for_ever() {
        let folder = TempDir::new().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        let bad = Status::Unhealthy;
        store.record_round(&round(0, &[("a", bad), ("b", bad)])).unwrap();
        store.record_round(&round(10, &[("a", bad)])).unwrap();
        assert_eq!(store.incidents().unwrap()[0].lasted_ms, Some(10));
        assert_eq!(store.incidents().unwrap()[1].lasted_ms, None, "it goes on");
        store.end_incidents().unwrap();
        assert_eq!(store.observed().unwrap().repairs, 2);
    }

    #[test]
    fn actions_are_remembered_and_bounded() {
        let folder = TempDir::new().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        for n in 0..3 {
            store.record_healing(n, &format!("action {n}"), "why", n == 2).unwrap();
        }
        bound(&store.connection, "healing", 2).unwrap();
        let actions = store.healing().unwrap();
        assert_eq!(actions.len(), 2);
        assert_eq!((actions[0].action.as_str(), actions[0].performed), ("action 2", true));
    }
}
