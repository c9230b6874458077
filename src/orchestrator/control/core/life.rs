//! Birth, boot, and what time does: the transitions that nobody asks for.

use std::sync::Arc;

use super::draft::About;
use super::{Arming, Content, Core, Draft, Life, Now, Pending, Transition, Write};
use crate::control::config::Config;
use crate::control::wire::{Anchor, AuditKind};
use crate::ids::RunId;
use crate::orchestrator::control::audit;
use crate::rules::{Rule, holds};

/// What a store holds of a [`Core`].
#[derive(Clone, Debug)]
pub struct Durable {
    pub uuid: String,
    pub fence: u64,
    pub tip: Anchor,
    pub confirmed: Content,
    pub predecessor: Option<u64>,
    pub interrupted: Option<Interrupted>,
    pub armed: Option<Arming>,
}

/// A provisional revision that a restart has found.
#[derive(Clone, Debug)]
pub struct Interrupted {
    pub content: Content,
    pub run: RunId,
    pub reason: String,
}

/// What is written anew when the legacy app has moved; `None` where it is right already.
#[derive(Clone, Debug)]
pub struct Rebase {
    /// The configuration in force.
    pub head: Option<Config>,
    /// The content that a breach brings back.
    pub target: Option<Config>,
}

impl Core {
    /// The first state of all: `config` as revision 1, confirmed.
    pub fn birth(now: Now, uuid: &str, config: Config, reason: &str) -> Transition<()> {
        let content = Content::new(1, Arc::new(config));
        let core = Self {
            uuid: uuid.to_owned(),
            fence: 0,
            tip: audit::genesis(),
            confirmed: content.clone(),
            predecessor: None,
            pending: None,
            lease: None,
            life: 1,
            armed: None,
        };
        let mut draft = Draft::untimed(&core, now);
        draft.write(Write::Birth { uuid: uuid.to_owned() });
        draft.confirm_content(content, None, reason.to_owned());
        draft.core.predecessor = None;
        draft.audit(AuditKind::Birth, &About::default(), format!("state {uuid}: {reason}"));
        draft.finish(())
    }

    /// A start on an existing store: every lease is void and a provisional revision is reverted.
    /// What is armed stays armed.
    pub fn boot(now: Now, durable: Durable) -> Transition<()> {
        let Durable { uuid, fence, tip, confirmed, predecessor, interrupted, armed } = durable;
        let pending = interrupted.map(|Interrupted { content, run, reason }| Pending {
            content,
            run,
            key: String::new(),
            reason,
            life: Life::Lease,
        });
        let life = tip.seq + 1;
        let armed = armed.map(Arc::new);
        let core =
            Self { uuid, fence, tip, confirmed, predecessor, pending, lease: None, life, armed };
        let mut draft = Draft::untimed(&core, now);
        let detail = "the orchestrator started; every lease is void".to_owned();
        draft.audit(AuditKind::Boot, &About::default(), detail);
        if holds(Rule::RevertOnRestart) {
            draft.revert(&About::default(), "the orchestrator restarted");
        }
        draft.finish(())
    }

    /// Confirms a configuration without anybody's lease: at a start, when the command line moved
    /// the legacy app. The target of an armed phase moves with it: a breach must not point events
    /// at a place that the app has left.
    pub fn rebase(&self, now: Now, rebase: Rebase, reason: &str) -> Transition<()> {
        let mut draft = Draft::new(self, now);
        if let Some(config) = rebase.head {
            let content = Content::new(draft.core.head().rev + 1, Arc::new(config));
            draft.confirm_content(content, None, reason.to_owned());
        }
        if let (Some(config), Some(armed)) = (rebase.target, draft.core.armed.clone()) {
            let target = Content::new(armed.target.rev, Arc::new(config));
            draft.set_armed(Arming { target, ..Arming::clone(&armed) });
        }
        draft.audit(AuditKind::Rebase, &About::default(), reason.to_owned());
        draft.finish(())
    }

    /// Ends a lease and a provisional revision whose time has come; no writes when there are
    /// none.
    pub fn expire(&self, now: Now) -> Transition<()> {
        let mut draft = Draft::untimed(self, now);
        draft.expire();
        draft.finish(())
    }
}
