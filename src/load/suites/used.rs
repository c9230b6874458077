//! What the orchestrator's machine used while load was applied to it.

use std::future::Future;
use std::time::Duration;

use serde::Serialize;

use super::Target;
use crate::control::client::Client;
use crate::control::observe::Host;

/// Time between two readings; the orchestrator takes one each second. The first comes after this
/// time, so that none is from before the load.
const EVERY: Duration = Duration::from_secs(1);
/// How long a reading may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The use of a machine over some time, as ratios in 0..=1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Used {
    /// The mean; all cores busy = 1. Absent where nobody said.
    pub cpu: Option<f64>,
    /// The most.
    pub memory: Option<f64>,
    /// How many readings of the processor the mean is of.
    pub readings: u32,
}

impl Used {
    fn add(&mut self, host: Host) {
        if let Some(cpu) = host.cpu {
            self.readings += 1;
            let mean = self.cpu.unwrap_or(cpu);
            self.cpu = Some(mean + (cpu - mean) / f64::from(self.readings));
        }
        self.memory = [self.memory, host.memory].into_iter().flatten().reduce(f64::max);
    }
}

/// Reads what the machine uses until `work` is done, and once more.
pub(super) async fn while_running<T>(target: &Target, work: impl Future<Output = T>) -> (T, Used) {
    let mut used = Used::default();
    let Some((url, token)) = &target.control else { return (work.await, used) };
    let client = Client::new(url, token.clone());
    let mut work = std::pin::pin!(work);
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            () = tokio::time::sleep(EVERY) => {}
        }
        // Nothing of the work waits for a reading.
        let reading = async { read(&client, &mut used).await };
        tokio::select! {
            done = &mut work => break done,
            () = reading => {}
        }
    };
    read(&client, &mut used).await;
    (done, used)
}

async fn read(client: &Client, used: &mut Used) {
    if let Ok(Ok(metrics)) = tokio::time::timeout(PATIENCE, client.metrics(None)).await {
        used.add(metrics.host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_counts_on_the_average_and_memory_at_its_highest() {
        let mut used = Used::default();
        for (cpu, memory) in [(None, Some(0.5)), (Some(0.2), Some(0.7)), (Some(0.4), Some(0.6))] {
            used.add(Host { cpu, memory });
        }
        let mean = used.cpu.unwrap();
        assert!((mean - 0.3).abs() < 1e-9, "{mean}");
        assert_eq!((used.memory, used.readings), (Some(0.7), 2));
    }
}
