//! The gateway beside nginx and `HAProxy`: the same upstream, the same 7 KB GitHub pushes, in turn.
//!
//! One core is the proxy's (one worker each), the other is shared by the upstream (an nginx that
//! answers at once) and the load (wrk). What decides is the proxy's core, so besides requests a
//! second the table says how busy the proxy was, and requests per second of its processor time:
//! where a proxy was not at its limit, the load was, and only the latter figure compares.
//!
//! Rounds go through all proxies in turn, and each ratio is that of the medians. The full command:
//! `cargo bench --bench gateway -- 5 3`, for 5 seconds a measurement and 3 rounds. It needs
//! `nginx`, `haproxy`, `wrk` and `taskset`, and two cores; without one of them it says so and ends.

#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
#![expect(clippy::disallowed_methods, reason = "it waits for other programs, in real time")]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Instant;

use ctx::clock::SystemClock;
use ctx::control::armed::{ArmRequest, ArmedGuard, Bound};
use ctx::control::client::{Client, Write};
use ctx::control::config::{Config, Mode, Platform, flag};
use ctx::control::wire::{LeaseRequest, RevisionRequest};
use ctx::ids::{RunId, random_hex};
use ctx::load::dice::Dice;
use ctx::load::sign::Secrets;
use ctx::load::source::Source;
use ctx::load::webhooks::{Mix, Webhooks};
use ctx::secret::Secret;
use ctx::units::Percent;
use support::{
    BUILD, Process, Result, answers, free_port, lacking, loopback, median, milliseconds, numbers,
    processor_time,
};

const CONNECTIONS: [u32; 2] = [64, 1000];
/// Smallest body that counts as a push of the usual size.
const PUSH: usize = 6_500;
const SECRET: &str = "bench-secret";

/// A proxy under test.
struct Proxy {
    name: &'static str,
    addr: SocketAddr,
    process: Process,
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
struct Sample {
    per_second: f64,
    p99_ms: f64,
    /// Processor seconds of the proxy per second.
    busy: f64,
    failed: u64,
}

fn main() -> Result<ExitCode> {
    let mut numbers = numbers();
    let (seconds, rounds) =
        (numbers.next().unwrap_or(5), usize::try_from(numbers.next().unwrap_or(3))?);
    if let Some(why) = lacking(&["nginx", "haproxy", "wrk", "taskset"]) {
        println!("{why}");
        return Ok(ExitCode::SUCCESS);
    }
    let folder = tempfile::tempdir()?;
    let upstream = free_port()?;
    let _upstream = upstream_at(folder.path(), upstream)?;
    let script = push_script(folder.path())?;
    let proxies = [
        nginx(folder.path(), upstream)?,
        haproxy(folder.path(), upstream)?,
        gateway(folder.path(), upstream, "ctx legacy", Setting::Legacy)?,
        gateway(folder.path(), upstream, "ctx enhanced", Setting::Enhanced)?,
        gateway(folder.path(), upstream, "ctx signed", Setting::Signed)?,
    ];
    for proxy in &proxies {
        measure(proxy, 64, 1, &script)?;
    }
    println!(
        "{rounds} rounds of {seconds} s, POST of a GitHub push, one core per proxy; {BUILD} build"
    );
    for connections in CONNECTIONS {
        let mut samples = vec![Vec::new(); proxies.len()];
        for _ in 0..rounds {
            for (proxy, samples) in proxies.iter().zip(&mut samples) {
                samples.push(measure(proxy, connections, seconds, &script)?);
            }
        }
        println!("\n{}", table(connections, &proxies, &samples));
    }
    Ok(ExitCode::SUCCESS)
}

fn table(connections: u32, proxies: &[Proxy], samples: &[Vec<Sample>]) -> String {
    let mut text = format!(
        "{connections:>4} connections  requests/s     p99  busy  per cpu-s  failed | to nginx: \
         rate    p99  per cpu-s\n"
    );
    let row = |of: &[Sample]| Sample {
        per_second: median(of, |sample| sample.per_second),
        p99_ms: median(of, |sample| sample.p99_ms),
        busy: median(of, |sample| sample.busy),
        failed: of.iter().map(|sample| sample.failed).sum(),
    };
    let nginx = row(&samples[0]);
    let per_cpu = |sample: &Sample| sample.per_second / sample.busy.max(1e-9);
    for (proxy, samples) in proxies.iter().zip(samples) {
        let own = row(samples);
        let _ = writeln!(
            text,
            "{:<16} {:>12.0} {:>6.2}ms {:>4.0}% {:>10.0} {:>7} | {:>14.2}x {:>5.2}x {:>9.2}x",
            proxy.name,
            own.per_second,
            own.p99_ms,
            own.busy * 100.0,
            per_cpu(&own),
            own.failed,
            own.per_second / nginx.per_second,
            own.p99_ms / nginx.p99_ms,
            per_cpu(&own) / per_cpu(&nginx),
        );
    }
    text
}

/// Loads a proxy with wrk for some seconds.
fn measure(proxy: &Proxy, connections: u32, seconds: u64, script: &Path) -> Result<Sample> {
    let before = processor_time(proxy.process.0.id())?;
    let began = Instant::now();
    let output = Command::new("taskset")
        .args(["-c", "1", "wrk", "-t1", "--latency", "--timeout", "10s"])
        .arg(format!("-c{connections}"))
        .arg(format!("-d{seconds}s"))
        .arg("-s")
        .arg(script)
        .arg(format!("http://{}/github/events", proxy.addr))
        .output()?;
    let took = began.elapsed();
    let used = processor_time(proxy.process.0.id())? - before;
    let text = String::from_utf8(output.stdout)?;
    let after =
        |label: &str| text.lines().find_map(|line| line.trim().strip_prefix(label)).map(str::trim);
    let per_second =
        after("Requests/sec:").ok_or_else(|| format!("no figures from wrk: {text}"))?;
    let p99 = after("99%").ok_or("no p99 from wrk")?;
    // `Non-2xx or 3xx responses: N`, and `Socket errors: connect N, read N, write N, timeout N`.
    let digits = |line: &str| -> u64 {
        line.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u64>().ok()).sum()
    };
    let failed = after("Non-2xx or 3xx responses:").map_or(0, digits)
        + after("Socket errors:").map_or(0, digits);
    Ok(Sample {
        per_second: per_second.parse()?,
        p99_ms: milliseconds(p99)?,
        busy: used / took.as_secs_f64(),
        failed,
    })
}

/// An upstream that answers at once.
fn upstream_at(folder: &Path, port: u16) -> Result<Process> {
    let conf = format!(
        "{NGINX_HEAD}  server {{ listen 127.0.0.1:{port} backlog=4096; keepalive_requests 1000000000;\n\
         \x20   location / {{ default_type application/json; return 200 '{{\"ok\":true}}'; }} }}\n}}\n",
    );
    spawn_nginx(folder, "upstream", &conf, "1", port)
}

const NGINX_HEAD: &str = "worker_processes 1; master_process off; pid nginx.pid; error_log error.log crit; user root;\n\
    events { worker_connections 8192; }\nhttp {\n  access_log off; keepalive_timeout 75s;\n";

fn nginx(folder: &Path, upstream: u16) -> Result<Proxy> {
    let port = free_port()?;
    let conf = format!(
        "{NGINX_HEAD}  client_body_buffer_size 32k;\n\
         \x20 upstream app {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 1000000000; }}\n\
         \x20 server {{ listen 127.0.0.1:{port} backlog=4096; keepalive_requests 1000000000;\n\
         \x20   location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection '';\n\
         \x20     proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; }} }}\n}}\n",
    );
    let process = spawn_nginx(folder, "nginx", &conf, "0", port)?;
    Ok(Proxy { name: "nginx", addr: loopback(port), process })
}

fn spawn_nginx(folder: &Path, name: &str, conf: &str, core: &str, port: u16) -> Result<Process> {
    let home = folder.join(name);
    fs::create_dir_all(&home)?;
    fs::write(home.join("nginx.conf"), conf)?;
    let process = Command::new("taskset")
        .args(["-c", core, "nginx", "-g", "daemon off;", "-p"])
        .arg(&home)
        .arg("-c")
        .arg(home.join("nginx.conf"))
        .stderr(Stdio::null())
        .spawn()?;
    answers(loopback(port))?;
    Ok(Process(process))
}

fn haproxy(folder: &Path, upstream: u16) -> Result<Proxy> {
    let port = free_port()?;
    let conf = folder.join("haproxy.cfg");
    fs::write(
        &conf,
        format!(
            "global\n  nbthread 1\n  maxconn 8000\ndefaults\n  mode http\n  timeout client 75s\n  \
             timeout server 10s\n  timeout connect 2s\n  option http-keep-alive\n  option forwardfor\n  \
             http-reuse always\nfrontend f\n  bind 127.0.0.1:{port} backlog 4096\n  \
             default_backend b\nbackend b\n  server s 127.0.0.1:{upstream}\n"
        ),
    )?;
    let process = Command::new("taskset")
        .args(["-c", "0", "haproxy", "-db", "-f"])
        .arg(&conf)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let process = Process(process);
    answers(loopback(port))?;
    Ok(Proxy { name: "haproxy", addr: loopback(port), process })
}

/// What the gateway is measured with; connections to the upstream are pooled in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting {
    /// Everything passes through.
    Legacy,
    /// The own processor takes the events; flags, and a guard that is armed.
    Enhanced,
    /// As enhanced, and the signature of each event is checked.
    Signed,
}

fn gateway(folder: &Path, upstream: u16, name: &'static str, setting: Setting) -> Result<Proxy> {
    let (port, control) = (free_port()?, free_port()?);
    let token = random_hex::<32>();
    let mut command = Command::new("taskset");
    command
        .args(["-c", "0", env!("CARGO_BIN_EXE_ctx"), "serve", "--workers", "1"])
        .args(["--legacy", &format!("http://127.0.0.1:{upstream}")])
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .args(["--control", &format!("127.0.0.1:{control}"), "--state"])
        .arg(folder.join(name.replace(' ', "-")))
        .env("CTX_TOKEN", &token)
        .env("CTX_LOG", "error")
        .stdout(Stdio::null());
    if setting == Setting::Signed {
        command.args(["--github-secret", "env:BENCH_SECRET"]).env("BENCH_SECRET", SECRET);
    }
    let process = Process(command.spawn()?);
    answers(loopback(control))?;
    let client = Client::new(&format!("http://127.0.0.1:{control}"), Some(Secret::new(token)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(configure(&client, setting))?;
    Ok(Proxy { name, addr: loopback(port), process })
}

async fn configure(client: &Client, setting: Setting) -> Result<()> {
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
    let mut turn_on = |name: &str| {
        if let Some(flag) = config.flags.get_mut(name) {
            flag.enabled = true;
            flag.percentage = Percent::ALL;
        }
    };
    turn_on(flag::CONNECTION_POOLING);
    config.pool.max_idle = 1024;
    if setting != Setting::Legacy {
        config.mode = Mode::Enhanced;
        client.arm(&fence, &guards()).await?;
    }
    let reason = format!("{setting:?}");
    let request = RevisionRequest { config, confirm_within_ms: None, reason };
    let write = Write { fence: &fence, key: "apply" };
    let applied = client.apply(write, state.head, &request).await?.body;
    client.confirm(Write { fence: &fence, key: "confirm" }, applied.rev).await?;
    client.release(&fence).await?;
    Ok(())
}

fn guards() -> ArmRequest {
    ArmRequest {
        plan: "bench".parse().expect("a name"),
        phase: "gateway".parse().expect("a name"),
        guards: vec![ArmedGuard {
            id: "error-rate".parse().expect("a name"),
            query: None,
            metric: "error_rate".to_owned(),
            limit: Bound::AtMost(0.05),
            breaches: 3,
            min_samples: 50,
            every_ms: 1000,
            patience_ms: None,
        }],
        canaries: Vec::new(),
        record: "{}".to_owned(),
    }
}

/// A script for wrk that sends one signed push over and over.
fn push_script(folder: &Path) -> Result<PathBuf> {
    let mix = Mix { platforms: vec![Platform::Github], reads: Percent::ZERO, ..Mix::default() };
    let secrets = Secrets { github: Some(Secret::new(SECRET)), ..Secrets::default() };
    let mut webhooks = Webhooks::new(mix, secrets, Arc::new(SystemClock), Dice::new(1));
    let push = (0..1000)
        .map(|_| webhooks.next())
        .find(|event| event.body.len() >= PUSH)
        .ok_or("no push among a thousand events")?;
    let body = folder.join("push.json");
    fs::write(&body, &push.body)?;
    let mut script = format!(
        "wrk.method = 'POST'\nlocal file = io.open('{}', 'rb')\nwrk.body = file:read('*a')\nfile:close()\n",
        body.display()
    );
    for (name, value) in &push.headers {
        let _ = writeln!(script, "wrk.headers['{name}'] = '{}'", value.to_str()?);
    }
    let path = folder.join("push.lua");
    fs::write(&path, script)?;
    println!("a push of {} bytes", push.body.len());
    Ok(path)
}
