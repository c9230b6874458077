//! The access log: one line for a request that has ended, for whoever asks for it.
//!
//! Its target is `ctx::access`. At level `debug` it has every request, at `info` one in a hundred
//! of each worker's, beginning with the first; unless it is asked for, a request costs one look at
//! a cached switch. A line has no query and no header, because both carry secrets.

use std::cell::Cell;
use std::time::Duration;

use hyper::StatusCode;
use tracing::Level;

use super::ids::Ids;

/// One in so many requests is in the log at level `info`.
const SAMPLE: u64 = 100;
/// How much of a path is shown.
const SHOWN: usize = 256;

/// Which requests are sampled.
#[derive(Debug, Default)]
pub(super) struct Sampler(Cell<u64>);

/// What was asked for.
#[derive(Debug)]
pub(super) struct Entry {
    method: String,
    path: String,
    peer: String,
    sampled: bool,
}

/// How it ended.
#[derive(Debug)]
pub(super) struct Ended<'a> {
    pub(super) ids: &'a Ids,
    pub(super) route: &'a str,
    pub(super) arm: &'a str,
    pub(super) status: Option<StatusCode>,
    /// Whether the answer broke off.
    pub(super) cut: bool,
    pub(super) took: Duration,
}

impl Entry {
    /// Takes down what a request asks for, if it may be logged when it ends.
    pub(super) fn note(
        method: &str,
        path: &str,
        peer: &[u8],
        Sampler(seen): &Sampler,
    ) -> Option<Box<Self>> {
        if !tracing::enabled!(target: "ctx::access", Level::INFO) {
            return None;
        }
        let sampled = seen.replace(seen.get() + 1) % SAMPLE == 0;
        if !sampled && !tracing::enabled!(target: "ctx::access", Level::DEBUG) {
            return None;
        }
        let path = path.chars().take(SHOWN).collect();
        let (method, peer) = (method.to_owned(), String::from_utf8_lossy(peer).into_owned());
        Some(Box::new(Self { method, path, peer, sampled }))
    }

    /// Writes the line.
    pub(super) fn log(&self, ended: &Ended<'_>) {
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "ctx::access",
                    request_id = ended.ids.request(),
                    trace_id = ended.ids.trace(),
                    method = self.method,
                    path = self.path,
                    peer = self.peer,
                    route = ended.route,
                    arm = ended.arm,
                    status = ended.status.map(|status| status.as_u16()),
                    cut = ended.cut,
                    took_us = u64::try_from(ended.took.as_micros()).unwrap_or(u64::MAX),
                    "request"
                )
            };
        }
        if self.sampled {
            line!(info);
        } else {
            line!(debug);
        }
    }
}
