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
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use serde_json::Value;
use tokio::sync::watch;

use super::control::core::{Core, Now, Rebase, Transition};
use super::control::desk::Desk;
use super::extensions::{Extensions, Programs};
use super::gateway::{self, Gateway};
use super::handover::Sockets;
use super::inbox::Inbox;
use super::office::{Furniture, Office};
use super::plane::{Active, Plane};
use super::store::{Store, StoreError};
use crate::clock::{Clock, Tempo};
use crate::control::config::{Config, LEGACY, Mode, Platform};
use crate::control::document::{self, DocumentError};
use crate::control::observe::Escalation;
use crate::control::origin::Origin;
use crate::control::wire::LeaseView;
use crate::failpoint::{self, Point};
use crate::ids::random_hex;
use crate::secret::{Rotating, Secret, SecretRef};

/// How long the store of a process that gives it free is waited for, and how often it is tried.
const HANDED_OVER: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(10);
/// How long stored events that are with a handler, and control requests, may take at a hand-over.
const RELEASE: Duration = Duration::from_secs(10);
/// How long programs may take to end, once there is nothing left for them to do.
const PROGRAMS: Duration = Duration::from_secs(8);

/// What an orchestrator needs to know before it starts.
#[derive(Debug)]
pub struct Options {
    /// The URL of the legacy app.
    pub legacy: String,
    /// Where events are received.
    pub listen: SocketAddr,
    /// Where the control API listens; on loopback.
    pub control: SocketAddr,
    /// The listeners of a process that this one takes over from; the two addresses above are not
    /// used then.
    pub inherited: Option<Sockets>,
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
    /// Where programs of extensions are; none are run without.
    pub programs: Option<Programs>,
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
    furniture: Furniture,
    /// The control API's listener once more, until it is stopped, and where it listens.
    control: Option<TcpListener>,
    control_addr: SocketAddr,
    state_dir: PathBuf,
    legacy: String,
    /// There until it is stopped.
    gateway: Option<Gateway>,
    /// There until it is stopped, or handed over.
    office: Option<Office>,
    /// Runs the programs of extensions until nobody gives them events any more.
    programs: Option<(watch::Sender<Option<Duration>>, JoinHandle<()>)>,
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
            inherited,
            state_dir,
            token,
            flags_token,
            tempo,
            clock,
            workers,
            initial,
            judge_cpu,
            programs,
        } = options;
        document::check(&Config::legacy(&legacy)).map_err(StartError::Legacy)?;
        let patience = if inherited.is_some() { HANDED_OVER } else { Duration::ZERO };
        // Whoever had the state before is gone, unless it hands it over.
        let alone = inherited.is_none();
        let (control, events) = listeners(control, listen, inherited)?;
        let control_addr = address(&control)?;
        let in_folder = |source| StartError::Store { folder: state_dir.clone(), source };
        let store = open_store(&state_dir, patience).map_err(in_folder)?;
        let (core, store, origins) =
            settle(store, &legacy, initial, Now::of(&*clock)).map_err(in_folder)?;
        let head = core.head();
        let active = Active { rev: head.rev, config: Config::clone(&head.config) };
        let plane = Arc::new(Plane::new(active, clock, tempo));
        let (inbox, disk) = Inbox::open(&state_dir).map_err(in_folder)?;
        let inbox = Arc::new(inbox);
        // A plane that was made just now has none.
        let _ = plane.inbox.set(Arc::clone(&inbox));
        // Before the gateway: an event waits for a program that is being started.
        let (end_programs, ended) = watch::channel(None);
        let running = Extensions::start(&plane, programs, &state_dir, alone, ended);
        let running = running.map_err(StartError::Thread)?;
        let gateway = match events {
            Some(events) => gateway::start_on(Arc::clone(&plane), events, workers),
            None => gateway::start(Arc::clone(&plane), listen, workers),
        };
        let gateway = gateway.map_err(|source| StartError::Listen {
            what: "events",
            addr: listen,
            source,
        })?;
        let furniture = Furniture {
            inbox,
            token: Arc::new(ArcSwap::from_pointee(Rotating::new(token))),
            flags_token,
            data_addr: gateway.addr,
            judge_cpu,
            origins,
            plane,
        };
        let mut orchestrator = Self {
            furniture,
            control: Some(control),
            control_addr,
            state_dir,
            legacy,
            gateway: Some(gateway),
            office: None,
            programs: Some((end_programs, running)),
            disk: Some(disk),
        };
        orchestrator.open_office(core, store)?;
        Ok(orchestrator)
    }

    fn open_office(&mut self, core: Core, store: Store) -> Result<(), StartError> {
        let addr = self.control_addr;
        let listener = self
            .control
            .as_ref()
            .map_or_else(|| Err(io::ErrorKind::NotConnected.into()), TcpListener::try_clone);
        let listener = listener.map_err(|source| StartError::Listen {
            what: "the control API",
            addr,
            source,
        })?;
        let desk = Desk::new(core, store, Arc::clone(&self.furniture.plane));
        self.office = Some(Office::open(&self.furniture, desk, listener)?);
        Ok(())
    }

    /// Where events are received.
    pub fn data_addr(&self) -> SocketAddr {
        self.furniture.data_addr
    }

    /// Where the control API listens.
    pub fn control_addr(&self) -> SocketAddr {
        self.control_addr
    }

    /// The heart shared with the data plane.
    pub fn plane(&self) -> &Arc<Plane> {
        &self.furniture.plane
    }

    /// Reads the secrets of webhooks again, and takes `token` for the operators' token, if one was
    /// read. What was good before stays good until the next reload. Routes stay as they are.
    pub fn reload_secrets(&self, token: Option<Secret>) {
        if let Some(read) = token {
            self.furniture.token.rcu(|token| {
                let mut token = Rotating::clone(token);
                token.turn(read.clone());
                token
            });
        }
        self.plane().reload_secrets();
        tracing::info!("the secrets were read again");
    }

    /// What would be reverted or void if another process took over now, if anything.
    pub fn in_flight(&self) -> Option<String> {
        let office = self.office.as_ref()?;
        let state = match office.shared.desk.state(None, String::new()) {
            Ok(state) => state,
            Err(refusal) => return Some(format!("its store does not answer: {}", refusal.detail)),
        };
        if let Some(provisional) = state.provisional {
            let rev = provisional.rev;
            return Some(format!("revision {rev} is provisional, and would be reverted"));
        }
        if let Some(lease) = state.lease {
            let LeaseView { run, holder, .. } = lease;
            return Some(format!("`{holder}` holds the lease of run {run}, which would be void"));
        }
        let armed = state.armed.filter(|armed| armed.tripped.is_none())?;
        Some(format!("the guards of phase `{}` are armed", armed.phase))
    }

    /// The listeners, for a process that takes over; `None` once it is stopping.
    pub fn sockets(&self) -> Option<(&[TcpListener], &TcpListener)> {
        Some((self.gateway.as_ref()?.listeners(), self.control.as_ref()?))
    }

    /// What self-healing has given up on and is sick still; nothing without the state, when nobody
    /// heals here.
    pub fn escalated(&self) -> Option<Vec<Escalation>> {
        Some(self.office.as_ref()?.shared.vitals.escalated())
    }

    /// Whether this process has the state, and so can change anything.
    pub fn has_state(&self) -> bool {
        self.office.is_some()
    }

    /// Ends the control side and gives the store free. The gateway goes on, under the revision
    /// that is in force.
    pub fn release(&mut self) {
        if let Some(office) = self.office.take() {
            office.close(RELEASE);
        }
    }

    /// Takes the store back after [`Orchestrator::release`], as a start would: what is provisional
    /// is reverted, and leases are void.
    ///
    /// # Errors
    /// When the store cannot be opened; the gateway goes on then, too.
    pub fn resume(&mut self) -> Result<(), StartError> {
        let failed = |source| StartError::Store { folder: self.state_dir.clone(), source };
        let now = Now::of(&*self.plane().clock);
        let store = open_store(&self.state_dir, HANDED_OVER).map_err(failed)?;
        let (core, store, _) =
            settle(store, &self.legacy, Initial::default(), now).map_err(failed)?;
        let head = core.head();
        let active = Active { rev: head.rev, config: Config::clone(&head.config) };
        self.plane().activate(active);
        self.furniture.inbox.recount();
        self.open_office(core, store)
    }

    /// Counts again what is stored: another process has written the inbox, and has ended.
    pub fn recount(&self) {
        self.furniture.inbox.recount();
    }

    /// Stops accepting, gives requests in flight up to `drain`, and joins every thread.
    pub fn stop(mut self, drain: Duration) {
        self.end(drain);
    }

    fn end(&mut self, drain: Duration) {
        // The port is free when the last of a listener's copies is closed.
        self.control = None;
        if let Some(office) = &self.office {
            office.shut(drain);
        }
        let gateway = self.gateway.take().map(|mut gateway| {
            gateway.shut(drain);
            gateway
        });
        // First what another process may be waiting for: the store.
        self.office = None;
        if let Some(gateway) = gateway {
            gateway.stop(drain);
        }
        if let Some((end, programs)) = self.programs.take() {
            end.send_replace(Some(drain.min(PROGRAMS)));
            let _ = programs.join();
        }
        if let Some(disk) = self.disk.take() {
            self.furniture.inbox.close();
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

/// Where the control API listens, and where events are received if that is not for the gateway to
/// make.
fn listeners(
    control: SocketAddr,
    listen: SocketAddr,
    inherited: Option<Sockets>,
) -> Result<(TcpListener, Option<Vec<TcpListener>>), StartError> {
    if let Some(Sockets { control, events }) = inherited {
        return Ok((control, Some(events)));
    }
    if !control.ip().is_loopback() {
        return Err(StartError::NotLoopback(control));
    }
    // The gateway's listeners share their port with each other, and so would not notice that
    // somebody else has it.
    drop(bind("events", listen)?);
    Ok((bind("the control API", control)?, None))
}

fn address(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    let addr = SocketAddr::from(([0, 0, 0, 0], 0));
    listener.local_addr().map_err(|source| StartError::Listen {
        what: "what was handed over",
        addr,
        source,
    })
}

fn bind(what: &'static str, addr: SocketAddr) -> Result<TcpListener, StartError> {
    let failed = |source| StartError::Listen { what, addr, source };
    let listener = TcpListener::bind(addr).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Opens the store. A process that was to give it free may take a moment until the kernel has
/// taken its lock from it.
#[expect(clippy::disallowed_methods, reason = "nothing runs yet that could be held up")]
fn open_store(folder: &Path, patience: Duration) -> Result<Store, StoreError> {
    let deadline = Instant::now() + patience;
    loop {
        match Store::open(folder) {
            Err(StoreError::Locked(_)) if Instant::now() < deadline => thread::sleep(LOOK),
            opened => return opened,
        }
    }
}

/// Settles what an earlier run has left.
fn settle(
    mut store: Store,
    legacy: &str,
    mut initial: Initial,
    now: Now,
) -> Result<(Core, Store, Vec<Origin>), StoreError> {
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
        let note = Some(note.as_str()).filter(|note| !note.is_empty());
        if *used && note.is_some() {
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
