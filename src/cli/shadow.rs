//! `ctx shadow`: whether the new path and the legacy app say the same.

use serde_json::json;

use super::Context;
use super::asks::there;
use super::known::known;
use super::session::{block_on, connect};
use crate::control::failure::control_failure;
use crate::control::observe::{Noise, ShadowRoute};
use crate::error::{Code, Result};
use crate::report::page::{Cell, Page};

/// The widest that a table gets.
const WIDEST: usize = 110;

/// Show whether shadow copies of reads got the same answers, and where they differ
///
/// Copies of reads are sent on routes with `shadow = true`: to the legacy app where the cache or a
/// canary answered, to the canary where the legacy app did. What differs between two answers of the
/// legacy app itself, such as a time, is left out, and listed as noise.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctx shadow\n  ctx shadow --json")]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// When the orchestrator does not answer.
pub fn run(_: &Args, context: &Context) -> Result<Code> {
    let client = connect(context, &there(context, &known(context)?)?)?;
    let shadow =
        block_on(async { client.shadow().await.map_err(|error| control_failure(&error)) })?;
    if context.ui.json {
        context.ui.json(&json!({ "schema": "ctx.shadow/1", "routes": shadow.routes }));
        return Ok(Code::Done);
    }
    if shadow.routes.is_empty() {
        context.ui.note("nothing was compared yet");
        context.ui.note("hint: a route is compared when it has `shadow = true`");
        return Ok(Code::Done);
    }
    let row = |(name, route): (&String, &ShadowRoute)| -> Vec<Cell> {
        let percent = |share: f64| format!("{:.2}%", share * 100.0);
        vec![
            name.as_str().into(),
            route.compared.to_string().into(),
            route.equal.to_string().into(),
            route.noisy.to_string().into(),
            route.parity.map_or("-".to_owned(), percent).into(),
        ]
    };
    let rows: Vec<Vec<Cell>> = shadow.routes.iter().map(row).collect();
    let mut page = Page::new(context.ui.width.min(WIDEST));
    page.table(&["route", "compared", "equal", "of these noisy", "parity"], &rows);
    let differences: Vec<Vec<Cell>> = shadow
        .routes
        .values()
        .flat_map(|route| &route.differences)
        .map(|difference| {
            vec![
                difference.at.as_str().into(),
                difference.target.as_str().into(),
                difference.place.as_str().into(),
                difference.enhanced.as_str().into(),
                difference.legacy.as_str().into(),
            ]
        })
        .collect();
    let noise: Vec<Vec<Cell>> = shadow
        .routes
        .iter()
        .flat_map(|(name, route)| route.noise.iter().map(move |noise| (name, noise)))
        .map(|(name, Noise { place, seen })| {
            vec![name.as_str().into(), place.as_str().into(), seen.to_string().into()]
        })
        .collect();
    if !noise.is_empty() {
        page.blank();
        page.table(&["route", "left out as noise", "seen"], &noise);
    }
    if !differences.is_empty() {
        page.blank();
        page.table(&["when", "path", "differs in", "enhanced", "legacy"], &differences);
    }
    context.ui.out_raw(page.render(context.ui.color_out));
    Ok(Code::Done)
}
