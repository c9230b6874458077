//! One request's way through the gateway, recorded once when it ends.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;

use super::access::{Ended, Entry};
use super::gate::Pass;
use super::ids::Ids;
use super::intake::Held;
use super::patience::Patience;
use super::table::{Route, Table};
use super::worker::Worker;
use crate::control::observe::Counts;
use crate::orchestrator::metrics::Outcome;

/// What is known of a request while it is under way. Dropping it records it.
///
/// Its time begins when the head has been read, and ends when the answer's last byte was handed
/// on. A request whose client went away before the answer has a latency, no status, and is no
/// error: nothing was wrong with the service, and if it was slow, the latency says so.
#[derive(Debug)]
pub(super) struct Trip {
    worker: Rc<Worker>,
    /// What the client's connection is waited for, when this request has ended.
    patience: Patience,
    began: Duration,
    route: Arc<str>,
    arm: Arc<str>,
    status: Option<StatusCode>,
    /// Whether the upstream broke off in the middle of the answer.
    cut: bool,
    pub(super) ids: Ids,
    /// Where the access log wants to know of it.
    pub(super) asked: Option<Box<Entry>>,
    pub(super) counts: Counts,
    /// An event's place among those in flight.
    pub(super) pass: Option<Pass>,
    /// An event's place in memory.
    pub(super) held: Option<Held>,
}

impl Trip {
    /// Begins at the route for everything else, with the gateway itself as its arm.
    pub(super) fn begin(worker: &Rc<Worker>, table: &Table, patience: Patience) -> Self {
        patience.answering();
        let began = worker.plane.clock.boot();
        worker.shard.begun();
        Self {
            patience,
            ids: Ids::new(table.tracing, &worker.namer, worker.plane.wall_ms_at(began)),
            asked: None,
            began,
            worker: Rc::clone(worker),
            route: Arc::clone(&table.other().name),
            arm: Arc::clone(&table.gateway_arm),
            status: None,
            cut: false,
            counts: Counts::default(),
            pass: None,
            held: None,
        }
    }

    pub(super) fn on(&mut self, route: &Route) {
        self.route = Arc::clone(&route.name);
    }

    /// Says who is asked.
    pub(super) fn ask(&mut self, arm: &Arc<str>) {
        self.arm = Arc::clone(arm);
    }

    pub(super) fn answer(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    pub(super) fn cut(&mut self) {
        self.cut = true;
    }
}

impl Drop for Trip {
    fn drop(&mut self) {
        let plane = &self.worker.plane;
        let took = plane.clock.boot().saturating_sub(self.began);
        let outcome = Outcome {
            route: &self.route,
            arm: &self.arm,
            status: self.status.map(|status| status.as_u16()),
            error: self.cut || self.status.is_some_and(|status| status.is_server_error()),
            latency: took,
            counts: self.counts,
        };
        self.worker.shard.record(&outcome, plane.now_ms());
        self.worker.shard.ended();
        if let Some(asked) = &self.asked {
            let Self { ids, route, arm, status, cut, .. } = &*self;
            asked.log(&Ended { ids, route, arm, status: *status, cut: *cut, took });
        }
        self.patience.rest();
    }
}
