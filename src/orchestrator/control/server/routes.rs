//! The table of routes: the router, the `OpenAPI` document and the tests are all made from it.
//!
//! To add one: a handler in `handlers/`, a row here, and `CTX_BLESS=1 cargo test --lib
//! kept_document` to write the documents anew.

use std::fmt;

use axum::routing::{MethodRouter, delete, get, post, put};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::access::Access;
use super::handlers::{guards, inbox, lease, maintenance, observe, revisions};
use crate::control::armed::{ArmRequest, Armed, AskRequest, AskResult, GuardsView, Record};
use crate::control::inbox::{
    DeadLetter, DeadLetterContent, InboxEvents, InboxRestored, InboxView, Letters, LettersMoved,
};
use crate::control::observe::{CacheSnapshot, ExtensionList, Health, Metrics, Shadow};
use crate::control::wire::{
    AuditRow, LeaseBreak, LeaseBroken, LeaseGrant, LeaseRequest, LeaseView, Operation, ProblemCode,
    Revision, RevisionRequest, RevisionResult, State,
};

/// One row of the table.
pub struct Route {
    /// Lower case, as in an `OpenAPI` document.
    pub method: &'static str,
    pub path: &'static str,
    pub summary: &'static str,
    /// What else a caller should know, in whole sentences; may be empty.
    pub about: &'static str,
    /// Whether it answers without a token.
    pub open: bool,
    pub parameters: &'static [Parameter],
    pub body: Option<Shape>,
    pub replies: &'static [(u16, Content)],
    /// Problems of its own; those that every route of its kind has are not repeated.
    pub problems: &'static [ProblemCode],
    pub(super) handler: fn() -> MethodRouter<Access>,
}

/// A parameter outside of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    Rev,
    Letter,
    KeyPath,
    Fence,
    /// The fence, where the request may do without.
    MaybeFence,
    Key,
    IfMatch,
    From,
    After,
    TakenBack,
}

/// How a type becomes a JSON Schema.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What a reply carries.
#[derive(Clone, Copy, Debug)]
pub enum Content {
    Nothing,
    Text(&'static str),
    Bytes(&'static str),
    Json(Shape),
    /// JSON under the `ETag` of its revision.
    Tagged(Shape),
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A route that is read with the token and takes nothing: what the rows below differ from.
const READ: Route = Route {
    method: "get",
    path: "",
    summary: "",
    about: "",
    open: false,
    parameters: &[],
    body: None,
    replies: &[],
    problems: &[],
    handler: MethodRouter::new,
};

/// Every route.
pub static ROUTES: &[Route] = &[
    Route {
        path: "/livez",
        summary: "Whether the process lives",
        about: "It says nothing of the gateway; a service manager restarts what does not answer \
                here.",
        open: true,
        replies: &[(200, Content::Text("text/plain"))],
        handler: || get(observe::live),
        ..READ
    },
    Route {
        path: "/readyz",
        summary: "Whether the orchestrator can do its work",
        about: "Its store answers, and it is not about to stop. For load balancers and for \
                deployments.",
        open: true,
        replies: &[(200, Content::Text("text/plain"))],
        problems: &[ProblemCode::NotReady],
        handler: || get(observe::ready),
        ..READ
    },
    Route {
        path: "/openapi.json",
        summary: "This API as an OpenAPI 3.1 document",
        replies: &[(200, Content::Json(shape::<serde_json::Value>))],
        handler: || get(observe::openapi),
        ..READ
    },
    Route {
        method: "put",
        path: "/v1/lease",
        summary: "Asks for the lease, or with its fence renews it",
        about: "One holder at a time changes an orchestrator. The answer's fence goes into \
                `Ctx-Fence` of every write; it is a secret of the holder. A lease that is not \
                renewed within `ttl_ms` lapses, and what lives with it is reverted. The run that \
                holds the lease may ask for it again without its fence: it gets a new one, and \
                nothing that was sent under the old one arrives any more.",
        parameters: &[Parameter::MaybeFence],
        body: Some(shape::<LeaseRequest>),
        replies: &[(200, Content::Json(shape::<LeaseGrant>))],
        problems: &[ProblemCode::LeaseHeld, ProblemCode::StateRegression, ProblemCode::StaleFence],
        handler: || put(lease::put),
        ..READ
    },
    Route {
        path: "/v1/lease",
        summary: "Who holds the lease; `null` when nobody does",
        replies: &[(200, Content::Json(shape::<Option<LeaseView>>))],
        handler: || get(lease::get),
        ..READ
    },
    Route {
        method: "delete",
        path: "/v1/lease",
        summary: "Gives the lease back; what lives with it is reverted",
        parameters: &[Parameter::Fence],
        replies: &[(204, Content::Nothing)],
        problems: &[ProblemCode::StaleFence],
        handler: || delete(lease::delete),
        ..READ
    },
    Route {
        method: "post",
        path: "/v1/lease/break",
        summary: "Ends the lease of a dead holder; what lives with it is reverted",
        about: "For `ctx lock release`. It takes no fence, because whoever asks has none: the \
                counter says which lease is meant.",
        body: Some(shape::<LeaseBreak>),
        replies: &[(200, Content::Json(shape::<LeaseBroken>))],
        problems: &[ProblemCode::NotFound, ProblemCode::StaleFence],
        handler: || post(lease::break_lease),
        ..READ
    },
    Route {
        path: "/v1/state",
        summary: "Where the orchestrator stands",
        about: "The head, what is provisional, who holds the lease, what is armed, and the document \
                in force. With `Ctx-Fence` it is refused where the fence is stale, so that a holder \
                finds out.",
        parameters: &[Parameter::MaybeFence],
        replies: &[(200, Content::Json(shape::<State>))],
        problems: &[ProblemCode::StaleFence],
        handler: || get(revisions::state),
        ..READ
    },
    Route {
        path: "/v1/revisions",
        summary: "Revisions without their content, newest first, at most 100",
        replies: &[(200, Content::Json(shape::<Vec<Revision>>))],
        handler: || get(revisions::list),
        ..READ
    },
    Route {
        path: "/v1/revisions/{rev}",
        summary: "One revision with its content",
        parameters: &[Parameter::Rev],
        replies: &[(200, Content::Tagged(shape::<Revision>))],
        problems: &[ProblemCode::NotFound],
        handler: || get(revisions::get),
        ..READ
    },
    Route {
        method: "post",
        path: "/v1/revisions",
        summary: "Puts a new document in force, provisionally",
        about: "The whole document, never a part: read it with the state, change it, send it. \
                `If-Match` holds the head that it was made from, so that nobody's change in between \
                is lost. It is in force at once, and reverted by the orchestrator itself unless it \
                is confirmed in time.",
        parameters: &[Parameter::Fence, Parameter::Key, Parameter::IfMatch],
        body: Some(shape::<RevisionRequest>),
        replies: &[
            (201, Content::Tagged(shape::<RevisionResult>)),
            (200, Content::Tagged(shape::<RevisionResult>)),
        ],
        problems: &[
            ProblemCode::StaleFence,
            ProblemCode::KeyReused,
            ProblemCode::GuardsArmed,
            ProblemCode::Tripped,
            ProblemCode::ProvisionalExists,
            ProblemCode::HeadMoved,
            ProblemCode::InvalidConfig,
        ],
        handler: || post(revisions::apply),
        ..READ
    },
    Route {
        method: "post",
        path: "/v1/revisions/{rev}/confirm",
        summary: "Makes the provisional revision permanent",
        about: "The next revision may follow.",
        parameters: &[Parameter::Rev, Parameter::Fence, Parameter::Key],
        replies: &[(200, Content::Tagged(shape::<RevisionResult>))],
        problems: &[
            ProblemCode::StaleFence,
            ProblemCode::KeyReused,
            ProblemCode::Tripped,
            ProblemCode::NotProvisional,
            ProblemCode::ProvisionalExists,
        ],
        handler: || post(revisions::confirm),
        ..READ
    },
    Route {
        method: "post",
        path: "/v1/revisions/{rev}/revert",
        summary: "Takes the provisional revision out of force",
        about: "The content of the confirmed revision before it comes back, under a new number.",
        parameters: &[Parameter::Rev, Parameter::Fence, Parameter::Key],
        replies: &[(200, Content::Tagged(shape::<RevisionResult>))],
        problems: &[
            ProblemCode::StaleFence,
            ProblemCode::KeyReused,
            ProblemCode::NotProvisional,
            ProblemCode::ProvisionalExists,
        ],
        handler: || post(revisions::revert),
        ..READ
    },
    Route {
        method: "put",
        path: "/v1/guards",
        summary: "Arms the guards of a phase; a breach brings the confirmed content back",
        about: "The orchestrator judges them by itself from then on, whether the caller lives or \
                not. The confirmed revision of this moment is what a breach, a worse canary or an \
                abort brings back.",
        parameters: &[Parameter::Fence],
        body: Some(shape::<ArmRequest>),
        replies: &[(200, Content::Json(shape::<Armed>))],
        problems: &[
            ProblemCode::StaleFence,
            ProblemCode::GuardsArmed,
            ProblemCode::ProvisionalExists,
            ProblemCode::InvalidGuards,
        ],
        handler: || put(guards::arm),
        ..READ
    },
    Route {
        path: "/v1/guards",
        summary: "What is armed, and how each guard was last seen",
        replies: &[(200, Content::Json(shape::<GuardsView>))],
        handler: || get(guards::get),
        ..READ
    },
    Route {
        method: "delete",
        path: "/v1/guards",
        summary: "Disarms; nothing armed is nothing to do",
        about: "The end of a phase. A run whose phase was taken back says that it knows with \
                `taken_back=true`.",
        parameters: &[Parameter::Fence, Parameter::TakenBack],
        replies: &[(204, Content::Nothing)],
        problems: &[ProblemCode::StaleFence, ProblemCode::GuardsArmed, ProblemCode::Tripped],
        handler: || delete(guards::disarm),
        ..READ
    },
    Route {
        path: "/v1/guards/record",
        summary: "The first fact of the run whose guards are armed; `null` when none are",
        replies: &[(200, Content::Json(shape::<Option<Record>>))],
        handler: || get(guards::record),
        ..READ
    },
    Route {
        method: "post",
        path: "/v1/asks",
        summary: "Asks something of a run; an abort is carried out at once",
        about: "For `ctx pause`, `ctx confirm` and `ctx abort` from any machine: the token is \
                enough.",
        body: Some(shape::<AskRequest>),
        replies: &[(200, Content::Json(shape::<AskResult>))],
        problems: &[ProblemCode::NotFound, ProblemCode::Tripped, ProblemCode::NotProvisional],
        handler: || post(guards::ask),
        ..READ
    },
    Route {
        path: "/v1/operations/{key}",
        summary: "What became of a request whose answer was lost",
        about: "By its `Idempotency-Key`. `not_found` means that it never arrived, and can be sent \
                again under the same key.",
        parameters: &[Parameter::KeyPath, Parameter::MaybeFence],
        replies: &[(200, Content::Json(shape::<Operation>))],
        problems: &[ProblemCode::NotFound, ProblemCode::StaleFence],
        handler: || get(revisions::operation),
        ..READ
    },
    Route {
        path: "/v1/metrics",
        summary: "What was measured since `from`; without it, in the last 5 seconds",
        parameters: &[Parameter::From],
        replies: &[(200, Content::Json(shape::<Metrics>))],
        handler: || get(observe::metrics),
        ..READ
    },
    Route {
        path: "/metrics",
        summary: "Totals for Prometheus",
        about: "In the text format, version 0.0.4; `docs/observability.md` lists them.",
        replies: &[(200, Content::Text("text/plain"))],
        handler: || get(observe::prometheus),
        ..READ
    },
    Route {
        path: "/v1/shadow",
        summary: "What shadow copies showed, by route, with the last differences",
        replies: &[(200, Content::Json(shape::<Shadow>))],
        handler: || get(observe::shadow),
        ..READ
    },
    Route {
        path: "/v1/extensions",
        summary: "The installed extensions and how they are doing",
        replies: &[(200, Content::Json(shape::<ExtensionList>))],
        handler: || get(observe::extensions),
        ..READ
    },
    Route {
        path: "/v1/health",
        summary: "Checks, incidents, self-healing and reliability",
        replies: &[(200, Content::Json(shape::<Health>))],
        handler: || get(observe::health),
        ..READ
    },
    Route {
        path: "/v1/cache",
        summary: "What the cache holds",
        replies: &[(200, Content::Json(shape::<CacheSnapshot>))],
        handler: || get(maintenance::cache),
        ..READ
    },
    Route {
        method: "put",
        path: "/v1/cache",
        summary: "Fills the cache from a snapshot of at most 64 MiB",
        about: "The cache then holds exactly what the snapshot holds.",
        parameters: &[Parameter::Fence],
        body: Some(shape::<CacheSnapshot>),
        replies: &[(204, Content::Nothing)],
        problems: &[ProblemCode::StaleFence],
        handler: || put(maintenance::restore_cache),
        ..READ
    },
    Route {
        path: "/v1/inbox",
        summary: "How many events wait for their handler, and how many are dead letters",
        replies: &[(200, Content::Json(shape::<InboxView>))],
        handler: || get(inbox::view),
        ..READ
    },
    Route {
        path: "/v1/inbox/database",
        summary: "A consistent copy of the inbox: events that wait, dead letters, known deliveries",
        about: "A SQLite database, taken at one moment while the gateway goes on.",
        replies: &[(200, Content::Bytes("application/vnd.sqlite3"))],
        handler: || get(inbox::database),
        ..READ
    },
    Route {
        method: "post",
        path: "/v1/inbox/restore",
        summary: "Takes events out of a backup, at most 64 MiB at a time, into an empty inbox",
        parameters: &[Parameter::Fence],
        body: Some(shape::<InboxEvents>),
        replies: &[(200, Content::Json(shape::<InboxRestored>))],
        problems: &[ProblemCode::StaleFence, ProblemCode::InboxInUse],
        handler: || post(inbox::restore),
        ..READ
    },
    Route {
        path: "/v1/inbox/dead",
        summary: "Dead letters, oldest first, at most 1,000",
        about: "`after` goes on from the last one's number.",
        parameters: &[Parameter::After],
        replies: &[(200, Content::Json(shape::<Vec<DeadLetter>>))],
        handler: || get(inbox::dead),
        ..READ
    },
    Route {
        path: "/v1/inbox/dead/{id}",
        summary: "A dead letter with its content, without signatures",
        parameters: &[Parameter::Letter],
        replies: &[(200, Content::Json(shape::<DeadLetterContent>))],
        problems: &[ProblemCode::NotFound],
        handler: || get(inbox::dead_letter),
        ..READ
    },
    Route {
        method: "post",
        path: "/v1/inbox/dead/replay",
        summary: "Makes dead letters pending again: those named, or all",
        body: Some(shape::<Letters>),
        replies: &[(200, Content::Json(shape::<LettersMoved>))],
        handler: || post(inbox::replay),
        ..READ
    },
    Route {
        method: "post",
        path: "/v1/inbox/dead/discard",
        summary: "Deletes dead letters; nothing brings them back",
        body: Some(shape::<Letters>),
        replies: &[(200, Content::Json(shape::<LettersMoved>))],
        handler: || post(inbox::discard),
        ..READ
    },
    Route {
        path: "/v1/audit",
        summary: "Rows of the audit chain, oldest first, at most 1,000",
        about: "Each row holds the hash of the row before it; `after` goes on from the last one.",
        parameters: &[Parameter::After],
        replies: &[(200, Content::Json(shape::<Vec<AuditRow>>))],
        handler: || get(observe::audit),
        ..READ
    },
    Route {
        path: "/v1/database",
        summary: "A consistent copy of the orchestrator's database",
        about: "A SQLite database: leases, revisions, operations, audit chain.",
        replies: &[(200, Content::Bytes("application/vnd.sqlite3"))],
        handler: || get(maintenance::database),
        ..READ
    },
    Route {
        method: "post",
        path: "/v1/legacy/cleanup",
        summary: "Clears stored answers and the content of old revisions; nothing brings them back",
        parameters: &[Parameter::Fence, Parameter::Key],
        replies: &[(200, Content::Json(shape::<RevisionResult>))],
        problems: &[
            ProblemCode::StaleFence,
            ProblemCode::KeyReused,
            ProblemCode::ProvisionalExists,
        ],
        handler: || post(maintenance::cleanup),
        ..READ
    },
];
