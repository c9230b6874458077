//! What needs no orchestrator: listing, showing, verifying, and restoring into a folder.

use std::path::Path;

use serde_json::json;

use super::super::Context;
use super::super::known::reader;
use super::named;
use crate::backup::manifest::{Content, Kind, Manifest, Part};
use crate::backup::restore;
use crate::backup::verify::{PartReport, Report};
use crate::backup::{self, Found};
use crate::error::{Code, Failure, Result, count};
use crate::ledger::view::BackupRow;
use crate::report::page::{Cell, Field, Page};
use crate::report::words;
use crate::ui::Paint;

/// The most columns on a terminal.
const WIDEST: usize = 120;

pub(super) fn list(context: &Context) -> Result<Code> {
    let home = context.settings.home();
    let found = backup::list(&home)?;
    let known = recorded(context)?;
    let gone: Vec<&BackupRow> =
        known.iter().filter(|row| !found.iter().any(|f| f.id() == row.backup.as_str())).collect();
    if context.ui.json {
        let gone = gone.iter().map(|row| json!({"id": row.backup, "status": "missing"}));
        let all: Vec<_> = found.iter().map(as_json).chain(gone).collect();
        context.ui.json(&json!({"schema": "ctx.backups/1", "backups": all}));
        return Ok(Code::Done);
    }
    if found.is_empty() && gone.is_empty() {
        let folder = backup::folder::all(&home);
        context.ui.note(format!("no backups in `{}`", folder.display()));
        context.ui.note("hint: `ctx backup create` makes one; so does every phase");
        return Ok(Code::Done);
    }
    let mut rows: Vec<Vec<Cell>> = found.iter().map(row).collect();
    for row in gone {
        let status = Cell::painted("missing", Paint::Bad);
        rows.push(vec![row.backup.as_str().into(), "".into(), "".into(), "".into(), status]);
    }
    let mut page = Page::new(context.ui.width.min(WIDEST));
    page.table(&["backup", "made", "revision", "size", "status"], &rows);
    context.ui.out_raw(page.render(context.ui.color_out));
    if !found.iter().all(|found| matches!(found, Found::Complete(_))) {
        context.ui.note("only complete backups can be restored");
    }
    Ok(Code::Done)
}

fn row(found: &Found) -> Vec<Cell> {
    match found {
        Found::Complete(manifest) => vec![
            manifest.id.as_str().into(),
            manifest.at.as_str().into(),
            manifest.orchestrator.rev.to_string().into(),
            words::bytes(manifest.bytes()).into(),
            "complete".into(),
        ],
        Found::Incomplete { id } => {
            let status = Cell::painted("incomplete", Paint::Warn);
            vec![id.as_str().into(), "".into(), "".into(), "".into(), status]
        }
        Found::Damaged { id, .. } => {
            let status = Cell::painted("damaged", Paint::Bad);
            vec![id.as_str().into(), "".into(), "".into(), "".into(), status]
        }
    }
}

fn as_json(found: &Found) -> serde_json::Value {
    match found {
        Found::Complete(manifest) => json!({
            "id": manifest.id, "status": "complete", "at": manifest.at,
            "plan": manifest.plan, "run": manifest.run, "rev": manifest.orchestrator.rev,
            "bytes": manifest.bytes(), "manifest_hash": manifest.hash(),
        }),
        Found::Incomplete { id } => json!({"id": id, "status": "incomplete"}),
        Found::Damaged { id, why } => {
            let source = std::error::Error::source(why).map(ToString::to_string);
            json!({"id": id, "status": "damaged", "why": source})
        }
    }
}

pub(super) fn show(context: &Context, id: &str) -> Result<Code> {
    let manifest = backup::load(&named(&context.settings.home(), id)?)?;
    if context.ui.json {
        context.ui.json(&json!({"schema": "ctx.backup/1", "backup": manifest}));
        return Ok(Code::Done);
    }
    let mut page = Page::new(context.ui.width.min(WIDEST));
    page.fields(fields(&manifest));
    page.blank();
    let rows: Vec<Vec<Cell>> = manifest.parts.iter().map(part_row).collect();
    page.table(&["part", "file", "size", "packed", "holds"], &rows);
    context.ui.out_raw(page.render(context.ui.color_out));
    Ok(Code::Done)
}

fn fields(manifest: &Manifest) -> Vec<Field<'_>> {
    let there = &manifest.orchestrator;
    let mut fields = vec![
        Field::new("backup", manifest.id.as_str()),
        Field::new("made", format!("{} by ctx {}", manifest.at, manifest.ctx_version)),
        Field::new("orchestrator", format!("{}, revision {}", there.url, there.rev)),
        Field::new("state", there.state_uuid.as_str()),
        Field::new("config", there.config_hash.as_str()),
        Field::new("manifest", manifest.hash()),
    ];
    if let Some(plan) = &manifest.plan {
        fields.insert(2, Field::new("plan", plan.as_str()));
    }
    if let Some(run) = &manifest.run {
        fields.insert(2, Field::new("run", run.short()));
    }
    fields
}

fn part_row(part: &Part) -> Vec<Cell> {
    let number = |n: u64, noun| count(usize::try_from(n).unwrap_or(usize::MAX), noun);
    let holds = match &part.content {
        Content::Config => "the document".to_owned(),
        Content::Cache { entries } => number(*entries, "answer"),
        Content::Inbox { pending, dead, .. } => {
            format!("{pending} pending, {dead} dead")
        }
        Content::Database { tables } | Content::Service { tables, .. } => {
            let rows = tables.rows.values().sum();
            format!("{}, {}", count(tables.rows.len(), "table"), number(rows, "row"))
        }
    };
    vec![
        part.label().into(),
        part.file.as_str().into(),
        words::bytes(part.original.bytes).into(),
        words::bytes(part.compressed.bytes).into(),
        holds.into(),
    ]
}

pub(super) fn verify(context: &Context, id: Option<&str>) -> Result<Code> {
    let home = context.settings.home();
    let known = recorded(context)?;
    let paths = match id {
        Some(id) => vec![named(&home, id)?],
        None => backup::list(&home)?
            .iter()
            .filter(|found| !matches!(found, Found::Incomplete { .. }))
            .map(|found| backup::folder::all(&home).join(found.id()))
            .collect(),
    };
    let mut reports = Vec::new();
    for path in &paths {
        reports.push(verify_one(path, &known)?);
    }
    let sound = reports.iter().all(Report::sound);
    if context.ui.json {
        let doc = json!({"schema": "ctx.backup-verify/1", "sound": sound, "backups": reports});
        context.ui.json(&doc);
        return Ok(if sound { Code::Done } else { Code::Failure });
    }
    for report in &reports {
        let parts = count(report.parts.len(), "part");
        if report.sound() {
            let sound = context.ui.paint_out(Paint::Good, "sound");
            context.ui.say(format!("{}: {sound}: {parts} restored and checked", report.id));
        } else {
            context.ui.out(format!(
                "{}: {}",
                report.id,
                context.ui.paint_out(Paint::Bad, "damaged")
            ));
        }
        for (part, fault) in report.faults() {
            context.ui.say(format!("  {part}: {fault}"));
        }
    }
    if sound {
        return Ok(Code::Done);
    }
    let damaged = reports.iter().filter(|report| !report.sound()).count();
    Err(Failure::new(Code::Failure, format!("{} damaged", count(damaged, "backup")))
        .hint("keep them for what is still sound; make a new one: `ctx backup create`"))
}

/// Verifies a backup, and that it is the one that the ledger recorded.
fn verify_one(path: &Path, known: &[BackupRow]) -> Result<Report> {
    let mut report = backup::verify::verify(path)?;
    let manifest = backup::load(path)?;
    let row = known.iter().find(|row| row.backup == manifest.id);
    if row.is_some_and(|row| row.manifest_hash != manifest.hash()) {
        report.parts.insert(
            0,
            PartReport {
                part: "manifest".to_owned(),
                file: "manifest.json".to_owned(),
                bytes: manifest.render().len() as u64,
                fault: Some("it is not the one that the ledger recorded".to_owned()),
            },
        );
    }
    Ok(report)
}

pub(super) fn extract(context: &Context, id: &str, to: &Path, parts: &[Kind]) -> Result<Code> {
    let path = named(&context.settings.home(), id)?;
    let files = restore::extract(&path, to, parts)?;
    if context.ui.json {
        context.ui.json(&json!({"schema": "ctx.backup-restore/1", "files": files}));
        return Ok(Code::Done);
    }
    for file in &files {
        context.ui.out(file.display().to_string());
    }
    context.ui.note("verified, and restored into a folder; nothing that runs was changed");
    Ok(Code::Done)
}

/// What the ledger knows about backups; nothing when there is no ledger.
pub(super) fn recorded(context: &Context) -> Result<Vec<BackupRow>> {
    match reader(context)? {
        Some(reader) => Ok(reader.backups()?),
        None => Ok(Vec::new()),
    }
}
