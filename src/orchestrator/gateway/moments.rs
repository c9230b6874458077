//! The moments of a request that tests strike at, whichever way it takes.

use crate::failpoint::{self, Point};

/// It is one unambiguous request.
pub(super) fn admitted() {
    failpoint::hit(Point::GatewayAdmitted);
}

/// It is an event, and proven to come from its platform.
pub(super) fn checked() {
    failpoint::hit(Point::EventChecked);
}

/// It is about to be sent to an upstream.
pub(super) fn sends() {
    failpoint::hit(Point::GatewaySends);
}

/// The head of an upstream's answer is there.
pub(super) fn answered() {
    failpoint::hit(Point::GatewayAnswered);
}

/// The client is about to be answered.
pub(super) fn replies() {
    failpoint::hit(Point::GatewayReplies);
}
