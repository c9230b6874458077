//! The protocol as stories.

use std::time::Duration;

use super::world::{TTL, World, document};
use crate::control::config::Config;
use crate::control::wire::{AuditKind, Fence, ProblemCode, RevisionRequest, RevisionStatus};

const SECOND: Duration = Duration::from_secs(1);
const ALMOST_TTL: Duration = Duration::from_secs(29);

fn in_force(world: &World) -> Config {
    Config::clone(&world.core.head().config)
}

#[test]
fn a_step_is_applied_confirmed_and_on_record() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    let applied = world.apply(&fence, "k1", 1, 7, None).unwrap();
    assert_eq!((applied.rev, applied.replayed), (2, false));
    assert_eq!(in_force(&world), document(7));
    assert_eq!(world.confirm(&fence, "k2", 2).unwrap().rev, 2);
    world.release(&fence).unwrap();
    assert_eq!(in_force(&world), document(7), "what is confirmed stays without a lease");
    assert_eq!(
        world.book.kinds(),
        [
            AuditKind::Birth,
            AuditKind::Grant,
            AuditKind::Apply,
            AuditKind::Confirm,
            AuditKind::Release
        ]
    );
}

#[test]
fn a_revert_brings_the_old_content_back_under_a_new_number() {
    let mut world = World::new();
    let before = in_force(&world);
    let fence = world.lease('a').unwrap();
    world.apply(&fence, "k1", 1, 7, None).unwrap();
    let reverted = world.revert(&fence, "k2", 2).unwrap();
    assert_eq!(reverted.rev, 3);
    assert_eq!(in_force(&world).canonical(), before.canonical());
    assert_eq!(world.book.with(RevisionStatus::Reverted), [2]);
    assert_eq!(world.confirm(&fence, "k3", 2), Err(ProblemCode::NotProvisional));
}

#[test]
fn a_second_operator_waits_for_the_lease() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    assert_eq!(world.lease('b'), Err(ProblemCode::LeaseHeld));
    let refusal = {
        let request = World::request('b');
        let acquire = super::Acquire { request: &request, id: "0", anchor_known: true };
        world.core.acquire(world.now(), acquire).unwrap_err()
    };
    assert_eq!(refusal.lease.unwrap().holder, "a");
    world.release(&fence).unwrap();
    assert!(world.lease('b').unwrap().counter > fence.counter);
}

#[test]
fn a_zombie_wakes_up_to_a_stale_fence() {
    let mut world = World::new();
    let zombie = world.lease('a').unwrap();
    world.apply(&zombie, "k1", 1, 7, None).unwrap();
    let other = world.wait(TTL).lease('b').unwrap();
    assert_eq!(in_force(&world), in_force(&World::new()), "its change went with its lease");
    assert_eq!(world.apply(&zombie, "k9", 3, 9, None), Err(ProblemCode::StaleFence));
    assert_eq!(world.confirm(&zombie, "k2", 2), Err(ProblemCode::StaleFence));
    assert_eq!(world.renew('a', &zombie), Err(ProblemCode::StaleFence));
    assert_eq!(world.release(&zombie), Err(ProblemCode::StaleFence));
    assert_eq!(world.apply(&other, "k3", 3, 8, None).unwrap().rev, 4);
}

#[test]
fn a_wall_clock_that_is_set_moves_no_deadline() {
    let mut world = World::new();
    let before = in_force(&world);
    let fence = world.lease('a').unwrap();
    world.apply(&fence, "k1", 1, 7, Some(60 * SECOND)).unwrap();
    let (day, wakes_at) = (86_400_000, world.core.wakes_at());
    for by_ms in [day, -3 * day, 2 * day + 6000] {
        world.clock.leap(by_ms);
        world.tick();
        assert_eq!((in_force(&world), world.core.wakes_at()), (document(7), wakes_at));
    }
    // Neither is time given: what is over is over, although the wall clock was set back.
    world.clock.leap(-day);
    world.wait(TTL).tick();
    world.wait(Duration::from_secs(31)).tick();
    assert_eq!(in_force(&world), before);
    assert_eq!(world.confirm(&fence, "k2", 2), Err(ProblemCode::StaleFence));
    // Rows are in the order of their numbers, whatever time they tell.
    let times: Vec<_> = world.book.audit.iter().map(|row| row.at_ms).collect();
    assert!(!times.is_sorted(), "{times:?}");
}

#[test]
fn a_guessed_lease_id_is_not_a_fence() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    let guess = Fence { counter: fence.counter, id: "f".repeat(16) };
    assert_eq!(world.apply(&guess, "k1", 1, 7, None), Err(ProblemCode::StaleFence));
}

#[test]
fn a_run_takes_its_own_lease_over_and_keeps_its_change() {
    let mut world = World::new();
    let crashed = world.lease('a').unwrap();
    world.apply(&crashed, "k1", 1, 7, None).unwrap();
    let resumed = world.lease('a').unwrap();
    assert_eq!(in_force(&world), document(7));
    assert_eq!(world.confirm(&crashed, "k2", 2), Err(ProblemCode::StaleFence));
    assert_eq!(world.confirm(&resumed, "k2", 2).unwrap().rev, 2);
    assert!(world.book.kinds().contains(&AuditKind::Takeover));
}

#[test]
fn a_lost_response_is_replayed_and_nothing_is_done_twice() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    let first = world.apply(&fence, "k1", 1, 7, None).unwrap();
    let rows = world.book.audit.len();
    let again = world.apply(&fence, "k1", 1, 7, None).unwrap();
    assert_eq!((again.rev, again.replayed), (first.rev, true));
    assert_eq!(world.book.audit.len(), rows);
    // Also much later, when the revision is long confirmed and another one is at the head.
    world.confirm(&fence, "k2", 2).unwrap();
    world.apply(&fence, "k3", 2, 8, None).unwrap();
    assert_eq!(world.apply(&fence, "k1", 1, 7, None).unwrap().rev, first.rev);
    assert!(world.confirm(&fence, "k2", 2).unwrap().replayed);
    assert_eq!(in_force(&world), document(8));
}

#[test]
fn a_key_belongs_to_one_request() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    world.apply(&fence, "k1", 1, 7, None).unwrap();
    for (if_match, n, within) in [(1, 8, None), (2, 7, None), (1, 7, Some(SECOND))] {
        let reused = world.apply(&fence, "k1", if_match, n, within);
        assert_eq!(reused, Err(ProblemCode::KeyReused));
    }
    assert_eq!(world.confirm(&fence, "k1", 2), Err(ProblemCode::KeyReused));
    assert_eq!(world.revert(&fence, "k1", 2), Err(ProblemCode::KeyReused));
}

#[test]
fn the_checks_come_in_the_order_of_the_protocol() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    let stale = Fence { counter: 0, id: "0".to_owned() };
    world.apply(&fence, "k1", 1, 7, None).unwrap();
    let mut broken = document(8);
    broken.upstreams.clear();
    let request =
        RevisionRequest { config: broken, confirm_within_ms: None, reason: String::new() };
    // Everything is wrong at once; one fault after the other is taken away.
    assert_eq!(world.propose(&stale, "k1", 9, &request), Err(ProblemCode::StaleFence));
    assert_eq!(world.propose(&fence, "k1", 9, &request), Err(ProblemCode::KeyReused));
    assert_eq!(world.propose(&fence, "k2", 9, &request), Err(ProblemCode::ProvisionalExists));
    world.confirm(&fence, "k3", 2).unwrap();
    assert_eq!(world.propose(&fence, "k2", 9, &request), Err(ProblemCode::HeadMoved));
    assert_eq!(world.propose(&fence, "k2", 2, &request), Err(ProblemCode::InvalidConfig));
    assert_eq!(world.apply(&fence, "k2", 2, 8, None).unwrap().rev, 3, "a refusal uses no key");
}

#[test]
fn an_attended_change_lives_and_dies_with_its_lease() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    world.apply(&fence, "k1", 1, 7, None).unwrap();
    for _ in 0..10 {
        world.wait(ALMOST_TTL).renew('a', &fence).unwrap();
    }
    assert_eq!(in_force(&world), document(7));
    world.wait(ALMOST_TTL).tick();
    assert_eq!(in_force(&world), document(7), "a second is left");
    world.wait(SECOND).tick();
    assert_eq!(in_force(&world), in_force(&World::new()));
    assert_eq!(world.core.lease(world.now()), None);
    let kinds = world.book.kinds();
    assert_eq!(kinds[kinds.len() - 2..], [AuditKind::Expiry, AuditKind::Revert]);
}

#[test]
fn a_release_reverts_what_was_not_confirmed() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    world.apply(&fence, "k1", 1, 7, None).unwrap();
    world.release(&fence).unwrap();
    assert_eq!(world.core.head().rev, 3);
    assert_eq!(in_force(&world), in_force(&World::new()));
}

#[test]
fn a_dead_holders_lease_is_broken_by_name_and_its_change_goes_with_it() {
    let mut world = World::new();
    let dead = world.lease('a').unwrap();
    world.apply(&dead, "k1", 1, 7, None).unwrap();
    let broken = world.break_lease(dead.counter).unwrap();
    assert_eq!((broken.lease.counter, broken.lease.holder.as_str()), (dead.counter, "a"));
    assert_eq!((broken.reverted, broken.rev), (Some(2), 3));
    assert_eq!(in_force(&world), in_force(&World::new()));
    assert_eq!(world.core.lease(world.now()), None);
    let kinds = world.book.kinds();
    assert_eq!(kinds[kinds.len() - 2..], [AuditKind::Break, AuditKind::Revert]);
    let row = &world.book.audit[world.book.audit.len() - 2];
    assert_eq!(row.detail, "the lease of a@host was broken by grace@kestrel: her laptop burned");
    assert_eq!(row.fence, Some(dead.counter));
    // If it was not dead after all, it finds out.
    assert_eq!(world.renew('a', &dead), Err(ProblemCode::StaleFence));
    assert_eq!(world.apply(&dead, "k2", 3, 8, None), Err(ProblemCode::StaleFence));
    assert!(world.lease('b').unwrap().counter > dead.counter);
}

#[test]
fn a_lease_that_was_granted_meanwhile_is_never_hit() {
    let mut world = World::new();
    assert_eq!(world.break_lease(0), Err(ProblemCode::NotFound), "nobody holds it");
    let dead = world.lease('a').unwrap();
    let other = world.wait(TTL).lease('b').unwrap();
    let rows = world.book.audit.len();
    let refusal = world.core.break_lease(world.now(), &World::breaking(dead.counter)).unwrap_err();
    assert_eq!(refusal.code, ProblemCode::StaleFence);
    assert_eq!(refusal.lease.unwrap().holder, "b");
    assert_eq!(world.break_lease(dead.counter), Err(ProblemCode::StaleFence));
    assert_eq!(world.book.audit.len(), rows, "a refusal ends nothing");
    assert!(world.renew('b', &other).is_ok());
    // One that has lapsed by itself is nobody's.
    assert_eq!(world.wait(TTL).break_lease(other.counter), Err(ProblemCode::NotFound));
}

#[test]
fn a_detached_change_outlives_a_broken_lease() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    world.apply(&fence, "k1", 1, 7, Some(Duration::from_hours(1))).unwrap();
    assert_eq!(world.break_lease(fence.counter).unwrap().reverted, None);
    assert_eq!(in_force(&world), document(7));
}

#[test]
fn a_lease_is_not_broken_without_a_reason() {
    let mut world = World::new();
    let counter = world.lease('a').unwrap().counter;
    for reason in [String::new(), "x".repeat(2001)] {
        let request = crate::control::wire::LeaseBreak { reason, ..World::breaking(counter) };
        let refusal = world.core.break_lease(world.now(), &request).unwrap_err();
        assert_eq!(refusal.code, ProblemCode::BadRequest);
    }
}

#[test]
fn a_detached_change_survives_its_lease_but_not_its_deadline() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    world.apply(&fence, "k1", 1, 7, Some(Duration::from_hours(48))).unwrap();
    world.release(&fence).unwrap();
    world.wait(Duration::from_hours(47)).tick();
    assert_eq!(in_force(&world), document(7));
    let resumed = world.lease('a').unwrap();
    world.wait(ALMOST_TTL).renew('a', &resumed).unwrap();
    let left = world.core.provisional(world.now()).unwrap().deadline_in_ms;
    assert_eq!(left, Some(3_600_000 - 29_000), "a renewal does not move the deadline");
    world.wait(Duration::from_hours(1)).tick();
    assert_eq!(in_force(&world), in_force(&World::new()));
}

#[test]
fn a_confirmation_after_the_deadline_is_too_late() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    world.apply(&fence, "k1", 1, 7, Some(5 * SECOND)).unwrap();
    // The timer has not come by yet; the deadline counts all the same.
    let late = world.wait(5 * SECOND).confirm(&fence, "k2", 2);
    assert_eq!(late, Err(ProblemCode::NotProvisional));
    world.tick();
    assert_eq!(world.book.with(RevisionStatus::Reverted), [2]);
}

#[test]
fn nobody_touches_a_foreign_provisional_revision() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    world.apply(&fence, "k1", 1, 7, Some(Duration::from_hours(1))).unwrap();
    world.release(&fence).unwrap();
    let other = world.lease('b').unwrap();
    assert_eq!(world.confirm(&other, "k2", 2), Err(ProblemCode::ProvisionalExists));
    assert_eq!(world.revert(&other, "k3", 2), Err(ProblemCode::ProvisionalExists));
    assert_eq!(world.apply(&other, "k4", 2, 8, None), Err(ProblemCode::ProvisionalExists));
    world.wait(Duration::from_hours(1)).tick();
    let other = world.lease('b').unwrap();
    assert_eq!(world.apply(&other, "k5", 3, 8, None).unwrap().rev, 4);
}

#[test]
fn a_late_duplicate_finds_the_head_moved_or_its_key_used() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    world.apply(&fence, "k1", 1, 7, None).unwrap();
    world.revert(&fence, "k2", 2).unwrap();
    // The same request under its own key is a replay; under a fresh one, If-Match stops it.
    assert!(world.apply(&fence, "k1", 1, 7, None).unwrap().replayed);
    assert_eq!(world.apply(&fence, "k3", 1, 7, None), Err(ProblemCode::HeadMoved));
    assert_eq!(in_force(&world), in_force(&World::new()));
}

#[test]
fn a_restart_reverts_and_voids_but_remembers() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    world.apply(&fence, "k1", 1, 7, Some(Duration::from_hours(48))).unwrap();
    world.restart();
    assert_eq!(in_force(&world), in_force(&World::new()));
    assert_eq!(world.confirm(&fence, "k2", 2), Err(ProblemCode::StaleFence));
    let again = world.lease('b').unwrap();
    assert!(again.counter > fence.counter, "the fence is durable");
    let kinds = world.book.kinds();
    assert_eq!(
        kinds[kinds.len() - 3..],
        [AuditKind::Boot, AuditKind::Revert, AuditKind::Grant],
        "the lease ended before the restart's own rows"
    );
    let mine = world.wait(TTL).lease('a').unwrap();
    assert!(world.apply(&mine, "k1", 1, 7, Some(Duration::from_hours(48))).unwrap().replayed);
}

#[test]
fn a_fence_is_larger_than_any_the_caller_has_seen() {
    let mut world = World::new();
    let mut request = World::request('a');
    request.min_token = 41;
    assert_eq!(world.acquire(&request).unwrap().counter, 42);
    request.min_token = super::MAX_COUNTER;
    assert_eq!(world.acquire(&request), Err(ProblemCode::BadRequest));
    request.min_token = u64::MAX;
    assert_eq!(world.acquire(&request), Err(ProblemCode::BadRequest));
}

#[test]
fn a_state_that_lost_a_transition_is_noticed() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    world.apply(&fence, "k1", 1, 7, None).unwrap();
    let mut request = World::request('a');
    request.last_anchor = Some(world.core.anchor().clone());
    assert!(world.acquire(&request).is_ok());
    // Another life of the same orchestrator, restored to before the change.
    let mut restored = World::new();
    restored.lease('a').unwrap();
    assert_eq!(restored.acquire(&request), Err(ProblemCode::StateRegression));
}

#[test]
fn a_store_that_fails_changes_nothing() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    let before = world.core.anchor().clone();
    world.broken = true;
    assert_eq!(world.apply(&fence, "k1", 1, 7, None), Err(ProblemCode::StoreFailed));
    assert_eq!(*world.core.anchor(), before);
    world.broken = false;
    assert!(!world.apply(&fence, "k1", 1, 7, None).unwrap().replayed);
}

#[test]
fn a_clean_up_waits_for_a_confirmation_and_is_on_record() {
    let mut world = World::new();
    let fence = world.lease('a').unwrap();
    world.apply(&fence, "k1", 1, 7, None).unwrap();
    assert_eq!(world.cleanup(&fence, "k2"), Err(ProblemCode::ProvisionalExists));
    world.confirm(&fence, "k3", 2).unwrap();
    world.cleanup(&fence, "k2").unwrap();
    assert!(world.cleanup(&fence, "k2").unwrap().replayed);
    assert!(world.book.audit.last().unwrap().detail.contains("below 1"));
}

#[test]
fn lengths_of_time_have_bounds() {
    let mut world = World::new();
    let mut request = World::request('a');
    for ttl_ms in [0, 999, 600_001, u64::MAX] {
        request.ttl_ms = ttl_ms;
        assert_eq!(world.acquire(&request), Err(ProblemCode::BadRequest), "{ttl_ms}");
    }
    let fence = world.lease('a').unwrap();
    for within in [Duration::ZERO, super::MAX_CONFIRM_WITHIN + Duration::from_millis(1)] {
        let result = world.apply(&fence, "k1", 1, 7, Some(within));
        assert_eq!(result, Err(ProblemCode::BadRequest), "{within:?}");
    }
    assert!(world.apply(&fence, "k1", 1, 7, Some(super::MAX_CONFIRM_WITHIN)).is_ok());
}
