//! What the orchestrator answered, if it was asked and did; every part of it may be missing.

use super::model::{Measured, Orchestrator};
use super::words;
use crate::clock::WallMs;
use crate::control::armed::GuardsView;
use crate::control::observe::{Health, Metrics, Overrides, Status};
use crate::control::wire::{Provisional, State};
use crate::judge::Metric;
use crate::units::Percent;

/// What the orchestrator answered.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// When it answered, on the caller's wall clock.
    pub at_ms: WallMs,
    pub state: Option<State>,
    pub metrics: Option<Metrics>,
    pub health: Option<Health>,
    /// The guards that it holds itself, and its last look at each.
    pub guards: Option<GuardsView>,
}

impl Live {
    /// The orchestrator for the report; `None` if it did not say where it stands.
    pub fn orchestrator(&self) -> Option<Orchestrator> {
        let state = self.state.as_ref()?;
        Some(Orchestrator {
            version: state.version.clone(),
            revision: state.head,
            confirmed: state.confirmed,
            provisional: self.fate(),
            health: self.health_word(),
            failing: self.failing(),
        })
    }

    /// `healthy`, `unhealthy` or `unknown`.
    pub fn health_word(&self) -> &'static str {
        match self.health.as_ref().map(|health| health.status) {
            Some(Status::Healthy) => "healthy",
            Some(Status::Unhealthy) => "unhealthy",
            Some(Status::Unknown) | None => "unknown",
        }
    }

    /// What self-healing could not cure, the checks that do not pass, and what is set aside
    /// meanwhile; the gravest first.
    pub fn failing(&self) -> Vec<String> {
        let Some(health) = &self.health else { return Vec::new() };
        let told = health.escalated.iter();
        let told = told.map(|told| format!("self-healing does not help {}", told.what));
        let failing = health.checks.iter().filter(|check| check.status == Status::Unhealthy);
        let failing = failing.map(|check| format!("{}: {}", check.name, check.detail));
        let Overrides { left_out, canary_withdrawn, shed } = &health.overrides;
        let out = left_out.iter().map(|id| format!("self-healing leaves out extension {id}"));
        let canary = canary_withdrawn.iter();
        let canary = canary.map(|name| format!("self-healing keeps canary {name} at 0%"));
        let shed =
            (*shed != Percent::ZERO).then(|| format!("self-healing refuses {shed} of new events"));
        told.chain(failing).chain(out).chain(canary).chain(shed).collect()
    }

    /// Every metric that has a value now.
    pub fn performance(&self) -> Vec<Measured> {
        let (Some(metrics), Some(health)) = (&self.metrics, &self.health) else {
            return Vec::new();
        };
        let measured = |(metric, name, unit): (Metric, &'static str, crate::judge::Unit)| {
            let reading = metric.read(metrics, health);
            let value = reading.value.filter(|value| value.is_finite())?;
            Some(Measured {
                metric: name,
                value,
                text: unit.format(value),
                samples: reading.samples,
            })
        };
        Metric::ALL.into_iter().filter_map(measured).collect()
    }

    /// What becomes of the provisional revision, in one sentence.
    pub fn fate(&self) -> Option<String> {
        let state = self.state.as_ref()?;
        let Provisional { rev, reverts_to, deadline_in_ms, .. } = state.provisional.as_ref()?;
        let lease = state.lease.as_ref().map(|lease| lease.expires_in_ms);
        let at = |ms: u64| {
            words::time_of_day(self.at_ms.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX)))
        };
        let revision = format!("revision {rev} reverts to revision {reverts_to}");
        Some(match (deadline_in_ms, lease) {
            (Some(ms), _) => format!("{revision} at {} unless confirmed", at(*ms)),
            (None, Some(ms)) => {
                format!("{revision} at {} unless the lease is renewed", at(ms))
            }
            (None, None) => format!("{revision} unless confirmed; nobody holds the lease"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::observe::{Check, Escalation};

    #[test]
    fn what_needs_a_person_comes_first() {
        let check = Check {
            name: "upstream legacy".to_owned(),
            status: Status::Unhealthy,
            detail: "status 503".to_owned(),
            at: String::new(),
        };
        let escalation = Escalation {
            at: String::new(),
            what: "upstream legacy".to_owned(),
            because: "status 503".to_owned(),
        };
        let overrides = Overrides {
            left_out: vec!["linear".to_owned()],
            canary_withdrawn: Some("next".to_owned()),
            shed: Percent::whole(20),
        };
        let health = Health {
            checks: vec![check],
            escalated: vec![escalation],
            overrides,
            ..Health::default()
        };
        let failing = Live { health: Some(health), ..Live::default() }.failing();
        assert_eq!(
            failing,
            [
                "self-healing does not help upstream legacy",
                "upstream legacy: status 503",
                "self-healing leaves out extension linear",
                "self-healing keeps canary next at 0%",
                "self-healing refuses 20% of new events",
            ]
        );
    }
}
