//! Judging the guards and canaries that are armed, by the orchestrator itself, whether or not
//! anybody watches.
//!
//! Each guard is judged at the end of its own samples, which never overlap and begin anew whenever
//! another revision comes into force ([`watch`]), with the code that ctx judges by; a canary on all
//! that it has served since its share changed ([`canary`]), and by nobody else. The loop
//! ([`run()`]) has a thread of its own, waits for exactly the next look, and sleeps while nothing
//! is armed. A breach goes to the desk at once.

mod canary;
mod run;
mod watch;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use self::run::run;
use self::watch::Watch;
use super::control::core::Arming;
use crate::control::armed::{CanaryLook, GuardLook};
use crate::ids::{GuardId, PhaseId, RunId};

/// The last looks, for whoever asks.
#[derive(Debug, Default)]
pub struct Board(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    of: Option<(RunId, PhaseId)>,
    /// The revision that was in force at the last look.
    rev: u64,
    looks: Vec<GuardLook>,
    canary: Option<CanaryLook>,
    breaches: BTreeMap<GuardId, u32>,
}

impl Board {
    /// The last look at each armed guard while `rev` is in force: whether a guard has held is
    /// about this revision only.
    pub fn looks(&self, arming: &Arming, rev: u64) -> Vec<GuardLook> {
        let seen = self.lock();
        if !seen.is_of(arming) {
            return Vec::new();
        }
        let look =
            |look: &GuardLook| GuardLook { held: look.held && seen.rev == rev, ..look.clone() };
        seen.looks.iter().map(look).collect()
    }

    /// The last look at the canary while `rev` is in force.
    pub fn canary(&self, arming: &Arming, rev: u64) -> Option<CanaryLook> {
        let seen = self.lock();
        seen.canary.clone().filter(|_| seen.is_of(arming) && seen.rev == rev)
    }

    /// Consecutive breaches of each armed guard.
    pub fn breaches(&self, arming: &Arming) -> BTreeMap<GuardId, u32> {
        let seen = self.lock();
        if seen.is_of(arming) { seen.breaches.clone() } else { BTreeMap::new() }
    }

    fn put(&self, watch: &Watch) {
        *self.lock() = Seen {
            of: Some((watch.run().clone(), watch.phase().clone())),
            rev: watch.rev(),
            looks: watch.looks(),
            canary: watch.canary(),
            breaches: watch.breaches(),
        };
    }

    fn clear(&self) {
        *self.lock() = Seen::default();
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn is_of(&self, arming: &Arming) -> bool {
        self.of.as_ref().is_some_and(|(run, phase)| *run == arming.run && *phase == arming.phase)
    }
}
