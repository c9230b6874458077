//! How long `ctx status` takes, and how much memory, on a ledger of a million entries.
//!
//! The ledger is made through the ledger's own code, chain and derived tables with it: phases of two
//! changes that were confirmed, one after the other, and one that is in flight. The built binary is
//! run on it as an operator does, process and all. Beside it: a ledger of a thousand entries, and
//! reading every entry of the large one once, which is what a status without derived tables would
//! have to do.
//!
//! `cargo bench --bench status -- 1000000`. The number is that of entries.

#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use ctx::clock::{Clock, SystemClock};
use ctx::ledger::fact::Fact;
use ctx::ledger::{Ledger, Of};

#[expect(
    clippy::unwrap_used,
    reason = "the story is that of the tests, where a panic is a failure"
)]
#[path = "../tests/it/ledger/story.rs"]
#[expect(dead_code, reason = "the tests tell more stories")]
mod story;

/// What the strategy allows.
const BUDGET: Duration = Duration::from_millis(20);
const BUDGET_KB: u64 = 30 * 1024;
/// A ledger that nobody would call long.
const SHORT: usize = 1_000;
/// How often `ctx status` is run.
const ROUNDS: usize = 41;
/// How many entries are written in one transaction.
const TOGETHER: usize = 5_000;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What one ledger costs.
struct Cost {
    median: Duration,
    p95: Duration,
    /// Unknown without GNU time.
    memory_kb: Option<u64>,
}

fn main() -> Result<ExitCode> {
    // `cargo bench` adds a flag of its own.
    let entries = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir()?;
    let short = folder.path().join("short.sqlite3");
    let long = folder.path().join("long.sqlite3");
    write(&short, SHORT)?;
    let began = SystemClock.boot();
    write(&long, entries)?;
    let size = std::fs::metadata(&long)?.len() / (1024 * 1024);
    let took = SystemClock.boot().saturating_sub(began);
    println!("{entries} entries, {size} MiB, written in {took:.1?}");
    let scanned = scan(&long, entries)?;
    let (small, large) = (measure(&short)?, measure(&long)?);
    println!("`ctx status`, median and p95 of {ROUNDS} runs, and the most memory:");
    for (name, cost) in [(SHORT, &small), (entries, &large)] {
        let memory = cost.memory_kb.map_or("-".to_owned(), |kb| format!("{} MiB", kb / 1024));
        println!("{name:>9} entries  {:>8.1?}  {:>8.1?}  {memory}", cost.median, cost.p95);
    }
    let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
    println!("  {:.2} times as long as on the short one", ratio(large.median, small.median));
    println!(
        "  every entry read once: {scanned:.1?}, {:.0} times as long",
        ratio(scanned, large.median)
    );
    let within = large.median <= BUDGET && large.memory_kb.is_none_or(|kb| kb <= BUDGET_KB);
    println!(
        "{}: at most {BUDGET:?} and 30 MiB",
        if within { "within budget" } else { "OVER BUDGET" }
    );
    Ok(if within { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes a ledger of about so many entries, the last run in flight.
fn write(path: &Path, entries: usize) -> Result<()> {
    let mut ledger = Ledger::open(path)?;
    let mut waiting: Vec<Of> = Vec::new();
    let mut written = 0;
    let last = |story: story::Story| {
        let facts = story.facts.into_iter().take_while(|f| !matches!(f, Fact::SoakEnded { .. }));
        facts.map(|fact| (Some(story.run.clone()), fact)).collect::<Vec<Of>>()
    };
    let end = last(story::Story::confirmed());
    let mut number = 0_u32;
    while written + waiting.len() + end.len() < entries {
        let story = story::Story::confirmed();
        let backup = format!("b-20300101-{:06}-{:04x}", number % 1_000_000, number / 1_000_000);
        number += 1;
        for mut fact in story.facts {
            if let Fact::BackupIntended { backup: id } | Fact::BackupDone { backup: id, .. } =
                &mut fact
            {
                *id = backup.parse()?;
            }
            waiting.push((Some(story.run.clone()), fact));
        }
        if waiting.len() >= TOGETHER {
            ledger.append_together(&waiting, story::at(written))?;
            written += waiting.len();
            waiting.clear();
        }
    }
    waiting.extend(end);
    ledger.append_together(&waiting, story::at(written))?;
    Ok(())
}

/// Reads every entry once.
fn scan(path: &Path, entries: usize) -> Result<Duration> {
    let reader = Ledger::read(path)?;
    let began = SystemClock.boot();
    let (mut seen, mut after) = (0, 0);
    loop {
        let some = reader.entries(after, 10_000)?;
        let Some(last) = some.last() else { break };
        (seen, after) = (seen + some.len(), last.seq);
    }
    assert!(seen + 100 >= entries, "{seen} entries are there");
    Ok(SystemClock.boot().saturating_sub(began))
}

fn status(program: &str, args: &[&str], ledger: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(args).arg("status").arg("--ledger").arg(ledger);
    command.current_dir(ledger.parent().unwrap_or(Path::new("/"))).stdin(Stdio::null());
    command
}

fn measure(ledger: &Path) -> Result<Cost> {
    let ctx = env!("CARGO_BIN_EXE_ctx");
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = SystemClock.boot();
        let output = status(ctx, &[], ledger).output()?;
        times.push(SystemClock.boot().saturating_sub(began));
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("pool-ramp"), "{output:?}");
    }
    times.sort();
    let timed = status("/usr/bin/time", &["-f", "%M", ctx], ledger).output();
    let memory_kb = timed.ok().and_then(|output| {
        String::from_utf8_lossy(&output.stderr).lines().last()?.trim().parse().ok()
    });
    Ok(Cost { median: times[ROUNDS / 2], p95: times[ROUNDS * 95 / 100], memory_kb })
}
