//! The messages of the control API: leases, revisions, operations, state, problems.
//!
//! `PUT /v1/lease`, `GET /v1/lease`, `DELETE /v1/lease`, `POST /v1/lease/break`; `GET /v1/state`; `GET|POST /v1/revisions`,
//! `GET /v1/revisions/{rev}`, `POST /v1/revisions/{rev}/confirm|revert`; `GET
//! /v1/operations/{key}`. Every write carries `Ctx-Fence` and `Idempotency-Key`, a new revision also
//! `If-Match`; every reply carries `Ctx-Anchor`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::armed::Armed;
use super::config::Config;
use super::origin::Origin;
pub use super::problem::{Problem, ProblemCode};
use crate::ids::RunId;

/// Longest life of a provisional revision: a detached soak may take days.
pub const MAX_CONFIRM_WITHIN: Duration = Duration::from_hours(7 * 24);

/// The request header that carries a [`Fence`].
pub const FENCE: &str = "ctx-fence";
/// The reply header that carries an [`Anchor`].
pub const ANCHOR: &str = "ctx-anchor";
/// The request header that carries an operation's key.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Proof of holding the lease: a counter that only grows and the lease's random id.
///
/// Compared for equality; as text `COUNTER.ID`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fence {
    /// Larger than that of every lease before.
    pub counter: u64,
    /// 16 hex digits.
    pub id: String,
}

/// A point in the orchestrator's audit chain; as text `SEQ.HASH`.
///
/// A caller that presents an anchor which is not an ancestor has met an orchestrator that was
/// restored to an older state, or another orchestrator altogether.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// The number of a row, from 1.
    pub seq: u64,
    /// 64 hex digits.
    pub hash: String,
}

/// Why a header is not a fence or an anchor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not of the form NUMBER.HEX")]
pub struct TokenError(String);

fn number_and_hex(text: &str) -> Result<(u64, String), TokenError> {
    let error = || TokenError(text.to_owned());
    let (number, hex) = text.split_once('.').ok_or_else(error)?;
    let is_hex = !hex.is_empty() && hex.len() <= 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    let number = number.parse().map_err(|_| error())?;
    if is_hex { Ok((number, hex.to_owned())) } else { Err(error()) }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.counter, self.id)
    }
}

impl FromStr for Fence {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        number_and_hex(text).map(|(counter, id)| Self { counter, id })
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.seq, self.hash)
    }
}

impl FromStr for Anchor {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        number_and_hex(text).map(|(seq, hash)| Self { seq, hash })
    }
}

/// `PUT /v1/lease`: asks for the right to change the orchestrator, or, with the current fence in
/// `Ctx-Fence`, renews it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaseRequest {
    /// Who asks: the same run gets its own lease back, under a new fence.
    pub run: RunId,
    /// Who holds it: user name.
    #[schemars(length(max = 255))]
    pub holder: String,
    /// The machine, for people.
    #[schemars(length(max = 255))]
    pub host: String,
    /// The process, for people.
    pub pid: u32,
    /// How long the lease lives without a renewal, 1,000..=600,000 ms.
    #[schemars(range(min = 1000, max = 600_000))]
    pub ttl_ms: u64,
    /// The largest fence counter the caller has ever seen, below 2^53.
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    pub min_token: u64,
    /// The last anchor the caller has seen of this orchestrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_anchor: Option<Anchor>,
}

/// A lease that was granted or renewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeaseGrant {
    /// As text in `Ctx-Fence` it is `COUNTER.ID`.
    pub fence: Fence,
    /// How long it lives without a renewal.
    pub ttl_ms: u64,
    /// The state folder's own id: another one is another orchestrator.
    pub state_uuid: String,
}

/// A lease as others see it; without the secret half of the fence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeaseView {
    /// The run that holds it.
    pub run: RunId,
    /// User name.
    pub holder: String,
    /// The machine of the holder.
    pub host: String,
    /// The process of the holder.
    pub pid: u32,
    /// The counter of its fence.
    pub counter: u64,
    /// When it lapses unless it is renewed.
    pub expires_in_ms: u64,
    /// Time since the holder last renewed.
    pub heartbeat_age_ms: u64,
}

/// `POST /v1/lease/break`: ends the lease of somebody who is dead or out of reach.
///
/// It carries no fence, because whoever asks has none: the counter says which lease is meant, so
/// that a lease that was granted meanwhile is never hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaseBreak {
    /// [`LeaseView::counter`] of the lease that is meant.
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    pub counter: u64,
    /// Who asks: user name.
    #[schemars(length(max = 255))]
    pub by: String,
    /// The machine of whoever asks.
    #[schemars(length(max = 255))]
    pub host: String,
    /// Why, for the audit chain.
    #[schemars(length(min = 1, max = 2000))]
    pub reason: String,
}

/// A lease that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeaseBroken {
    /// The lease as it was.
    pub lease: LeaseView,
    /// The provisional revision that lived with it and was reverted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverted: Option<u64>,
    /// The revision that is now in force.
    pub rev: u64,
}

/// `POST /v1/revisions`: proposes a whole new document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevisionRequest {
    /// The whole document as it is to be.
    pub config: Config,
    /// The orchestrator reverts by itself when this has passed without a confirmation, and not
    /// before: the revision survives the loss of its lease. At most 7 days. Without it, the
    /// revision lives and dies with the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 604_800_000))]
    pub confirm_within_ms: Option<u64>,
    /// Why, for the audit chain: such as `phase performance, step pool-ramp 2/4`.
    #[schemars(length(max = 2000))]
    pub reason: String,
}

/// What became of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevisionStatus {
    /// In force, but reverted unless confirmed.
    Provisional,
    /// It stays, until another one is confirmed.
    Confirmed,
    /// Its content was replaced by that of the confirmed revision before it.
    Reverted,
}

/// One numbered revision of the configuration. Numbers only grow; a revert makes a new number
/// with the old content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Revision {
    /// Its number.
    pub rev: u64,
    /// What became of it.
    pub status: RevisionStatus,
    /// SHA-256 of the document, as 64 hex digits.
    pub config_hash: String,
    /// Why it was made.
    pub reason: String,
    /// The run that made it; absent for the first one, and for what the orchestrator did by itself.
    pub run: Option<RunId>,
    /// When it was made, as RFC 3339, for display.
    pub at: String,
    /// The document; absent in lists, and where a clean-up has deleted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Config>,
}

/// The answer to a new revision, a confirmation or a revert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevisionResult {
    /// The revision that is now in force.
    pub rev: u64,
    /// Of the document in force.
    pub config_hash: String,
    /// The same request was answered before with the same result; nothing was done again.
    #[serde(default)]
    pub replayed: bool,
}

/// What an operation was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// A new revision: `POST /v1/revisions`.
    Apply,
    /// `POST /v1/revisions/{rev}/confirm`.
    Confirm,
    /// `POST /v1/revisions/{rev}/revert`.
    Revert,
    /// The irreversible clean-up after a migration: `POST /v1/legacy/cleanup`.
    Cleanup,
}

/// One row of the orchestrator's audit chain: `GET /v1/audit`.
///
/// `hash` is SHA-256 over the hash of the row before and this row's fields, in the encoding that
/// `orchestrator::control::audit` writes down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditRow {
    /// The number of the row, from 1.
    pub seq: u64,
    /// Milliseconds since the Unix epoch, for display; rows are ordered by `seq`.
    pub at_ms: i64,
    /// What kind of transition it was.
    pub kind: AuditKind,
    /// The run that caused it, where one did.
    pub run: Option<RunId>,
    /// The revision that is in force after it.
    pub rev: u64,
    /// The hash of the configuration that is in force after it.
    pub config_hash: String,
    /// The fence counter that it was done under.
    pub fence: Option<u64>,
    /// The idempotency key of the request.
    pub key: Option<String>,
    /// What happened, in one sentence.
    pub detail: String,
    /// 64 hex digits.
    pub hash: String,
}

/// What kind of transition a row of the audit chain records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditKind {
    /// The store was made, with revision 1.
    Birth,
    /// The orchestrator started on an existing store; every lease is void.
    Boot,
    /// The legacy URL of the command line differs from the stored one.
    Rebase,
    /// A lease was granted.
    Grant,
    /// A run took its own lease over, under a new fence.
    Takeover,
    /// A lease was given back.
    Release,
    /// An operator ended somebody else's lease.
    Break,
    /// A lease, or the time of a provisional revision, was over.
    Expiry,
    /// A revision came into force, provisionally.
    Apply,
    /// A revision was confirmed.
    Confirm,
    /// A provisional revision was taken out of force.
    Revert,
    /// Stored answers and the content of old revisions were deleted.
    Cleanup,
    /// The cache was filled from a snapshot.
    CacheRestore,
    /// Events out of a backup were accepted.
    InboxRestore,
    /// The guards of a phase were armed.
    Arm,
    /// The phase has ended.
    Disarm,
    /// An armed guard was breached, and the target's content is back in force.
    Breach,
    /// A person took the phase back from elsewhere.
    Abort,
    /// A person asked the run to pause, or to keep what is provisional.
    Ask,
    /// A person had dead letters tried again.
    Replay,
    /// A person deleted dead letters.
    Discard,
}

impl AuditKind {
    /// The name on the wire, in the store, and under the hash.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Birth => "birth",
            Self::Boot => "boot",
            Self::Rebase => "rebase",
            Self::Grant => "grant",
            Self::Takeover => "takeover",
            Self::Release => "release",
            Self::Break => "break",
            Self::Expiry => "expiry",
            Self::Apply => "apply",
            Self::Confirm => "confirm",
            Self::Revert => "revert",
            Self::Cleanup => "cleanup",
            Self::CacheRestore => "cache_restore",
            Self::InboxRestore => "inbox_restore",
            Self::Arm => "arm",
            Self::Disarm => "disarm",
            Self::Breach => "breach",
            Self::Abort => "abort",
            Self::Ask => "ask",
            Self::Replay => "replay",
            Self::Discard => "discard",
        }
    }
}

/// `GET /v1/operations/{key}`: what became of a request, for a caller that lost the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Operation {
    /// The idempotency key.
    pub key: String,
    /// What was asked.
    pub kind: OperationKind,
    /// What was answered.
    pub result: RevisionResult,
}

/// The provisional revision and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Provisional {
    /// Its number.
    pub rev: u64,
    /// The run that made it.
    pub run: RunId,
    /// The idempotency key that created it.
    pub key: String,
    /// Why it was made.
    pub reason: String,
    /// The revision whose content comes back if nobody confirms.
    pub reverts_to: u64,
    /// Time left until the deadline; absent when it only depends on the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_in_ms: Option<u64>,
}

/// `GET /v1/state`: where the orchestrator stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct State {
    /// The state folder's own id.
    pub state_uuid: String,
    /// The version of ctx that the orchestrator runs.
    pub version: String,
    /// The newest revision, which is the one in force.
    pub head: u64,
    /// The newest confirmed revision.
    pub confirmed: u64,
    /// The revision that is in force until it is confirmed or reverted; absent when the head is
    /// confirmed.
    pub provisional: Option<Provisional>,
    /// Who holds the lease; absent when nobody does.
    pub lease: Option<LeaseView>,
    /// The end of the audit chain.
    pub anchor: Anchor,
    /// The document in force.
    pub config: Config,
    /// SHA-256 of the document in force, as 64 hex digits.
    pub config_hash: String,
    /// The address that events are received on.
    pub data_addr: String,
    /// How long this process has been up, in real time.
    pub up_ms: u64,
    /// Which life of the orchestrator this is: the number of the row in the audit chain that its
    /// last start has written. Spans of `up_ms` only mean something within one life.
    pub life: u64,
    /// The phase whose guards are armed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub armed: Option<Armed>,
    /// The variables and flags that the orchestrator was started with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<Origin>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_and_anchors_survive_a_header() {
        let fence = Fence { counter: 7, id: "00ff".repeat(4) };
        assert_eq!(fence.to_string().parse(), Ok(fence));
        for bad in ["", "7", "7.", "x.ff", "7.xyz", "-1.ff"] {
            assert!(bad.parse::<Fence>().is_err(), "{bad}");
        }
    }
}
