//! `ctx load` beside wrk and oha: what a core of each can send, and whether the p99 is true.
//!
//! First, how fast: each tool in turn has one core and the same number of connections, and the
//! other core is a responder's, which reads a request and writes a constant answer and does nothing
//! else. Where the tool is not the limit the table says so, and requests per second of the tool's
//! own processor time compare all the same.
//!
//! Then, how true: the responder does nothing for 100 ms in each second. Of 500 requests a second
//! that are due whatever it does, one in ten is due within a stall and waits for the rest of it, so
//! the p99 is 90 ms, but for the few that are served after one. A tool that sends its next request
//! when the last is answered (oha, and `ctx load` without a rate) never sends those that would have
//! waited; wrk does not either, and makes up for them afterwards, as if each connection had wanted
//! to send at its own mean interval.
//!
//! `cargo bench --bench load -- 5 3`, for 5 seconds a measurement and 3 rounds. It needs `wrk`,
//! `taskset` and two cores; oha is left out where it is not installed (`cargo install oha`).

#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
#![expect(clippy::disallowed_methods, reason = "it waits for other programs, in real time")]

mod support;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use serde_json::Value;
use support::{
    BUILD, Process, Result, find, lacking, median, milliseconds, numbers, processor_time,
    processor_time_of_children,
};

const CONNECTIONS: [u32; 2] = [64, 1000];
/// Requests a second while the responder stalls.
const RATE: u32 = 500;
const STALL: Duration = Duration::from_millis(100);
const EVERY: Duration = Duration::from_secs(1);
/// What this program is told when it is to be the responder; its stall and interval follow.
const RESPOND: &str = "respond";
/// As nginx answers: what a parser has to read is of the usual length.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: responder\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
    Content-Type: application/json\r\nContent-Length: 11\r\nConnection: keep-alive\r\n\r\n{\"ok\":true}";

/// A tool, and how it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    Wrk,
    Oha,
    /// At a rate, with its correction.
    OhaAtRate,
    Ctx,
    CtxAtRate,
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
struct Sample {
    per_second: f64,
    p99_ms: f64,
    /// Processor seconds per second, of the tool and of the responder.
    busy: f64,
    responder_busy: f64,
}

fn main() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|arg| arg == RESPOND) {
        let ms = |at: usize| {
            Duration::from_millis(args.get(at).and_then(|n| n.parse().ok()).unwrap_or(0))
        };
        respond(ms(2), ms(3))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut numbers = numbers();
    let seconds = numbers.next().unwrap_or(5).clamp(1, 60);
    let rounds = usize::try_from(numbers.next().unwrap_or(3).clamp(1, 20))?;
    if let Some(why) = lacking(&["wrk", "taskset"]) {
        println!("{why}");
        return Ok(ExitCode::SUCCESS);
    }
    let oha = find("oha").is_some();
    if !oha {
        println!("oha is not installed, and left out (cargo install oha)");
    }
    let with_oha = |tools: &[Tool]| -> Vec<Tool> {
        let needs = |tool: &Tool| matches!(tool, Tool::Oha | Tool::OhaAtRate);
        tools.iter().copied().filter(|tool| oha || !needs(tool)).collect()
    };
    println!(
        "{rounds} rounds of {seconds} s, one core for the tool, one for the responder; {BUILD} build"
    );
    for connections in CONNECTIONS {
        let tools = with_oha(&[Tool::Wrk, Tool::Oha, Tool::Ctx]);
        let responder = Responder::start(Duration::ZERO, Duration::ZERO)?;
        let mut samples = vec![Vec::new(); tools.len()];
        for _ in 0..rounds {
            for (tool, samples) in tools.iter().zip(&mut samples) {
                samples.push(tool.measure(&responder, connections, seconds)?);
            }
        }
        println!("\n{}", speeds(connections, &tools, &samples));
    }
    let tools = with_oha(&[Tool::Wrk, Tool::Oha, Tool::OhaAtRate, Tool::Ctx, Tool::CtxAtRate]);
    let mut samples = vec![Vec::new(); tools.len()];
    // Enough stalls, and as many in each measurement.
    let seconds = seconds.max(5);
    for _ in 0..rounds {
        for (tool, samples) in tools.iter().zip(&mut samples) {
            let responder = Responder::start(STALL, EVERY)?;
            samples.push(tool.measure(&responder, CONNECTIONS[0], seconds)?);
        }
    }
    println!("\n{}", truths(&tools, &samples));
    Ok(ExitCode::SUCCESS)
}

/// What a core can send.
fn speeds(connections: u32, tools: &[Tool], samples: &[Vec<Sample>]) -> String {
    let mut text = format!(
        "{connections:>4} connections      requests/s      p99  busy  per cpu-s  responder | to wrk:  rate  per cpu-s\n"
    );
    let rate = |of: &[Sample]| median(of, |sample| sample.per_second);
    let per_cpu = |of: &[Sample]| median(of, |sample| sample.per_second / sample.busy.max(1e-9));
    for (tool, own) in tools.iter().zip(samples) {
        let _ = writeln!(
            text,
            "{:<20} {:>11.0} {:>6.2}ms {:>4.0}% {:>10.0} {:>9.0}% | {:>13.2}x {:>9.2}x",
            tool.name(),
            rate(own),
            median(own, |sample| sample.p99_ms),
            median(own, |sample| sample.busy) * 100.0,
            per_cpu(own),
            median(own, |sample| sample.responder_busy) * 100.0,
            rate(own) / rate(&samples[0]),
            per_cpu(own) / per_cpu(&samples[0]),
        );
    }
    text
}

/// Whether the p99 is that of the users who would have waited.
fn truths(tools: &[Tool], samples: &[Vec<Sample>]) -> String {
    let truth = true_p99_ms();
    let mut text = format!(
        "{} ms of each second nobody is answered; the true p99 of {RATE} requests a second: {truth:.1}ms\n\
         {:<32} {:>9}  {:>6}\n",
        STALL.as_millis(),
        "",
        "p99",
        "error"
    );
    for (tool, own) in tools.iter().zip(samples) {
        let p99 = median(own, |sample| sample.p99_ms);
        let error = (p99 / truth - 1.0) * 100.0;
        let _ = writeln!(text, "{:<32} {p99:>7.2}ms  {error:>+5.0}%", tool.described());
    }
    text
}

/// The p99 of requests that are due at a constant rate: those of a stall wait for its end.
fn true_p99_ms() -> f64 {
    let each = EVERY.as_secs_f64() * 1000.0 / f64::from(RATE);
    let stall = STALL.as_secs_f64() * 1000.0;
    let mut latencies: Vec<f64> =
        (0..RATE).map(|n| (stall - f64::from(n) * each).max(0.0)).collect();
    latencies.sort_by(f64::total_cmp);
    latencies[latencies.len() * 99 / 100 - 1]
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::Wrk => "wrk",
            Self::Oha | Self::OhaAtRate => "oha",
            Self::Ctx | Self::CtxAtRate => "ctx load",
        }
    }

    fn described(self) -> String {
        match self {
            Self::Wrk => "wrk, closed loop, made up for".to_owned(),
            Self::Oha | Self::Ctx => format!("{}, closed loop", self.name()),
            Self::OhaAtRate => format!("oha -q {RATE} --latency-correction"),
            Self::CtxAtRate => format!("ctx load --rate {RATE}"),
        }
    }

    fn command(self, connections: u32, seconds: u64, url: &str) -> Command {
        let mut command = Command::new("taskset");
        let (connections, lasts) = (connections.to_string(), format!("{seconds}s"));
        let rate = RATE.to_string();
        let ctx = env!("CARGO_BIN_EXE_ctx");
        let args: &[&str] = match self {
            Self::Wrk => &["wrk", "-t1", "--latency", "-c", &connections, "-d", &lasts],
            Self::Oha | Self::OhaAtRate => {
                &["oha", "--no-tui", "--output-format", "json", "-c", &connections, "-z", &lasts]
            }
            Self::Ctx | Self::CtxAtRate => {
                &[ctx, "load", "--json", "-q", "--connections", &connections, "--lasts", &lasts]
            }
        };
        command.args(["-c", "1"]).args(args);
        match self {
            Self::OhaAtRate => command.args(["-q", &rate, "--latency-correction"]),
            Self::CtxAtRate => command.args(["--rate", &rate]),
            _ => &mut command,
        };
        command.arg(url);
        command
    }

    fn measure(self, responder: &Responder, connections: u32, seconds: u64) -> Result<Sample> {
        let times = || {
            let responder = processor_time(responder.process.0.id())?;
            Ok::<_, Box<dyn std::error::Error>>((processor_time_of_children()?, responder))
        };
        let (before, began) = (times()?, Instant::now());
        let output = self
            .command(connections, seconds, &format!("http://{}/", responder.addr))
            .stderr(Stdio::null())
            .output()?;
        let (after, took) = (times()?, began.elapsed().as_secs_f64());
        let (per_second, p99_ms) = self.read(&String::from_utf8(output.stdout)?)?;
        let (busy, responder_busy) = ((after.0 - before.0) / took, (after.1 - before.1) / took);
        Ok(Sample { per_second, p99_ms, busy, responder_busy })
    }

    /// Requests a second and the p99 of what it printed.
    fn read(self, text: &str) -> Result<(f64, f64)> {
        let lacks = || format!("no figures from {}: {text}", self.name());
        if self == Self::Wrk {
            let after = |label: &str| {
                text.lines().find_map(|line| line.trim().strip_prefix(label)).map(str::trim)
            };
            let per_second = after("Requests/sec:").ok_or_else(lacks)?.parse()?;
            return Ok((per_second, milliseconds(after("99%").ok_or_else(lacks)?)?));
        }
        let json: Value = serde_json::from_str(text)?;
        let figure = |path: &str| json.pointer(path).and_then(Value::as_f64).ok_or_else(lacks);
        match self {
            Self::Oha | Self::OhaAtRate => {
                let p99 = figure("/latencyPercentiles/p99")? * 1000.0;
                Ok((figure("/summary/requestsPerSec")?, p99))
            }
            _ => Ok((figure("/rate_reached")?, figure("/latency/p99_ms")?)),
        }
    }
}

/// This program again, as the responder.
struct Responder {
    process: Process,
    addr: SocketAddr,
}

impl Responder {
    fn start(stall: Duration, every: Duration) -> Result<Self> {
        let mut child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(std::env::current_exe()?)
            .args([RESPOND, &stall.as_millis().to_string(), &every.as_millis().to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("it is piped")?;
        let process = Process(child);
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(Self { process, addr: line.trim().parse()? })
    }
}

/// Answers all requests at once, but for `stall` at the end of each `every` since the first.
fn respond(stall: Duration, every: Duration) -> Result<()> {
    let listener = listener()?;
    println!("{}", listener.local_addr()?);
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(u64::MAX), EventFlags::IN)?;
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    let mut events = Vec::with_capacity(256);
    let mut first = None;
    loop {
        events.clear();
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in &events {
            let id = event.data.u64();
            if id == u64::MAX {
                accept(&listener, &epoll, &mut streams)?;
                continue;
            }
            if !stall.is_zero() {
                stand_still(*first.get_or_insert_with(Instant::now), stall, every);
            }
            let stream = &mut streams[usize::try_from(id)?];
            if stream.as_mut().is_none_or(|stream| answer(stream).is_none()) {
                *stream = None;
            }
        }
    }
}

fn listener() -> Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn accept(
    listener: &TcpListener,
    epoll: &OwnedFd,
    streams: &mut Vec<Option<TcpStream>>,
) -> Result<()> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                let data = EventData::new_u64(streams.len() as u64);
                epoll::add(epoll, &stream, data, EventFlags::IN | EventFlags::ET)?;
                streams.push(Some(stream));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sleeps until the stall is over, if there is one now.
fn stand_still(first: Instant, stall: Duration, every: Duration) {
    let within = first.elapsed().as_secs_f64() % every.as_secs_f64();
    if within >= (every.saturating_sub(stall)).as_secs_f64() {
        std::thread::sleep(Duration::from_secs_f64(every.as_secs_f64() - within));
    }
}

/// Reads a request, which none of the tools sends in pieces, and answers it.
fn answer(stream: &mut TcpStream) -> Option<()> {
    let mut request = [0; 4096];
    match stream.read(&mut request) {
        Ok(0) => None,
        Ok(_) => stream.write_all(ANSWER).ok(),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Some(()),
        Err(_) => None,
    }
}
