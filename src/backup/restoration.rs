//! What a restore would change, and what would be lost (pure).
//!
//! The backup is compared with another one that was made of what is there now. Both hold whole
//! parts with their sums, so "nothing would change" means byte for byte.

use std::collections::BTreeSet;

use serde::Serialize;

use super::manifest::{Content, Kind, Manifest, Part, Tables};
use crate::error::count;

/// What a restore would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Restoration {
    /// The backup was made of another orchestrator than the one that is there now.
    pub other_orchestrator: bool,
    pub parts: Vec<Change>,
}

/// What a restore would do to one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    pub part: String,
    #[serde(skip)]
    pub file: String,
    pub effect: Effect,
}

/// What becomes of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "effect", content = "loses", rename_all = "snake_case")]
pub enum Effect {
    /// It is what was backed up.
    Same,
    /// It is replaced; what would be lost, one sentence each.
    Replaced(Vec<String>),
    /// It is not there now, and comes back.
    Created,
    /// It is left alone, and why.
    Kept(String),
    /// Only possible offline, into a folder.
    Offline,
}

impl Restoration {
    /// Whether there is anything to do.
    pub fn changes_anything(&self) -> bool {
        self.changes().next().is_some()
    }

    /// The parts that would be written.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        let writes = |effect: &Effect| matches!(effect, Effect::Replaced(_) | Effect::Created);
        self.parts.iter().filter(move |change| writes(&change.effect))
    }
}

/// Compares a backup with what is there now, for the parts that are `wanted`; all if empty.
///
/// `current` is a backup of what is there now: the safety backup that precedes every restore.
pub fn plan_restore(backup: &Manifest, current: &Manifest, wanted: &[Kind]) -> Restoration {
    let is_wanted = |part: &&Part| wanted.is_empty() || wanted.contains(&part.content.kind());
    let change = |part: &Part| Change {
        part: part.label(),
        file: part.file.clone(),
        effect: effect(part, backup, current),
    };
    Restoration {
        other_orchestrator: backup.orchestrator.state_uuid != current.orchestrator.state_uuid,
        parts: backup.parts.iter().filter(is_wanted).map(change).collect(),
    }
}

fn effect(part: &Part, backup: &Manifest, current: &Manifest) -> Effect {
    if part.content.kind() == Kind::Database {
        return Effect::Offline;
    }
    let Some(now) = current.parts.iter().find(|now| now.label() == part.label()) else {
        return Effect::Created;
    };
    if now.original == part.original {
        return Effect::Same;
    }
    if let (Content::Inbox { pending, dead, .. }, Content::Inbox { pending: p, dead: d, .. }) =
        (&part.content, &now.content)
    {
        return inbox(*pending + *dead, *p + *d);
    }
    Effect::Replaced(match (&part.content, &now.content) {
        (Content::Cache { entries: then }, Content::Cache { entries: now }) => {
            let now = count(usize::try_from(*now).unwrap_or(usize::MAX), "cached answer");
            vec![format!("{now}, replaced by the {then} of the backup")]
        }
        (Content::Service { tables: then, .. }, Content::Service { tables: now, .. }) => {
            rows(then, now)
        }
        _ => {
            let (then, now) = (&backup.orchestrator, &current.orchestrator);
            vec![if then.state_uuid == now.state_uuid {
                format!(
                    "every change of the configuration from revision {} to {}",
                    then.rev, now.rev
                )
            } else {
                format!("the configuration that is in force now, revision {}", now.rev)
            }]
        }
    })
}

/// What becomes of an inbox that had so many events then and has so many now.
///
/// Events are only ever added, and only where there are none: one that waits now must not be lost,
/// and one that was handled since then is better not handled again. Which ones those are the
/// orchestrator knows from their deliveries.
fn inbox(then: u64, now: u64) -> Effect {
    let events = |n: u64| count(usize::try_from(n).unwrap_or(usize::MAX), "event");
    match (then, now) {
        (0, _) => Effect::Kept("no event waited then".to_owned()),
        (_, 0) => Effect::Created,
        (then, now) => Effect::Kept(format!(
            "it has {} now, and the {then} of the backup go into an empty one only",
            events(now)
        )),
    }
}

/// What became of the rows since then, table by table.
fn rows(then: &Tables, now: &Tables) -> Vec<String> {
    let all: BTreeSet<&String> = then.rows.keys().chain(now.rows.keys()).collect();
    let lost = all.iter().filter_map(|table| match (then.rows.get(*table), now.rows.get(*table)) {
        (Some(then), Some(now)) if then != now => {
            Some(format!("table `{table}` goes from {now} rows to {then}"))
        }
        (None, Some(now)) => Some(format!("table `{table}` with {now} rows is not in the backup")),
        (Some(then), None) => Some(format!("table `{table}` comes back with {then} rows")),
        _ => None,
    });
    let mut lost: Vec<_> = lost.collect();
    lost.push("everything that was written since the backup".to_owned());
    lost
}

#[cfg(test)]
mod tests {
    use super::super::manifest::tests::{manifest, tables};
    use super::*;

    /// The same orchestrator some time later.
    fn later(change: impl FnOnce(&mut Manifest)) -> Manifest {
        let mut now = manifest();
        now.orchestrator.rev = 57;
        change(&mut now);
        now
    }

    #[test]
    fn what_is_the_same_is_left_alone() {
        let plan = plan_restore(&manifest(), &manifest(), &[]);
        assert!(!plan.changes_anything());
        let effects: Vec<_> = plan.parts.iter().map(|part| part.effect.clone()).collect();
        assert_eq!(effects, [Effect::Same, Effect::Offline, Effect::Same, Effect::Same]);
    }

    #[test]
    fn what_would_be_lost_is_named() {
        let now = later(|now| {
            for part in &mut now.parts {
                part.original.sha256 = "ff".repeat(32);
            }
            now.parts[2].content = Content::Cache { entries: 1 };
            let tables = tables(&[("users", 12), ("visits", 3)]);
            now.parts[3].content = Content::Service { name: "app.db".to_owned(), tables };
        });
        let plan = plan_restore(&manifest(), &now, &[]);
        let lost = |part: usize| match &plan.parts[part].effect {
            Effect::Replaced(lost) => lost.join("; "),
            other => panic!("{other:?}"),
        };
        assert_eq!(lost(0), "every change of the configuration from revision 41 to 57");
        assert_eq!(lost(2), "1 cached answer, replaced by the 3 of the backup");
        assert_eq!(
            lost(3),
            "table `users` goes from 12 rows to 7; table `visits` with 3 rows is not in the \
             backup; everything that was written since the backup"
        );
        assert_eq!(plan.changes().count(), 3);
    }

    #[test]
    fn only_wanted_parts_are_touched() {
        let now = later(|now| now.parts[0].original.sha256 = "ff".repeat(32));
        assert_eq!(plan_restore(&manifest(), &now, &[Kind::Cache]).changes().count(), 0);
        assert_eq!(plan_restore(&manifest(), &now, &[Kind::Config]).changes().count(), 1);
    }

    #[test]
    fn stored_events_come_back_only_where_there_are_none() {
        use super::super::manifest::tests::part;

        let with = |pending, dead| {
            let tables = tables(&[("events", pending + dead)]);
            let mut manifest = manifest();
            manifest.parts.push(part("inbox.sqlite3.gz", Content::Inbox { pending, dead, tables }));
            manifest.parts[4].original.sha256 = format!("{pending:032}{dead:032}");
            manifest
        };
        let effect = |then: Manifest, now: Manifest| {
            plan_restore(&then, &now, &[Kind::Inbox]).parts.remove(0).effect
        };
        assert_eq!(effect(with(3, 1), with(3, 1)), Effect::Same);
        assert_eq!(effect(with(3, 1), with(0, 0)), Effect::Created);
        let kept = |why: &str| Effect::Kept(why.to_owned());
        let why = "it has 1 event now, and the 4 of the backup go into an empty one only";
        assert_eq!(effect(with(3, 1), with(0, 1)), kept(why));
        assert_eq!(effect(with(0, 0), with(2, 0)), kept("no event waited then"));
    }

    #[test]
    fn a_database_that_is_gone_comes_back() {
        let now = later(|now| now.parts.truncate(3));
        assert_eq!(plan_restore(&manifest(), &now, &[]).parts[3].effect, Effect::Created);
        let other = later(|now| now.orchestrator.state_uuid = "0".repeat(32));
        assert!(plan_restore(&manifest(), &other, &[]).other_orchestrator);
    }
}
