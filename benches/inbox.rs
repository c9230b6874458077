//! The gateway with the inbox on: how long a sender waits for its acknowledgement, how long an
//! event takes to be handled, and whether any is lost.
//!
//! `ctx serve` stores every event before it acknowledges it (`inbox.mode = store`, each signature
//! checked), and sends 10,000 signed GitHub pushes of about 7 KB a minute, in an open loop: they
//! leave when they are due, and an event that had to wait is charged with it. First in front of an
//! app that takes 20 ms for each; then of one that takes 6.5 s, so that a thousand are with it at
//! the same time. Last, what is beyond that: 1,000 senders at once, each with a connection of its
//! own and its next event as soon as the last is acknowledged, which shows the most that can be
//! stored, and how long a sender waits then.
//!
//! An event is handled when the app has answered it; both times count from the moment that it was
//! due, or sent. One that was acknowledged and not handled when the inbox is empty is lost.
//!
//! The full command: `cargo bench --bench inbox -- 60 10`, for 60 seconds of each of the first two
//! and 10 of the last. Senders, app and gateway share the machine's processors.

#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

mod support;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader as LineReader};
use std::net::SocketAddr;
use std::process::{ChildStdout, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ctx::clock::SystemClock;
use ctx::control::client::{Client, Write as ControlWrite};
use ctx::control::config::{Config, InboxMode, Mode, Platform, flag};
use ctx::control::wire::{LeaseRequest, RevisionRequest};
use ctx::ids::{RunId, random_hex};
use ctx::load::counters::FailureKind;
use ctx::load::dice::Dice;
use ctx::load::sign::Secrets;
use ctx::load::webhooks::{Mix, Webhooks};
use ctx::load::{Observer, Outgoing, Rate, Scenario, Source};
use ctx::secret::Secret;
use ctx::units::Percent;
use support::{BUILD, Process, Result, numbers};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const A_MINUTE: f64 = 10_000.0;
const IN_FLIGHT: usize = 1000;
/// How long the app takes for an event; the latter is a thousand at once, and some more.
const HANDLING: Duration = Duration::from_millis(20);
const HANDLING_LONG: Duration = Duration::from_millis(6500);
/// Smallest body that counts as a push of the usual size.
const PUSH: usize = 6_500;
/// How long the inbox may take to become empty.
const PATIENCE: Duration = Duration::from_secs(120);
const SECRET: &str = "bench-secret";

/// When things happened to each event, by its delivery id.
#[derive(Default)]
struct Times {
    due: HashMap<String, Instant>,
    acknowledged: HashMap<String, Instant>,
    handled: HashMap<String, Instant>,
    /// Events that were not acknowledged, and why.
    failed: HashMap<String, u64>,
    /// Events that are with the app now, and the most at once.
    with_app: usize,
    most: usize,
    /// How long the app takes.
    takes: Duration,
}

type Shared = Arc<Mutex<Times>>;

/// Signed pushes, noted when they are due.
struct Pushes {
    webhooks: Webhooks,
    times: Shared,
}

impl Source for Pushes {
    fn next(&mut self) -> Outgoing {
        let push = loop {
            let next = self.webhooks.next();
            if next.body.len() >= PUSH {
                break next;
            }
        };
        if let Some(delivery) = &push.delivery {
            let now = Instant::now();
            self.times.lock().expect("nobody panics").due.insert(delivery.clone(), now);
        }
        push
    }
}

struct Noting(Shared);

impl Observer for Noting {
    fn ended(&self, delivery: Option<&str>, result: std::result::Result<u16, FailureKind>) {
        let mut times = self.0.lock().expect("nobody panics");
        match (delivery, result) {
            (Some(delivery), Ok(200)) => {
                times.acknowledged.insert(delivery.to_owned(), Instant::now());
            }
            (_, Ok(status)) => *times.failed.entry(format!("status {status}")).or_default() += 1,
            (_, Err(kind)) => *times.failed.entry(kind.name().to_owned()).or_default() += 1,
        }
    }
}

/// `ctx serve`.
struct Serve {
    _process: Process,
    data: String,
    client: Client,
    /// Held open, so that nothing it prints can fail.
    _stdout: LineReader<ChildStdout>,
    _state: tempfile::TempDir,
}

fn main() -> Result<ExitCode> {
    let mut numbers = numbers();
    let seconds = numbers.next().unwrap_or(60).clamp(1, 600);
    let burst = numbers.next().unwrap_or(10).clamp(1, 120);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!("inbox.mode = store, signatures checked; {BUILD} build");
    runtime.block_on(async {
        let times = Shared::default();
        let app = app(Arc::clone(&times)).await?;
        let serve = start(app)?;
        configure(&serve.client).await?;

        for (what, takes) in [
            ("10,000 a minute, the app takes 20 ms", HANDLING),
            ("10,000 a minute, the app takes 6.5 s", HANDLING_LONG),
        ] {
            *times.lock().expect("nobody panics") = Times { takes, ..Times::default() };
            let took = steady(&serve, &times, Duration::from_secs(seconds)).await?;
            println!("{}", report(what, &times, took));
        }
        *times.lock().expect("nobody panics") = Times { takes: HANDLING, ..Times::default() };
        let took = crowd(&serve, &times, Duration::from_secs(burst)).await?;
        println!("{}", report("1,000 senders, each as fast as it can", &times, took));
        Ok(ExitCode::SUCCESS)
    })
}

fn pushes(times: &Shared) -> Pushes {
    let mix = Mix {
        platforms: vec![Platform::Github],
        reads: Percent::ZERO,
        unknown: Percent::ZERO,
        ..Mix::default()
    };
    let secrets = Secrets { github: Some(Secret::new(SECRET)), ..Secrets::default() };
    let webhooks = Webhooks::new(mix, secrets, Arc::new(SystemClock), Dice::fresh());
    Pushes { webhooks, times: Arc::clone(times) }
}

/// Sends at a constant rate. Returns how long, until the inbox was empty.
async fn steady(serve: &Serve, times: &Shared, lasts: Duration) -> Result<Duration> {
    let began = Instant::now();
    let rate = Rate::per_second(A_MINUTE / 60.0).ok_or("a rate")?;
    let address = format!("http://{}", serve.data).parse()?;
    let scenario = Scenario {
        lasts: Some(lasts),
        max_in_flight: 1024,
        observer: Some(Arc::new(Noting(Arc::clone(times)))),
        ..Scenario::new(address, rate, Box::new(pushes(times)))
    };
    let (_go_on, stop) = watch::channel(false);
    let outcome = ctx::load::run(scenario, stop).await;
    if outcome.dropped > 0 {
        println!("{} events left too late and were not sent", outcome.dropped);
    }
    empty(&serve.client).await?;
    Ok(began.elapsed())
}

/// Sends from a thousand connections, each as fast as it is answered.
async fn crowd(serve: &Serve, times: &Shared, lasts: Duration) -> Result<Duration> {
    let began = Instant::now();
    let until = began + lasts;
    let source = Arc::new(Mutex::new(pushes(times)));
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (addr, source, times) = (serve.data.clone(), Arc::clone(&source), Arc::clone(times));
        senders.spawn(async move {
            let noting = Noting(Arc::clone(&times));
            let Ok(stream) = TcpStream::connect(&*addr).await else {
                noting.ended(None, Err(FailureKind::Refused));
                return;
            };
            let mut stream = BufReader::new(stream);
            while Instant::now() < until {
                let push = source.lock().expect("nobody panics").next();
                let delivery = push.delivery.clone();
                // Counted from here: the signing of a thousand others is not the gateway's.
                if let Some(delivery) = &delivery {
                    let now = Instant::now();
                    times.lock().expect("nobody panics").due.insert(delivery.clone(), now);
                }
                let status = exchange(&mut stream, &addr, &push).await;
                let ended = status.ok_or(FailureKind::Reset);
                noting.ended(delivery.as_deref(), ended);
                if ended.is_err() {
                    return;
                }
            }
        });
    }
    senders.join_all().await;
    empty(&serve.client).await?;
    Ok(began.elapsed())
}

/// Sends an event, and reads the answer to its end; its status.
async fn exchange(stream: &mut BufReader<TcpStream>, host: &str, push: &Outgoing) -> Option<u16> {
    let mut bytes = format!("POST {} HTTP/1.1\r\nhost: {host}\r\n", push.path).into_bytes();
    for (name, value) in &push.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", push.body.len()).as_bytes());
    bytes.extend_from_slice(&push.body);
    stream.write_all(&bytes).await.ok()?;
    let (lines, _) = message(stream).await?;
    lines.first()?.split(' ').nth(1)?.parse().ok()
}

/// Reads a message with a length: the lines of its head, and its body.
async fn message(stream: &mut BufReader<TcpStream>) -> Option<(Vec<String>, Vec<u8>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let length = value(&lines, "content-length").map_or(Some(0), |length| length.parse().ok())?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((lines, body))
}

fn value<'a>(lines: &'a [String], name: &str) -> Option<&'a str> {
    let lines = lines.iter().filter_map(|line| line.split_once(':'));
    let mut values = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
    values.next().map(|(_, value)| value.trim())
}

/// An app that takes its time, and notes what it has handled.
async fn app(times: Shared) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let times = Arc::clone(&times);
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                while let Some((lines, _)) = message(&mut stream).await {
                    let takes = begin(&mut times.lock().expect("nobody panics"));
                    tokio::time::sleep(takes).await;
                    end(&mut times.lock().expect("nobody panics"), &lines);
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    if stream.write_all(answer).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    Ok(addr)
}

/// Another event is with the app, for so long.
fn begin(times: &mut Times) -> Duration {
    times.with_app += 1;
    times.most = times.most.max(times.with_app);
    times.takes
}

/// An event was handled.
fn end(times: &mut Times, lines: &[String]) {
    times.with_app -= 1;
    if let Some(delivery) = value(lines, "x-github-delivery") {
        times.handled.insert(delivery.to_owned(), Instant::now());
    }
}

/// Waits until nothing waits any more.
async fn empty(client: &Client) -> Result<()> {
    let began = Instant::now();
    while client.inbox().await?.pending > 0 {
        if began.elapsed() > PATIENCE {
            return Err("the inbox does not become empty".into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

fn report(what: &str, times: &Shared, took: Duration) -> String {
    let times = times.lock().expect("nobody panics");
    let since_due = |ends: &HashMap<String, Instant>| {
        let took = ends.iter().filter_map(|(delivery, end)| {
            Some(end.saturating_duration_since(*times.due.get(delivery)?))
        });
        let mut took: Vec<Duration> = took.collect();
        took.sort();
        took
    };
    let (acknowledged, handled) = (since_due(&times.acknowledged), since_due(&times.handled));
    let lost =
        times.acknowledged.keys().filter(|delivery| !times.handled.contains_key(*delivery)).count();
    let mut text = format!(
        "\n{what}: {} acknowledged and {} handled in {:.1} s, {lost} lost, at most {} at once\n",
        acknowledged.len(),
        handled.len(),
        took.as_secs_f64(),
        times.most
    );
    for (why, count) in &times.failed {
        let _ = writeln!(text, "  not acknowledged: {count} ({why})");
    }
    let _ = writeln!(text, "                    p50        p95        p99        max");
    for (name, all) in [("acknowledged", acknowledged), ("handled", handled)] {
        let at = |percent: usize| {
            let rank = (all.len() * percent).div_ceil(100).max(1) - 1;
            all.get(rank).copied().unwrap_or_default().as_secs_f64() * 1000.0
        };
        let _ = writeln!(
            text,
            "  {name:<12} {:>7.2} ms {:>7.2} ms {:>7.2} ms {:>7.2} ms",
            at(50),
            at(95),
            at(99),
            at(100)
        );
    }
    text
}

fn start(app: SocketAddr) -> Result<Serve> {
    let state = tempfile::tempdir()?;
    let token = random_hex::<32>();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ctx"))
        .args(["serve", "--json", "--legacy", &format!("http://{app}")])
        .args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"])
        .args(["--github-secret", "env:BENCH_SECRET", "--state"])
        .arg(state.path().join("state"))
        .env("CTX_TOKEN", &token)
        .env("BENCH_SECRET", SECRET)
        .env("CTX_LOG", "error")
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let mut stdout = LineReader::new(child.stdout.take().ok_or("it is piped")?);
    stdout.read_line(&mut line)?;
    let said: serde_json::Value = serde_json::from_str(&line)?;
    let addr = |field: &str| said[field].as_str().map(str::to_owned).ok_or("no address");
    let data = addr("data")?.trim_start_matches("http://").to_owned();
    let client = Client::new(&addr("control")?, Some(Secret::new(token)));
    Ok(Serve { _process: Process(child), data, client, _stdout: stdout, _state: state })
}

async fn configure(client: &Client) -> Result<()> {
    let lease = LeaseRequest {
        run: RunId::random(),
        holder: "bench".to_owned(),
        host: "here".to_owned(),
        pid: std::process::id(),
        ttl_ms: 30_000,
        min_token: 0,
        last_anchor: None,
    };
    let fence = client.acquire(&lease).await?.body.fence;
    let state = client.state().await?.body;
    let mut config: Config = state.config;
    for name in [flag::CONNECTION_POOLING, flag::DURABLE_INBOX] {
        if let Some(flag) = config.flags.get_mut(name) {
            (flag.enabled, flag.percentage) = (true, Percent::ALL);
        }
    }
    config.mode = Mode::Enhanced;
    config.pool.max_idle = 1024;
    config.inbox.mode = InboxMode::Store;
    config.inbox.concurrency = 1536;
    if let Some(legacy) = config.upstreams.get_mut("legacy") {
        legacy.timeout = Duration::from_secs(30);
    }
    let reason = "a benchmark".to_owned();
    let request = RevisionRequest { config, confirm_within_ms: None, reason };
    let write = ControlWrite { fence: &fence, key: "apply" };
    let applied = client.apply(write, state.head, &request).await?.body;
    client.confirm(ControlWrite { fence: &fence, key: "confirm" }, applied.rev).await?;
    client.release(&fence).await?;
    Ok(())
}
