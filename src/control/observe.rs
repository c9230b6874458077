//! What an orchestrator measures of itself: `GET /v1/metrics`, `GET /v1/health`, and the cache
//! snapshot of `GET /v1/cache`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::LEGACY;
use crate::units::Percent;

/// `GET /v1/metrics?from=MS`: what happened in the window from `from` until now.
///
/// `from` and the reply's `from_ms` and `to_ms` count milliseconds since the orchestrator
/// started. Asking again with `from` set to the last reply's `to_ms` gives disjoint windows that
/// together miss nothing. Without `from`, the window is the last 5 seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metrics {
    /// When the window begins.
    pub from_ms: u64,
    /// When it ends: `from` of the next request.
    pub to_ms: u64,
    /// All requests on routes of the configuration.
    pub total: Window,
    /// By the name of the route; requests on no route are under `other`.
    pub routes: BTreeMap<String, Window>,
    /// By who was asked: `legacy`, the canary's upstream, an extension's id, or `cache`.
    pub arms: BTreeMap<String, Window>,
    /// The canary as it is in force; absent when the configuration has none.
    #[serde(default)]
    pub canary: Option<CanaryView>,
    /// How often which latency was measured, in order, of the two arms that a canary is judged by;
    /// empty when the configuration has none. Failed requests are among them.
    #[serde(default)]
    pub latencies: BTreeMap<String, Vec<Bucket>>,
    /// The machine's use now.
    pub host: Host,
    /// How requests were carried and decided, in the window.
    pub counts: Counts,
    /// Event workers now.
    pub workers: u32,
    /// Events that are in flight or waiting for a worker now.
    #[serde(default)]
    pub in_flight: u32,
    /// The longest that an event waited for a worker within the last full second.
    #[serde(default)]
    pub queue_delay_ms: u32,
    /// What self-healing has set aside for now.
    #[serde(default)]
    pub overrides: Overrides,
    /// Answers in the cache now.
    pub cache_entries: u64,
    /// Connections of senders.
    #[serde(default)]
    pub connections: Connections,
    /// Breakers of upstreams that were asked through one.
    #[serde(default)]
    pub breakers: Vec<BreakerView>,
    /// Extensions that the orchestrator runs, as they are doing now; absent where it does not
    /// say.
    #[serde(default)]
    pub extensions: Option<Vec<ExtensionView>>,
    /// Connections to the upstreams of the configuration.
    #[serde(default)]
    pub pools: Vec<PoolView>,
    /// Lookups of the answer cache in the window, by the name of the route.
    #[serde(default)]
    pub cache: BTreeMap<String, CacheWindow>,
    /// Answers that the cache dropped for want of room, since the start.
    #[serde(default)]
    pub cache_evicted: u64,
}

/// The canary as it is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CanaryView {
    /// The arm that its requests are counted under: its upstream's name, or an extension's id and
    /// its new version, `ID@VERSION`.
    pub upstream: String,
    /// The arm that it is compared with: `legacy`, or the extension's id.
    #[serde(default = "legacy")]
    pub control: String,
    /// Its share of the traffic now: 0% while self-healing has withdrawn it.
    pub weight: Percent,
    /// When the canary of the configuration last changed, as [`Metrics::from_ms`] counts.
    pub since_ms: u64,
}

fn legacy() -> String {
    LEGACY.to_owned()
}

/// A latency, and how often it was measured. The latency is right to 0.8 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bucket {
    /// The latency.
    pub ms: f64,
    /// How often.
    pub n: u64,
}

/// Connections of senders: now, and those that were not kept since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Connections {
    /// Open ones now.
    pub open: u64,
    /// Closed at once: their address had as many as it may.
    pub refused: u64,
    /// Ended while they rested, to make room for others.
    pub made_room: u64,
}

/// What self-healing has set aside for now, beside the configuration: nothing of it is in the
/// document, and all of it ends when what was sick is well, or self-healing is turned off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Overrides {
    /// Extensions whose events go to whoever handles them without it.
    pub left_out: Vec<String>,
    /// The canary's upstream, while its share is zero instead of what the configuration says. A
    /// revision that changes the canary ends it.
    pub canary_withdrawn: Option<String>,
    /// The share of new events that are refused with 503.
    pub shed: Percent,
}

impl Overrides {
    /// Whether there is nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The connections to one upstream, over all gateway workers. Upstreams at one address share them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolView {
    /// Its name.
    pub upstream: String,
    /// Connections that rest now.
    pub idle: u32,
    /// Connections that carry a request now.
    pub busy: u32,
    /// Connections that were opened, since the start.
    pub opened: u64,
    /// Requests that had to wait for a connection, since the start.
    pub waits: u64,
    /// Requests that were refused because they got no connection in time, since the start.
    pub timeouts: u64,
}

/// What the answer cache did for the reads of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CacheWindow {
    /// Answered from the cache.
    pub hits: u64,
    /// Looked up, and not there.
    pub misses: u64,
}

/// `GET /v1/shadow`: what shadow copies of reads showed since the start, by route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shadow {
    /// By the name of the route.
    pub routes: BTreeMap<String, ShadowRoute>,
}

/// What shadow copies showed on one route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShadowRoute {
    /// Answers that were compared.
    pub compared: u64,
    /// Equal but for what the legacy app does not agree with itself about.
    pub equal: u64,
    /// Equal answers that differed in what the legacy app does not agree with itself about.
    pub noisy: u64,
    /// Equal ones per compared one; absent when nothing was compared.
    pub parity: Option<f64>,
    /// Where the legacy app does not agree with itself; at most 50 places.
    pub noise: Vec<Noise>,
    /// Newest first, at most 20.
    pub differences: Vec<Difference>,
}

/// A place where two answers of the legacy app to the same request differ. It is left out of the
/// comparison, and so is what lies within.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Noise {
    /// A JSON pointer, `status`, or `body` for what is not JSON.
    pub place: String,
    /// In how many comparisons.
    pub seen: u64,
}

/// A place where the answers of both paths to the same request differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// RFC 3339, for display.
    pub at: String,
    /// Path and query.
    pub target: String,
    /// A JSON pointer, `status`, or `body` for what is not JSON.
    pub place: String,
    /// What the enhanced path said there, shortened: the cache, the canary, whoever stands beside
    /// the legacy app.
    pub enhanced: String,
    /// What the legacy app said there.
    pub legacy: String,
}

/// How the breaker of an upstream stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BreakerView {
    /// Its name.
    pub upstream: String,
    /// Whether it is asked.
    pub state: BreakerState,
    /// Whether it was opened by self-healing: then it holds for everybody, until it closes.
    #[serde(default)]
    pub forced: bool,
    /// Requests within the breaker's window.
    pub requests: u32,
    /// Failed ones among them.
    pub failures: u32,
}

/// Whether an upstream is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// It is.
    Closed,
    /// It is not, for a while.
    Open,
    /// By one request at a time, to see whether it has recovered.
    HalfOpen,
}

/// How an extension is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExtensionView {
    /// Its id; `ID@VERSION` for a canary.
    pub id: String,
    /// The version that runs, or is being started.
    pub version: String,
    /// What it does about requests.
    pub state: ExtensionState,
    /// Why it is in that state; empty when there is nothing to say.
    pub detail: String,
    /// Replicas that take requests now.
    pub replicas: u32,
    /// Replicas that there should be.
    pub wanted: u32,
    /// Requests that its replicas are busy with.
    pub busy: u32,
    /// Requests that its replicas can be busy with.
    pub capacity: u32,
    /// Requests that wait for a replica.
    pub waiting: u32,
    /// How long the first request that waits has, in milliseconds.
    pub waited_ms: u64,
    /// How often a replica had to be started again since the extension was.
    pub restarts: u64,
}

/// `GET /v1/extensions`: the installed extensions and how they are doing, by id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExtensionList {
    /// In the order of their ids.
    pub extensions: Vec<ExtensionView>,
}

/// What an extension does about requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExtensionState {
    /// It is being started, and takes none yet.
    Starting,
    /// It takes them.
    Running,
    /// It has ended by itself, and is started again after a pause.
    Waiting,
    /// It cannot be run; see `detail`.
    Failed,
}

/// Requests and their answers within a window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// Requests within it.
    pub requests: u64,
    /// Answers with status 500 and above, and requests that got no answer.
    pub errors: u64,
    /// From the first byte received to the last byte answered; absent without requests.
    pub latency: Option<Latency>,
}

impl Window {
    /// Errors per request; `None` without requests.
    #[expect(clippy::cast_precision_loss, reason = "counts within a window are far below 2^52")]
    pub fn error_rate(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.errors as f64 / self.requests as f64)
    }
}

/// Quantiles of latency, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Half of all answers came within it.
    pub p50_ms: f64,
    /// 95 of 100 answers came within it.
    pub p95_ms: f64,
    /// 99 of 100 answers came within it.
    pub p99_ms: f64,
    /// All answers came within it.
    pub max_ms: f64,
}

/// The machine's use, as ratios in 0..=1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// All cores busy = 1; absent until two readings were taken.
    pub cpu: Option<f64>,
    /// The share that is used; absent where it cannot be told.
    pub memory: Option<f64>,
}

/// Counters over a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Upstream requests over a pooled connection.
    pub pooled: u64,
    /// Upstream requests over a connection of their own.
    pub unpooled: u64,
    /// Events that the own processor took.
    pub enhanced: u64,
    /// Events passed to the legacy app as they came.
    pub legacy: u64,
    /// Events that the own processor gave back to the legacy app.
    pub fallback: u64,
    /// Events that an extension answered.
    pub extension: u64,
    /// Lookups that were answered from the cache.
    pub cache_hits: u64,
    /// Lookups that were not.
    pub cache_misses: u64,
    /// Deliveries recognised as repeated and answered with the first answer.
    pub duplicates: u64,
    /// Shadow copies whose answers were compared.
    pub shadow_compared: u64,
    /// Shadow copies whose answers were equal.
    pub shadow_equal: u64,
    /// Events that were stored in the inbox before they were acknowledged.
    pub stored: u64,
    /// Stored events that were handled.
    pub delivered: u64,
    /// Stored events that failed and will be tried again.
    pub retried: u64,
    /// Stored events that went to the dead letters.
    pub dead: u64,
    /// Requests that a breaker kept from an upstream.
    pub broken: u64,
    /// Requests refused because of too much load: a full gate, a full inbox, or shedding.
    pub shed: u64,
}

/// `GET /v1/health`: checks, incidents and what follows from them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "HealthView")]
pub struct Health {
    /// The worst of all checks.
    pub status: Status,
    /// In the order in which they are made.
    pub checks: Vec<Check>,
    /// Newest first, at most 100.
    pub incidents: Vec<Incident>,
    /// What self-healing did or would have done, newest first, at most 100.
    pub healing: Vec<HealingAction>,
    /// What self-healing has set aside for now.
    #[serde(default)]
    pub overrides: Overrides,
    /// What self-healing could not cure and a person was told of; until it is well again.
    #[serde(default)]
    pub escalated: Vec<Escalation>,
    /// What the incidents come to.
    pub reliability: Reliability,
}

/// A state of health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing is wrong.
    Healthy,
    /// The check fails.
    Unhealthy,
    /// Not checked yet, or checks are off. Unknown is not healthy.
    #[default]
    Unknown,
}

/// One health check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// `store`, `cpu`, `memory`, `upstream legacy`, `extension linear-integration`.
    pub name: String,
    /// How it is.
    pub status: Status,
    /// Why, in a few words.
    pub detail: String,
    /// RFC 3339, for display.
    pub at: String,
}

/// A time during which a check failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Incident {
    /// The name of the check.
    pub check: String,
    /// Why it failed.
    pub detail: String,
    /// RFC 3339, for display.
    pub began: String,
    /// Absent while it lasts.
    pub lasted_ms: Option<u64>,
}

/// An action of self-healing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HealingAction {
    /// RFC 3339, for display.
    pub at: String,
    /// Such as `rebuild pool of upstream legacy`.
    pub action: String,
    /// The evidence.
    pub because: String,
    /// False in monitor mode: it was only recorded.
    pub performed: bool,
}

/// Something that self-healing could not cure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Escalation {
    /// RFC 3339, for display.
    pub at: String,
    /// What is sick, such as `upstream legacy`.
    pub what: String,
    /// What was done about it, and how it is all the same.
    pub because: String,
}

/// Uptime, MTTR and MTBF, computed from recorded incidents, in plan time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reliability {
    /// How long health has been observed, in seconds.
    pub observed_s: f64,
    /// The share of that time without an incident; absent when nothing was observed.
    pub uptime: Option<f64>,
    /// How many incidents began.
    pub failures: u64,
    /// Mean time to repair, in seconds; absent without a finished incident.
    pub mttr_s: Option<f64>,
    /// Mean time between failures, in seconds; absent without a failure.
    pub mtbf_s: Option<f64>,
}

/// `GET|PUT /v1/cache`: what the cache holds, for a backup and its restore.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheSnapshot {
    /// One per answer.
    pub entries: Vec<CacheEntry>,
}

/// One cached answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheEntry {
    /// What it answers.
    pub key: String,
    /// That of the answer.
    #[schemars(range(min = 100, max = 999))]
    pub status: u16,
    /// Names and values.
    #[schemars(schema_with = "header_lines")]
    pub headers: Vec<(String, String)>,
    /// Hex, because an answer need not be text.
    #[schemars(regex(pattern = "^([0-9a-fA-F]{2})*$"))]
    pub body: String,
    /// How much longer it may be served.
    pub ttl_ms: u64,
    /// How old it is.
    #[serde(default)]
    pub age_ms: u64,
}

/// Names and values of header lines, as HTTP has them.
pub(super) fn header_lines(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "items": {
            "type": "array",
            "prefixItems": [
                { "type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,1024}$" },
                { "type": "string", "pattern": "^[\t -~]*$" },
            ],
            "minItems": 2,
            "maxItems": 2,
        },
    })
}
