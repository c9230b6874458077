//! What the engine needs done and cannot do itself: the edge supplies it.

use std::future::Future;

use crate::control::client::Client;
use crate::control::wire::Fence;
use crate::error::Failure;
use crate::ids::{BackupId, RunId};
use crate::plan::model::Suite;

/// A backup that was taken and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupTaken {
    pub path: String,
    pub bytes: u64,
    pub manifest_hash: String,
}

/// What a test suite came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteResult {
    pub passed: bool,
    /// Such as `6 of 6 cases passed`.
    pub actual: String,
    /// What did not pass: request, expected, got.
    pub failures: Vec<String>,
}

/// Where a suite or a call sends its requests.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// The data plane, `http://HOST:PORT`.
    pub data: String,
    pub client: &'a Client,
    pub fence: &'a Fence,
    /// The idempotency key of a call to the control API.
    pub key: &'a str,
}

/// A person's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approval {
    By(String),
    Refused,
    /// There is nobody to ask.
    Nobody,
}

/// The parts of the world that other modules know how to handle.
pub trait Hands {
    /// Takes a backup and verifies it by restoring it into a scratch place.
    fn backup(
        &mut self,
        client: &Client,
        id: &BackupId,
        run: Option<&RunId>,
    ) -> impl Future<Output = Result<BackupTaken, Failure>>;

    /// Runs a test suite.
    fn suite(
        &mut self,
        suite: &Suite,
        target: &Target<'_>,
    ) -> impl Future<Output = Result<SuiteResult, Failure>>;

    /// Asks a person.
    fn approve(&mut self, prompt: &str) -> impl Future<Output = Approval>;
}
