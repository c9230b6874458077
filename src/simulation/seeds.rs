//! The tests.

use std::collections::BTreeMap;

use super::invariants::Violation;
use super::mutants::Switch;
use super::operator::Last;
use super::world::World;

/// What many seeds came to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) seeds: u64,
    pub(super) events: u64,
    pub(super) outcomes: BTreeMap<Option<Last>, u64>,
    pub(super) overwritten: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.events += other.events;
        self.overwritten += other.overwritten;
        for (outcome, times) in &other.outcomes {
            *self.outcomes.entry(*outcome).or_default() += times;
        }
    }
}

/// Runs seeds until one of them shows a violation.
pub(super) fn first_violation(
    seeds: std::ops::Range<u64>,
    switches: &[Switch],
    tally: &mut Tally,
) -> Option<(u64, Violation)> {
    for seed in seeds {
        let mut world = World::new(seed, switches, false);
        world.run();
        tally.seeds += 1;
        tally.events += world.events;
        tally.overwritten += u64::from(world.witness.overwritten);
        for outcome in world.outcomes() {
            *tally.outcomes.entry(outcome).or_default() += 1;
        }
        if let Some(violation) = world.witness.violation {
            return Some((seed, violation));
        }
    }
    None
}

/// The whole history of a seed, in words.
fn story(seed: u64, switches: &[Switch]) -> Vec<String> {
    let mut world = World::new(seed, switches, true);
    world.run();
    let mut story = world.story.take().unwrap_or_default();
    story.extend(world.witness.violation.iter().map(ToString::to_string));
    story
}

/// Panics with the end of its history when a seed breaks something.
fn clean(seeds: std::ops::Range<u64>) -> Tally {
    let mut tally = Tally::default();
    if let Some((seed, violation)) = first_violation(seeds, &[], &mut tally) {
        let story = story(seed, &[]);
        let end = story.len().saturating_sub(60);
        panic!(
            "seed {seed} breaks {violation}\n{}\n\nits whole history: CTX_SEED={seed} cargo test \
             --lib one_seed -- --ignored --nocapture",
            story[end..].join("\n")
        );
    }
    tally
}

macro_rules! clean {
    ($($name:ident: $from:literal;)*) => {$(
        #[test]
        fn $name() {
            let tally = clean($from..$from + SHARE);
            assert!(tally.outcomes.len() >= 6, "every kind of end was seen: {tally:?}");
        }
    )*};
}

/// So many seeds each, so that a test runner spreads them over its cores.
const SHARE: u64 = 10_000;

clean! {
    seeds_0: 0;
    seeds_1: 10_000;
    seeds_2: 20_000;
    seeds_3: 30_000;
    seeds_4: 40_000;
    seeds_5: 50_000;
    seeds_6: 60_000;
    seeds_7: 70_000;
    seeds_8: 80_000;
    seeds_9: 90_000;
}

#[test]
fn the_same_seed_has_the_same_history() {
    for seed in 0..50 {
        assert_eq!(story(seed, &[]), story(seed, &[]), "seed {seed}");
    }
}

#[test]
#[ignore = "runs as many seeds as `CTX_SEEDS` says, from `CTX_FROM` on; see the module"]
#[expect(clippy::disallowed_methods, reason = "a test's own switches and its stop watch")]
fn millions() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (seeds, from) = (number("CTX_SEEDS").unwrap_or(100_000), number("CTX_FROM").unwrap_or(0));
    let began = std::time::Instant::now();
    let half = from + seeds / 2;
    let other = std::thread::spawn(move || clean(half..from + seeds));
    let mut tally = clean(from..half);
    tally.add(&other.join().expect("the other half is clean"));
    let took = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    let speed = tally.seeds as f64 / took;
    println!("{tally:#?}\n{took:.1} s, {speed:.0} seeds/s");
}

#[test]
#[ignore = "goes on after a violation, and lists them"]
#[expect(clippy::disallowed_methods, reason = "a test's own switches")]
fn survey() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (seeds, mut from) =
        (number("CTX_SEEDS").unwrap_or(10_000), number("CTX_FROM").unwrap_or(0));
    let (end, mut tally) = (from + seeds, Tally::default());
    while let Some((seed, violation)) = first_violation(from..end, &[], &mut tally) {
        println!("{seed} {violation}");
        from = seed + 1;
    }
    println!("{tally:#?}");
}

#[test]
#[ignore = "prints one history; see the module"]
#[expect(clippy::disallowed_methods, reason = "a test's own switch")]
fn one_seed() {
    let seed = std::env::var("CTX_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    println!("{}", story(seed, &[]).join("\n"));
}
