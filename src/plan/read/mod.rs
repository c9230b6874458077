//! Readers: one per kind of table, each with its shape beside it.
//!
//! How to add a key: its row in the shape, and the line that reads it. How to add a kind of
//! table: a file here with a shape and a reader, and its row in the shape of the table it stands
//! in.

mod action;
mod alerts;
mod call;
mod criterion;
mod days;
mod guard;
mod manifest;
mod measure;
mod phase;
mod plan;
mod step;
mod suite;

use std::io;
use std::str::FromStr;

use toml::Spanned;

use super::source::Span;
use super::table::Table;
use crate::ids::NameError;

pub(super) use alerts::{ALERTS_FILE, alerts};
#[cfg(test)]
pub(super) use manifest::MANIFEST;
pub(super) use manifest::read as read_manifest;
pub(super) use plan::{PLAN_FILE, plan};

/// Reads a file that the plan names, by its path relative to the plan.
pub(super) type ReadFile<'r> = &'r dyn Fn(&str) -> io::Result<String>;

/// The name of a file that a plan names, as the user knows it.
fn beside(plan: &str, file: &str) -> String {
    match plan.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{file}"),
        None => file.to_owned(),
    }
}

/// The id of a table; where it has none, or no valid one, a name that nobody writes stands in,
/// so that the rest can be looked at all the same.
fn id<T: FromStr<Err = NameError>>(table: &Table<'_>) -> Spanned<T> {
    table.name("id").unwrap_or_else(|| stand_in(table.span()))
}

/// A name made from where it would stand.
fn stand_in<T: FromStr<Err = NameError>>(span: Span) -> Spanned<T> {
    let name = format!("0__at-byte-{}", span.start);
    let name = name.parse().expect("letters, digits, `-` and `_` are a name");
    Spanned::new(span, name)
}
