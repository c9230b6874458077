//! Armed guards, and what people ask of a run, as stories.

use std::time::Duration;

use super::Rebase;
use super::world::{TTL, World, document, phase, run};
use crate::control::armed::{ArmRequest, ArmedGuard, Ask, Bound, MAX_RECORD};
use crate::control::config::{Config, LEGACY};
use crate::control::wire::{AuditKind, ProblemCode, RevisionStatus};

const HOUR: Duration = Duration::from_hours(1);

fn in_force(world: &World) -> Config {
    Config::clone(&world.core.head().config)
}

/// A world with a phase of run `a` in flight: one part confirmed, the next provisional until its
/// deadline, the operator gone.
fn in_flight() -> World {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    world.arm(&fence, &phase("one")).unwrap();
    world.apply(&fence, "k1", 1, 7, None).unwrap();
    world.confirm(&fence, "k2", 2).unwrap();
    world.apply(&fence, "k3", 2, 8, Some(HOUR)).unwrap();
    world.release(&fence).unwrap();
    world
}

#[test]
fn a_breach_takes_the_whole_phase_back_with_nobody_there() {
    let mut world = in_flight();
    world.breach('a');
    assert_eq!(in_force(&world), in_force(&World::new()), "not just the last part");
    assert_eq!(world.core.head().rev, 4);
    assert_eq!(world.book.with(RevisionStatus::Reverted), [3]);
    let tripped = world.core.armed().unwrap().tripped.clone().unwrap();
    assert_eq!(tripped.guard.unwrap().as_str(), "error-rate");
    assert_eq!((tripped.why.as_str(), tripped.rev), ("error_rate 25%, limit at most 5%", 4));
    let last = world.book.audit.last().unwrap();
    assert_eq!(last.kind, AuditKind::Breach);
    assert_eq!(last.run, Some(run('a')));
    assert_eq!(
        last.detail,
        "guard error-rate: error_rate 25%, limit at most 5%; the content of revision 1 is back"
    );
}

#[test]
fn a_second_trip_changes_nothing() {
    let mut world = in_flight();
    world.breach('a');
    let (rows, armed) = (world.book.audit.len(), world.core.armed().cloned());
    world.breach('a');
    assert!(world.ask('a', Ask::Abort).unwrap().done);
    assert_eq!((world.book.audit.len(), world.core.armed()), (rows, armed.as_ref()));
}

#[test]
fn a_breach_before_anything_changed_stops_the_phase_all_the_same() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    world.arm(&fence, &phase("one")).unwrap();
    world.breach('a');
    assert_eq!(world.core.head().rev, 1, "it was in force");
    assert_eq!(world.core.armed().unwrap().tripped.as_ref().unwrap().rev, 1);
    assert_eq!(world.apply(&fence, "k1", 1, 7, None), Err(ProblemCode::Tripped));
}

#[test]
fn a_run_that_has_not_heard_of_the_trip_cannot_end_its_phase() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    world.arm(&fence, &phase("one")).unwrap();
    world.apply(&fence, "k1", 1, 7, None).unwrap();
    world.confirm(&fence, "k2", 2).unwrap();
    world.breach('a');
    assert_eq!(world.disarm_unaware(&fence), Err(ProblemCode::Tripped));
    world.disarm(&fence).unwrap();
    assert_eq!(world.disarm_unaware(&fence), Ok(()), "nothing armed is nothing to do");
}

#[test]
fn a_late_breach_of_guards_that_are_gone_is_nothing() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    world.arm(&fence, &phase("one")).unwrap();
    world.apply(&fence, "k1", 1, 7, None).unwrap();
    world.confirm(&fence, "k2", 2).unwrap();
    world.disarm(&fence).unwrap();
    world.breach('a');
    assert_eq!(in_force(&world), document(7));
    world.disarm(&fence).unwrap();
    world.release(&fence).unwrap();
    let other = world.lease('b').unwrap();
    world.arm(&other, &phase("two")).unwrap();
    world.breach('a');
    assert_eq!(world.core.armed().unwrap().tripped, None, "it is not that run's phase");
}

#[test]
fn a_run_that_was_tripped_can_only_roll_back() {
    let mut world = in_flight();
    world.breach('a');
    let fence = world.lease('a').unwrap();
    assert_eq!(world.confirm(&fence, "k4", 3), Err(ProblemCode::Tripped));
    assert_eq!(world.apply(&fence, "k5", 4, 9, None), Err(ProblemCode::Tripped));
    assert!(world.apply(&fence, "k1", 1, 7, None).unwrap().replayed, "an old answer stands");
    let target = world.original();
    assert_eq!(world.propose(&fence, "k6", 4, &target).unwrap().rev, 5);
    assert_eq!(world.confirm(&fence, "k7", 5).unwrap().rev, 5);
    world.disarm(&fence).unwrap();
    assert_eq!(world.apply(&fence, "k8", 5, 9, None).unwrap().rev, 6);
}

#[test]
fn while_guards_are_armed_nobody_else_changes_anything() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    world.arm(&fence, &phase("one")).unwrap();
    world.release(&fence).unwrap();
    let other = world.lease('b').unwrap();
    assert_eq!(world.apply(&other, "k1", 1, 7, None), Err(ProblemCode::GuardsArmed));
    assert_eq!(world.arm(&other, &phase("two")), Err(ProblemCode::GuardsArmed));
    assert_eq!(world.disarm(&other), Err(ProblemCode::GuardsArmed));
    // Tripped, they are nobody's any more.
    world.breach('a');
    world.arm(&other, &phase("two")).unwrap();
    assert_eq!(world.core.armed().unwrap().run, run('b'));
    assert_eq!(world.apply(&other, "k1", 1, 7, None).unwrap().rev, 2);
    world.confirm(&other, "k2", 2).unwrap();
    world.breach('b');
    world.release(&other).unwrap();
    let third = world.lease('c').unwrap();
    world.disarm(&third).unwrap();
    assert_eq!(world.core.armed(), None);
}

#[test]
fn arming_the_same_again_changes_nothing_and_anything_else_is_refused() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    world.arm(&fence, &phase("one")).unwrap();
    world.apply(&fence, "k1", 1, 7, None).unwrap();
    let rows = world.book.audit.len();
    world.arm(&fence, &phase("one")).unwrap();
    assert_eq!(world.book.audit.len(), rows);
    assert_eq!(world.core.armed().unwrap().target.rev, 1, "and the target stays");
    assert_eq!(world.arm(&fence, &phase("two")), Err(ProblemCode::GuardsArmed));
    let other = ArmRequest { record: "other".to_owned(), ..phase("one") };
    assert_eq!(world.arm(&fence, &other), Err(ProblemCode::GuardsArmed));
    world.disarm(&fence).unwrap();
    assert_eq!(world.arm(&fence, &phase("one")), Err(ProblemCode::ProvisionalExists));
    world.release(&fence).unwrap();
    assert_eq!(world.arm(&fence, &phase("one")), Err(ProblemCode::StaleFence));
    assert_eq!(world.disarm(&fence), Err(ProblemCode::StaleFence));
}

#[test]
fn guards_out_of_range_are_refused() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    let good = phase("one");
    let guard = good.guards[0].clone();
    let with = |guards: Vec<ArmedGuard>| ArmRequest { guards, ..good.clone() };
    for (request, word) in [
        (with(vec![guard.clone(), guard.clone()]), "twice"),
        (with(vec![guard.clone(); 65]), "at most 64"),
        (ArmRequest { record: "x".repeat(MAX_RECORD + 1), ..good.clone() }, "`record`"),
        (
            with(vec![ArmedGuard { metric: "eror_rate".to_owned(), ..guard.clone() }]),
            "did you mean",
        ),
        (with(vec![ArmedGuard { limit: Bound::AtMost(f64::NAN), ..guard.clone() }]), "finite"),
    ] {
        let refusal = world.core.arm(world.now(), &fence, &request).unwrap_err();
        assert_eq!(refusal.code, ProblemCode::BadRequest);
        assert!(refusal.detail.contains(word), "{}", refusal.detail);
    }
    assert!(world.arm(&fence, &with(Vec::new())).is_ok(), "a phase without guards can be aborted");
}

#[test]
fn what_is_armed_and_what_was_tripped_survive_a_restart() {
    let mut world = in_flight();
    let before = world.core.life();
    world.restart();
    assert_eq!(in_force(&world), document(7), "the provisional part is gone, the other stays");
    assert!(world.core.life() > before);
    assert_eq!(
        world.book.audit[usize::try_from(world.core.life()).unwrap() - 1].kind,
        AuditKind::Boot
    );
    assert_eq!(world.core.armed().unwrap().target.rev, 1);
    world.breach('a');
    assert_eq!(in_force(&world), in_force(&World::new()));
    world.restart();
    assert!(world.core.armed().unwrap().tripped.is_some());
    let fence = world.lease('a').unwrap();
    let rev = world.core.head().rev;
    assert_eq!(world.apply(&fence, "k9", rev, 9, None), Err(ProblemCode::Tripped));
}

#[test]
fn the_target_moves_with_the_legacy_app() {
    let mut world = in_flight();
    world.restart();
    let moved = |config: &Config| {
        let mut config = config.clone();
        config.upstreams.get_mut(LEGACY).unwrap().url = "http://127.0.0.1:9000/".to_owned();
        config
    };
    let rebase = Rebase {
        head: Some(moved(&world.core.head().config)),
        target: Some(moved(&world.core.armed().unwrap().target.config)),
    };
    world.rebase(rebase);
    world.breach('a');
    assert_eq!(in_force(&world), moved(&in_force(&World::new())));
}

#[test]
fn a_clean_up_keeps_the_target() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    world.arm(&fence, &phase("one")).unwrap();
    for (step, rev) in (1..=3).enumerate() {
        world.apply(&fence, &format!("a{step}"), rev, 6 + rev, None).unwrap();
        world.confirm(&fence, &format!("c{step}"), rev + 1).unwrap();
    }
    world.cleanup(&fence, "k").unwrap();
    assert!(world.book.audit.last().unwrap().detail.contains("below 1"));
}

#[test]
fn an_abort_needs_nobody_s_lease_and_says_who() {
    let mut world = in_flight();
    let fence = world.lease('a').unwrap();
    assert_eq!(world.ask('b', Ask::Abort), Err(ProblemCode::NotFound));
    let result = world.ask('a', Ask::Abort).unwrap();
    assert!(result.done);
    assert_eq!(result.rev, 4);
    assert_eq!(in_force(&world), in_force(&World::new()));
    let last = world.book.audit.last().unwrap();
    assert_eq!(last.kind, AuditKind::Abort);
    assert!(last.detail.starts_with("aborted by ann@desk: too slow; "), "{}", last.detail);
    assert_eq!(world.ask('a', Ask::Pause), Err(ProblemCode::Tripped));
    assert_eq!(world.ask('a', Ask::Confirm), Err(ProblemCode::Tripped));
    assert_eq!(world.confirm(&fence, "k4", 3), Err(ProblemCode::Tripped));
}

#[test]
fn with_nobody_there_a_pause_and_a_confirmation_are_done_at_once() {
    let mut world = in_flight();
    let paused = world.ask('a', Ask::Pause).unwrap();
    assert!(paused.done);
    assert_eq!(in_force(&world), document(7), "what is confirmed stays");
    let kinds = world.book.kinds();
    assert_eq!(kinds[kinds.len() - 2..], [AuditKind::Ask, AuditKind::Revert]);
    assert_eq!(world.ask('a', Ask::Confirm), Err(ProblemCode::NotProvisional));

    let mut world = in_flight();
    assert_eq!(world.ask('a', Ask::Confirm).unwrap().rev, 3);
    assert_eq!(world.core.provisional(world.now()), None);
    assert_eq!(in_force(&world), document(8));
    let kinds = world.book.kinds();
    assert_eq!(kinds[kinds.len() - 2..], [AuditKind::Ask, AuditKind::Confirm]);
    assert!(world.book.audit.last().unwrap().detail.contains("asked for by ann@desk"));
}

#[test]
fn with_the_operator_there_an_ask_is_left_for_it() {
    let mut world = in_flight();
    let fence = world.lease('a').unwrap();
    let asked = |world: &World| world.core.armed().unwrap().asked.as_ref().map(|asked| asked.ask);
    assert!(!world.ask('a', Ask::Pause).unwrap().done);
    assert_eq!(asked(&world), Some(Ask::Pause));
    assert!(!world.ask('a', Ask::Confirm).unwrap().done);
    assert_eq!(asked(&world), Some(Ask::Confirm), "the newest counts");
    assert_eq!(in_force(&world), document(8));
    world.renew('a', &fence).unwrap();
    assert_eq!(asked(&world), Some(Ask::Confirm));
    world.lease('a').unwrap();
    assert_eq!(asked(&world), None, "whoever resumes was told by the state");
}

#[test]
fn what_an_operator_leaves_undone_is_done_when_its_lease_ends() {
    let mut world = in_flight();
    world.lease('a').unwrap();
    world.ask('a', Ask::Pause).unwrap();
    world.wait(TTL).tick();
    assert_eq!(in_force(&world), document(7));
    assert_eq!(world.core.armed().unwrap().asked, None);

    let mut world = in_flight();
    let fence = world.lease('a').unwrap();
    world.ask('a', Ask::Confirm).unwrap();
    world.release(&fence).unwrap();
    assert_eq!(in_force(&world), document(8));
    assert_eq!(world.core.provisional(world.now()), None);
}

#[test]
fn another_run_s_lease_is_not_the_operator_s() {
    let mut world = in_flight();
    world.lease('b').unwrap();
    assert!(world.ask('a', Ask::Pause).unwrap().done);
    assert_eq!(in_force(&world), document(7));
}
