//! The machine's processor and memory.

use sysinfo::{MINIMUM_CPU_UPDATE_INTERVAL, System};

use crate::clock::Clock;
use crate::control::observe::Host;

/// Reads the machine's use, as the mean since the reading before.
#[derive(Debug)]
pub(super) struct Meter {
    /// Absent where the machine does not tell.
    system: Option<System>,
    begun: std::time::Duration,
}

impl Meter {
    pub(super) fn new(clock: &dyn Clock) -> Self {
        let system = System::new()
            .map(|mut system| {
                system.refresh_cpu_usage();
                system
            })
            .inspect_err(|error| tracing::warn!(%error, "the machine's use cannot be read"));
        Self { system: system.ok(), begun: clock.boot() }
    }

    /// The processor's use is absent until two readings lie far enough apart.
    #[expect(clippy::cast_precision_loss, reason = "bytes of memory are below 2^52")]
    pub(super) fn read(&mut self, clock: &dyn Clock) -> Host {
        let long_enough = clock.boot().saturating_sub(self.begun) >= MINIMUM_CPU_UPDATE_INTERVAL;
        let Some(system) = &mut self.system else { return Host::default() };
        if long_enough {
            system.refresh_cpu_usage();
        }
        system.refresh_memory();
        let (total, free) = (system.total_memory(), system.available_memory());
        let ratio = |value: f64| value.clamp(0.0, 1.0);
        Host {
            cpu: long_enough.then(|| ratio(f64::from(system.global_cpu_usage()) / 100.0)),
            memory: (total > 0).then(|| ratio(total.saturating_sub(free) as f64 / total as f64)),
        }
    }
}
