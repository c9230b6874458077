//! Days of the timeline: `15-28`, or one day, `7`.

use toml::Spanned;

use crate::plan::fault::At;
use crate::plan::table::Table;

/// Reads the table's `days`.
pub(super) fn days(table: &Table<'_>) -> Option<Spanned<(u32, u32)>> {
    let text = table.text("days")?;
    let (first, last) = text.get_ref().split_once('-').unwrap_or((text.get_ref(), text.get_ref()));
    let day = |text: &str| text.trim().parse::<u32>().ok().filter(|day| *day > 0);
    match (day(first), day(last)) {
        (Some(first), Some(last)) if first <= last => Some(text.with((first, last))),
        (Some(first), Some(last)) => {
            let message = format!("the days run backwards, from {first} to {last}");
            table.faults.hinted(text.span(), message, format!("write `\"{last}-{first}\"`"));
            None
        }
        _ => {
            let message = format!("`{}` are not days", text.get_ref());
            table.faults.hinted(text.span(), message, "write them like `\"15-28\"`, from day 1");
            None
        }
    }
}
