//! The phase whose guards are armed: at most one, durable, with the content that a breach brings
//! back; and what people ask of its run.
//!
//! Laws: a trip is final until the guards are disarmed or armed anew; after a trip the content in
//! force is the target's, and nothing is provisional; while guards are armed, no other run
//! changes the configuration.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::draft::About;
use super::{Content, Core, Draft, Now, Refusal, Transition, Write};
use crate::control::armed::{
    ArmRequest, Armed, ArmedCanary, ArmedGuard, Ask, AskRequest, AskResult, Asked, MAX_RECORD,
    Tripped,
};
use crate::control::wire::{AuditKind, Fence, ProblemCode, RevisionStatus};
use crate::error::count;
use crate::ids::{GuardId, PhaseId, PlanName, RunId};
use crate::judge;
use crate::rules::{Rule, holds};

/// The most guards of a phase, and the most canaries.
const MAX_GUARDS: usize = 64;

/// An armed phase as the store holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Arming {
    pub run: RunId,
    pub plan: PlanName,
    pub phase: PhaseId,
    /// What a breach brings back.
    pub target: Content,
    pub guards: Arc<[ArmedGuard]>,
    pub canaries: Arc<[ArmedCanary]>,
    /// The first fact of the run; see [`ArmRequest::record`].
    pub record: Arc<str>,
    pub tripped: Option<Tripped>,
    pub asked: Option<Asked>,
}

/// Why a phase is taken back.
#[derive(Clone, Debug)]
pub enum Cause {
    /// A guard was breached, or a canary is worse; the sentence has both numbers.
    Breach { guard: Option<GuardId>, why: String },
    /// A person has asked for it.
    Abort(AskRequest),
}

impl Arming {
    /// As `GET /v1/state` shows it.
    pub fn view(&self) -> Armed {
        Armed {
            run: self.run.clone(),
            plan: self.plan.clone(),
            phase: self.phase.clone(),
            target: self.target.rev,
            target_hash: self.target.hash.clone(),
            guards: self.guards.to_vec(),
            canaries: self.canaries.to_vec(),
            tripped: self.tripped.clone(),
            asked: self.asked.clone(),
        }
    }

    /// Whether it was armed by the same request.
    fn is(&self, run: &RunId, request: &ArmRequest) -> bool {
        self.run == *run
            && self.plan == request.plan
            && self.phase == request.phase
            && *self.guards == *request.guards
            && *self.canaries == *request.canaries
            && *self.record == *request.record
    }
}

impl Core {
    /// The phase whose guards are armed.
    pub fn armed(&self) -> Option<&Arc<Arming>> {
        self.armed.as_ref()
    }

    /// Arms the guards of a phase; the target is the confirmed revision. The same again changes
    /// nothing, also when a change is in flight by then.
    ///
    /// # Errors
    /// In this order: a value out of range, stale fence, other guards armed, provisional exists.
    pub fn arm(
        &self,
        now: Now,
        fence: &Fence,
        request: &ArmRequest,
    ) -> Result<Transition<Armed>, Refusal> {
        check(request)?;
        let run = self.holder(now, fence)?.run.clone();
        let mut draft = Draft::new(self, now);
        match &draft.core.armed {
            Some(armed) if armed.is(&run, request) => {
                let view = armed.view();
                return Ok(draft.finish(view));
            }
            Some(armed) if armed.tripped.is_none() || armed.run == run => {
                return Err(armed.in_flight());
            }
            _ => {}
        }
        draft.core.no_provisional()?;
        let arming = Arc::new(Arming {
            run: run.clone(),
            plan: request.plan.clone(),
            phase: request.phase.clone(),
            target: draft.core.confirmed.clone(),
            guards: request.guards.clone().into(),
            canaries: request.canaries.clone().into(),
            record: request.record.as_str().into(),
            tripped: None,
            asked: None,
        });
        let canaries = match request.canaries.len() {
            0 => String::new(),
            some => format!(" and {}", count(some, "canary")),
        };
        let detail = format!(
            "{}{canaries} of phase {} of plan {}; a breach brings the content of revision {} back",
            count(request.guards.len(), "guard"),
            request.phase,
            request.plan,
            arming.target.rev
        );
        let view = arming.view();
        draft.write(Write::Arm(Arc::clone(&arming)));
        draft.core.armed = Some(arming);
        let about = About { run: Some(&run), fence: Some(fence.counter), key: None };
        draft.audit(AuditKind::Arm, &about, detail);
        Ok(draft.finish(view))
    }

    /// Disarms: a run its own guards, or those of anybody that were tripped. Nothing armed is
    /// nothing to do. `taken_back` says that the run knows of a trip of its own phase.
    ///
    /// # Errors
    /// In this order: stale fence, the guards of another run, tripped. The last only where the
    /// caller does not say that it knows: a run must not end as done when it was taken back.
    pub fn disarm(
        &self,
        now: Now,
        fence: &Fence,
        taken_back: bool,
    ) -> Result<Transition<()>, Refusal> {
        let run = self.holder(now, fence)?.run.clone();
        let mut draft = Draft::new(self, now);
        let Some(armed) = draft.core.armed.clone() else { return Ok(draft.finish(())) };
        if armed.run != run && armed.tripped.is_none() {
            return Err(armed.in_flight());
        }
        if armed.run == run && armed.tripped.is_some() && !taken_back && holds(Rule::KnownTrip) {
            return Err(armed.tripped_already());
        }
        draft.core.armed = None;
        draft.write(Write::Disarm);
        let about = About { run: Some(&run), fence: Some(fence.counter), key: None };
        let detail = format!("the guards of phase {} of run {}", armed.phase, armed.run);
        draft.audit(AuditKind::Disarm, &about, detail);
        Ok(draft.finish(()))
    }

    /// Takes an armed phase back: the target's content is in force afterwards. No writes when it
    /// was taken back already, or when `phase` of `run` is not armed any more.
    pub fn trip(&self, now: Now, run: &RunId, phase: &PhaseId, cause: Cause) -> Transition<()> {
        let mut draft = Draft::new(self, now);
        let armed = draft.core.armed.as_ref();
        if armed.is_some_and(|armed| armed.run == *run && armed.phase == *phase) {
            draft.trip(cause);
        }
        draft.finish(())
    }

    /// Does what a person asks of a run, or leaves it for the holder of the run's lease.
    ///
    /// # Errors
    /// In this order: a value out of range, not found, tripped, not provisional.
    pub fn ask(&self, now: Now, request: &AskRequest) -> Result<Transition<AskResult>, Refusal> {
        check_ask(request)?;
        let mut draft = Draft::new(self, now);
        let armed = draft.core.armed.clone().filter(|armed| armed.run == request.run);
        let Some(armed) = armed else {
            return Err(Refusal::new(
                ProblemCode::NotFound,
                format!("no phase of run {} is in flight", request.run),
            ));
        };
        let attended = draft.core.lease.as_ref().filter(|lease| lease.run == armed.run).cloned();
        let (done, detail) = match request.ask {
            Ask::Abort => (true, draft.trip(Cause::Abort(request.clone()))),
            _ if armed.tripped.is_some() => return Err(armed.tripped_already()),
            Ask::Confirm if attended.is_none() && draft.core.pending.is_none() => {
                return Err(Refusal::new(
                    ProblemCode::NotProvisional,
                    format!("nothing of run {} is provisional", armed.run),
                ));
            }
            ask => {
                let asked = Asked {
                    ask,
                    by: request.by.clone(),
                    host: request.host.clone(),
                    reason: request.reason.clone(),
                };
                let about = About { run: Some(&armed.run), ..About::default() };
                draft.audit(AuditKind::Ask, &about, asked_for(&asked));
                if let Some(lease) = attended {
                    draft.set_armed(Arming { asked: Some(asked), ..Arming::clone(&armed) });
                    let who = format!("{}@{}, process {}", lease.holder, lease.host, lease.pid);
                    (false, format!("asked {who}, which drives the run"))
                } else {
                    (true, draft.carry_out(&asked))
                }
            }
        };
        let rev = draft.core.head().rev;
        Ok(draft.finish(AskResult { done, detail, rev }))
    }

    /// Whether `run` may put content with this hash in force, as far as armed guards go.
    pub(super) fn not_guarded_against(&self, run: &RunId, hash: &str) -> Result<(), Refusal> {
        match &self.armed {
            Some(armed)
                if armed.tripped.is_none() && armed.run != *run && holds(Rule::OnePhase) =>
            {
                Err(armed.in_flight())
            }
            Some(armed)
                if holds(Rule::TripIsFinal)
                    && armed.tripped.is_some()
                    && armed.run == *run
                    && armed.target.hash != hash =>
            {
                Err(armed.tripped_already())
            }
            _ => Ok(()),
        }
    }
}

impl Arming {
    fn in_flight(&self) -> Refusal {
        let Self { phase, plan, run, .. } = self;
        Refusal::new(
            ProblemCode::GuardsArmed,
            format!("phase {phase} of plan {plan} is in flight: its guards are armed by run {run}"),
        )
    }

    fn tripped_already(&self) -> Refusal {
        let why = self.tripped.as_ref().map_or("", |tripped| &tripped.why);
        Refusal::new(
            ProblemCode::Tripped,
            format!("phase {} of run {} was taken back: {why}", self.phase, self.run),
        )
    }
}

impl Draft {
    /// Puts the target's content back in force, and says so for good. Returns what happened.
    fn trip(&mut self, cause: Cause) -> String {
        let Some(armed) = self.core.armed.clone() else { return "nothing is armed".to_owned() };
        if let Some(tripped) = &armed.tripped {
            return format!("it was taken back before: {}", tripped.why);
        }
        let (kind, guard, why) = match cause {
            Cause::Breach { guard, why } => (AuditKind::Breach, guard, why),
            Cause::Abort(ask) => {
                let AskRequest { by, host, reason, .. } = ask;
                let reason = reason.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
                (AuditKind::Abort, None, format!("aborted by {by}@{host}{reason}"))
            }
        };
        let target = &armed.target;
        let pending = self.core.pending.take();
        let head = pending.as_ref().map_or(self.core.confirmed.rev, |pending| pending.content.rev);
        if let Some(pending) = &pending {
            let rev = pending.content.rev;
            self.write(Write::Status { rev, status: RevisionStatus::Reverted });
        }
        let named = guard.as_ref().map(|guard| format!("guard {guard}: ")).unwrap_or_default();
        let detail = if pending.is_some() || self.core.confirmed.hash != target.hash {
            let text = format!("{named}{why}; the content of revision {} is back", target.rev);
            let content = if holds(Rule::TripRestores) { target } else { &self.core.confirmed };
            let back = Content { rev: head + 1, ..content.clone() };
            self.confirm_content(back, Some(armed.run.clone()), text.clone());
            text
        } else {
            format!("{named}{why}; the content of revision {} was in force", target.rev)
        };
        let tripped = Tripped { guard, why, rev: self.core.head().rev, at_ms: self.now.wall_ms };
        self.set_armed(Arming { tripped: Some(tripped), asked: None, ..Arming::clone(&armed) });
        let about = About { run: Some(&armed.run), ..About::default() };
        self.audit(kind, &about, detail.clone());
        detail
    }

    /// Does what was asked, where nobody holds the run's lease.
    fn carry_out(&mut self, asked: &Asked) -> String {
        let who = format!("asked for by {}@{}", asked.by, asked.host);
        match asked.ask {
            Ask::Pause => match self.revert(&About::default(), &who) {
                Some(rev) => format!("revision {rev} was taken back; `ctx resume` goes on"),
                None => "nothing was provisional; `ctx resume` goes on".to_owned(),
            },
            Ask::Confirm => {
                let Some(pending) = self.core.pending.take() else {
                    return "nothing was provisional".to_owned();
                };
                let rev = pending.content.rev;
                self.write(Write::Status { rev, status: RevisionStatus::Confirmed });
                self.core.predecessor = Some(self.core.confirmed.rev);
                self.core.confirmed = pending.content;
                let about = About { run: Some(&pending.run), ..About::default() };
                self.audit(AuditKind::Confirm, &about, format!("{}; {who}", pending.reason));
                format!("revision {rev} is confirmed")
            }
            Ask::Abort => "nothing is left to do".to_owned(),
        }
    }

    /// A run's lease has ended with something asked of it: nobody is left to do it, so it is done
    /// here.
    pub(super) fn settle_asked(&mut self, run: &RunId) {
        if let Some(asked) = self.forget_asked(run) {
            self.carry_out(&asked);
        }
    }

    /// Takes what was asked of `run` off the list.
    pub(super) fn forget_asked(&mut self, run: &RunId) -> Option<Asked> {
        let armed = self.core.armed.clone().filter(|armed| armed.run == *run)?;
        let asked = armed.asked.clone()?;
        self.set_armed(Arming { asked: None, ..Arming::clone(&armed) });
        Some(asked)
    }

    /// Replaces what is armed by a later state of itself.
    pub(super) fn set_armed(&mut self, arming: Arming) {
        let arming = Arc::new(arming);
        self.write(Write::Rearm(Arc::clone(&arming)));
        self.core.armed = Some(arming);
    }
}

fn asked_for(asked: &Asked) -> String {
    let Asked { ask, by, host, reason } = asked;
    let what = match ask {
        Ask::Confirm => "to keep what is provisional",
        Ask::Pause => "for a pause",
        Ask::Abort => "for an abort",
    };
    let reason = reason.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
    format!("{by}@{host} asked {what}{reason}")
}

fn check(request: &ArmRequest) -> Result<(), Refusal> {
    let bad = |text: String| Err(Refusal::new(ProblemCode::BadRequest, text));
    if request.guards.len() > MAX_GUARDS {
        return bad(format!("`guards` may have at most {MAX_GUARDS} entries"));
    }
    if request.canaries.len() > MAX_GUARDS {
        return bad(format!("`canaries` may have at most {MAX_GUARDS} entries"));
    }
    if request.record.len() > MAX_RECORD {
        return bad(format!("`record` may have at most {MAX_RECORD} bytes"));
    }
    for canary in &request.canaries {
        judge::armed::read_canary(canary).or_else(bad_guard)?;
    }
    let mut ids = BTreeSet::new();
    for guard in &request.guards {
        judge::armed::read(guard).or_else(bad_guard)?;
        if !ids.insert(&guard.id) {
            return bad_guard(format!("guard `{}` is there twice", guard.id));
        }
    }
    Ok(())
}

fn check_ask(request: &AskRequest) -> Result<(), Refusal> {
    let bad = |text: &str| Err(Refusal::new(ProblemCode::BadRequest, text));
    if request.by.chars().count() > 255 || request.host.chars().count() > 255 {
        return bad("`by` and `host` may have at most 255 characters");
    }
    if request.reason.as_ref().is_some_and(|reason| reason.chars().count() > 2000) {
        return bad("`reason` may have at most 2,000 characters");
    }
    Ok(())
}

fn bad_guard<T>(why: String) -> Result<T, Refusal> {
    Err(Refusal::new(ProblemCode::InvalidGuards, why))
}
