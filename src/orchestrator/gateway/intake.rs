//! Takes an event's body into memory, within its limits.
//!
//! The law: a body is never larger than its platform sends them, never slower than a trickle,
//! and all bodies of a worker together never take more than a fixed share of memory.

use std::cell::Cell;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use super::body::{IDLE, Pace};
use super::refusal::Refusal;
use crate::control::config::Platform;

const MIB: usize = 1024 * 1024;
/// The most bytes of events that one worker holds.
const MAX_HELD: usize = 256 * MIB;

/// The bytes of events that a worker holds now.
#[derive(Clone, Debug, Default)]
pub(super) struct Intake(Rc<Cell<usize>>);

/// Some of those bytes; given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    intake: Intake,
    bytes: usize,
}

/// The largest body that a platform sends.
pub(super) const fn cap(platform: Option<Platform>) -> usize {
    match platform {
        Some(Platform::Github) => 25 * MIB,
        Some(Platform::Linear) => 2 * MIB,
        Some(Platform::Slack) | None => MIB,
    }
}

impl Intake {
    /// Reads a body of at most `cap` bytes.
    ///
    /// # Errors
    /// A refusal: too large, too slow, or no memory left for it.
    pub(super) async fn take(
        &self,
        mut body: Incoming,
        cap: usize,
    ) -> Result<(Bytes, Held), Refusal> {
        if body.size_hint().lower() > cap as u64 {
            return Err(Refusal::TooLarge);
        }
        let mut pace = Pace::new();
        let mut held = Held { intake: self.clone(), bytes: 0 };
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while !body.is_end_stream() {
            let frame = timeout(IDLE, body.frame()).await.map_err(|_| Refusal::Stalled)?;
            let Some(frame) = frame else { break };
            let Ok(data) = frame.map_err(|_| Refusal::Stalled)?.into_data() else { continue };
            if held.bytes + data.len() > cap {
                return Err(Refusal::TooLarge);
            }
            if !pace.keeps(data.len()) {
                return Err(Refusal::Stalled);
            }
            held.add(data.len())?;
            // Most events arrive in one piece, which then need not be copied.
            if first.is_empty() && rest.is_empty() {
                first = data;
            } else {
                rest.extend_from_slice(&std::mem::take(&mut first));
                rest.extend_from_slice(&data);
            }
        }
        Ok((if rest.is_empty() { first } else { rest.freeze() }, held))
    }
}

impl Held {
    fn add(&mut self, bytes: usize) -> Result<(), Refusal> {
        let all = self.intake.0.get() + bytes;
        if all > MAX_HELD {
            return Err(Refusal::Overloaded);
        }
        self.intake.0.set(all);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.intake.0.set(self.intake.0.get() - self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_bytes_are_bounded_and_given_back() {
        let intake = Intake::default();
        let mut one = Held { intake: intake.clone(), bytes: 0 };
        let mut two = Held { intake: intake.clone(), bytes: 0 };
        assert_eq!(one.add(MAX_HELD), Ok(()));
        assert_eq!(two.add(1), Err(Refusal::Overloaded));
        drop(one);
        assert_eq!(two.add(1), Ok(()));
        drop(two);
        assert_eq!(intake.0.get(), 0);
    }
}
