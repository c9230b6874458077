//! The client of the control API.
//!
//! It sends what it is told and reports what came back; it never decides. An answer that did not
//! arrive is [`ControlError::Unknown`]: the request may or may not have had its effect, and the
//! caller resends it with the same key or asks what became of it.

use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use serde::de::DeserializeOwned;

use super::armed::{ArmRequest, Armed, AskRequest, AskResult, GuardsView, Record};
use super::inbox::{
    DeadLetter, DeadLetterContent, InboxEvents, InboxRestored, InboxView, Letters, LettersMoved,
};
use super::observe::{CacheSnapshot, ExtensionList, Health, Metrics, Shadow};
use super::wire::{
    ANCHOR, Anchor, FENCE, Fence, IDEMPOTENCY_KEY, LeaseBreak, LeaseBroken, LeaseGrant,
    LeaseRequest, Operation, Problem, ProblemCode, Revision, RevisionRequest, RevisionResult,
    State,
};
use crate::failpoint::{self, Point};
use crate::secret::Secret;

/// How long a connection attempt may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an ordinary answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long giving the lease back may take: it lapses by itself, and somebody may be waiting for
/// the process to end.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a database snapshot may take.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(300);

/// A connection to one orchestrator's control API.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    token: Option<Secret>,
    http: reqwest::Client,
}

/// An answer, and where the orchestrator's audit chain stood when it was given.
#[derive(Clone, Debug)]
pub struct Reply<T> {
    pub body: T,
    pub anchor: Option<Anchor>,
}

/// Why a call has no good answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody listens there; the request was not sent.
    #[error("the orchestrator at {url} does not answer")]
    Unreachable {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    /// The request was sent and no whole answer came back.
    #[error("the orchestrator at {url} did not answer in time, or broke off")]
    Unknown {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    /// The orchestrator refused.
    #[error("{}: {}", .0.title, .0.detail)]
    Refused(Box<Problem>),
    /// Something answers there, but not an orchestrator.
    #[error("{url} answers with status {status}, but not as an orchestrator does")]
    Stranger { url: String, status: u16 },
}

impl ControlError {
    /// The code of a refusal.
    pub fn code(&self) -> Option<ProblemCode> {
        match self {
            Self::Refused(problem) => Some(problem.code),
            _ => None,
        }
    }

    /// Whether the same request may be sent again: it did not arrive, its answer did not, or the
    /// store failed before anything changed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Unknown { .. } => true,
            Self::Refused(problem) => problem.status >= 500,
            Self::Stranger { status, .. } => *status >= 500,
        }
    }
}

/// A write that changes the configuration: who may, and under which key.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    pub fence: &'a Fence,
    pub key: &'a str,
}

impl Client {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Panics
    /// Never: a client without TLS has nothing to fail on.
    pub fn new(url: &str, token: Option<Secret>) -> Self {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("a client without TLS can be built");
        Self { base: url.trim_end_matches('/').to_owned(), token, http }
    }

    /// The address that this client speaks to.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// What this client presents, for whoever speaks to the same orchestrator in its stead.
    pub fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    /// Asks for the lease.
    pub async fn acquire(&self, request: &LeaseRequest) -> Result<Reply<LeaseGrant>, ControlError> {
        failpoint::hit(Point::AcquireSends);
        let reply = self.json(self.acquiring(request)).await;
        failpoint::hit(Point::AcquireReceived);
        reply
    }

    /// Renews the lease that `fence` stands for.
    pub async fn renew(
        &self,
        request: &LeaseRequest,
        fence: &Fence,
    ) -> Result<Reply<LeaseGrant>, ControlError> {
        let call = self.request(Method::PUT, "/v1/lease").header(FENCE, fence.to_string());
        failpoint::hit(Point::RenewSends);
        let reply = self.json(call.json(request)).await;
        failpoint::hit(Point::RenewReceived);
        reply
    }

    /// Gives the lease back.
    pub async fn release(&self, fence: &Fence) -> Result<(), ControlError> {
        let call = self.releasing(fence);
        failpoint::hit(Point::ReleaseSends);
        let reply = self.send(call.timeout(RELEASE_TIMEOUT)).await;
        failpoint::hit(Point::ReleaseReceived);
        reply.map(drop)
    }

    /// Ends the lease of a holder who is dead or out of reach.
    pub async fn break_lease(
        &self,
        request: &LeaseBreak,
    ) -> Result<Reply<LeaseBroken>, ControlError> {
        self.json(self.request(Method::POST, "/v1/lease/break").json(request)).await
    }

    /// Asks where the orchestrator stands.
    pub async fn state(&self) -> Result<Reply<State>, ControlError> {
        self.read_state(self.request(Method::GET, "/v1/state")).await
    }

    async fn read_state(
        &self,
        call: reqwest::RequestBuilder,
    ) -> Result<Reply<State>, ControlError> {
        failpoint::hit(Point::StateSends);
        let reply = self.json(call).await;
        failpoint::hit(Point::StateReceived);
        reply
    }

    /// The same, under a lease: refused when it is not the current one any more.
    pub async fn state_under(&self, fence: &Fence) -> Result<Reply<State>, ControlError> {
        self.read_state(self.looking(fence)).await
    }

    /// Proposes a new revision on top of `if_match`.
    pub async fn apply(
        &self,
        write: Write<'_>,
        if_match: u64,
        request: &RevisionRequest,
    ) -> Result<Reply<RevisionResult>, ControlError> {
        let call = self.applying(write, if_match, request);
        failpoint::hit(Point::ApplySends);
        let reply = self.json(call).await;
        failpoint::hit(Point::ApplyReceived);
        reply
    }

    /// Keeps the provisional revision `rev`.
    pub async fn confirm(
        &self,
        write: Write<'_>,
        rev: u64,
    ) -> Result<Reply<RevisionResult>, ControlError> {
        let call = self.confirming(write, rev);
        failpoint::hit(Point::ConfirmSends);
        let reply = self.json(call).await;
        failpoint::hit(Point::ConfirmReceived);
        reply
    }

    /// Takes the provisional revision `rev` back.
    pub async fn revert(
        &self,
        write: Write<'_>,
        rev: u64,
    ) -> Result<Reply<RevisionResult>, ControlError> {
        let call = self.write(Method::POST, &format!("/v1/revisions/{rev}/revert"), write);
        failpoint::hit(Point::RevertSends);
        let reply = self.json(call).await;
        failpoint::hit(Point::RevertReceived);
        reply
    }

    /// Arms the guards of a phase. The same again changes nothing.
    pub async fn arm(
        &self,
        fence: &Fence,
        request: &ArmRequest,
    ) -> Result<Reply<Armed>, ControlError> {
        let call = self.arming(fence, request);
        failpoint::hit(Point::ArmSends);
        let reply = self.json(call).await;
        failpoint::hit(Point::ArmReceived);
        reply
    }

    /// Disarms what is armed. Nothing armed is nothing to do.
    /// `taken_back` says that the run knows of a trip of its own phase.
    pub async fn disarm(&self, fence: &Fence, taken_back: bool) -> Result<Reply<()>, ControlError> {
        let call = self.disarming(fence, taken_back);
        failpoint::hit(Point::DisarmSends);
        let reply = self.send(call).await;
        failpoint::hit(Point::DisarmReceived);
        reply.map(|(anchor, _)| Reply { body: (), anchor })
    }

    /// Reads one revision with its document; without it where a clean-up has deleted that.
    pub async fn revision(&self, rev: u64) -> Result<Revision, ControlError> {
        let path = format!("/v1/revisions/{rev}");
        self.json(self.request(Method::GET, &path)).await.map(|reply| reply.body)
    }

    /// Asks what is armed, and how each guard was last seen.
    pub async fn guards(&self) -> Result<GuardsView, ControlError> {
        self.json(self.request(Method::GET, "/v1/guards")).await.map(|reply| reply.body)
    }

    /// Reads the first fact of the run whose guards are armed; `None` when none are.
    pub async fn record(&self) -> Result<Option<Record>, ControlError> {
        self.json(self.request(Method::GET, "/v1/guards/record")).await.map(|reply| reply.body)
    }

    /// Asks something of a run.
    pub async fn ask(&self, request: &AskRequest) -> Result<Reply<AskResult>, ControlError> {
        self.json(self.request(Method::POST, "/v1/asks").json(request)).await
    }

    /// Asks what became of a request; `None` when the orchestrator has never seen the key.
    pub async fn operation(&self, key: &str) -> Result<Option<Operation>, ControlError> {
        self.found(self.request(Method::GET, &format!("/v1/operations/{key}"))).await
    }

    /// The same, under a lease: refused when it is not the current one any more.
    pub async fn operation_under(
        &self,
        fence: &Fence,
        key: &str,
    ) -> Result<Option<Operation>, ControlError> {
        let call = self.request(Method::GET, &format!("/v1/operations/{key}"));
        self.found(call.header(FENCE, fence.to_string())).await
    }

    async fn found(
        &self,
        call: reqwest::RequestBuilder,
    ) -> Result<Option<Operation>, ControlError> {
        failpoint::hit(Point::OperationSends);
        let reply = self.json(call).await;
        failpoint::hit(Point::OperationReceived);
        match reply {
            Ok(reply) => Ok(Some(reply.body)),
            Err(error) if error.code() == Some(ProblemCode::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the metrics since `from_ms`, or of the last few seconds.
    pub async fn metrics(&self, from_ms: Option<u64>) -> Result<Metrics, ControlError> {
        let path = match from_ms {
            Some(from) => format!("/v1/metrics?from={from}"),
            None => "/v1/metrics".to_owned(),
        };
        failpoint::hit(Point::MetricsSends);
        let reply = self.json(self.request(Method::GET, &path)).await;
        failpoint::hit(Point::MetricsReceived);
        reply.map(|reply| reply.body)
    }

    /// Reads health, incidents and reliability.
    pub async fn health(&self) -> Result<Health, ControlError> {
        self.json(self.request(Method::GET, "/v1/health")).await.map(|reply| reply.body)
    }

    /// Reads how the installed extensions are doing.
    pub async fn extensions(&self) -> Result<ExtensionList, ControlError> {
        self.json(self.request(Method::GET, "/v1/extensions")).await.map(|reply| reply.body)
    }

    /// Reads what shadow copies showed.
    pub async fn shadow(&self) -> Result<Shadow, ControlError> {
        self.json(self.request(Method::GET, "/v1/shadow")).await.map(|reply| reply.body)
    }

    /// Reads how many events the inbox has.
    pub async fn inbox(&self) -> Result<InboxView, ControlError> {
        self.json(self.request(Method::GET, "/v1/inbox")).await.map(|reply| reply.body)
    }

    /// Reads dead letters with a number above `after`; not all at once.
    pub async fn dead_letters(&self, after: u64) -> Result<Vec<DeadLetter>, ControlError> {
        let path = format!("/v1/inbox/dead?after={after}");
        self.json(self.request(Method::GET, &path)).await.map(|reply| reply.body)
    }

    /// Reads a dead letter with its content; `None` when there is none of that number.
    pub async fn dead_letter(&self, id: u64) -> Result<Option<DeadLetterContent>, ControlError> {
        let path = format!("/v1/inbox/dead/{id}");
        match self.json(self.request(Method::GET, &path)).await {
            Ok(reply) => Ok(Some(reply.body)),
            Err(error) if error.code() == Some(ProblemCode::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Has dead letters tried again, all of them where none is named. Returns how many those were.
    pub async fn replay_dead(&self, letters: &Letters) -> Result<LettersMoved, ControlError> {
        self.move_dead("/v1/inbox/dead/replay", letters).await
    }

    /// Deletes dead letters. Returns how many those were.
    pub async fn discard_dead(&self, letters: &Letters) -> Result<LettersMoved, ControlError> {
        self.move_dead("/v1/inbox/dead/discard", letters).await
    }

    async fn move_dead(&self, path: &str, letters: &Letters) -> Result<LettersMoved, ControlError> {
        let call = self.request(Method::POST, path).json(letters);
        self.json::<LettersMoved>(call).await.map(|reply| reply.body)
    }

    /// Reads what the cache holds.
    pub async fn cache(&self) -> Result<CacheSnapshot, ControlError> {
        failpoint::hit(Point::CacheSends);
        let reply = self.json(self.request(Method::GET, "/v1/cache")).await;
        failpoint::hit(Point::CacheReceived);
        reply.map(|reply| reply.body)
    }

    /// Puts answers back into the cache.
    pub async fn restore_cache(
        &self,
        fence: &Fence,
        cache: &CacheSnapshot,
    ) -> Result<(), ControlError> {
        let call = self.request(Method::PUT, "/v1/cache").header(FENCE, fence.to_string());
        failpoint::hit(Point::RestoreCacheSends);
        let reply = self.send(call.json(cache)).await;
        failpoint::hit(Point::RestoreCacheReceived);
        reply.map(drop)
    }

    /// Takes a consistent snapshot of the orchestrator's own database.
    pub async fn database(&self) -> Result<bytes::Bytes, ControlError> {
        let call = self.request(Method::GET, "/v1/database").timeout(SNAPSHOT_TIMEOUT);
        failpoint::hit(Point::DatabaseSends);
        let reply = self.send(call).await;
        failpoint::hit(Point::DatabaseReceived);
        reply.map(|(_, body)| body)
    }

    /// Takes a consistent snapshot of the inbox; `None` where the orchestrator has no such call.
    pub async fn inbox_database(&self) -> Result<Option<bytes::Bytes>, ControlError> {
        let call = self.request(Method::GET, "/v1/inbox/database").timeout(SNAPSHOT_TIMEOUT);
        match self.send(call).await {
            Ok((_, body)) => Ok(Some(body)),
            Err(error) if error.code() == Some(ProblemCode::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts events out of a backup back into the inbox.
    pub async fn restore_inbox(
        &self,
        fence: &Fence,
        events: &InboxEvents,
    ) -> Result<InboxRestored, ControlError> {
        let call = self.request(Method::POST, "/v1/inbox/restore");
        let call = call.header(FENCE, fence.to_string()).json(events);
        self.json(call.timeout(SNAPSHOT_TIMEOUT)).await.map(|reply| reply.body)
    }

    /// Sends a request of a plan's `call` step to a path of the control API.
    ///
    /// Returns the status and the body, whatever the status is.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        write: Write<'_>,
    ) -> Result<(u16, String), ControlError> {
        let mut call = self.write(method, path, write);
        if let Some(body) = body {
            call = call.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        failpoint::hit(Point::CallSends);
        let response = call.send().await.map_err(|source| self.failed(source))?;
        let status = response.status().as_u16();
        let body = response.text().await.map_err(|source| self.failed(source))?;
        failpoint::hit(Point::CallReceived);
        Ok((status, body))
    }

    pub(super) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let call = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => call.bearer_auth(token.expose()),
            None => call,
        }
    }

    pub(super) fn write(
        &self,
        method: Method,
        path: &str,
        write: Write<'_>,
    ) -> reqwest::RequestBuilder {
        self.request(method, path)
            .header(FENCE, write.fence.to_string())
            .header(IDEMPOTENCY_KEY, write.key)
    }

    async fn json<T: DeserializeOwned>(
        &self,
        call: reqwest::RequestBuilder,
    ) -> Result<Reply<T>, ControlError> {
        let (anchor, body) = self.send(call).await?;
        match serde_json::from_slice(&body) {
            Ok(body) => Ok(Reply { body, anchor }),
            Err(_) => Err(ControlError::Stranger { url: self.base.clone(), status: 200 }),
        }
    }

    async fn send(
        &self,
        call: reqwest::RequestBuilder,
    ) -> Result<(Option<Anchor>, bytes::Bytes), ControlError> {
        let response = call.send().await.map_err(|source| self.failed(source))?;
        let status = response.status();
        let anchor =
            response.headers().get(ANCHOR).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = response.bytes().await.map_err(|source| self.failed(source))?;
        if status.is_success() {
            return Ok((anchor, body));
        }
        Err(self.refused(status, &body))
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> ControlError {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => ControlError::Refused(Box::new(problem)),
            Err(_) => ControlError::Stranger { url: self.base.clone(), status: status.as_u16() },
        }
    }

    fn failed(&self, source: reqwest::Error) -> ControlError {
        let url = self.base.clone();
        if source.is_connect() || source.is_builder() {
            ControlError::Unreachable { url, source }
        } else {
            ControlError::Unknown { url, source }
        }
    }
}
