//! Looks at a plan's queries before anything begins: each is parsed by its server, comes to one
//! number, and names metrics that the server knows.

use super::session::block_on;
use crate::clock::{SystemClock, epoch_seconds};
use crate::error::{Code, Failure, Result, count};
use crate::plan::model::Guard;
use crate::prometheus::Client;

/// Refuses where a guard asks what its server cannot answer. Returns how many queries were asked.
///
/// # Errors
/// [`Code::Refused`], with every query that is at fault.
pub(crate) fn check(guards: &[Guard]) -> Result<usize> {
    let queries: Vec<_> =
        guards.iter().filter_map(|guard| Some((&guard.id, guard.measure.query()?))).collect();
    if queries.is_empty() {
        return Ok(0);
    }
    let faults = block_on(async {
        let client = Client::default();
        let mut faults = Vec::new();
        for (id, query) in &queries {
            if let Err(why) = client.check(query, epoch_seconds(&SystemClock)).await {
                faults.push(format!("guard `{id}`: {}: {why}", query.from));
            }
        }
        Ok(faults)
    })?;
    if faults.is_empty() {
        return Ok(queries.len());
    }
    let what = format!("{} cannot be judged", count(faults.len(), "guard"));
    let failure = faults.into_iter().fold(Failure::new(Code::Refused, what), Failure::why);
    Err(failure.hint("correct the query, or see that the server answers; nothing was begun"))
}
