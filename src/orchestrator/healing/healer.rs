//! The hands of self-healing: gathers, has it decided, does it and puts it on record.

use std::sync::Arc;
use std::time::Duration;

use super::{Action, Evidence, Intervention, Memory, Pace, decide};
use crate::clock::rfc3339;
use crate::control::config::{Config, HealingMode};
use crate::control::observe::{Check, Escalation, Overrides};
use crate::orchestrator::control::server::Shared;
use crate::orchestrator::plane::Plane;
use crate::orchestrator::scaling;

/// Self-healing, as the health thread runs it.
#[derive(Debug, Default)]
pub struct Healer {
    memory: Memory,
    /// The revision in force and the mode at the last look, and since when.
    seen: Option<(u64, HealingMode)>,
    since_ms: u64,
}

impl Healer {
    /// Looks once. `waited` is the longest wait for a worker since the look before.
    pub fn look(&mut self, shared: &Shared, checks: &[Check], waited: Duration) {
        let plane = &shared.plane;
        let active = Arc::clone(&plane.active());
        let config = &active.config;
        if !config.heals() {
            return self.forget(shared);
        }
        let mode = config.healing.mode;
        if self.seen.is_some_and(|(_, before)| before != mode) {
            // What was only named was not done.
            self.forget(shared);
        }
        if self.seen.is_none_or(|(rev, _)| rev != active.rev) {
            self.since_ms = plane.now_ms();
        }
        self.seen = Some((active.rev, mode));
        let evidence = Evidence {
            checks: checks.to_vec(),
            queue_delay: waited,
            can_grow: scaling::can_grow(config, plane),
            ..Evidence::gather(plane, &config.healing, self.since_ms)
        };
        let pace = Pace::of(&config.healing, plane.tempo);
        let due = decide(plane.clock.boot(), &pace, config, &evidence, &mut self.memory);
        let perform = mode == HealingMode::Recover;
        for intervention in &due {
            if perform {
                self.perform(intervention, shared, config);
            }
            record(intervention, shared, perform);
        }
        if perform {
            // Also where a revision has come into force in between.
            if plane.overrides() != self.memory.standing {
                plane.set_aside(&self.memory.standing);
            }
            shared.vitals.keep_escalated(|what| self.memory.escalated().any(|told| told == what));
        }
    }

    /// Gives back everything, because nobody heals any more.
    pub fn forget(&mut self, shared: &Shared) {
        if !shared.plane.overrides().is_none() {
            shared.plane.set_aside(&Overrides::default());
        }
        if self.seen.take().is_some() {
            shared.plane.breakers.release();
        }
        shared.vitals.keep_escalated(|_| false);
        self.memory = Memory::default();
    }

    fn perform(&self, intervention: &Intervention, shared: &Shared, config: &Config) {
        let plane: &Plane = &shared.plane;
        match &intervention.action {
            Action::RebuildPool { .. } => plane.rebuild_pools(),
            Action::RestartExtension { extension } => {
                if !plane.extensions.restart(extension) {
                    tracing::warn!(extension, "it cannot be restarted here");
                }
            }
            Action::OpenBreaker { upstream } => {
                plane.breakers.force_open(upstream, plane.clock.boot(), config.breaker.open_for);
            }
            Action::WithdrawCanary { .. }
            | Action::FallBack { .. }
            | Action::GiveBack { .. }
            | Action::ShedLoad { .. }
            | Action::Admit { .. } => plane.set_aside(&self.memory.standing),
            Action::Escalate { what } => shared.vitals.escalate(Escalation {
                at: rfc3339(plane.clock.wall()),
                what: what.clone(),
                because: intervention.because.clone(),
            }),
        }
    }
}

fn record(intervention: &Intervention, shared: &Shared, performed: bool) {
    let Intervention { action, because } = intervention;
    let action = action.to_string();
    tracing::warn!(action, because, performed, "self-healing");
    let at_ms = shared.plane.clock.wall().timestamp_millis();
    let recorded =
        shared.desk.with_store(|store| store.record_healing(at_ms, &action, because, performed));
    if let Err(error) = recorded {
        tracing::error!(%error, "an action of self-healing is not on record");
    }
}
