//! Days go forward: from phase to phase, and milestones within theirs.

use crate::plan::draft::Draft;
use crate::plan::fault::Faults;

pub(super) fn timeline(draft: &Draft<'_>, faults: &Faults<'_>) {
    let mut before: Option<(&str, u32)> = None;
    for phase in &draft.phases {
        let Some(days) = &phase.days else { continue };
        let (first, last) = *days.get_ref();
        if let Some((earlier, until)) = before.filter(|(_, until)| first <= *until) {
            let message = format!(
                "phase `{}` begins on day {first}, when phase `{earlier}` still runs",
                phase.id.get_ref()
            );
            faults.hinted(days.span(), message, format!("begin on day {} or later", until + 1));
        }
        before = Some((phase.id.get_ref().as_str(), last));
        for milestone in &phase.milestones {
            let Some(days) = &milestone.days else { continue };
            let (from, to) = *days.get_ref();
            if from < first || to > last {
                let message = format!(
                    "milestone `{}` lies outside of its phase, days {first}-{last}",
                    milestone.id.get_ref()
                );
                faults.push(days.span(), message);
            }
        }
    }
}
