//! How long an absent operator's phase stays broken: from the first answer that may fail to the
//! revert being in force.
//!
//! An orchestrator, a legacy app and steady traffic, all in this process and on loopback. Each
//! round arms one guard, applies a change that outlives its lease, gives the lease back, and makes
//! a fifth of the app's answers fail at a random point within a sample. From then on nobody asks
//! the orchestrator for anything; the revision in force is read from the data plane each
//! millisecond.
//!
//! The full command: `cargo bench --bench revert -- 200`. The number is that of the rounds.

#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ctx::clock::{Clock, SystemClock, Tempo};
use ctx::control::armed::{ArmRequest, ArmedGuard, Bound};
use ctx::control::client::{Client, Write};
use ctx::control::wire::{Fence, LeaseRequest, RevisionRequest};
use ctx::ids::{RunId, random_hex};
use ctx::load::Rate;
use ctx::load::sign::Secrets;
use ctx::load::webhooks::Mix;
use ctx::orchestrator::{Initial, Options, Orchestrator};
use ctx::rehearsal::legacy::{Faults, Legacy};
use ctx::rehearsal::traffic::Traffic;
use ctx::secret::Secret;
use ctx::units::Percent;

/// Requests a second.
const RATE: f64 = 200.0;
/// The share of answers that fails.
const ERRORS: u32 = 20;
/// The guard: how wide a sample is, how much of it may fail, and how few answers are too few.
const WINDOW: Duration = Duration::from_secs(1);
const LIMIT: f64 = 0.05;
const MIN_SAMPLES: u64 = 20;
/// What the strategy allows.
const BUDGET_P50: Duration = Duration::from_secs(1);
const BUDGET_P99: Duration = Duration::from_secs(2);
/// A revert that takes longer than this is not going to happen.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time for answers that fail to be out of the way before the next round.
const REST: Duration = Duration::from_millis(200);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

struct World {
    legacy: Legacy,
    orchestrator: Orchestrator,
    client: Client,
}

fn main() -> Result<ExitCode> {
    // `cargo bench` adds a flag of its own.
    let rounds = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(200);
    let folder = tempfile::tempdir()?;
    let legacy = Legacy::start()?;
    let token = Secret::new(random_hex::<32>());
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let orchestrator = Orchestrator::start(Options {
        legacy: legacy.url(),
        listen: anywhere,
        control: anywhere,
        inherited: None,
        state_dir: folder.path().join("orchestrator"),
        token: token.clone(),
        tempo: Tempo::default(),
        clock: Arc::new(SystemClock),
        workers: std::thread::available_parallelism().map_or(1, usize::from),
        judge_cpu: false,
        programs: None,
        flags_token: None,
        initial: Initial::default(),
    })?;
    let client = Client::new(&format!("http://{}", orchestrator.control_addr()), Some(token));
    let target = format!("http://{}", orchestrator.data_addr()).parse()?;
    let rate = Rate::per_second(RATE).ok_or("the rate is out of range")?;
    let traffic = Traffic::start(target, rate, Mix::default(), Secrets::default())?;
    let world = World { legacy, orchestrator, client };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut times = Vec::new();
    for round in 1..=rounds {
        times.push(runtime.block_on(world.round(round))?);
    }
    drop(traffic);
    Ok(report(&mut times))
}

impl World {
    /// One fault; returns how long it took until the old content was in force again.
    async fn round(&self, round: u64) -> Result<Duration> {
        tokio::time::sleep(REST).await;
        let fence = self.lease().await?;
        self.client.disarm(&fence, true).await?;
        self.client.arm(&fence, &guards()).await?;
        let state = self.client.state().await?.body;
        let mut config = state.config;
        config.cache.capacity = 1_000 + round;
        let request = RevisionRequest {
            config,
            confirm_within_ms: Some(600_000),
            reason: format!("round {round}"),
        };
        let key = format!("round-{round}");
        let write = Write { fence: &fence, key: &key };
        let applied = self.client.apply(write, state.head, &request).await?.body;
        self.client.release(&fence).await?;
        // The operator is gone. The fault begins anywhere within a sample.
        let chance = u64::from_str_radix(&random_hex::<4>(), 16)?;
        let window = u64::try_from(WINDOW.as_millis())?;
        tokio::time::sleep(WINDOW + Duration::from_millis(chance % window)).await;
        if self.in_force() != applied.rev {
            return Err("the guard was breached before the fault".into());
        }
        let begun = SystemClock.boot();
        self.legacy.inject(Faults { errors: Percent::whole(ERRORS), ..Faults::default() });
        let mut took = Duration::ZERO;
        while self.in_force() == applied.rev && took < PATIENCE {
            tokio::time::sleep(Duration::from_millis(1)).await;
            took = SystemClock.boot().saturating_sub(begun);
        }
        self.legacy.inject(Faults::default());
        let back = self.client.state().await?.body;
        match back.armed.and_then(|armed| armed.tripped) {
            Some(_) if back.config_hash == state.config_hash => Ok(took),
            _ => Err(format!("no revert within {PATIENCE:?}").into()),
        }
    }

    fn in_force(&self) -> u64 {
        self.orchestrator.plane().active().rev
    }

    async fn lease(&self) -> Result<Fence> {
        let request = LeaseRequest {
            run: RunId::random(),
            holder: "bench".to_owned(),
            host: "here".to_owned(),
            pid: std::process::id(),
            ttl_ms: 30_000,
            min_token: 0,
            last_anchor: None,
        };
        Ok(self.client.acquire(&request).await?.body.fence)
    }
}

fn guards() -> ArmRequest {
    ArmRequest {
        plan: "bench".parse().expect("a name"),
        phase: "revert".parse().expect("a name"),
        guards: vec![ArmedGuard {
            id: "error-rate".parse().expect("a name"),
            query: None,
            metric: "error_rate".to_owned(),
            limit: Bound::AtMost(LIMIT),
            breaches: 1,
            min_samples: MIN_SAMPLES,
            every_ms: u64::try_from(WINDOW.as_millis()).expect("a second fits"),
            patience_ms: None,
        }],
        canaries: Vec::new(),
        record: "{}".to_owned(),
    }
}

fn report(times: &mut [Duration]) -> ExitCode {
    times.sort_unstable();
    let Some(max) = times.last() else { return ExitCode::FAILURE };
    // The nearest rank: the smallest time that this share of all rounds does not exceed.
    let rank = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1];
    println!(
        "{} rounds, {RATE} requests/s, {ERRORS} % of answers fail; guard: error_rate at most {} %, \
         samples of {WINDOW:?} with at least {MIN_SAMPLES} answers, 1 breach; {} build",
        times.len(),
        LIMIT * 100.0,
        if cfg!(debug_assertions) { "debug" } else { "release" },
    );
    println!("\nfault to revert in force     time    budget");
    let row = |name: &str, time: Duration, budget: Option<Duration>| {
        let budget = budget.map_or("-".to_owned(), |budget| format!("{} ms", budget.as_millis()));
        println!("{name:<22} {:>7} ms {budget:>9}", time.as_millis());
    };
    let (p50, p99) = (rank(50), rank(99));
    row("p50", p50, Some(BUDGET_P50));
    row("p90", rank(90), None);
    row("p99", p99, Some(BUDGET_P99));
    row("max", *max, None);
    if p50 <= BUDGET_P50 && p99 <= BUDGET_P99 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
