//! Runs a target on many inputs, and keeps the one that breaks it.
//!
//! - `CTX_FUZZ_TIMES=100` runs a hundred times as many inputs.
//! - `CTX_FUZZ_SEED=7` makes other inputs.
//! - `CTX_FUZZ_INPUT=FILE` runs that one input alone.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use super::mutate::{Dice, Stock};

/// The seed unless told otherwise: a run in CI is to fail for what was changed, not by chance.
const SEED: u64 = 20_261_124;
/// No input takes as long on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `target` on `executions` inputs made of `stock`.
///
/// # Panics
/// When an input breaks the target; says the seed, and where the input is kept. Aborts when one
/// takes longer than [`PATIENCE`].
pub(super) fn run(name: &str, executions: usize, stock: &Stock<'_>, target: impl Fn(&[u8])) {
    if let Some(input) = ctx::settings::environment("CTX_FUZZ_INPUT") {
        return target(&fs::read(input).unwrap());
    }
    let seed = number("CTX_FUZZ_SEED").unwrap_or(SEED);
    let times = usize::try_from(number("CTX_FUZZ_TIMES").unwrap_or(1)).unwrap();
    let watch = Watch::begin(name, seed);
    let mut dice = Dice::new(seed);
    for input in stock.corpus {
        watch.over(input, &target);
    }
    for _ in 0..executions * times {
        watch.over(&stock.input(&mut dice), &target);
    }
    tell(&format!("{name}: {} inputs, seed {seed}", executions * times + stock.corpus.len()));
}

#[expect(clippy::print_stderr, reason = "whoever looks at a failed test looks here")]
fn tell(line: &str) {
    eprintln!("{line}");
}

fn number(name: &str) -> Option<u64> {
    ctx::settings::environment(name).map(|text| text.parse().unwrap())
}

/// Sees to it that an input which breaks a target, or never ends, is kept.
struct Watch {
    name: String,
    seed: u64,
    current: Arc<Mutex<Vec<u8>>>,
    beat: mpsc::Sender<()>,
}

impl Watch {
    fn begin(name: &str, seed: u64) -> Self {
        let (beat, beats) = mpsc::channel();
        let current = Arc::new(Mutex::new(Vec::new()));
        let watch = Self { name: name.to_owned(), seed, current: Arc::clone(&current), beat };
        let kept = watch.kept();
        thread::spawn(move || {
            loop {
                match beats.recv_timeout(PATIENCE) {
                    Ok(()) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => return,
                    Err(mpsc::RecvTimeoutError::Timeout) => {
                        let input = current.lock().unwrap_or_else(PoisonError::into_inner);
                        let _ = fs::write(&kept, &*input);
                        tell(&format!("no end within {PATIENCE:?}: see {}", kept.display()));
                        std::process::abort();
                    }
                }
            }
        });
        watch
    }

    /// Where the input that breaks the target is kept.
    fn kept(&self) -> PathBuf {
        let name = format!("fuzz-{}-{}", self.name, self.seed);
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
    }

    fn over(&self, input: &[u8], target: &impl Fn(&[u8])) {
        input.clone_into(&mut self.current.lock().unwrap());
        let _ = self.beat.send(());
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
            let kept = self.kept();
            fs::write(&kept, input).unwrap();
            let (name, seed, kept) = (&self.name, self.seed, kept.display());
            tell(&format!("{name}: broken with seed {seed}; again with CTX_FUZZ_INPUT={kept}"));
            resume_unwind(panic);
        }
    }
}
