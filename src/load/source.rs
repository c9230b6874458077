//! What the load generator sends next.

use bytes::Bytes;
use hyper::{HeaderMap, Method};

/// One request, ready to be sent, and what should come back.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub method: Method,
    /// With a leading `/`, and the query if there is one.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The status that the sender counts as right.
    pub expect: u16,
    /// What an observer is told about it: the delivery id, for an event that somebody must handle.
    pub delivery: Option<String>,
}

/// An endless supply of requests.
///
/// Called once per request, at the moment it is due, on the thread that sends: it should take
/// microseconds, and must not block.
pub trait Source: Send {
    fn next(&mut self) -> Outgoing;
}
