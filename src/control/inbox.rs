//! The inbox on the wire: `/v1/inbox` and what is below it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /v1/inbox`: how many events there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InboxView {
    /// Events that were acknowledged, and wait for a handler or are with one.
    pub pending: u64,
    /// How long the oldest event that waits has; absent when none does.
    pub oldest_ms: Option<u64>,
    /// Events in the dead letters.
    pub dead: u64,
}

/// A dead letter without its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetter {
    /// Its number.
    pub id: u64,
    /// The platform's name, or the route's where there is none.
    pub source: String,
    /// The platform's id of the delivery.
    pub delivery: Option<String>,
    /// Path and query.
    pub target: String,
    /// RFC 3339, for display.
    pub received: String,
    /// How often a handler was tried.
    pub attempts: u32,
    /// Why no further attempt is made.
    pub why: String,
    /// The body's size.
    pub bytes: u64,
}

/// `GET /v1/inbox/dead/{id}`: a dead letter with its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetterContent {
    #[serde(flatten)]
    pub letter: DeadLetter,
    /// What the log and other services call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Of its W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Names and values, without signatures.
    pub headers: Vec<(String, String)>,
    /// Hex, because a body need not be text.
    pub body: String,
}

/// `POST /v1/inbox/restore`, with `Ctx-Fence`: events out of a backup.
///
/// They come in as many requests as it takes, of which the first one `begins`: it is refused where
/// the inbox has events of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InboxEvents {
    /// Whether this is the first of the requests.
    pub begins: bool,
    /// In the order in which they came.
    pub events: Vec<InboxEvent>,
}

/// An event that waits, or a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InboxEvent {
    /// Its number in the inbox it was backed up from. Where there is no delivery id, this and the
    /// time tell the event from all others.
    #[serde(default)]
    pub number: u64,
    /// The platform's name, or the route's where there is none.
    pub source: String,
    /// The platform's id of the delivery.
    pub delivery: Option<String>,
    /// Path and query.
    pub target: String,
    /// Names and values; each byte of a value is one character.
    #[schemars(schema_with = "super::observe::header_lines")]
    pub headers: Vec<(String, String)>,
    /// Hex, because a body need not be text.
    #[schemars(regex(pattern = "^([0-9a-fA-F]{2})*$"))]
    pub body: String,
    /// Milliseconds since 1970.
    pub received_ms: u64,
    /// How often a handler was tried.
    pub attempts: u32,
    /// How many attempts a handler answered.
    pub answered: u32,
    /// Why no further attempt is made; absent for one that waits.
    pub dead: Option<String>,
}

/// What became of events out of a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InboxRestored {
    /// Events that were put into the inbox.
    pub restored: u64,
    /// Events that were left out: their deliveries were acknowledged here before.
    pub known: u64,
}

/// `POST /v1/inbox/dead/replay` and `.../discard`: which dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Letters {
    /// At most 1,000; for a replay, none is all of them.
    #[schemars(length(max = 1000))]
    pub ids: Vec<u64>,
    /// Who asks: user name; for the audit chain.
    #[serde(default)]
    #[schemars(length(max = 255))]
    pub by: String,
    /// The machine of whoever asks.
    #[serde(default)]
    #[schemars(length(max = 255))]
    pub host: String,
    /// Why it is asked.
    #[serde(default)]
    #[schemars(length(max = 2000))]
    pub reason: String,
}

/// How many dead letters that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LettersMoved {
    /// How many.
    pub moved: u64,
    /// The row of the audit chain that says so.
    pub audit: u64,
}
