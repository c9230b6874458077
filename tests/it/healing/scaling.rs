//! Workers follow the load: up within seconds of a step, down after it, and not before.

use std::time::Duration;

use ctx::control::config::{Mode, flag};
use tokio::time::Instant;

use super::world::{PATIENCE, Traffic, World, turn_on};

/// What `/v1/metrics` said, a few times a second.
struct Trace(Vec<(Duration, u32, u32)>);

impl Trace {
    /// Watches until `holds` of the number of workers.
    async fn watch(&mut self, began: Instant, world: &World, holds: impl Fn(u32) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let metrics = world.metrics().await;
            self.0.push((began.elapsed(), metrics.in_flight, metrics.workers));
            if holds(metrics.workers) {
                return;
            }
            assert!(Instant::now() < deadline, "{}", self.text());
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    fn text(&self) -> String {
        let line = |(at, load, workers): &(Duration, u32, u32)| {
            let bar = "#".repeat(*workers as usize);
            format!("{:5.1}s {load:5} in flight {workers:2} workers {bar}\n", at.as_secs_f64())
        };
        self.0.iter().map(line).collect()
    }
}

#[tokio::test]
async fn workers_follow_a_step_in_load_and_its_end() {
    let world = World::start(1.0, |config| {
        config.mode = Mode::Enhanced;
        config.scaling.min = 1;
        config.scaling.stabilization = Duration::from_secs(2);
        turn_on(config, flag::AUTO_SCALING);
    })
    .await;
    // Each event takes two seconds, so that 500 a second are 1,000 in flight: with a target of 70 %,
    // that is work for 1000 / 512 / 0.7, or three workers.
    world.legacy.takes(Duration::from_secs(2));
    let (began, mut trace) = (Instant::now(), Trace(Vec::new()));
    trace.watch(began, &world, |workers| workers == 1).await;
    let traffic = Traffic::start(&world, "/github/events", 500.0);
    trace.watch(began, &world, |workers| workers >= 3).await;
    let up = began.elapsed();
    let step = trace.0.iter().find(|(_, in_flight, _)| *in_flight > 900).map(|(at, ..)| *at);
    let late = up.saturating_sub(step.unwrap_or(up));
    assert!(late < Duration::from_secs(10), "{late:?} after the step:\n{}", trace.text());
    // A constant load: nobody leaves, unless a busy machine did not make it constant.
    let constant = Instant::now();
    trace.watch(began, &world, |_| constant.elapsed() > Duration::from_secs(4)).await;
    let mut since = trace.0.iter().filter(|(at, ..)| *at > up);
    let dipped = since.clone().any(|(_, in_flight, _)| *in_flight < 720);
    assert!(dipped || since.all(|(.., workers)| *workers >= 3), "{}", trace.text());
    world.legacy.takes(Duration::ZERO);
    traffic.stop().await;
    trace.watch(began, &world, |workers| workers == 1).await;
    println!("{}", trace.text());
    let most = trace.0.iter().map(|(.., workers)| *workers).max();
    assert!(most <= Some(8), "{}", trace.text());
}
