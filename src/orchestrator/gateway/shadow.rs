//! Shadow traffic: a small sample of reads is answered by both paths, to see whether they say the
//! same.
//!
//! What the enhanced path answered, a cache or a canary, is compared with the legacy app. What the
//! legacy app answered is compared with the canary, while there is one: at a weight of 0 it takes
//! no traffic, and shows what it would say.
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
use super::ids::Ids;
use super::table::{Table, Upstream};
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
    /// Who is asked besides the one who answered.
    other: Arc<Upstream>,
    _under_way: UnderWay,
}

struct UnderWay(Rc<Cell<usize>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Copy {
    /// Takes a read that `other` does not answer into the sample, if it is its turn and there is
    /// room.
    pub(super) fn sample(
        worker: &Rc<Worker>,
        table: &Arc<Table>,
        other: &Arc<Upstream>,
        parts: &Parts,
    ) -> Option<Self> {
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
            other: Arc::clone(other),
            _under_way: UnderWay(Rc::clone(under_way)),
        })
    }

    /// Asks the other path in the background, and the legacy app once more where the two differ;
    /// then notes what that shows.
    pub(super) fn compare(self, route: Arc<str>, status: StatusCode, body: Bytes) {
        tokio::task::spawn_local(async move {
            let given = (status.as_u16(), body);
            let Some(parity) = self.parity(given).await else { return };
            let plane = &self.worker.plane;
            let shadow_equal = u64::from(parity.is_equal());
            let counts = Counts { shadow_compared: 1, shadow_equal, ..Counts::default() };
            self.worker.shard.count(counts, plane.now_ms());
            let target = self.parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
            plane.parity.note(&route, target, &rfc3339(plane.clock.wall()), &parity);
        });
    }

    /// What both paths say; `None` when one of them gives no whole answer.
    async fn parity(&self, given: (u16, Bytes)) -> Option<Parity> {
        let other = self.ask(&self.other).await?;
        if given == other {
            return Some(Parity::default());
        }
        let again = self.ask(&self.table.legacy).await?;
        let by_legacy = !Arc::ptr_eq(&self.other, &self.table.legacy);
        let (enhanced, legacy) = if by_legacy { (&other, &given) } else { (&given, &other) };
        Some(parity::judge(&said(enhanced), [&said(legacy), &said(&again)]))
    }

    /// Sends the copy to one side; `None` when there is no whole answer.
    async fn ask(&self, upstream: &Upstream) -> Option<(u16, Bytes)> {
        let request = Request::from_parts(self.parts.clone(), Outgoing::whole(Bytes::new()));
        let (owed, ids) = (Owed::default(), Ids::kept(&self.parts.headers));
        let sent = forward(&self.worker, upstream, false, request, &owed, &ids);
        let exchange = sent.await.ok()?;
        let status = exchange.head.status.as_u16();
        Some((status, exchange.collect(MAX_BODY).await?))
    }
}

fn said((status, body): &(u16, Bytes)) -> Said<'_> {
    Said { status: *status, body }
}
