//! The handlers: each takes what it needs as types, makes one call, and answers.

pub(super) mod guards;
pub(super) mod inbox;
pub(super) mod lease;
pub(super) mod maintenance;
pub(super) mod observe;
pub(super) mod revisions;
