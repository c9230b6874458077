//! Phases that are run, taken up and taken back.

use ctx::error::Code;

use super::act::{Act, act};
use super::scene::Scene;
use crate::support::{block_on, until};

/// Nothing was migrated, and the ledger says so.
fn taken_back(scene: &mut Scene) {
    scene.ctx(&["rollback", "--to", "start", "--yes"]);
}

/// A detached run whose soak is over: its guards have held, and no more is left than the time to
/// confirm it.
fn soaked(scene: &Scene, hours: u64) {
    let client = scene.serve().client();
    until("the guards held", || {
        let looks = block_on(client.guards()).unwrap().looks;
        (!looks.is_empty() && looks.iter().all(|look| look.held)).then_some(())
    });
    scene.serve().until("the soak's end", |state| {
        let left = state.provisional.as_ref().and_then(|provisional| provisional.deadline_in_ms);
        left.is_some_and(|left| left < hours * 3_600_000)
    });
}

pub(super) const SCRIPT: &[Act] = &[
    act("ctx migrate next", "confirmed").confirmed(),
    act("ctx migrate phase 2 --dry-run", "pool-ramp"),
    act("ctx migrate phase 2", "confirmed").confirmed(),
    act("ctx rollback", "run ended, done: rollback of").confirmed(),
    act("ctx migrate phase performance --yes --reason \"change 4711\"", "confirmed"),
    act(
        "ctx rollback --to start --yes --reason \"customers complain\"",
        "run ended, done: rollback of",
    ),
    act("ctx migrate phase 1", "confirmed").confirmed(),
    act("ctx migrate all --dry-run --detailed-exitcode", "pool-ramp").ends(Code::ChangesPending),
    act("ctx migrate all --yes --reason \"change 4711\"", "confirmed"),
    act("ctx migrate next --yes --detach --confirm-within 8h --json-into run.jsonl", "ctx resume")
        .after(taken_back)
        .ends(Code::Awaiting)
        .leaves("run.jsonl"),
    act("ctx resume", "confirmed").after(|scene| soaked(scene, 8)),
    act("ctx resume --attend --json", "\"run_end\"").after(|scene| {
        let ran = scene.test.run(&["migrate", "next", "--yes", "--detach"]);
        assert_eq!(ran.code, Some(i32::from(Code::Awaiting.number())), "{ran:#?}");
        soaked(scene, 1);
    }),
];

#[test]
fn what_migrates() {
    Scene::busy().plays(SCRIPT);
}
