//! Files that fail: every file operation of `ctx migrate` and of `ctx serve` fails once, or from
//! there on, with a full disk, an I/O error, a short write, a torn write, or an fsync that fails.
//! What was acknowledged survives, and the next run without faults ends well.
//!
//! The faults come from `tests/iofault/shim.c`, which is compiled here and preloaded. Each kind
//! counts only what it can strike; N goes up until a run completes untouched. The ordinary run
//! takes every third N with one of the ten combinations, in turn. Every N with every one of them,
//! which takes long:
//! `CTX_IOFAULT_ALL=1 cargo nextest run -E 'test(/^iofault/)'`.

mod cli;
mod full;
mod orchestrator;
mod read_only;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use ctx::settings::environment;

use crate::support::peer;

/// What fails, and whether it goes on failing.
const COMBINATIONS: [(&str, bool); 10] = [
    ("enospc", false),
    ("eio", false),
    ("fsync", false),
    ("torn", false),
    ("short", false),
    ("enospc", true),
    ("eio", true),
    ("fsync", true),
    ("torn", true),
    ("short", true),
];

/// How many cases run beside one another.
const WORKERS: usize = 3;

/// One fault in one run.
#[derive(Clone, Copy, Debug)]
struct Fault {
    kind: &'static str,
    sticky: bool,
    at: usize,
}

impl Fault {
    /// The environment of a program whose files below `folder` fail; what failed goes to `log`.
    fn environment(self, shim: &Path, folder: &Path, log: &Path) -> Vec<(&'static str, String)> {
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        vec![
            ("LD_PRELOAD", path(shim)),
            ("CTX_FAULT_DIR", path(folder)),
            ("CTX_FAULT_KIND", self.kind.to_owned()),
            ("CTX_FAULT_AT", self.at.to_string()),
            ("CTX_FAULT_STICKY", u8::from(self.sticky).to_string()),
            ("CTX_FAULT_LOG", path(log)),
        ]
    }
}

/// The compiled shim; `None`, after a line that says so, where there is no C compiler.
#[track_caller]
fn shim() -> Option<&'static Path> {
    static SHIM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = SHIM.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/iofault/shim.c");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        // Each test process compiles its own: another one may be loading the file.
        let shim = folder.join(format!("iofault-{}.so", std::process::id()));
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&shim, &source])
            .stdin(Stdio::null())
            .status();
        match status {
            Ok(status) => {
                assert!(status.success(), "{} does not compile", source.display());
                Some(shim)
            }
            Err(_) => None,
        }
    });
    if built.is_none() {
        let why = "cc is not installed (a C compiler makes files fail)";
        assert!(environment("CTX_REQUIRE_PEERS").as_deref() != Some("1"), "{why}");
        peer::skipped(why);
    }
    built.as_deref()
}

/// Runs `case` with every fault, each combination until a run completes untouched. A case says
/// whether its fault struck.
fn each<S>(scene: impl Fn() -> S + Sync, case: impl Fn(&mut S, Fault) -> bool + Sync) {
    let all = environment("CTX_IOFAULT_ALL").as_deref() == Some("1");
    let next = AtomicUsize::new(0);
    let struck = AtomicUsize::new(0);
    let work = || {
        let mut scene = scene();
        loop {
            let index = next.fetch_add(1, Ordering::SeqCst);
            let Some((kind, sticky)) = COMBINATIONS.get(index).copied() else { return };
            let (first, step) = if all { (1, 1) } else { (index * 3 + 1, COMBINATIONS.len() * 3) };
            for at in (first..).step_by(step) {
                if !case(&mut scene, Fault { kind, sticky, at }) {
                    break;
                }
                struck.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    std::thread::scope(|threads| {
        let workers: Vec<_> = (0..WORKERS).map(|_| threads.spawn(work)).collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    let struck = struck.into_inner();
    assert!(struck > COMBINATIONS.len(), "only {struck} faults struck");
}

/// Which operations have failed, one a line.
fn struck(log: &Path) -> Option<String> {
    std::fs::read_to_string(log).ok().filter(|text| !text.is_empty())
}
