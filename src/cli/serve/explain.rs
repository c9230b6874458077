//! Why an orchestrator did not start, with what to do about it.

use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Code, Failure};
use crate::orchestrator::StartError;
use crate::orchestrator::store::StoreError;

/// A failed start with what to do about it.
pub(super) fn explain(error: &StartError) -> Failure {
    let failure = Failure::new(Code::Failure, "failed to start the orchestrator").because(error);
    match error {
        StartError::NotLoopback(addr) => usage(failure).hint(format!(
            "use `--control 127.0.0.1:{}`, and a tunnel such as ssh to reach it from elsewhere",
            addr.port()
        )),
        StartError::Listen { addr, source, what } => match source.kind() {
            ErrorKind::AddrInUse => {
                let flag = if *what == "events" { "--listen" } else { "--control" };
                failure.hint(format!(
                    "something else uses port {}; choose another with `{flag}`, where port 0 \
                     picks a free one",
                    addr.port()
                ))
            }
            ErrorKind::PermissionDenied => failure.hint("ports below 1024 need privileges"),
            _ => failure,
        },
        StartError::Legacy(_) => {
            usage(failure).hint("write it like `--legacy http://127.0.0.1:8000`")
        }
        StartError::Store { folder, source } => explain_store(failure, folder, source),
        StartError::Thread(_) => failure,
    }
}

/// What was typed is wrong.
fn usage(failure: Failure) -> Failure {
    Failure { code: Code::Usage, ..failure }
}

fn explain_store(failure: Failure, folder: &Path, error: &StoreError) -> Failure {
    match error {
        error if error.is_of_the_disk() => {
            failure.hint("see to the disk, then start it again; what was answered is kept")
        }
        StoreError::Locked(_) => Failure { code: Code::Locked, ..failure }
            .hint("take its place with `--take-over`, or name another folder with `--state DIR`"),
        StoreError::Io { .. } => failure.hint("name a writable folder with `--state DIR`"),
        StoreError::Exposed { .. } => failure.hint(format!(
            "`chmod 700 {}`, or name another folder with `--state DIR`",
            folder.display()
        )),
        StoreError::Strange { .. } => failure.hint(
            "remove it if it is not yours to keep, or name another folder with `--state DIR`",
        ),
        StoreError::Newer { .. } => failure.hint("run the ctx that wrote it, or a newer one"),
        StoreError::Altered { .. }
        | StoreError::Damaged(_)
        | StoreError::Sqlite(_)
        | StoreError::Stopped => {
            failure.hint("keep the folder for inspection and restore a backup into a new one")
        }
    }
}
