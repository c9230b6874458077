//! Starting and stopping an orchestrator.
//!
//! Law: nothing is served before what an earlier run has left is settled: a provisional revision
//! reverted, every lease void, and that on record. The control API has a thread of its own, so
//! that a flood of events cannot keep an operator out.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::Value;
use tokio::sync::watch;

use super::control::core::{Core, Now, Rebase, Transition};
use super::control::desk::Desk;
use super::control::server::{self, Shared, Token};
use super::gateway::{self, Gateway};
use super::guarding::{self, Board};
use super::health::{self, Vitals};
use super::inbox::Inbox;
use super::plane::{Active, Plane};
use super::store::{Store, StoreError};
use crate::clock::{Clock, Tempo};
use crate::control::config::{Config, LEGACY, Mode, Platform};
use crate::control::document::{self, DocumentError};
use crate::control::origin::Origin;
use crate::failpoint::{self, Point};
use crate::ids::random_hex;
use crate::secret::{Rotating, Secret, SecretRef};

/// What an orchestrator needs to know before it starts.
#[derive(Debug)]
pub struct Options {
    /// The URL of the legacy app.
    pub legacy: String,
    /// Where events are received.
    pub listen: SocketAddr,
    /// Where the control API listens; on loopback.
    pub control: SocketAddr,
    pub state_dir: PathBuf,
    /// What an operator must present.
    pub token: Secret,
    /// What `OpenFeature` clients may present to evaluate flags; operators' token does, too.
    pub flags_token: Option<Secret>,
    pub tempo: Tempo,
    pub clock: Arc<dyn Clock>,
    /// Gateway workers, one thread each.
    pub workers: usize,
    /// Whether how busy the processor is is a matter of health. Not in a rehearsal, whose senders
    /// share it.
    pub judge_cpu: bool,
    pub initial: Initial,
}

/// What revision 1 has other than [`Config::legacy`]. Without effect on a store that exists.
#[derive(Clone, Debug, Default)]
pub struct Initial {
    pub mode: Option<Mode>,
    pub legacy_fallback: Option<bool>,
    /// Where the secrets of webhooks are.
    pub secrets: BTreeMap<Platform, SecretRef>,
    /// Where these values come from, for the log, the audit chain and `GET /v1/state`.
    pub origins: Vec<Origin>,
}

/// Why an orchestrator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the control API may listen on loopback only, not on {0}")]
    NotLoopback(SocketAddr),
    #[error("failed to listen on {addr} for {what}")]
    Listen { what: &'static str, addr: SocketAddr, source: io::Error },
    #[error("the legacy app's URL is not usable")]
    Legacy(#[source] DocumentError),
    #[error("failed to open the state in `{folder}`")]
    Store { folder: PathBuf, source: StoreError },
    #[error("failed to start a thread")]
    Thread(#[source] io::Error),
}

/// A running orchestrator. Dropping it ends it at once, as a crash would; [`Orchestrator::stop`]
/// lets requests in flight finish.
pub struct Orchestrator {
    control_addr: SocketAddr,
    shared: Arc<Shared>,
    token: Token,
    /// There until it is stopped.
    gateway: Option<Gateway>,
    stop: watch::Sender<Option<Duration>>,
    threads: Vec<JoinHandle<()>>,
    /// Writes the inbox until it is told that nobody will ask any more.
    disk: Option<JoinHandle<()>>,
}

impl Orchestrator {
    /// Starts serving: both listeners are bound, and the state is settled, when this returns.
    ///
    /// # Errors
    /// When an address is taken or not allowed, the URL is no upstream, or the store cannot be
    /// opened.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let Options {
            legacy,
            listen,
            control,
            state_dir,
            token,
            flags_token,
            tempo,
            clock,
            workers,
            initial,
            judge_cpu,
        } = options;
        if !control.ip().is_loopback() {
            return Err(StartError::NotLoopback(control));
        }
        document::check(&Config::legacy(&legacy)).map_err(StartError::Legacy)?;
        let (control, control_addr) = bind("the control API", control)?;
        // The gateway's listeners share their port with each other, and so would not notice
        // that somebody else has it.
        drop(bind("events", listen)?);
        let in_folder = |source| StartError::Store { folder: state_dir.clone(), source };
        let (core, store, origins) =
            open(&state_dir, &legacy, initial, Now::of(&*clock)).map_err(in_folder)?;
        let head = core.head();
        let active = Active { rev: head.rev, config: Config::clone(&head.config) };
        let plane = Arc::new(Plane::new(active, clock, tempo));
        let (inbox, disk) = Inbox::open(&state_dir).map_err(in_folder)?;
        let inbox = Arc::new(inbox);
        // A plane that was made just now has none.
        let _ = plane.inbox.set(Arc::clone(&inbox));
        let gateway = gateway::start(Arc::clone(&plane), listen, workers)
            .map_err(|source| StartError::Listen { what: "events", addr: listen, source })?;
        let (stop, stopped) = watch::channel(None);
        let handing = gateway::dispatch::start(Arc::clone(&plane), inbox, stopped.clone())
            .map_err(StartError::Thread)?;
        let desk = Desk::new(core, store, Arc::clone(&plane));
        let vitals = Vitals::default();
        let guards = Board::default();
        let data_addr = gateway.addr;
        let shared = Arc::new(Shared { desk, plane, vitals, guards, data_addr, origins });
        let token: Token = Arc::new(ArcSwap::from_pointee(Rotating::new(token)));
        let mut orchestrator = Self {
            control_addr,
            shared,
            token: Arc::clone(&token),
            stop,
            gateway: Some(gateway),
            threads: vec![handing],
            disk: Some(disk),
        };
        orchestrator.spawn("ctx-control", {
            let (shared, stopped) = (Arc::clone(&orchestrator.shared), stopped.clone());
            move || serve(control, &shared, token, flags_token, stopped)
        })?;
        orchestrator.spawn("ctx-guards", {
            let (shared, mut stopped) = (Arc::clone(&orchestrator.shared), stopped.clone());
            move || {
                run("guards", async move {
                    tokio::select! {
                        _ = stopped.wait_for(Option::is_some) => {}
                        () = guarding::run(shared) => {}
                    }
                });
            }
        })?;
        orchestrator.spawn("ctx-health", {
            let shared = Arc::clone(&orchestrator.shared);
            move || look_after(shared, judge_cpu, stopped)
        })?;
        Ok(orchestrator)
    }

    fn spawn(
        &mut self,
        name: &str,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<(), StartError> {
        let thread = thread::Builder::new().name(name.to_owned());
        self.threads.push(thread.spawn(body).map_err(StartError::Thread)?);
        Ok(())
    }

    /// Where events are received.
    pub fn data_addr(&self) -> SocketAddr {
        self.shared.data_addr
    }

    /// Where the control API listens.
    pub fn control_addr(&self) -> SocketAddr {
        self.control_addr
    }

    /// The heart shared with the data plane.
    pub fn plane(&self) -> &Arc<Plane> {
        &self.shared.plane
    }

    /// Reads the secrets of webhooks again, and takes `token` for the operators' token, if one was
    /// read. What was good before stays good until the next reload. Routes stay as they are.
    pub fn reload_secrets(&self, token: Option<Secret>) {
        if let Some(read) = token {
            self.token.rcu(|token| {
                let mut token = Rotating::clone(token);
                token.turn(read.clone());
                token
            });
        }
        self.shared.plane.reload_secrets();
        tracing::info!("the secrets were read again");
    }

    /// Stops accepting, gives requests in flight up to `drain`, and joins every thread.
    pub fn stop(mut self, drain: Duration) {
        self.end(drain);
    }

    fn end(&mut self, drain: Duration) {
        self.stop.send_replace(Some(drain));
        if let Some(gateway) = self.gateway.take() {
            gateway.stop(drain);
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
        if let Some((inbox, disk)) = self.shared.plane.inbox.get().zip(self.disk.take()) {
            inbox.close();
            let _ = disk.join();
        }
    }
}

impl Drop for Orchestrator {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

impl fmt::Debug for Orchestrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Orchestrator")
            .field("data", &self.data_addr())
            .field("control", &self.control_addr)
            .finish_non_exhaustive()
    }
}

fn bind(what: &'static str, addr: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { what, addr, source };
    let listener = TcpListener::bind(addr).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok((listener, addr))
}

fn serve(
    listener: TcpListener,
    shared: &Arc<Shared>,
    token: Token,
    flags: Option<Secret>,
    stopped: watch::Receiver<Option<Duration>>,
) {
    run("the control API", async {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "the control API has no listener"),
        };
        tokio::select! {
            () = server::run(listener, Arc::clone(shared), token, flags, stopped) => {}
            () = shared.desk.watch() => {}
        }
    });
}

fn look_after(
    shared: Arc<Shared>,
    judge_cpu: bool,
    mut stopped: watch::Receiver<Option<Duration>>,
) {
    run("health", async move {
        tokio::select! {
            _ = stopped.wait_for(Option::is_some) => {}
            () = health::watch(shared, judge_cpu) => {}
        }
    });
}

/// Runs on this thread, with a runtime of its own.
fn run(what: &'static str, body: impl Future<Output = ()>) {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            runtime.block_on(body);
            // A copy of the database that is under way is not waited for.
            runtime.shutdown_background();
        }
        Err(error) => tracing::error!(%error, what, "there is no runtime for it"),
    }
}

/// Opens the store and settles what an earlier run has left.
fn open(
    folder: &Path,
    legacy: &str,
    mut initial: Initial,
    now: Now,
) -> Result<(Core, Store, Vec<Origin>), StoreError> {
    let mut store = Store::open(folder)?;
    let take = |store: &mut Store, transition: Transition<()>| {
        failpoint::hit(Point::BootSettles);
        store.commit(&transition.writes)?;
        failpoint::hit(Point::BootSettled);
        Ok::<_, StoreError>(transition.next)
    };
    let core = match store.load()? {
        None => {
            let mut reason = "first start".to_owned();
            for Origin { name, path, value, .. } in initial.origins.iter().filter(|o| o.used) {
                if let (Some(path), Some(value)) = (path, value) {
                    reason = format!("{reason}; {path} is {value} by {name}");
                }
            }
            let config = first_config(legacy, &initial);
            take(&mut store, Core::birth(now, &random_hex::<16>(), config, &reason))?
        }
        Some(durable) => {
            let core = take(&mut store, Core::boot(now, durable))?;
            stored_first(&mut initial.origins, &core.head().config);
            let head = moved(&core.head().config, legacy);
            let target = core.armed().and_then(|armed| moved(&armed.target.config, legacy));
            let from = head.as_ref().or(target.as_ref()).map(|(_, from)| from.clone());
            match from {
                None => core,
                Some(from) => {
                    let reason =
                        format!("the command line moved the legacy app: {from} to {legacy}");
                    tracing::info!(from, legacy, "the command line moved the legacy app");
                    let rebase = Rebase {
                        head: head.map(|(config, _)| config),
                        target: target.map(|(config, _)| config),
                    };
                    take(&mut store, core.rebase(now, rebase, &reason))?
                }
            }
        }
    };
    for origin in &initial.origins {
        let Origin { name, path, value, note, used } = origin;
        let what = if *used { "first configuration" } else { "ignored" };
        if *used && !note.is_empty() {
            tracing::warn!(name, path, value, note, "{what}");
        } else {
            tracing::info!(name, path, value, note, "{what}");
        }
    }
    Ok((core, store, initial.origins))
}

/// Marks as not used what is only for a first configuration: `stored` is in force.
fn stored_first(origins: &mut [Origin], stored: &Config) {
    let document = serde_json::to_value(stored).expect("a configuration is plain data");
    for origin in origins.iter_mut().filter(|origin| origin.used) {
        let path = origin.path.as_deref().unwrap_or_default();
        let found = document.pointer(&format!("/{}", path.replace('.', "/")));
        let there = match found {
            None | Some(Value::Null) => "nothing".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let same = origin.value.as_ref() == Some(&there);
        let note = if same {
            "the stored configuration is in force, and has the same".to_owned()
        } else {
            format!("the stored configuration is in force, and has {there}; a plan changes it")
        };
        *origin = origin.clone().but(note);
    }
}

fn first_config(legacy: &str, initial: &Initial) -> Config {
    let mut config = Config::legacy(legacy);
    config.mode = initial.mode.unwrap_or(config.mode);
    config.legacy_fallback = initial.legacy_fallback.unwrap_or(config.legacy_fallback);
    for route in config.routes.values_mut() {
        let secret = route.platform.and_then(|platform| initial.secrets.get(&platform));
        route.secret = secret.map(ToString::to_string);
    }
    config
}

/// The stored configuration with the legacy app at `legacy`, and where it was; `None` when it is
/// there already.
fn moved(stored: &Config, legacy: &str) -> Option<(Config, String)> {
    let url = Config::legacy(legacy).upstreams.remove(LEGACY)?.url;
    let mut config = stored.clone();
    let upstream = config.upstreams.get_mut(LEGACY)?;
    let from = std::mem::replace(&mut upstream.url, url);
    (from != upstream.url).then_some((config, from))
}
