//! Success criteria by category, each with its target, its latest judgement, and the evidence.

use super::model::{CategoryEntry, CriterionEntry, CriterionState, Moment};
use super::records::Records;
use crate::ids::{CriterionId, PhaseId};
use crate::judge::Verdict;
use crate::ledger::view::CriterionRow;
use crate::plan::Plan;
use crate::plan::model::{Category, Criterion, Phase};

/// Every criterion of the plan, or else of the phases that were run, and what was found.
pub(super) fn by_category(records: &Records, plan: Option<&Plan>) -> Vec<CategoryEntry> {
    let phases: Vec<&Phase> = match plan {
        Some(plan) => plan.phases.iter().collect(),
        None => records.begun.iter().map(|begun| &begun.phase).collect(),
    };
    let mut entries: Vec<(Category, CriterionEntry)> = Vec::new();
    let general = plan.iter().flat_map(|plan| &plan.criteria);
    for criterion in general.chain(phases.iter().flat_map(|phase| &phase.criteria)) {
        if !entries.iter().any(|(_, entry)| entry.id == criterion.id) {
            let row = records.criteria.iter().find(|row| row.criterion == criterion.id);
            entries.push((criterion.category, entry(criterion, row, &phases)));
        }
    }
    for row in &records.criteria {
        if !entries.iter().any(|(_, entry)| entry.id == row.criterion) {
            entries.push((row.category, recorded(row, &phases)));
        }
    }
    let category = |category: Category| {
        let own = entries.iter().filter(|(of, _)| *of == category);
        let criteria: Vec<CriterionEntry> = own.map(|(_, entry)| entry.clone()).collect();
        let passed = criteria.iter().all(|entry| entry.verdict == CriterionState::Pass);
        (!criteria.is_empty()).then_some(CategoryEntry { category, passed, criteria })
    };
    Category::ALL.into_iter().filter_map(category).collect()
}

fn entry(criterion: &Criterion, row: Option<&CriterionRow>, phases: &[&Phase]) -> CriterionEntry {
    let target = criterion.check.target();
    let id = criterion.id.clone();
    let title = criterion.title.clone().unwrap_or_else(|| id.to_string());
    let required_by = required_by(&id, phases);
    match row {
        Some(row) => CriterionEntry { title, ..recorded(row, phases) },
        None => CriterionEntry {
            id,
            title,
            required_by,
            target,
            actual: None,
            verdict: CriterionState::NotJudged,
            evidence: None,
            judged: None,
        },
    }
}

fn recorded(row: &CriterionRow, phases: &[&Phase]) -> CriterionEntry {
    CriterionEntry {
        id: row.criterion.clone(),
        title: row.title.clone(),
        required_by: required_by(&row.criterion, phases),
        target: row.target.clone(),
        actual: Some(row.actual.clone()),
        verdict: match row.verdict {
            Verdict::Pass(_) => CriterionState::Pass,
            Verdict::Fail(_) => CriterionState::Fail,
            Verdict::Inconclusive(_) => CriterionState::Inconclusive,
        },
        evidence: Some(row.verdict.why().to_owned()),
        judged: Some(Moment(row.at_ms)),
    }
}

fn required_by(id: &CriterionId, phases: &[&Phase]) -> Vec<PhaseId> {
    let needs = |phase: &&&Phase| phase.criteria.iter().any(|criterion| criterion.id == *id);
    phases.iter().filter(needs).map(|phase| phase.id.clone()).collect()
}
