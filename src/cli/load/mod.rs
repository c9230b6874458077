//! `ctx load`: load at a rate, or as fast as it goes, on this machine.

mod request;
mod shown;

use std::net::ToSocketAddrs;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::Context;
use crate::error::{Code, Failure, Result, count};
use crate::load::drive::schedule::{self, Schedule, Stage, StageError};
use crate::load::drive::{self, Drive, Pace, Summary, Tally, Threshold};
use crate::units::duration;
use shown::Live;

/// The longest load that one command applies.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Requests a second when nothing is said.
const USUAL: f64 = 100.0;
/// For how long when nothing is said.
const SHORT: Duration = Duration::from_secs(10);
/// Connections at most when a rate is kept and nothing is said.
const CONNECTIONS: u32 = 256;

/// Send load to a server on this machine
///
/// With `--rate` or `--stage`, requests leave when they are due, whatever the server does, and
/// latency counts from then: a server that stalls is charged for every request that waited. With
/// `--connections` alone, each connection sends its next request when the last is answered, as
/// fast as it goes; such latencies are service times, which leave out whoever would have waited.
/// Exits with 23 when a threshold is not met.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx load http://127.0.0.1:7780/ --rate 200 --lasts 1m\n  ctx load http://127.0.0.1:7780/ --stage 30s:0..500/s --stage 1m:500/s \\\n      --threshold \"p95<100ms\"\n  ctx load http://127.0.0.1:7780/ --connections 64 --threads 2 --lasts 30s\n  ctx load http://127.0.0.1:7780 --webhooks github --secret github=env:HOOK \\\n      --requests 500 --threshold \"errors<1%\""
)]
pub struct Args {
    /// Where to: `http://127.0.0.1:PORT`, with a path unless webhooks are sent
    #[arg(value_name = "URL")]
    url: String,
    /// Requests a second, such as `500`, `500/s` or `30000/m`; 100 when nothing else is said
    #[arg(long, value_name = "RATE", value_parser = rate, conflicts_with = "stages")]
    rate: Option<f64>,
    /// Hold a rate or go to another, `30s:500/s` or `30s:0..500/s`; repeat for more stages
    #[arg(long = "stage", value_name = "DURATION:RATE", conflicts_with = "lasts")]
    stages: Vec<Stage>,
    /// For how long, at most 24h; 10s when nothing else is said
    #[arg(long, visible_alias = "duration", value_name = "DURATION", value_parser = lasts)]
    lasts: Option<Duration>,
    /// Send so many requests and no more
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// Connections, at most 256 of them with a rate; without a rate, as fast as they go
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=16_384))]
    connections: Option<u32>,
    /// Without a rate: correct latencies as if each connection should send this often
    #[arg(long, value_name = "DURATION", value_parser = positive)]
    #[arg(conflicts_with_all = ["rate", "stages"], requires = "connections")]
    expected_interval: Option<Duration>,
    /// Threads that send, each on a core of its own at best
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// How long a request may take, and may wait for a connection
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = positive)]
    timeout: Duration,
    #[command(flatten)]
    request: request::Sent,
    /// Fail with 23 unless it is kept: `p95<100ms`, `errors<1%`, `rate>=900/s`; may be repeated
    #[arg(long = "threshold", value_name = "BOUND")]
    thresholds: Vec<Threshold>,
    /// Load a server that is not on this machine; only with its operator's consent
    #[arg(long)]
    allow_remote: bool,
}

/// Applies the load and prints what came of it.
///
/// # Errors
/// When the address is not one of this machine, or a secret or a file cannot be had.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    let (address, path) = request::target(&args.url)?;
    if !address.is_loopback() && !args.allow_remote {
        return Err(Failure::new(Code::Refused, format!("`{}` is not on this machine", args.url))
            .why("load on a server of somebody else is an attack")
            .hint("run it on the server's own machine, against `http://127.0.0.1:PORT`")
            .hint("or, with its operator's consent, add `--allow-remote`"));
    }
    let pace = args.pace();
    let supply = args.request.supply(path)?;
    let authority = address.authority();
    let addresses = authority.to_socket_addrs().map_err(|error| {
        Failure::new(Code::Failure, format!("failed to look up `{authority}`")).because(&error)
    })?;
    let connections = args.connections.unwrap_or(CONNECTIONS);
    let drive = Drive {
        addresses: addresses.collect(),
        authority,
        pace: pace.clone(),
        supply,
        connections: connections as usize,
        threads: usize::from(args.threads),
        timeout: args.timeout,
    };
    context.ui.note(format!("sending {} to {address}", shown::plan(&pace, connections)));
    let (tally, interrupted) = apply(drive, Live::new(context, &pace))?;
    let mut summary = Summary::new(
        request::without_query(&args.url),
        &pace,
        &tally,
        interrupted.map(|interrupt| interrupt.after),
    );
    summary.thresholds = args.thresholds.iter().map(|bound| bound.judge(&summary)).collect();
    if context.ui.json {
        context.ui.json(&summary);
    } else {
        context.ui.say(shown::table(&summary).join("\n"));
    }
    for warning in &summary.warnings {
        context.ui.warn(warning);
    }
    if let Some(interrupt) = interrupted {
        return Ok(interrupt.code);
    }
    let Some(failure) = failed(&summary) else { return Ok(Code::Done) };
    context.ui.fail(&failure);
    Ok(failure.code)
}

/// What is wrong with the outcome, if anything is.
fn failed(summary: &Summary) -> Option<Failure> {
    if summary.answered == 0 {
        let sent = count(usize::try_from(summary.sent).unwrap_or(usize::MAX), "request");
        let failure = Failure::new(Code::Failure, "no request was answered");
        return Some(failure.why(format!("{sent} sent")).hint("is the server running?"));
    }
    let missed: Vec<_> = summary.thresholds.iter().filter(|judged| !judged.met).collect();
    let all = count(summary.thresholds.len(), "threshold");
    let what = format!("{} of {all} not met", missed.len());
    let failure = Failure::new(Code::CriteriaNotMet, what);
    (!missed.is_empty()).then(|| {
        missed.iter().fold(failure, |failure, judged| {
            failure.why(format!("`{}`: it was {}", judged.threshold, judged.shown))
        })
    })
}

impl Args {
    fn pace(&self) -> Pace {
        let lasts = self.lasts.unwrap_or(if self.requests.is_some() { LONGEST } else { SHORT });
        let open = |stages| Pace::Open(Schedule::new(stages, self.requests));
        match (self.rate, self.connections) {
            _ if !self.stages.is_empty() => open(self.stages.clone()),
            (None, Some(_)) => {
                Pace::Closed { lasts, requests: self.requests, interval: self.expected_interval }
            }
            (rate, _) => open(vec![Stage::hold(lasts, rate.unwrap_or(USUAL))]),
        }
    }
}

/// Somebody did not want to wait for the end.
#[derive(Clone, Copy, Debug)]
struct Interrupt {
    /// From the start.
    after: Duration,
    code: Code,
}

/// Runs until the load is over, or an interrupt.
fn apply(drive: Drive, mut live: Live<'_>) -> Result<(Tally, Option<Interrupt>)> {
    let failed =
        |error: std::io::Error| Failure::new(Code::Failure, "failed to apply load").because(&error);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(failed)?.block_on(async {
        let (stop, stopped) = watch::channel(false);
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let began = tokio::time::Instant::now();
        let asked = tokio::spawn(async move {
            let code = tokio::select! {
                _ = interrupt.recv() => Code::Interrupted,
                _ = terminate.recv() => Code::Terminated,
            };
            stop.send_replace(true);
            Interrupt { after: began.elapsed(), code }
        });
        let tally = drive::apply(drive, stopped.clone(), |at, tally| live.tick(at, tally)).await;
        live.end();
        let was = *stopped.borrow();
        let interrupt = if was { asked.await.ok() } else { None };
        Ok((tally.map_err(failed)?, interrupt))
    })
}

fn rate(text: &str) -> Result<f64, StageError> {
    let rate = schedule::rate(text)?;
    if rate >= 0.001 { Ok(rate) } else { Err(StageError::Rate(text.to_owned())) }
}

fn lasts(text: &str) -> Result<Duration, String> {
    positive(text).and_then(|lasts| match lasts {
        lasts if lasts > LONGEST => Err(format!("it is at most {}", duration::format(LONGEST))),
        lasts => Ok(lasts),
    })
}

fn positive(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Ok(zero) if zero.is_zero() => Err("it must be above 0".to_owned()),
        Ok(some) => Ok(some),
        Err(error) => Err(error.to_string()),
    }
}
