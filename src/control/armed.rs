//! The messages about guards and canaries that the orchestrator itself judges, and about what
//! people ask of a run from elsewhere.
//!
//! `PUT|GET|DELETE /v1/guards`, `GET /v1/guards/record`, `POST /v1/asks`. A phase arms its guards
//! once, before its first change. From then on the orchestrator judges them by itself, whether or
//! not anybody is watching; a breach puts the content of the target revision back in force, under
//! a new number. The phase's confirmation or rollback disarms them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{GuardId, PhaseId, PlanName, RunId};
use crate::units::Percent;

/// The most bytes of [`ArmRequest::record`].
pub const MAX_RECORD: usize = 512 * 1024;

/// `PUT /v1/guards`, with `Ctx-Fence`: arms the guards of a phase. The target is the confirmed
/// revision at that moment. Arming the same again changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArmRequest {
    /// The plan's name.
    pub plan: PlanName,
    /// The id of the phase.
    pub phase: PhaseId,
    /// Which guards, with all that is needed to judge them.
    #[schemars(length(max = 64))]
    pub guards: Vec<ArmedGuard>,
    /// How the canaries of the phase are judged, while they are in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub canaries: Vec<ArmedCanary>,
    /// The first fact of the run, as JSON text: what another machine needs to take the run up
    /// when this one and its ledger are gone. At most 512 KiB; opaque to the orchestrator.
    pub record: String,
}

/// A guard on one of the orchestrator's own metrics, or on a query; times are real time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArmedGuard {
    /// Its name in the plan.
    pub id: GuardId,
    /// The metric's name, as in a plan: `error_rate`. Beside `query`, the server's name.
    #[schemars(length(max = 64))]
    pub metric: String,
    /// A query to a Prometheus server, which the orchestrator asks instead of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<ArmedQuery>,
    /// What it must keep.
    pub limit: Bound,
    /// Consecutive breaches, on disjoint samples, that make it fail.
    #[schemars(range(min = 1, max = 1000))]
    pub breaches: u32,
    /// Fewer observations than this are inconclusive.
    pub min_samples: u64,
    /// From one look to the next, 100..=86,400,000 ms; also the least width of a sample.
    #[schemars(range(min = 100, max = 86_400_000))]
    pub every_ms: u64,
    /// How long it may stay inconclusive before it fails; absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 604_800_000))]
    pub patience_ms: Option<u64>,
}

/// A query that comes to one number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArmedQuery {
    /// In the server's query language.
    #[schemars(length(min = 1, max = 4096))]
    pub query: String,
    /// Where the server's API is: `http://prometheus:9090`, or with `https`.
    #[schemars(length(max = 1024))]
    pub url: String,
    /// Where the token for it is, `env:NAME` or `file:PATH`, as the orchestrator sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub token: Option<String>,
    /// Where the certificate of the authority is that the server's own is signed by, `env:NAME` or
    /// `file:PATH`, as the orchestrator sees it; what its system trusts, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub ca: Option<String>,
    /// What its number is: `ratio`, `milliseconds`, `seconds`, `per_minute` or `number`.
    #[schemars(length(max = 16))]
    pub unit: String,
}

/// How a canary is compared with the legacy app, which serves at the same time. One that is worse
/// takes the phase back, as a breach does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArmedCanary {
    /// The arm that its requests are counted under.
    #[schemars(length(min = 1, max = 64))]
    pub upstream: String,
    /// The shares at which it is compared: below 100%, where a control is left.
    #[schemars(length(max = 64))]
    pub at: Vec<Percent>,
    /// How much higher than the control's its error rate may be, in 0..=1.
    #[schemars(range(min = 0, max = 1))]
    pub max_error_increase: f64,
    /// How many times as long a typical answer may take.
    #[schemars(range(min = 1))]
    pub max_latency_ratio: f64,
    /// How many times as long its 95th percentile may be.
    #[schemars(range(min = 1))]
    pub max_tail_ratio: f64,
    /// With fewer requests in either arm it is not to be promoted.
    pub min_samples: u64,
    /// How probable it may be that an equal canary takes the phase back at one of its shares.
    #[schemars(range(min = 0, max = 1))]
    pub alpha: f64,
}

/// A bound in the metric's own unit; the bound itself is still within.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The most that it may be.
    AtMost(f64),
    /// The least that it may be.
    AtLeast(f64),
}

/// The phase whose guards are armed, as `GET /v1/state` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Armed {
    /// The run whose phase it is.
    pub run: RunId,
    /// The plan's name.
    pub plan: PlanName,
    /// The id of the phase.
    pub phase: PhaseId,
    /// The revision whose content a breach brings back.
    pub target: u64,
    /// That of the target's document.
    pub target_hash: String,
    /// As they were armed.
    pub guards: Vec<ArmedGuard>,
    /// As they were armed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canaries: Vec<ArmedCanary>,
    /// Set once, by a breach or by a person; from then on the run's changes are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tripped: Option<Tripped>,
    /// What a person asked of the run and it has not done yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
}

/// The phase was taken back by the orchestrator itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tripped {
    /// The guard that was breached; absent when a canary was worse, or a person aborted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardId>,
    /// One sentence: both numbers and the limit, or who aborted and why.
    pub why: String,
    /// The revision that brought the target's content back, or the one that had it already.
    pub rev: u64,
    /// Milliseconds since the Unix epoch, for display.
    pub at_ms: i64,
}

/// What a person can ask of a run from any terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Keep the provisional revision now instead of at the end of its soak.
    Confirm,
    /// Go no further until the run is resumed; what is provisional is taken back.
    Pause,
    /// Take the whole phase back, now.
    Abort,
}

/// `POST /v1/asks`: needs the token, but no fence.
///
/// An abort is carried out by the orchestrator at once. The others are left for the holder of the
/// run's lease; when nobody holds it, the orchestrator carries them out itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskRequest {
    /// Of which run it is asked: the one whose guards are armed.
    pub run: RunId,
    /// What is asked.
    pub ask: Ask,
    /// Who asks: user name.
    #[schemars(length(max = 255))]
    pub by: String,
    /// The machine of whoever asks.
    #[schemars(length(max = 255))]
    pub host: String,
    /// Why it is asked, for the audit chain and the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub reason: Option<String>,
}

/// The answer to [`AskRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AskResult {
    /// False: it is left for the holder of the lease.
    pub done: bool,
    /// What happened, or who is going to do it; one sentence.
    pub detail: String,
    /// The revision in force now.
    pub rev: u64,
}

/// An ask that waits for the holder of the run's lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Asked {
    /// What was asked.
    pub ask: Ask,
    /// Who asked.
    pub by: String,
    /// The machine of whoever asked.
    pub host: String,
    /// Why it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `GET /v1/guards`: what is armed, and how each guard was last seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GuardsView {
    /// Absent when nothing is armed.
    pub armed: Option<Armed>,
    /// One per armed guard, in the same order; empty until the first look.
    pub looks: Vec<GuardLook>,
    /// The last look at the canary in force, where the phase has one that is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryLook>,
}

/// What the last look at a canary came to, over all it has served since its share last changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CanaryLook {
    /// The arm that was looked at.
    pub upstream: String,
    /// The share that the configuration gives it.
    pub at: Percent,
    /// What becomes of it.
    pub outcome: CanaryOutcome,
    /// One sentence: both numbers, both counts, the limit and the decision for each metric.
    pub why: String,
}

/// What becomes of a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CanaryOutcome {
    /// Nothing that matters is worse.
    Promote,
    /// Too little to tell.
    Hold,
    /// It is worse.
    Abort,
}

/// The last look at one guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuardLook {
    /// Its name.
    pub guard: GuardId,
    /// What the look came to.
    pub outcome: LookOutcome,
    /// One sentence: the number, how many observations, the limit, the streak.
    pub why: String,
    /// It held at least once on observations made since the revision in force came into force.
    pub held: bool,
}

/// What a look at a guard came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LookOutcome {
    /// Within the limit.
    Held,
    /// Outside the limit, but not yet often enough in a row.
    Suspect,
    /// Too little to judge.
    Waiting,
    /// Outside the limit, so often in a row that the phase is taken back.
    Breached,
}

/// `GET /v1/guards/record`: the first fact of the run whose guards are armed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// That run.
    pub run: RunId,
    /// As it was given when the guards were armed.
    pub record: String,
}
