//! One request's way through the gateway, recorded once when it ends.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;

use super::gate::Pass;
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
        Self {
            patience,
            began: worker.plane.clock.boot(),
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
        let outcome = Outcome {
            route: &self.route,
            arm: &self.arm,
            status: self.status.map(|status| status.as_u16()),
            error: self.cut || self.status.is_some_and(|status| status.is_server_error()),
            latency: plane.clock.boot().saturating_sub(self.began),
            counts: self.counts,
        };
        self.worker.shard.record(&outcome, plane.now_ms());
        self.patience.rest();
    }
}
