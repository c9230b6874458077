//! What the benchmarks share: programs beside them, ports, processor time, medians.

#![allow(dead_code, reason = "each benchmark needs a part of it")]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

/// How long a program may take until it listens.
const PATIENCE: Duration = Duration::from_secs(10);
/// Ticks a second of the times in `/proc`.
const TICKS: f64 = 100.0;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A process that ends with the benchmark.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Which build this is.
pub(crate) const BUILD: &str = if cfg!(debug_assertions) { "debug" } else { "release" };

/// The numbers that follow the name of the benchmark.
pub(crate) fn numbers() -> impl Iterator<Item = u64> {
    std::env::args().skip(1).filter_map(|arg| arg.parse().ok())
}

/// Where a program is installed.
pub(crate) fn find(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let sbin = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(sbin).map(|dir| dir.join(tool)).find(|path| path.is_file())
}

/// Why nothing can be measured here, if a tool or a second core is missing.
pub(crate) fn lacking(tools: &[&str]) -> Option<String> {
    if let Some(tool) = tools.iter().find(|tool| find(tool).is_none()) {
        return Some(format!("skipped: `{tool}` is not installed"));
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (cores < 2).then(|| "skipped: it takes two cores".to_owned())
}

pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Waits until somebody listens.
pub(crate) fn answers(addr: SocketAddr) -> Result<()> {
    let began = Instant::now();
    while TcpStream::connect(addr).is_err() {
        if began.elapsed() > PATIENCE {
            return Err(format!("nobody listens on {addr}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Processor seconds that a running process has used.
pub(crate) fn processor_time(pid: u32) -> Result<f64> {
    times(&pid.to_string(), 11)
}

/// Processor seconds that all programs that this one has waited for have used.
pub(crate) fn processor_time_of_children() -> Result<f64> {
    times("self", 13)
}

/// Two of the times of proc(5), added; the third field of a line is the first that is counted.
fn times(pid: &str, first: usize) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let rest = stat.rsplit_once(')').ok_or("an odd stat")?.1;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks: f64 = fields[first].parse::<f64>()? + fields[first + 1].parse::<f64>()?;
    Ok(ticks / TICKS)
}

/// The one in the middle of a figure of all samples.
pub(crate) fn median<T>(samples: &[T], of: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A time as wrk prints it.
pub(crate) fn milliseconds(text: &str) -> Result<f64> {
    let unit = text.find(|c: char| c.is_alphabetic()).ok_or("no unit")?;
    let value: f64 = text[..unit].parse()?;
    match &text[unit..] {
        "us" => Ok(value / 1000.0),
        "ms" => Ok(value),
        "s" => Ok(value * 1000.0),
        other => Err(format!("wrk says `{other}`").into()),
    }
}
