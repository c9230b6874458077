//! Extensions as they run: how many of each there are, and how they are doing.
//!
//! In reading order: [`wire`] is what is said to a program, [`replica`] one that runs, [`desk`]
//! who takes the next event, [`service`] an extension as the gateway sees it, [`generation`] the
//! replicas of one version, [`keeper`] the reconciler that makes an extension what the
//! configuration wants, [`backoff`] its patience, and [`leftovers`] what an orchestrator that was
//! killed has left behind.
//!
//! All programs are run from one thread, `ctx-extensions`: they are told to die with the thread
//! that has started them.

mod backoff;
mod desk;
mod generation;
mod keeper;
mod leftovers;
mod replica;
mod service;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{self, LocalOptions};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use self::keeper::{Place, Tell, Wanted};
pub use self::service::Witness;
pub(crate) use self::service::{NoReply, Service};
pub(crate) use self::wire::{Event, Reply};
use crate::control::config::{Config, Extension};
use crate::control::observe::ExtensionView;

/// Where an orchestrator takes the programs of extensions from.
#[derive(Clone)]
pub struct Programs {
    /// What words of a command that begin with `./` are below.
    pub folder: PathBuf,
    /// The `ctx` whose `extension-host` they are started under.
    pub host: PathBuf,
    /// Reads a variable of the environment.
    pub environment: fn(&str) -> Option<String>,
    /// For a rehearsal, which looks for every event.
    pub witness: Option<Witness>,
}

impl Programs {
    /// A word of a command, as the program is given it.
    fn find(&self, word: &str) -> PathBuf {
        match word.strip_prefix("./") {
            Some(file) => self.folder.join(file),
            None => word.into(),
        }
    }
}

impl fmt::Debug for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, host, .. } = self;
        f.debug_struct("Programs").field("folder", folder).field("host", host).finish()
    }
}

/// The extensions that run beside the gateway. One for an orchestrator, shared by its threads.
#[derive(Default)]
pub struct Extensions {
    services: Mutex<BTreeMap<String, Arc<Service>>>,
    /// Absent until there is a thread that runs programs.
    orders: OnceLock<mpsc::UnboundedSender<Order>>,
    witness: Arc<OnceLock<Witness>>,
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions").field("services", &self.services).finish_non_exhaustive()
    }
}

/// What the thread that runs programs is told.
#[derive(Debug)]
enum Order {
    /// What is installed now, and nothing else.
    Follow(BTreeMap<String, Wanted>),
    Tell(String, Tell),
}

impl Extensions {
    /// Starts every replica of an extension anew, one after the other; false when it has none
    /// that the orchestrator runs itself.
    pub fn restart(&self, id: &str) -> bool {
        let known = self.services().get(id).is_some_and(|service| service.view().is_some());
        known && self.order(Order::Tell(id.to_owned(), Tell::Restart))
    }

    /// Sets how many replicas an extension has, from now on, within its limits.
    pub fn scale(&self, id: &str, replicas: u32) {
        self.order(Order::Tell(id.to_owned(), Tell::Scale(replicas)));
    }

    /// How each extension that the orchestrator runs is doing now, by id.
    pub fn views(&self) -> Vec<ExtensionView> {
        self.services().values().filter_map(|service| service.view()).collect()
    }

    /// The extension of this id as it runs, whether or not it does.
    pub(crate) fn service(&self, id: &str) -> Arc<Service> {
        let mut services = self.services();
        let new = || Arc::new(Service::new(id, Arc::clone(&self.witness)));
        Arc::clone(services.entry(id.to_owned()).or_insert_with(new))
    }

    /// Makes what runs what this configuration asks for.
    pub(super) fn follow(&self, config: &Config) {
        let wanted = |(name, extension): (String, &Extension)| {
            let process = extension.process()?.clone();
            let runs = |id| config.extensions.get(id).is_some_and(|e| e.process().is_some());
            let needs = extension.depends_on.iter().map(|needed| &needed.id);
            let needs = needs.filter(|id| runs(*id)).map(|id| self.service(id.as_str())).collect();
            let version = extension.version.clone();
            Some((name, Wanted { version, process, needs }))
        };
        let wanted: BTreeMap<_, _> = config.running().filter_map(wanted).collect();
        for (id, service) in &*self.services() {
            // Here, and not only when the keeper comes to it: the next one begins anew.
            if !wanted.contains_key(id) {
                service.set_begun(false);
            }
        }
        for id in wanted.keys() {
            let service = self.service(id);
            // Nothing is known of it yet, and soon will be.
            if self.orders.get().is_some() && service.view().is_none() {
                service.desk.expect(true);
            }
        }
        self.order(Order::Follow(wanted));
    }

    /// Starts the thread that runs programs, until `stopping` says how long they may take to end.
    /// Their folders are in `folder`. Where nobody else is there any more (`alone`), what was left
    /// behind in there is ended; a process that hands over still uses its programs for a while.
    ///
    /// # Errors
    /// When the thread cannot be made, or the folder is gone.
    pub(super) fn start(
        plane: &Arc<super::plane::Plane>,
        programs: Option<Programs>,
        folder: &Path,
        alone: bool,
        stopping: watch::Receiver<Option<Duration>>,
    ) -> io::Result<JoinHandle<()>> {
        let (orders, received) = mpsc::unbounded_channel();
        let witness = programs.as_ref().and_then(|programs| programs.witness.clone());
        let programs = programs.map(Arc::new);
        let folder = std::fs::canonicalize(folder)?.join("extensions");
        if alone {
            leftovers::end(&folder);
        }
        let shared = Arc::clone(plane);
        let mut runtime = runtime::Builder::new_current_thread();
        let thread = thread::Builder::new().name("ctx-extensions".to_owned());
        let thread = thread.spawn(move || {
            match runtime.enable_all().build_local(LocalOptions::default()) {
                Ok(runtime) => runtime.block_on(run(shared, programs, folder, received, stopping)),
                Err(error) => tracing::error!(%error, "extensions are not run"),
            }
        })?;
        let extensions = &plane.extensions;
        if let Some(witness) = witness {
            let _ = extensions.witness.set(witness);
        }
        if extensions.orders.set(orders).is_ok() {
            extensions.follow(&plane.active().config);
        }
        Ok(thread)
    }

    /// False when nobody runs programs.
    fn order(&self, order: Order) -> bool {
        self.orders.get().is_some_and(|orders| orders.send(order).is_ok())
    }

    fn services(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Service>>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes orders on to keepers, one for each extension that was ever installed.
async fn run(
    plane: Arc<super::plane::Plane>,
    programs: Option<Arc<Programs>>,
    folder: PathBuf,
    mut orders: mpsc::UnboundedReceiver<Order>,
    mut stopping: watch::Receiver<Option<Duration>>,
) {
    let extensions = &plane.extensions;
    // Every replica holds one end until it has ended.
    let (alive, mut ended) = mpsc::channel(1);
    let mut keepers = BTreeMap::<String, mpsc::UnboundedSender<Tell>>::new();
    let keeper = |id: &str| {
        let (sender, tells) = mpsc::unbounded_channel();
        let (programs, alive) = (programs.clone(), alive.clone());
        let place = Place { programs, scratch: folder.join(id), alive };
        let own = sender.downgrade();
        tokio::task::spawn_local(keeper::keep(extensions.service(id), place, own, tells));
        sender
    };
    // A keeper ends only when its sender is gone.
    let tell = |keeper: &mpsc::UnboundedSender<Tell>, tell| drop(keeper.send(tell));
    loop {
        let order = tokio::select! {
            biased;
            _ = stopping.wait_for(Option::is_some) => break,
            order = orders.recv() => order,
        };
        match order {
            None => break,
            Some(Order::Tell(id, told)) => {
                if let Some(keeper) = keepers.get(&id) {
                    tell(keeper, told);
                }
            }
            Some(Order::Follow(mut wanted)) => {
                for (id, keeper) in &keepers {
                    tell(keeper, Tell::Want(wanted.remove(id).map(Box::new)));
                }
                for (id, wanted) in wanted {
                    let keeper = keepers.entry(id.clone()).or_insert_with(|| keeper(&id));
                    tell(keeper, Tell::Want(Some(Box::new(wanted))));
                }
            }
        }
    }
    let patience = stopping.borrow().unwrap_or(Duration::ZERO);
    drop(keepers);
    drop(alive);
    // What is left after that is killed when the runtime ends.
    let _ = timeout(patience, ended.recv()).await;
}
