//! A disk that fills up or fails, and a process that is killed while it writes: whatever is left
//! behind, nothing of it looks like a backup unless it is one.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use ctx::backup::{BackupError, Found, create, list, verify};
use ctx::clock::ManualClock;
use ctx::settings::environment;
use tempfile::TempDir;

use super::fixture::Service;

/// Names the folder that the child process backs up.
const CHILD: &str = "CTX_TEST_BACKUP_CHILD";

/// The child process: makes one backup, under a limit on the size of files.
#[test]
#[ignore = "only runs as the child of the tests below"]
fn child() {
    let Some(home) = environment(CHILD) else { return };
    let service = Service::new();
    let mut request = service.request("b-1");
    request.home = home.into();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let made = runtime.block_on(create(&service.source, request, &ManualClock::default()));
    match made {
        Ok(_) => {}
        // The error names the file.
        Err(error @ (BackupError::Io { .. } | BackupError::Damaged(_))) => panic!("{error}"),
        Err(error) => panic!("{error:?}"),
    }
}

/// Runs the child with files of at most `blocks` blocks; `signal` is what `trap` does about the
/// signal that comes with a larger one.
fn limited(blocks: u32, trap: &str, home: &Path) -> ExitStatus {
    let script = format!("{trap}; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "backup::disk::child", "--ignored", "--nocapture"])
        .env(CHILD, home)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
}

/// Tries every limit up to the size of the largest part, and one beyond.
fn under_every_limit(trap: &str, check: impl Fn(&[Found], ExitStatus)) {
    let mut outcomes = Vec::new();
    for blocks in [0, 1, 2, 3, 4, 8, 16, 24, 32, 4096] {
        let home = TempDir::new().unwrap();
        let status = limited(blocks, trap, home.path());
        let found = list(home.path()).unwrap();
        for backup in &found {
            if let Found::Complete(manifest) = backup {
                let path = home.path().join("backups").join(manifest.id.as_str());
                assert!(verify::verify(&path).unwrap().sound());
            }
        }
        check(&found, status);
        outcomes.push(status.success());
    }
    assert!(outcomes.contains(&true) && outcomes.contains(&false), "{outcomes:?}");
}

#[test]
fn a_disk_error_leaves_nothing_behind() {
    under_every_limit("trap '' XFSZ", |found, status| {
        let complete = matches!(found, [Found::Complete(_)]);
        assert_eq!(complete, status.success());
        assert!(complete || found.is_empty(), "{found:?}");
    });
}

#[test]
fn a_killed_process_leaves_nothing_that_counts() {
    under_every_limit("trap - XFSZ", |found, status| {
        let complete = matches!(found, [Found::Complete(_)]);
        assert_eq!(complete, status.success());
        assert!(found.iter().all(|found| !matches!(found, Found::Damaged { .. })), "{found:?}");
    });
}
