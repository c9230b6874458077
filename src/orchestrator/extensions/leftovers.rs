//! What the programs of an orchestrator that was killed have started, and nobody has ended.
//!
//! The kernel kills a program when its orchestrator is killed, but not what the program has started
//! itself. All of that carries a mark in its environment, with the folder of its extension, and
//! that folder belongs to one orchestrator at a time.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

/// The variable that every program is given, and passes on unless it takes care not to.
pub(super) const MARK: &str = "CTX_EXTENSION_HOME";

/// Kills every process that was started below `folder`. Those of other users are not looked at.
pub(super) fn end(folder: &Path) {
    let Ok(processes) = fs::read_dir("/proc") else { return };
    let folder = [MARK.as_bytes(), b"=", folder.as_os_str().as_bytes(), b"/"].concat();
    for process in processes.filter_map(Result::ok) {
        let pid = process.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else { continue };
        let Ok(environment) = fs::read(process.path().join("environ")) else { continue };
        if environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(&folder)) {
            tracing::warn!(
                pid = pid.as_raw_nonzero().get(),
                "ended what a program had left behind"
            );
            // It may be gone by now.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}
