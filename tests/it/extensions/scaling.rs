//! Replicas follow the load: up after a step, down after it, and not in between.

use std::time::Duration;

use tokio::time::Instant;

use ctx::control::config::flag;
use ctx::units::Percent;
use serde_json::json;

use super::world::World;

/// The longest that a story waits for one number of replicas.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the control API said of the program, a few times a second.
struct Trace {
    began: Instant,
    /// When, how many events were with replicas or waited for one, and how many replicas there
    /// should be and were.
    looks: Vec<(Duration, u32, u32, u32)>,
}

impl Trace {
    /// Watches until `holds` of the number that there should be and that there is.
    fn watch(&mut self, world: &World, holds: impl Fn(u32, u32) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let view = world.view().unwrap();
            let load = view.busy + view.waiting;
            self.looks.push((self.began.elapsed(), load, view.wanted, view.replicas));
            if holds(view.wanted, view.replicas) {
                return;
            }
            assert!(Instant::now() < deadline, "{}", self.text());
            #[expect(clippy::disallowed_methods, reason = "the pause between two looks")]
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn text(&self) -> String {
        let line = |(at, load, wanted, replicas): &(Duration, u32, u32, u32)| {
            let bar = "#".repeat(*replicas as usize);
            format!("{:5.1}s {load:3} events, {wanted} wanted {bar}\n", at.as_secs_f64())
        };
        self.looks.iter().map(line).collect()
    }
}

#[test]
fn replicas_follow_a_step_in_load_and_its_end() {
    let Some(world) = World::new() else { return };
    world.serve.set(|config| {
        config.scaling.stabilization = Duration::from_secs(3);
        let flag = config.flags.get_mut(flag::AUTO_SCALING).unwrap();
        (flag.enabled, flag.percentage) = (true, Percent::ALL);
    });
    // Eight at a time each: with a target of 70 %, fourteen events at once are work for 14 / 8 /
    // 0.7 = 2.5, or three replicas.
    let manifest = json!({ "replicas": { "min": 1, "max": 4 }, "config": { "pause_ms": 20 } });
    world.install("1.0.0", manifest);
    let mut trace = Trace { began: Instant::now(), looks: Vec::new() };
    trace.watch(&world, |wanted, replicas| (wanted, replicas) == (1, 1));
    let load = world.load(14);
    trace.watch(&world, |wanted, replicas| wanted >= 3 && replicas == wanted);
    // A constant load: who is there stays, and nobody comes.
    let (up, constant) = (trace.looks.len() - 1, Instant::now());
    trace.watch(&world, |_, _| constant.elapsed() > Duration::from_secs(6));
    let mut wanted: Vec<u32> = trace.looks[up..].iter().map(|(_, _, wanted, _)| *wanted).collect();
    let down = wanted.windows(2).position(|pair| pair[1] < pair[0]);
    let up_again = down.is_some_and(|at| wanted[at..].windows(2).any(|pair| pair[1] > pair[0]));
    assert!(!up_again, "it flaps:\n{}", trace.text());
    wanted.dedup();
    assert!(wanted.len() <= 2, "{wanted:?} under a constant load:\n{}", trace.text());
    let answers = load.stop();
    trace.watch(&world, |wanted, replicas| (wanted, replicas) == (1, 1));
    println!("{}", trace.text());
    assert!(trace.looks.iter().all(|(_, _, wanted, _)| *wanted <= 4), "{}", trace.text());
    let odd = answers.iter().find(|answer| answer.status != 200);
    assert!(odd.is_none(), "{odd:?} of {}", answers.len());
    assert_eq!(world.view().unwrap().restarts, 0, "scaling restarts nothing");
}
