//! Shadow traffic: a small sample of reads that somebody else answered is also sent to the legacy
//! app, to see whether it would have said the same.
//!
//! The law: a shadow copy never changes what the client gets, never waits in its way, and never
//! has effects: only reads, only on routes that allow it, marked `Ctx-Shadow: 1`, few at a time.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::{Request, StatusCode};

use super::body::{Outgoing, Owed};
use super::forward::forward;
use super::headers::CTX_SHADOW;
use super::table::Table;
use super::worker::Worker;
use crate::clock::rfc3339;
use crate::control::observe::Counts;
use crate::orchestrator::cache::MAX_BODY;
use crate::orchestrator::parity::{self, Parity, Said};

/// One in so many reads is copied, beginning with the first.
const SAMPLE: u64 = 10;
/// The most copies under way in one worker.
const MAX_UNDER_WAY: usize = 4;

/// What a worker knows of its shadow copies.
#[derive(Debug, Default)]
pub(super) struct Shadow {
    reads: Cell<u64>,
    under_way: Rc<Cell<usize>>,
}

/// A copy that may be sent.
pub(super) struct Copy {
    worker: Rc<Worker>,
    table: Arc<Table>,
    parts: Parts,
    _under_way: UnderWay,
}

struct UnderWay(Rc<Cell<usize>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Copy {
    /// Takes a read into the sample, if it is its turn and there is room.
    pub(super) fn sample(worker: &Rc<Worker>, table: &Arc<Table>, parts: &Parts) -> Option<Self> {
        let Shadow { reads, under_way } = &worker.shadow;
        let turn = reads.replace(reads.get() + 1) % SAMPLE == 0;
        if !turn || under_way.get() >= MAX_UNDER_WAY {
            return None;
        }
        under_way.set(under_way.get() + 1);
        let mut parts = parts.clone();
        parts.headers.insert(CTX_SHADOW, HeaderValue::from_static("1"));
        Some(Self {
            worker: Rc::clone(worker),
            table: Arc::clone(table),
            parts,
            _under_way: UnderWay(Rc::clone(under_way)),
        })
    }

    /// Asks the legacy app in the background, a second time where its answer differs from the one
    /// that the client was given, and notes what that shows.
    pub(super) fn compare(self, route: Arc<str>, status: StatusCode, body: Bytes) {
        tokio::task::spawn_local(async move {
            let Some((first_status, first)) = self.ask().await else { return };
            let given = Said { status: status.as_u16(), body: &body };
            let first = Said { status: first_status, body: &first };
            let parity = if given == first {
                Parity::Equal
            } else {
                let Some((status, again)) = self.ask().await else { return };
                parity::judge(&given, [&first, &Said { status, body: &again }])
            };
            let plane = &self.worker.plane;
            let shadow_equal = u64::from(!matches!(parity, Parity::Different(_)));
            let counts = Counts { shadow_compared: 1, shadow_equal, ..Counts::default() };
            self.worker.shard.count(counts, plane.now_ms());
            let target = self.parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
            plane.parity.note(&route, target, &rfc3339(plane.clock.wall()), &parity);
        });
    }

    /// Sends the copy; `None` when there is no whole answer.
    async fn ask(&self) -> Option<(u16, Bytes)> {
        let request = Request::from_parts(self.parts.clone(), Outgoing::whole(Bytes::new()));
        let (legacy, owed) = (&self.table.legacy, Owed::default());
        let exchange = forward(&self.worker, legacy, false, request, &owed).await.ok()?;
        let status = exchange.head.status.as_u16();
        Some((status, exchange.collect(MAX_BODY).await?))
    }
}
