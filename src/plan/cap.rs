//! How much a plan may hold: what reads and checks it takes time for every pair of some things.

use toml::de::{DeTable, DeValue};

use super::source::Span;

/// The most entries of one list or table; no real plan has a tenth of it.
const ENTRIES: usize = 2_000;
/// The most values of a whole plan.
const VALUES: usize = 20_000;

/// What is too much in a document, and where. Tables are no deeper than the TOML parser lets them
/// be, which is far from the end of a stack.
pub(super) fn exceeded(document: &DeTable<'_>) -> Option<(Span, String)> {
    let mut seen = 0;
    table(document, &(0..0), &mut seen)
}

fn table(table: &DeTable<'_>, at: &Span, seen: &mut usize) -> Option<(Span, String)> {
    let mut values = table.iter().map(|(_, value)| (value.span(), value.get_ref()));
    list(table.len(), at, &mut values, seen)
}

fn list<'v, 'd: 'v>(
    entries: usize,
    at: &Span,
    values: &mut dyn Iterator<Item = (Span, &'v DeValue<'d>)>,
    seen: &mut usize,
) -> Option<(Span, String)> {
    if entries > ENTRIES {
        return Some((at.clone(), format!("{entries} entries are more than {ENTRIES}")));
    }
    *seen += entries;
    if *seen > VALUES {
        return Some((at.clone(), format!("the plan has more than {VALUES} values")));
    }
    for (span, value) in values {
        let found = match value {
            DeValue::Array(array) => {
                let mut values = array.iter().map(|value| (value.span(), value.get_ref()));
                list(array.len(), &span, &mut values, seen)
            }
            DeValue::Table(inner) => table(inner, &span, seen),
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}
