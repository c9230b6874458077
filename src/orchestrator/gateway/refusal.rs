//! Answers that the gateway gives by itself: short, plain, and silent about what is behind it.

use std::io::Write;

use bytes::Bytes;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};

use super::answer::Answer;
use super::fastpath::push;
use super::ids::{ID_LEN, Ids, X_REQUEST_ID};
use super::trip::Trip;

/// Why the gateway answers by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The request could be read in two ways.
    BadRequest,
    /// The request's target is longer than anybody needs.
    LongTarget,
    /// The request's head is larger than anybody needs.
    LargeHead,
    /// The client stopped sending in the middle of a body.
    Stalled,
    /// The upstream could not be reached, or broke off before it answered.
    Upstream,
    /// The upstream did not answer in time.
    TimedOut,
    /// The event is not proven to come from its platform. The answer says no more than that.
    Unverified,
    /// The event's signature ought to be checked, and the secret for it cannot be had.
    Unverifiable,
    /// The body is larger than its platform sends them.
    TooLarge,
    /// Too many events are in flight or waiting, or take too much memory.
    Overloaded,
    /// The upstream's breaker is open.
    Broken,
    /// The extension that takes the event does not run.
    NotRunning,
    /// The upstream has as many connections as it may have.
    Crowded,
    /// The event ought to be stored, and the disk did not take it.
    NotStored,
}

impl Refusal {
    fn status_and_text(self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "the request is ambiguous\n"),
            Self::LongTarget => (StatusCode::URI_TOO_LONG, "the target is too long\n"),
            Self::LargeHead => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the head is too large\n")
            }
            Self::Stalled => (StatusCode::REQUEST_TIMEOUT, "the request's body did not arrive\n"),
            Self::Upstream => (StatusCode::BAD_GATEWAY, "the upstream cannot be reached\n"),
            Self::TimedOut => {
                (StatusCode::GATEWAY_TIMEOUT, "the upstream did not answer in time\n")
            }
            Self::Unverified => (StatusCode::UNAUTHORIZED, "unauthorized\n"),
            Self::Unverifiable => {
                (StatusCode::SERVICE_UNAVAILABLE, "events are not taken at the moment\n")
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n"),
            Self::Overloaded => {
                (StatusCode::SERVICE_UNAVAILABLE, "too many events are in flight\n")
            }
            Self::Broken => {
                (StatusCode::SERVICE_UNAVAILABLE, "the upstream is given time to recover\n")
            }
            Self::NotRunning => {
                (StatusCode::SERVICE_UNAVAILABLE, "the extension does not run at the moment\n")
            }
            Self::Crowded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "as many connections to the upstream are in use as there may be\n",
            ),
            Self::NotStored => (StatusCode::SERVICE_UNAVAILABLE, "the event could not be stored\n"),
        }
    }

    /// Whether a body may be left unread. Then the connection ends, and the client must be told:
    /// its next request would be lost.
    fn leaves_body(self) -> bool {
        match self {
            Self::BadRequest
            | Self::LongTarget
            | Self::LargeHead
            | Self::Stalled
            | Self::TooLarge
            | Self::Overloaded
            | Self::Broken
            | Self::Crowded => true,
            Self::Upstream
            | Self::TimedOut
            | Self::Unverified
            | Self::Unverifiable
            | Self::NotRunning
            | Self::NotStored => false,
        }
    }

    pub(super) fn status(self) -> StatusCode {
        self.status_and_text().0
    }

    /// What the client is told.
    pub(super) fn text(self) -> &'static str {
        self.status_and_text().1.trim_end()
    }

    /// Writes the same answer to the request of these names as bytes. Returns whether the
    /// connection ends with it.
    pub(super) fn write(self, ids: &Ids, out: &mut Vec<u8>) -> bool {
        let (status, text) = self.status_and_text();
        let reason = status.canonical_reason().unwrap_or_default();
        let retry = match status {
            StatusCode::SERVICE_UNAVAILABLE => "retry-after: 1\r\n",
            _ => "",
        };
        let close = if self.leaves_body() { "connection: close\r\n" } else { "" };
        let written = write!(
            out,
            "HTTP/1.1 {} {reason}\r\ncontent-type: text/plain; charset=utf-8\r\n{retry}{close}",
            status.as_u16(),
        );
        written.expect("a vector takes what it is given");
        if let Some(id) = ids.told(&mut [0; ID_LEN]) {
            push(out, X_REQUEST_ID.as_str().as_bytes(), id);
        }
        let written = write!(out, "content-length: {}\r\n\r\n{text}", text.len());
        written.expect("a vector takes what it is given");
        self.leaves_body()
    }

    /// The answer, which ends the trip.
    pub(super) fn answer(self, trip: Trip) -> Response<Answer> {
        let (status, text) = self.status_and_text();
        let mut response = Response::new(());
        *response.status_mut() = status;
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, plain);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.leaves_body() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        trip.ids.refuse(response.headers_mut());
        let (head, ()) = response.into_parts();
        Answer::whole(head, Bytes::from_static(text.as_bytes()), trip)
    }
}
