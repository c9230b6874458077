//! The laws of the protocol under random sequences of calls.

use std::time::Duration;

use proptest::prelude::*;

use super::world::{World, phase};
use crate::control::armed::Ask;
use crate::control::wire::Fence;

/// One call of a random sequence. Fences, keys and revisions are drawn from what was seen before,
/// and so are often stale.
#[derive(Clone, Debug)]
enum Call {
    Lease { run: u8, min_token: u64 },
    Renew { run: u8, fence: u8 },
    Release { fence: u8 },
    Apply { fence: u8, key: u8, if_match: u8, document: u64, within: Option<u64> },
    Confirm { fence: u8, key: u8, rev: u8 },
    Revert { fence: u8, key: u8, rev: u8 },
    Cleanup { fence: u8, key: u8 },
    Arm { fence: u8, phase: u8 },
    Disarm { fence: u8 },
    Breach { run: u8 },
    Ask { run: u8, ask: Ask },
    Wait { seconds: u64 },
    Tick,
    Restart,
    Break,
}

fn call() -> impl Strategy<Value = Call> {
    // Small numbers count back from the newest: mostly right, sometimes stale.
    let recent = || prop_oneof![6 => Just(0_u8), 1 => 0..4_u8];
    let key = || any::<u8>();
    prop_oneof![
        4 => (0..3_u8, prop_oneof![Just(0), 0..50_u64])
            .prop_map(|(run, min_token)| Call::Lease { run, min_token }),
        2 => (0..3_u8, recent()).prop_map(|(run, fence)| Call::Renew { run, fence }),
        1 => recent().prop_map(|fence| Call::Release { fence }),
        6 => (recent(), key(), recent(), 0..9_u64, prop::option::of(1..60_u64)).prop_map(
            |(fence, key, if_match, document, within)| Call::Apply {
                fence, key, if_match, document, within
            }
        ),
        4 => (recent(), key(), recent())
            .prop_map(|(fence, key, rev)| Call::Confirm { fence, key, rev }),
        2 => (recent(), key(), recent())
            .prop_map(|(fence, key, rev)| Call::Revert { fence, key, rev }),
        1 => (recent(), key()).prop_map(|(fence, key)| Call::Cleanup { fence, key }),
        3 => (recent(), 0..2_u8).prop_map(|(fence, phase)| Call::Arm { fence, phase }),
        1 => recent().prop_map(|fence| Call::Disarm { fence }),
        1 => (0..3_u8).prop_map(|run| Call::Breach { run }),
        2 => (0..3_u8, prop_oneof![Just(Ask::Confirm), Just(Ask::Pause), Just(Ask::Abort)])
            .prop_map(|(run, ask)| Call::Ask { run, ask }),
        3 => (0..40_u64).prop_map(|seconds| Call::Wait { seconds }),
        2 => Just(Call::Tick),
        1 => Just(Call::Restart),
        1 => Just(Call::Break),
    ]
}

/// A world with what its callers remember, and the laws that span more than one transition.
struct Trial {
    world: World,
    fences: Vec<Fence>,
    /// The end of the provisional revision's life as a caller knows it.
    ends: Option<(u64, Duration)>,
}

impl Trial {
    fn fence(&self, back: u8) -> Fence {
        let nobody = Fence { counter: 0, id: "0".to_owned() };
        self.fences.iter().rev().nth(usize::from(back)).cloned().unwrap_or(nobody)
    }

    fn rev(&self, back: u8) -> u64 {
        self.world.core.head().rev.saturating_sub(u64::from(back))
    }

    fn perform(&mut self, call: &Call) {
        let writes = self.world.book.operations.len();
        let used = match *call {
            Call::Lease { run, min_token } => {
                let mut request = World::request(char::from(b'a' + run));
                request.min_token = min_token;
                if let Ok(fence) = self.world.acquire(&request) {
                    let newest = self.fences.last().map_or(0, |fence| fence.counter);
                    assert!(fence.counter > newest.max(min_token), "a fence only grows");
                    self.fences.push(fence);
                }
                None
            }
            Call::Renew { run, fence } => {
                let _ = self.world.renew(char::from(b'a' + run), &self.fence(fence));
                None
            }
            Call::Release { fence } => {
                let _ = self.world.release(&self.fence(fence));
                None
            }
            Call::Apply { fence, key, if_match, document, within } => {
                let (fence, rev) = (self.fence(fence), self.rev(if_match));
                let within = within.map(Duration::from_secs);
                let key = key.to_string();
                let armed = self.world.core.armed().cloned();
                let result = self.world.apply(&fence, &key, rev, document, within);
                if let (Ok(result), Some(armed)) = (&result, armed)
                    && !result.replayed
                {
                    let mine = self.world.core.lease(self.world.now()).unwrap().run == armed.run;
                    let back = result.config_hash == armed.target.hash;
                    let allowed = if armed.tripped.is_none() { mine } else { !mine || back };
                    assert!(allowed, "a change that the armed guards should have kept out");
                }
                if let (Ok(result), Some(within)) = (&result, within)
                    && !result.replayed
                {
                    self.ends = Some((result.rev, self.world.now().boot + within));
                }
                result.is_ok().then_some(fence)
            }
            Call::Confirm { fence, key, rev } => {
                let (fence, rev) = (self.fence(fence), self.rev(rev));
                let result = self.world.confirm(&fence, &key.to_string(), rev);
                if let (Ok(result), Some((at_risk, end))) = (&result, self.ends)
                    && !result.replayed
                    && result.rev == at_risk
                {
                    assert!(self.world.now().boot < end, "confirmed after its deadline");
                }
                result.is_ok().then_some(fence)
            }
            Call::Revert { fence, key, rev } => {
                let (fence, rev) = (self.fence(fence), self.rev(rev));
                self.world.revert(&fence, &key.to_string(), rev).is_ok().then_some(fence)
            }
            Call::Cleanup { fence, key } => {
                let fence = self.fence(fence);
                self.world.cleanup(&fence, &key.to_string()).is_ok().then_some(fence)
            }
            Call::Arm { fence, phase: n } => {
                let fence = self.fence(fence);
                let name = ["one", "two"][usize::from(n)];
                self.world.arm(&fence, &phase(name)).is_ok().then_some(fence)
            }
            Call::Disarm { fence } => {
                let fence = self.fence(fence);
                self.world.disarm(&fence).is_ok().then_some(fence)
            }
            Call::Breach { run } => {
                self.tripping(|world| world.breach(char::from(b'a' + run)));
                None
            }
            Call::Ask { run, ask } => {
                self.tripping(|world| {
                    let _ = world.ask(char::from(b'a' + run), ask);
                });
                None
            }
            Call::Wait { seconds } => {
                self.world.wait(Duration::from_secs(seconds));
                None
            }
            Call::Tick => {
                self.world.tick();
                None
            }
            Call::Restart => {
                let before = self.world.core.armed().cloned();
                self.world.restart();
                assert_eq!(self.world.core.armed(), before.as_ref(), "a restart disarms nothing");
                assert_eq!(self.world.core.provisional(self.world.now()), None);
                None
            }
            Call::Break => {
                self.world.broken = !self.world.broken;
                None
            }
        };
        if let Some(fence) = used {
            assert_eq!(Some(&fence), self.fences.last(), "a write under an old fence");
        }
        assert!(self.world.book.operations.len() <= writes + 1);
    }

    /// After a trip, the target's content is in force and nothing is provisional; and it is final.
    fn tripping(&mut self, call: impl FnOnce(&mut World)) {
        let tripped = |world: &World| world.core.armed().and_then(|armed| armed.tripped.clone());
        let before = tripped(&self.world);
        call(&mut self.world);
        let after = tripped(&self.world);
        assert!(before.is_none() || before == after, "a trip is final");
        if before != after {
            let core = &self.world.core;
            assert_eq!(core.head().hash, core.armed().unwrap().target.hash);
            assert_eq!(core.provisional(self.world.now()), None);
        }
    }

    /// After the timer has come by, nothing provisional is past its lease or its deadline.
    fn settle(&mut self) {
        self.world.tick();
        let now = self.world.now();
        if let Some(provisional) = self.world.core.provisional(now) {
            let attended = self.world.core.lease(now).is_some();
            let in_time = provisional.deadline_in_ms.is_some_and(|left| left > 0);
            assert!(in_time || (provisional.deadline_in_ms.is_none() && attended));
        }
    }
}

proptest! {
    #[test]
    fn the_laws_hold_under_any_sequence_of_calls(calls in prop::collection::vec(call(), 1..80)) {
        let mut trial = Trial { world: World::new(), fences: Vec::new(), ends: None };
        for call in &calls {
            trial.perform(call);
        }
        trial.settle();
    }
}
