//! Dead letters on record: who had them tried again, or deleted them.

use super::draft::About;
use super::{Core, Draft, Now, Refusal, Transition};
use crate::control::inbox::Letters;
use crate::control::wire::{AuditKind, ProblemCode};

/// How many numbers of letters a row names.
const NAMED: usize = 20;

/// What is done with dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Replayed,
    Discarded,
}

impl Core {
    /// Records that `found` dead letters, the ones asked for that exist, are about to be moved.
    /// Returns the number of the row. It needs no lease: nothing about the configuration changes.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn letters(
        &self,
        now: Now,
        letters: &Letters,
        fate: Fate,
        found: u64,
    ) -> Result<Transition<u64>, Refusal> {
        let bad = |text: &str| Err(Refusal::new(ProblemCode::BadRequest, text));
        let Letters { ids, by, host, reason } = letters;
        if by.chars().count() > 255 || host.chars().count() > 255 {
            return bad("`by` and `host` may have at most 255 characters");
        }
        if reason.chars().count() > 2000 {
            return bad("`reason` may have at most 2,000 characters");
        }
        let (kind, what) = match fate {
            Fate::Replayed => (AuditKind::Replay, "tried again"),
            Fate::Discarded => (AuditKind::Discard, "deleted"),
        };
        let noun = if found == 1 { "dead letter" } else { "dead letters" };
        let mut names: Vec<String> = ids.iter().take(NAMED).map(u64::to_string).collect();
        if ids.len() > NAMED {
            names.push(format!("and {} more", ids.len() - NAMED));
        }
        let which = match (names.is_empty(), fate) {
            (true, Fate::Replayed) => "all".to_owned(),
            (true, Fate::Discarded) => "none".to_owned(),
            (false, _) => names.join(", "),
        };
        let who = if by.is_empty() { "somebody unnamed" } else { by };
        let whence = if host.is_empty() { String::new() } else { format!("@{host}") };
        let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        let detail = format!("{found} {noun} ({which}) {what}, asked by {who}{whence}{why}");
        let mut draft = Draft::new(self, now);
        draft.audit(kind, &About::default(), detail);
        let row = draft.core.tip.seq;
        Ok(draft.finish(row))
    }
}
