//! What can be wrong with a ledger, and at which entry.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// The entry is not the one that was written here.
    Changed { seq: i64 },
    /// Entries are missing; the first and the last one.
    Removed { first: i64, last: i64 },
    /// An entry stands where there can be none: before the first, or after the head.
    Inserted { seq: i64 },
    /// The head is not the last entry.
    Head { says: u64, found: u64 },
    /// The head's hash is not that of the last entry.
    HeadHash { seq: u64 },
    /// The entry is as it was written, but this ctx cannot read it.
    Unreadable { seq: i64, why: String },
    /// A table, an index or a trigger is not the one that ctx makes.
    Schema { name: String },
    /// A derived table is not what the entries come to.
    Derived { table: String, row: String },
    /// SQLite finds the file itself broken.
    Storage { detail: String },
}

impl Fault {
    /// The number of the entry that the fault is at, where it is at one.
    pub fn seq(&self) -> Option<i64> {
        match self {
            Self::Changed { seq } | Self::Inserted { seq } | Self::Unreadable { seq, .. } => {
                Some(*seq)
            }
            Self::Removed { first, .. } => Some(*first),
            Self::Head { says: seq, .. } | Self::HeadHash { seq } => i64::try_from(*seq).ok(),
            Self::Schema { .. } | Self::Derived { .. } | Self::Storage { .. } => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { seq } => write!(
                f,
                "entry {seq} is not the one that was written: its time, run, kind, body, hash or \
                 place was changed"
            ),
            Self::Removed { first, last } if first == last => write!(f, "entry {first} is missing"),
            Self::Removed { first, last } => write!(f, "entries {first} to {last} are missing"),
            Self::Inserted { seq } => {
                write!(f, "entry {seq} was inserted: ctx never wrote an entry there")
            }
            Self::Head { says, found } => {
                write!(f, "the head says {says}, but the last entry is {found}")
            }
            Self::HeadHash { seq } => write!(f, "the head's hash is not that of entry {seq}"),
            Self::Unreadable { seq, why } => write!(f, "entry {seq} cannot be read: {why}"),
            Self::Schema { name } => write!(f, "`{name}` is not as ctx made it"),
            Self::Derived { table, row } => {
                write!(f, "table `{table}` is not what the entries come to, at {row}")
            }
            Self::Storage { detail } => f.write_str(detail),
        }
    }
}
