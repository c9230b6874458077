//! The plan file as a whole.

use toml::Spanned;
use toml::de::DeTable;

use super::ReadFile;
use super::alerts::{SINK, alerts};
use super::criterion::{CRITERION, criterion};
use super::guard::{GUARD, guard};
use super::measure::{SERVER, Server, servers};
use super::phase::{PHASE, phase};
use super::suite::{SUITE, suite};
use crate::ids::PlanName;
use crate::plan::draft::{Draft, Item};
use crate::plan::fault::Faults;
use crate::plan::model::{BackupPolicy, Orchestrator, Risk, Severity};
use crate::plan::scalar;
use crate::plan::shape::{Kind, Shape, may, need};
use crate::plan::table::Table;
use crate::plan::usual::{Literal, Range};
use crate::secret::SecretRef;

/// The version of the format that this ctx reads.
const SCHEMA: u64 = 1;

pub(in crate::plan) static PLAN_FILE: Shape = Shape {
    what: "a plan",
    about: "Keys before the first table, and all tables.",
    keys: &[
        need("schema", Kind::Count, "the version of this format: `1`")
            .within(Range::Between(Literal::Count(SCHEMA), Literal::Count(SCHEMA))),
        need("plan", Kind::Table(&PLAN), "what the plan is called"),
        need("orchestrator", Kind::Table(&ORCHESTRATOR), "the service that the plan changes"),
        may("backup", Kind::Table(&BACKUP), "what a backup holds besides the orchestrator's state"),
        may("metrics", Kind::Map(&Kind::Table(&SERVER)), "Prometheus servers that queries go to"),
        may("guards", Kind::Map(&Kind::Table(&GUARD)), "what must hold while a phase is in flight"),
        need("phase", Kind::Tables(&PHASE), "the phases, in the order in which they are migrated"),
        may("criterion", Kind::Tables(&CRITERION), "success criteria of the whole migration"),
        may("risk", Kind::Tables(&RISK), "what may go wrong, and what the plan does about it"),
        may("suite", Kind::Tables(&SUITE), "test suites"),
        may("alerts", Kind::Map(&Kind::Table(&SINK)), "where people are told"),
    ],
};

static PLAN: Shape = Shape {
    what: "`[plan]`",
    about: "",
    keys: &[
        need("name", Kind::Name, "the plan's name in the ledger").more(
            "Runs are kept under it: a plan with another name is another migration, which knows \
             nothing of what this one has done.",
        ),
        may("title", Kind::Text, "what the migration is, in a few words").otherwise("the name"),
    ],
};

static ORCHESTRATOR: Shape = Shape {
    what: "`[orchestrator]`",
    about: "The `ctx serve` that the plan changes, or a service with the same control API.",
    keys: &[
        need("url", Kind::Url, "the control API, such as `http://127.0.0.1:7700`").more(
            "`--orchestrator` and `CTX_ORCHESTRATOR` go before it, so that one plan serves a \
             staging service and the real one.",
        ),
        may("token", Kind::Reference, "where its token is: `env:NAME` or `file:PATH`")
            .more("`ctx serve` prints where it keeps the token; see [the control API](api.md)."),
    ],
};

static BACKUP: Shape = Shape {
    what: "`[backup]`",
    about: "Every phase begins with a backup of the orchestrator's configuration, database, cache \
            and inbox, restored into a scratch folder and checked. This table adds to it.",
    keys: &[may("databases", Kind::Texts, "SQLite files of the service, relative to the plan")
        .more(
            "Copied consistently while the service writes. They must be below the plan's folder.",
        )],
};

static RISK: Shape = Shape {
    what: "a risk",
    about: "Risks change nothing: reports list them, for those who decide.",
    keys: &[
        need("id", Kind::Name, "a name, unique within the plan"),
        need("title", Kind::Text, "what may go wrong"),
        may("severity", Kind::Choice(&["low", "medium", "high"]), "how bad it would be")
            .usually(Literal::Word("medium")),
        may("mitigations", Kind::Texts, "what the plan does about it"),
    ],
};

const SEVERITIES: [(&str, Severity); 3] =
    [("low", Severity::Low), ("medium", Severity::Medium), ("high", Severity::High)];

/// Reads the document.
pub(in crate::plan) fn plan<'d>(
    document: &'d Spanned<DeTable<'d>>,
    faults: &'d Faults<'d>,
    read: ReadFile<'_>,
) -> Draft<'d> {
    // The document spans everything; a fault about it belongs to its first line.
    let table = Table::of(document.get_ref(), 0..0, &PLAN_FILE, faults);
    let strange =
        |schema: &Spanned<u64>| !table.within("schema", Literal::Count(*schema.get_ref()));
    if let Some(schema) = table.count("schema").filter(strange) {
        let message = format!("schema {} is not known to this ctx", schema.get_ref());
        faults.hinted(schema.span(), message, format!("write `schema = {SCHEMA}`, or upgrade ctx"));
    }
    let head = table.table("plan");
    let servers = servers(&table);
    let phases: Vec<_> = table.tables("phase").iter().map(|t| phase(t, &servers, read)).collect();
    if table.has("phase") && phases.is_empty() {
        faults.push(table.key_span("phase"), "a plan needs at least one phase");
    }
    Draft {
        name: head.and_then(|head| head.name::<PlanName>("name")).map(Spanned::into_inner),
        title: head.and_then(|head| head.string("title")),
        orchestrator: table.table("orchestrator").and_then(|table| orchestrator(&table)),
        backup: table.table("backup").map(|table| backup(&table)).unwrap_or_default(),
        guards: guards(&table, &servers),
        phases,
        criteria: table.tables("criterion").iter().map(|t| criterion(t, &servers)).collect(),
        risks: table.tables("risk").iter().map(risk).collect(),
        suites: table.tables("suite").iter().map(|table| suite(table, read)).collect(),
        alerts: alerts(&table),
    }
}

fn guards(
    table: &Table<'_>,
    servers: &[Server],
) -> Vec<Item<crate::ids::GuardId, crate::plan::model::Guard>> {
    let entries = table.map("guards").into_iter();
    let read = |(name, value)| {
        let id = scalar::name(&name, table.faults);
        let body = Table::open(value, &GUARD, table.faults);
        let id = id?;
        let body = body.and_then(|body| guard(&id, &body, servers));
        Some(Item { id, body })
    };
    entries.filter_map(read).collect()
}

fn orchestrator(table: &Table<'_>) -> Option<Orchestrator> {
    let url = table.text("url").filter(|url| absolute_http(url, table.faults).is_some());
    let token = table.text("token");
    let literal = |token: &&Spanned<&str>| token.get_ref().parse::<SecretRef>().is_err();
    if let Some(token) = token.as_ref().filter(literal) {
        let hint = "write `env:NAME` or `file:PATH`; a plan is read by many and kept for long";
        table.faults.covered(token.span(), "the token itself stands in the plan", hint);
    }
    let own = |text: Spanned<&str>| (*text.get_ref()).to_owned();
    Some(Orchestrator { url: own(url?).trim_end_matches('/').to_owned(), token: token.map(own) })
}

/// Checks that a URL is absolute, with a host and without credentials.
pub(super) fn absolute_http(url: &Spanned<&str>, faults: &Faults<'_>) -> Option<()> {
    let rest = ["http://", "https://"].iter().find_map(|scheme| url.get_ref().strip_prefix(scheme));
    let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    if authority.contains('@') {
        let hint = "name a secret by reference: `env:NAME` or `file:PATH`";
        faults.covered(url.span(), "the URL carries credentials", hint);
        return None;
    }
    let plain = !url.get_ref().contains(|c: char| c.is_whitespace() || c.is_control());
    if authority.is_empty() || authority.starts_with(':') || !plain {
        let message = format!("`{}` is not a URL", url.get_ref());
        faults.hinted(url.span(), message, "write it like `http://127.0.0.1:7700`");
        return None;
    }
    Some(())
}

fn backup(table: &Table<'_>) -> BackupPolicy {
    let databases = table.texts("databases").into_iter();
    let inside = |text: Spanned<&str>| {
        inside(&text, table.faults)?;
        Some((*text.get_ref()).to_owned())
    };
    BackupPolicy { databases: databases.filter_map(inside).collect() }
}

/// Checks that a path stays under the plan's folder.
pub(super) fn inside(path: &Spanned<&str>, faults: &Faults<'_>) -> Option<()> {
    let text = path.get_ref();
    let odd = |part: &str| part.is_empty() || part == "." || part == "..";
    let leaves = text.split('/').any(odd) || text.contains(['\\', ':', '\0']);
    if leaves {
        let message = format!("`{text}` does not stay under the plan's folder");
        faults.hinted(
            path.span(),
            message,
            "name a file below it, such as `extensions/linear.toml`",
        );
    }
    (!leaves).then_some(())
}

fn risk(table: &Table<'_>) -> Item<String, Risk> {
    let id = table.word("id").unwrap_or_else(|| Spanned::new(table.span(), String::new()));
    let severity = table.chosen("severity", &SEVERITIES);
    let mitigations = table.strings("mitigations");
    let title = table.string("title");
    let body = title.map(|title| Risk { id: id.get_ref().clone(), title, severity, mitigations });
    Item { id, body }
}
