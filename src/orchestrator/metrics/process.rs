//! The process as the operating system sees it, under the names that every Prometheus client uses.
//!
//! Read when somebody asks; what the machine does not tell is absent. Memory and descriptors are
//! from `/proc`, and so on Linux alone.

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Readings of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// Processor time used so far, in seconds.
    pub cpu_s: f64,
    pub resident_bytes: Option<u64>,
    pub virtual_bytes: Option<u64>,
    pub threads: Option<u64>,
    pub open_fds: Option<u64>,
    /// Absent when there is no limit.
    pub max_fds: Option<u64>,
}

impl Process {
    /// Reads them.
    pub fn read() -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        #[expect(clippy::cast_precision_loss, reason = "seconds of a process are far below 2^52")]
        let cpu_s = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kib = |name| status_line(&status, name).map(|kib| kib * 1024);
        let fds = std::fs::read_dir("/proc/self/fd").ok();
        Self {
            cpu_s,
            resident_bytes: kib("VmRSS:"),
            virtual_bytes: kib("VmSize:"),
            threads: status_line(&status, "Threads:"),
            // The folder itself is open while it is read.
            open_fds: fds.map(|fds| fds.count().saturating_sub(1) as u64),
            max_fds: getrlimit(Resource::Nofile).current,
        }
    }
}

/// The number in a line of `/proc/self/status`.
fn status_line(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_their_names() {
        let status = "Name:\tctx\nVmSize:\t  2048 kB\nVmRSS:\t    12 kB\nThreads:\t7\n";
        assert_eq!(status_line(status, "VmRSS:"), Some(12));
        assert_eq!(status_line(status, "Threads:"), Some(7));
        assert_eq!(status_line(status, "VmSwap:"), None);
    }

    #[test]
    fn this_process_uses_something_of_everything() {
        let process = Process::read();
        assert!(process.cpu_s > 0.0);
        if cfg!(target_os = "linux") {
            assert!(process.resident_bytes > Some(1 << 20), "{process:?}");
            assert!(process.open_fds > Some(2) && process.threads > Some(0), "{process:?}");
        }
    }
}
