//! `ctx load`: load at a constant rate, on this machine.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::{HeaderMap, Method, Uri};
use tokio::sync::watch;

use super::Context;
use crate::clock::SystemClock;
use crate::control::config::Platform;
use crate::error::{Code, Failure, Result, count};
use crate::judge::{Metric, Unit};
use crate::load::dice::Dice;
use crate::load::sign::Secrets;
use crate::load::webhooks::{Mix, Webhooks};
use crate::load::{self, Address, Outcome, Outgoing, Rate, Scenario, Source};
use crate::secret::{SecretRef, shown_url};
use crate::units::{Percent, duration};

/// The longest load that one command applies.
const LONGEST: Duration = Duration::from_secs(3600);

/// Send load at a constant rate to a server on this machine
///
/// Requests leave when they are due, whatever the server does, and latency counts from then: a
/// server that stalls is charged for every request that waited. Only addresses of this machine
/// are accepted.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx load http://127.0.0.1:7780/ --rate 200\n  ctx load http://127.0.0.1:7780 --webhooks github --secret github=env:HOOK"
)]
pub struct Args {
    /// Where to: `http://127.0.0.1:PORT`, with a path unless webhooks are sent
    #[arg(value_name = "URL")]
    url: String,
    /// Requests a second
    #[arg(long, value_name = "N", default_value = "100", value_parser = rate)]
    rate: Rate,
    /// For how long, at most 1h
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = lasts)]
    lasts: Duration,
    /// Connections, and so requests at the same time, at most
    #[arg(long, value_name = "N", default_value_t = 256)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=4096))]
    connections: u32,
    /// Send webhooks of this platform, instead of `GET URL`
    #[arg(long, value_enum, value_name = "PLATFORM")]
    webhooks: Option<Senders>,
    /// Sign a platform's webhooks with the secret at REF, `env:NAME` or `file:PATH`
    #[arg(long = "secret", value_name = "PLATFORM=REF", requires = "webhooks")]
    secrets: Vec<String>,
}

/// Whose webhooks to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Senders {
    Github,
    Slack,
    Linear,
    /// All three, and reads of `/` in between.
    All,
}

impl Senders {
    fn mix(self) -> Mix {
        let only =
            |platform| Mix { platforms: vec![platform], reads: Percent::ZERO, ..Mix::default() };
        match self {
            Self::Github => only(Platform::Github),
            Self::Slack => only(Platform::Slack),
            Self::Linear => only(Platform::Linear),
            Self::All => Mix::default(),
        }
    }
}

/// Applies the load and prints what came of it.
///
/// # Errors
/// When the address is not one of this machine, or a secret cannot be had.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    let (address, path) = target(&args.url)?;
    if !address.is_loopback() {
        return Err(Failure::new(Code::Refused, format!("`{}` is not on this machine", args.url))
            .why("load on a server of somebody else is an attack")
            .hint("run it on the server's own machine, against `http://127.0.0.1:PORT`"));
    }
    let source: Box<dyn Source> = match args.webhooks {
        Some(senders) => {
            let secrets = resolve(&args.secrets)?;
            Box::new(Webhooks::new(senders.mix(), secrets, Arc::new(SystemClock), Dice::fresh()))
        }
        None => Box::new(Reads(path)),
    };
    let (rate, lasts) = (args.rate.get(), duration::format(args.lasts));
    context.ui.note(format!("sending {rate} requests a second to {address} for {lasts}"));
    let mut scenario = Scenario::new(address, args.rate, source);
    scenario.lasts = Some(args.lasts);
    scenario.max_in_flight = args.connections;
    let (outcome, interrupted) = apply(scenario)?;
    if context.ui.json {
        context.ui.json(&outcome);
    } else {
        context.ui.out(table(&outcome).join("\n"));
    }
    if interrupted {
        return Ok(Code::Interrupted);
    }
    if outcome.answered == 0 {
        let sent = count(usize::try_from(outcome.sent).unwrap_or(usize::MAX), "request");
        let failure = Failure::new(Code::Failure, "no request was answered");
        context.ui.fail(&failure.why(format!("{sent} sent")).hint("is the server running?"));
        return Ok(Code::Failure);
    }
    Ok(Code::Done)
}

/// Runs until the time is over, or an interrupt; says whether it was one.
fn apply(scenario: Scenario) -> Result<(Outcome, bool)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| Failure::new(Code::Failure, "failed to start load").because(&error))?;
    Ok(runtime.block_on(async {
        let (stop, stopped) = watch::channel(false);
        let interrupt = stop.clone();
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                interrupt.send_replace(true);
            }
        });
        let outcome = load::run(scenario, stopped).await;
        (outcome, *stop.borrow())
    }))
}

/// The server and the path on it.
fn target(url: &str) -> Result<(Address, String)> {
    let usage = || {
        Failure::new(Code::Usage, format!("`{}` is not an address for load", shown_url(url)))
            .hint("write it like `http://127.0.0.1:7800/`")
    };
    let uri: Uri = url.parse().map_err(|_| usage())?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(usage());
    };
    let address = format!("{scheme}://{authority}").parse().map_err(|_| usage())?;
    Ok((address, path))
}

/// Reads the secrets. Their references are parsed here rather than by clap, which repeats a value
/// that it refuses: it may be the secret itself, put there by mistake.
fn resolve(references: &[String]) -> Result<Secrets> {
    let usage = |what: &str| Failure::new(Code::Usage, what);
    let mut secrets = Secrets::default();
    for text in references {
        let (name, reference) = text.split_once('=').ok_or_else(|| {
            usage("a `--secret` names no platform").hint("write it like `github=env:NAME`")
        })?;
        let platform = Platform::ALL.into_iter().find(|platform| platform.name() == name);
        let platform = platform.ok_or_else(|| {
            usage("a `--secret` is for an unknown platform")
                .hint("use `github=`, `slack=` or `linear=`")
        })?;
        let secret = reference.parse::<SecretRef>().and_then(|found| found.resolve());
        let secret = secret.map_err(|error| {
            usage(&format!("failed to read the secret of {name}")).because(&error)
        })?;
        match platform {
            Platform::Linear => secrets.linear = Some(secret),
            Platform::Github => secrets.github = Some(secret),
            Platform::Slack => secrets.slack = Some(secret),
        }
    }
    Ok(secrets)
}

/// `GET` of one path, again and again.
struct Reads(String);

impl Source for Reads {
    fn next(&mut self) -> Outgoing {
        Outgoing {
            method: Method::GET,
            path: self.0.clone(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            expect: 200,
            delivery: None,
        }
    }
}

/// Labels to the left, numbers to the right.
fn table(outcome: &Outcome) -> Vec<String> {
    let rows = rows(outcome);
    let label = rows.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    let value = rows.iter().map(|(_, value)| value.len()).max().unwrap_or(0);
    rows.iter().map(|(name, number)| format!("{name:<label$}  {number:>value$}")).collect()
}

/// What came of it, a line each; kinds that did not occur are left out.
fn rows(outcome: &Outcome) -> Vec<(String, String)> {
    let row = |label: &str, value: String| (label.to_owned(), value);
    let n = |n: u64| n.to_string();
    let metric = |metric: Metric| {
        outcome.read(metric).value.map_or_else(|| "no data".to_owned(), |v| metric.unit().format(v))
    };
    let mut rows =
        vec![row("requests sent", n(outcome.sent)), row("  answered", n(outcome.answered))];
    rows.extend(
        outcome.statuses.iter().map(|(s, times)| row(&format!("    status {s}"), n(*times))),
    );
    rows.push(row("  not as expected", n(outcome.errors())));
    rows.extend(
        outcome.failures.iter().map(|(kind, times)| row(&format!("    {kind}"), n(*times))),
    );
    rows.push(row("dropped, the rate was not kept", n(outcome.dropped)));
    rows.push(row("answers a minute", metric(Metric::Throughput)));
    for (label, quantile) in [
        ("latency p50", Metric::LatencyP50),
        ("latency p95", Metric::LatencyP95),
        ("latency p99", Metric::LatencyP99),
    ] {
        rows.push(row(label, metric(quantile)));
    }
    let longest = outcome.latency.map(|latency| Unit::Milliseconds.format(latency.max_ms));
    rows.push(row("latency max", longest.unwrap_or_else(|| "no data".to_owned())));
    rows
}

fn rate(text: &str) -> Result<Rate, String> {
    let rate = text.parse().ok().and_then(Rate::per_second);
    rate.ok_or_else(|| "write a number from 0.001 to 1000000".to_owned())
}

fn lasts(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Ok(lasts) if lasts.is_zero() || lasts > LONGEST => {
            Err(format!("it must be above 0 and at most {}", duration::format(LONGEST)))
        }
        Ok(lasts) => Ok(lasts),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::observe::Latency;
    use crate::load::{Counters, FailureKind};

    #[test]
    fn an_address_may_have_a_path() {
        let check = |url: &str, expect: Option<(&str, &str)>| {
            let found = target(url).ok().map(|(address, path)| (address.to_string(), path));
            assert_eq!(found, expect.map(|(a, p)| (a.to_owned(), p.to_owned())), "{url}");
        };
        check("http://127.0.0.1:7800", Some(("http://127.0.0.1:7800", "/")));
        check("http://localhost:1/a?b=c", Some(("http://localhost:1", "/a?b=c")));
        check("localhost:1", None);
        check("https://127.0.0.1:1/", None);
        check("/a", None);
    }

    #[test]
    fn the_table_leaves_out_what_did_not_occur() {
        let outcome = Counters::default().outcome(Duration::from_secs(1));
        let outcome = Outcome {
            sent: 1200,
            answered: 1198,
            unexpected: 3,
            statuses: [(200, 1195), (500, 3)].into(),
            failures: [(FailureKind::Reset, 2)].into(),
            latency: Some(Latency { p50_ms: 1.0, p95_ms: 2.5, p99_ms: 4.0, max_ms: 1200.0 }),
            ..outcome
        };
        insta::assert_snapshot!(table(&outcome).join("\n"), @r"
        requests sent                      1200
          answered                         1198
            status 200                     1195
            status 500                        3
          not as expected                     5
            connection reset                  2
        dropped, the rate was not kept        0
        answers a minute                  71880
        latency p50                         1ms
        latency p95                       2.5ms
        latency p99                         4ms
        latency max                     1s200ms
        ");
    }
}
