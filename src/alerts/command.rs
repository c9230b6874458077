//! An alert given to a program: argv, never a shell, and the document on its stdin.
//!
//! It gets `PATH`, `HOME`, `LANG` and `TZ` of ctx's environment and nothing else, so no secret of
//! ctx. It is a process group of its own: a Ctrl-C that is meant for ctx does not reach it, and
//! when its time is up, it goes with everything that it started.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::post::Unsent;
use crate::plan::model::Argv;
use crate::secret::redacted;
use crate::settings::environment;

/// What of the environment a program gets.
const KEPT: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];
/// How long its last words may take to arrive.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// How much of what it says is shown when it fails.
const SHOWN: u64 = 200;

/// A running program; whatever is left of its group is killed when this is dropped.
struct Group {
    child: Child,
    pid: Option<Pid>,
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            // Gone already is as good.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Runs the program to its end. The caller limits its time by dropping this.
pub(super) async fn give(argv: &Argv, document: &str) -> Result<(), Unsent> {
    let mut group = start(argv)?;
    let mut stdin = group.child.stdin.take().expect("it is piped");
    let stderr = group.child.stderr.take().expect("it is piped");
    let feeding = async {
        // A program that does not read its stdin is no failure.
        let _ = stdin.write_all(document.as_bytes()).await;
        drop(stdin);
    };
    let listening = async {
        let mut said = Vec::new();
        let mut some = stderr.take(SHOWN);
        let _ = some.read_to_end(&mut said).await;
        // The rest is read away, so that the program is not stuck in a full pipe.
        let mut rest = some.into_inner();
        let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
        said
    };
    let ended = async { tokio::join!(group.child.wait(), feeding).0 };
    let (mut ended, mut listening) = (std::pin::pin!(ended), std::pin::pin!(listening));
    let mut said = None;
    let status = loop {
        tokio::select! {
            status = &mut ended => break status,
            heard = &mut listening, if said.is_none() => said = Some(heard),
        }
    };
    if said.is_none() {
        // A descendant may hold stderr open for long; the program's own end is what counts.
        said = tokio::time::timeout(LAST_WORDS, listening).await.ok();
    }
    match (status, said.unwrap_or_default()) {
        (Ok(status), _) if status.success() => Ok(()),
        (Ok(status), said) => {
            let said = String::from_utf8_lossy(&said).trim().replace(char::is_control, " ");
            let colon = if said.is_empty() { "" } else { ": " };
            Err(Unsent::for_now(format!("its {status}{colon}{}", redacted(&said))))
        }
        (Err(error), _) => Err(Unsent::for_now(error.to_string())),
    }
}

fn start(argv: &Argv) -> Result<Group, Unsent> {
    let (program, args) = argv.split_first().expect("the reader wants a program");
    let child = Command::new(program)
        .args(args)
        .env_clear()
        .envs(KEPT.iter().filter_map(|name| Some((name, environment(name)?))))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let child =
        child.map_err(|error| Unsent::for_good(format!("failed to start `{program}`: {error}")))?;
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    Ok(Group { child, pid })
}
