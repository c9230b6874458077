//! Which way a plain request goes: the same decisions as in `proxy` and `event`, for those
//! configurations in which they come down to sending it on.
//!
//! The law: whatever this file does not know of is for the general path. A share that the dice
//! decide is not asked here unless the answer is final, because the general path would throw them
//! again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::event;
use super::super::gate::Pass;
use super::super::refusal::Refusal;
use super::super::table::{Route, Table, Upstream};
use super::super::worker::Worker;
use super::head::Plain;
use crate::control::config::{CacheMode, InboxMode, Mode, RouteKind};
use crate::orchestrator::flags::Key;
use crate::orchestrator::split::Split;
use crate::units::Percent;

/// Where a request goes.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) upstream: Arc<Upstream>,
    /// Who takes it when that one cannot be reached.
    pub(super) instead: Option<Arc<Upstream>>,
    /// Whether it is an event that the own processor takes, and its place among those.
    pub(super) own: Option<Pass>,
    /// Whether it is an event that is passed on as it came.
    pub(super) legacy: bool,
}

/// Decides on a request for `route`: a way, a refusal, or `None` for the general path.
pub(super) fn decide(
    worker: &Worker,
    table: &Table,
    route: &Route,
    plain: &Plain<'_, '_>,
) -> Option<Result<Way, Refusal>> {
    let sticky = route.sticky().and_then(|name| plain.first(name.as_str()));
    let key = Key::from_value(sticky);
    let canaries = table.canary.as_ref().map(Split::to);
    let closed = [&table.legacy].into_iter().chain(canaries).all(|up| up.breaker.is_closed());
    if !table.pooling.settled(key)? || !closed || table.limited {
        return None;
    }
    let mut own = None;
    let event = route.kind == Some(RouteKind::Event) && plain.method == "POST";
    let mine = event && (table.mode == Mode::Enhanced || table.enhanced.settled(key)?);
    if mine {
        let stored = table.inbox.mode != InboxMode::Off && table.storing.settled(key)?;
        let kept = table.cache_mode == CacheMode::Write && table.caching.settled(key)?;
        let handler = route.platform.and_then(|platform| table.extensions.get(&platform));
        let extended = handler.is_some() && table.extending.settled(key)?;
        let sheds = worker.plane.shed() != Percent::ZERO;
        if sheds || stored || kept || extended || plain.body.len() > route.max_body {
            return None;
        }
        if let Err(refusal) = event::check(worker, &route.signing, plain, plain.body) {
            return Some(Err(refusal));
        }
        let workers = worker.plane.workers.load(Ordering::Relaxed);
        own = Some(worker.gate.enter_now(workers, worker.gates)?);
    } else if route.kind == Some(RouteKind::Read) {
        let kept = route.cache && table.cache_mode != CacheMode::Off;
        // A write outdates what others are given, whoever writes.
        let writes = !matches!(plain.method, "GET" | "HEAD" | "OPTIONS");
        let cached = kept && (writes || table.caching.settled(key)?);
        if cached || (route.shadow && table.canary.is_some()) {
            return None;
        }
    }
    let canary = table.canary.as_ref().and_then(|canary| canary.side(key));
    let upstream = Arc::clone(canary.unwrap_or(&table.legacy));
    let instead =
        (mine && table.legacy_fallback && canary.is_some()).then(|| Arc::clone(&table.legacy));
    Some(Ok(Way { upstream, instead, own, legacy: event && !mine }))
}
