//! The machine's processor and memory.

use sysinfo::{MINIMUM_CPU_UPDATE_INTERVAL, System};

use crate::clock::Clock;
use crate::control::observe::Host;

/// Reads the machine's use, as the mean since the reading before.
#[derive(Debug)]
pub(super) struct Meter {
    system: System,
    begun: std::time::Duration,
}

impl Meter {
    pub(super) fn new(clock: &dyn Clock) -> Self {
        let mut system = System::new();
        system.refresh_cpu_usage();
        Self { system, begun: clock.boot() }
    }

    /// The processor's use is absent until two readings lie far enough apart.
    #[expect(clippy::cast_precision_loss, reason = "bytes of memory are below 2^52")]
    pub(super) fn read(&mut self, clock: &dyn Clock) -> Host {
        let long_enough = clock.boot().saturating_sub(self.begun) >= MINIMUM_CPU_UPDATE_INTERVAL;
        if long_enough {
            self.system.refresh_cpu_usage();
        }
        self.system.refresh_memory();
        let (total, free) = (self.system.total_memory(), self.system.available_memory());
        let ratio = |value: f64| value.clamp(0.0, 1.0);
        Host {
            cpu: long_enough.then(|| ratio(f64::from(self.system.global_cpu_usage()) / 100.0)),
            memory: (total > 0).then(|| ratio(total.saturating_sub(free) as f64 / total as f64)),
        }
    }
}
