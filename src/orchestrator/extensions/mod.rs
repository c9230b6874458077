//! Extensions as they run: how many of each there are, and how they are doing.

use crate::control::observe::ExtensionView;

/// The extensions that run beside the gateway. One for an orchestrator, shared by its threads.
#[derive(Debug, Default)]
pub struct Extensions {}

impl Extensions {
    /// Starts every replica of an extension anew, one after the other; false when it has none
    /// that the orchestrator runs itself.
    pub fn restart(&self, _id: &str) -> bool {
        false
    }

    /// Sets how many replicas an extension has, from now on, within its limits.
    pub fn scale(&self, _id: &str, _replicas: u32) {}

    /// How each extension is doing now, by id.
    pub fn views(&self) -> Vec<ExtensionView> {
        Vec::new()
    }
}
