//! Looks at a plan's queries before anything begins: each is parsed by its server, comes to one
//! number, and names metrics that the server knows.

use super::session::block_on;
use crate::clock::{SystemClock, epoch_seconds};
use crate::error::{Code, Failure, Result, count};
use crate::judge::measure::Query;
use crate::plan::model::{Criterion, Guard, Phase, Plan};
use crate::prometheus::Client;

/// Refuses where a guard or a criterion asks what its server cannot answer. Returns how many
/// queries were asked.
///
/// # Errors
/// [`Code::Refused`], with every query that is at fault.
pub(crate) fn check<'p>(
    guards: &'p [Guard],
    criteria: impl IntoIterator<Item = &'p Criterion>,
) -> Result<usize> {
    let guards = guards
        .iter()
        .filter_map(|guard| Some((format!("guard `{}`", guard.id), guard.measure.query()?)));
    let mut queries: Vec<(String, &Query)> = guards.collect();
    let of_guards = queries.len();
    for criterion in criteria {
        let Some(query) = criterion.check.query() else { continue };
        let who = format!("criterion `{}`", criterion.id);
        if !queries.iter().any(|(known, _)| *known == who) {
            queries.push((who, query));
        }
    }
    if queries.is_empty() {
        return Ok(0);
    }
    let (mut guards, mut criteria) = (0, 0);
    let faults = block_on(async {
        let client = Client::default();
        let mut faults = Vec::new();
        for (n, (who, query)) in queries.iter().enumerate() {
            if let Err(why) = client.check(query, epoch_seconds(&SystemClock)).await {
                *(if n < of_guards { &mut guards } else { &mut criteria }) += 1;
                faults.push(format!("{who}: {}: {why}", query.from));
            }
        }
        Ok(faults)
    })?;
    if faults.is_empty() {
        return Ok(queries.len());
    }
    let counted = [count(guards, "guard"), count(criteria, "criterion")];
    let some = counted.into_iter().zip([guards, criteria]).filter(|(_, n)| *n > 0);
    let what: Vec<String> = some.map(|(what, _)| what).collect();
    let what = format!("{} cannot be judged", what.join(" and "));
    let failure = faults.into_iter().fold(Failure::new(Code::Refused, what), Failure::why);
    Err(failure.hint("correct the query, or see that the server answers; nothing was begun"))
}

/// As [`check`], for what a phase is judged by.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_phase(plan: &Plan, phase: &Phase) -> Result<usize> {
    let required = phase.steps.iter().flat_map(|step| &step.require);
    let of_milestones = plan.milestones.iter().filter(|milestone| milestone.phase == phase.id);
    let criteria = phase.criteria.iter().chain(required);
    let criteria = criteria.chain(of_milestones.flat_map(|milestone| &milestone.when));
    check(&plan.guards_of(phase), criteria)
}
