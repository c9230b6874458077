//! The control side: the control API, the desk, the loops that look after the service, and the hand
//! that passes stored events on. All that must be one process's alone.
//!
//! It can be closed while the gateway goes on, which needs nothing of it: that is what a hand-over
//! does. What it leaves behind is the store, free for whoever opens it next.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::watch;

use super::StartError;
use super::control::desk::Desk;
use super::control::server::{self, Shared, Token};
use super::gateway;
use super::guarding::{self, Board};
use super::health::{self, Vitals};
use super::inbox::Inbox;
use super::plane::Plane;
use crate::control::origin::Origin;
use crate::secret::Secret;

/// What an office is opened with, again and again.
#[derive(Clone, Debug)]
pub(super) struct Furniture {
    pub(super) plane: Arc<Plane>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) token: Token,
    pub(super) flags_token: Option<Secret>,
    /// Where events are received.
    pub(super) data_addr: SocketAddr,
    pub(super) judge_cpu: bool,
    /// The variables and flags that the process was started with.
    pub(super) origins: Vec<Origin>,
}

/// An open office. Dropping it ends it at once.
pub(super) struct Office {
    pub(super) shared: Arc<Shared>,
    stop: watch::Sender<Option<Duration>>,
    threads: Vec<JoinHandle<()>>,
}

impl Office {
    /// Opens it behind a desk whose state is in force; `control` is where the API listens.
    pub(super) fn open(
        furniture: &Furniture,
        desk: Desk,
        control: TcpListener,
    ) -> Result<Self, StartError> {
        let Furniture { plane, inbox, token, flags_token, data_addr, judge_cpu, origins } =
            furniture.clone();
        let (stop, stopped) = watch::channel(None);
        let handing = gateway::dispatch::start(Arc::clone(&plane), inbox, stopped.clone())
            .map_err(StartError::Thread)?;
        let (vitals, guards) = (Vitals::default(), Board::default());
        let shared = Arc::new(Shared { desk, plane, vitals, guards, data_addr, origins });
        let mut office = Self { shared: Arc::clone(&shared), stop, threads: vec![handing] };
        office.spawn("ctx-control", {
            let (shared, stopped) = (Arc::clone(&shared), stopped.clone());
            move || serve(control, &shared, token, flags_token, stopped)
        })?;
        office.spawn("ctx-guards", {
            let (shared, mut stopped) = (Arc::clone(&shared), stopped.clone());
            move || {
                run("guards", async move {
                    tokio::select! {
                        _ = stopped.wait_for(Option::is_some) => {}
                        () = guarding::run(shared) => {}
                    }
                });
            }
        })?;
        office.spawn("ctx-health", move || look_after(shared, judge_cpu, stopped))?;
        Ok(office)
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

    /// Takes nothing new; what is under way may take up to `drain`. Returns at once.
    pub(super) fn shut(&self, drain: Duration) {
        self.stop.send_replace(Some(drain));
    }

    /// As [`Office::shut`], and returns when it is done: the store is free.
    pub(super) fn close(self, drain: Duration) {
        self.shut(drain);
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        if self.stop.borrow().is_none() {
            self.shut(Duration::ZERO);
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }
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
            runtime.block_on(tokio::task::LocalSet::new().run_until(body));
            // A copy of the database that is under way is not waited for.
            runtime.shutdown_background();
        }
        Err(error) => tracing::error!(%error, what, "there is no runtime for it"),
    }
}
