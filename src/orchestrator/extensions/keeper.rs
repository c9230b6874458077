//! Keeps one extension as the configuration wants it: so many replicas of that version.
//!
//! The law: what serves goes on serving until what follows it has shown that it is alive. A new
//! version is started beside the old one and takes over from one event to the next; one that does
//! not come up is ended again, the old one stays, and the extension says that it has failed.
//! Programs that end are started again after growing pauses, and given up after a number of
//! failures in a row.
//!
//! A reconciler: every message changes what is known, and [`Keeper::settle`] then does what is
//! missing.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::Programs;
use super::backoff::{GIVE_UP, GIVE_UP_SWAP};
use super::generation::{Generation, Member, is_same};
use super::replica::{self, Handle, Launch, Note};
use super::service::{Service, Status};
use crate::control::config::Process;
use crate::control::observe::ExtensionState;

/// How long an extension that was taken out still answers events that were on their way to it.
const LINGER: Duration = Duration::from_millis(250);
/// Time between two looks whether what it depends on runs.
const LOOK: Duration = Duration::from_millis(100);

/// What an extension should be.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) version: String,
    pub(super) process: Process,
    /// Extensions that must run before it is first started.
    pub(super) needs: Vec<Arc<Service>>,
}

/// What a keeper is told.
#[derive(Debug)]
pub(super) enum Tell {
    /// None: it is not installed (any more).
    Want(Option<Box<Wanted>>),
    Scale(u32),
    Restart,
    Replica(Note),
    /// A replica that was taken out has nothing to do any more.
    Emptied(u64),
}

/// Where a keeper finds programs, and they a folder.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) programs: Option<Arc<Programs>>,
    pub(super) scratch: PathBuf,
    /// Nothing is ever sent: it is dropped when the last replica has ended.
    pub(super) alive: mpsc::Sender<Infallible>,
}

/// Runs until the last sender of `tells` is gone and everything has ended.
pub(super) async fn keep(
    service: Arc<Service>,
    place: Place,
    sender: mpsc::WeakUnboundedSender<Tell>,
    mut tells: mpsc::UnboundedReceiver<Tell>,
) {
    let mut keeper = Keeper {
        service,
        place,
        sender,
        wanted: None,
        scaled: None,
        serving: None,
        candidate: None,
        refused: None,
        leaving: BTreeMap::new(),
        replicas: 0,
    };
    loop {
        let wake = keeper.wake().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            biased;
            told = tells.recv() => match told {
                Some(tell) => keeper.hear(tell),
                None => return,
            },
            () = sleep_until(wake) => {}
        }
        keeper.settle();
    }
}

struct Keeper {
    service: Arc<Service>,
    place: Place,
    /// Its own; weak, so that it ends when nobody else has one.
    sender: mpsc::WeakUnboundedSender<Tell>,
    wanted: Option<Wanted>,
    /// How many replicas scaling has asked for.
    scaled: Option<u32>,
    /// What takes events.
    serving: Option<Generation>,
    /// What is to take over.
    candidate: Option<Generation>,
    /// A version that was to take over and did not come up.
    refused: Option<Refused>,
    /// Replicas that are being emptied or have been told to end.
    leaving: BTreeMap<u64, Handle>,
    /// The number of the newest replica.
    replicas: u64,
}

/// A version that was to take over and did not come up.
struct Refused {
    launch: Arc<Launch>,
    why: String,
}

impl Keeper {
    fn hear(&mut self, tell: Tell) {
        match tell {
            Tell::Want(wanted) => self.want(wanted.map(|wanted| *wanted)),
            Tell::Scale(replicas) => self.scaled = Some(replicas),
            Tell::Restart => self.restart(),
            Tell::Replica(Note::Open(replica)) => self.opened(replica),
            Tell::Replica(Note::Doomed(replica, why)) => {
                if let Some(member) = self.failed(replica, why) {
                    // It ends by itself, once it has answered what it can.
                    self.leaving.insert(replica, member.handle);
                }
            }
            Tell::Replica(Note::Ended(replica, why)) => {
                if self.leaving.remove(&replica).is_none() {
                    drop(self.failed(replica, why));
                }
            }
            Tell::Emptied(replica) => {
                if let Some(handle) = self.leaving.get(&replica) {
                    handle.end();
                }
            }
        }
    }

    fn want(&mut self, wanted: Option<Wanted>) {
        let refused = |wanted: &Wanted| {
            self.refused.as_ref().is_some_and(|refused| is_same(&refused.launch, wanted))
        };
        if wanted.as_ref().is_some_and(refused) {
            // Another part of the configuration has changed: that is no reason to try again.
            self.wanted = wanted;
            return;
        }
        self.refused = None;
        let Some(wanted) = wanted else {
            self.wanted = None;
            self.scaled = None;
            self.service.set_begun(false);
            self.service.desk.expect(false);
            for generation in [self.serving.take(), self.candidate.take()].into_iter().flatten() {
                self.let_go(generation, LINGER);
            }
            return;
        };
        let same = |generation: &Option<Generation>| {
            generation.as_ref().is_some_and(|generation| generation.is(&wanted))
        };
        if same(&self.serving) {
            // Also the way back from a version that has not taken over yet.
            if let Some(candidate) = self.candidate.take() {
                self.let_go(candidate, Duration::ZERO);
            }
            self.service.desk.limit(&wanted.process.limits);
        } else if !same(&self.candidate) {
            if let Some(candidate) = self.candidate.take() {
                self.let_go(candidate, Duration::ZERO);
            }
            if let Some(launch) = self.launch(&wanted) {
                let generation = Generation::new(launch);
                match self.serving.take_if(|serving| serving.open() == 0) {
                    // There is nothing to stand beside.
                    Some(dead) => {
                        self.let_go(dead, Duration::ZERO);
                        self.serving = Some(generation);
                    }
                    None if self.serving.is_none() => {
                        self.service.desk.limit(&wanted.process.limits);
                        self.serving = Some(generation);
                    }
                    None => self.candidate = Some(generation),
                }
            }
        }
        self.wanted = Some(wanted);
    }

    fn launch(&self, wanted: &Wanted) -> Option<Launch> {
        Some(Launch {
            programs: Arc::clone(self.place.programs.as_ref()?),
            id: Arc::clone(&self.service.id),
            version: wanted.version.clone(),
            process: wanted.process.clone(),
            scratch: self.place.scratch.clone(),
            _alive: self.place.alive.clone(),
        })
    }

    fn restart(&mut self) {
        if let Some(refused) = self.refused.take()
            && let Some(wanted) = self.wanted.as_ref().filter(|w| is_same(&refused.launch, w))
        {
            self.candidate = self.launch(wanted).map(Generation::new);
            return;
        }
        if let Some(serving) = &mut self.serving {
            serving.forgive();
            serving.renewing = serving.members.iter().map(|member| member.replica).collect();
        }
    }

    /// A replica is ready: it takes events, unless it waits for the others of its version.
    fn opened(&mut self, replica: u64) {
        if let Some(candidate) = &mut self.candidate {
            candidate.mark_open(replica);
        }
        let Some(serving) = &mut self.serving else { return };
        if let Some(jobs) = serving.mark_open(replica) {
            self.service.desk.open(replica, jobs, &serving.launch.process.limits);
            self.service.set_begun(true);
            let old = serving.renewing.pop_front();
            let old = old.and_then(|old| serving.take(old));
            if let Some(old) = old {
                self.service.restarted();
                self.take_out(old, Duration::ZERO);
            }
        }
    }

    fn failed(&mut self, replica: u64, why: String) -> Option<Member> {
        let Self { service, serving, candidate, .. } = self;
        let id = &service.id;
        if let Some(serving) = serving
            && let Some(member) = serving.fail(replica, why.clone(), GIVE_UP)
        {
            service.desk.close(replica);
            service.restarted();
            tracing::warn!(extension = %id, replica, why, "a replica has ended");
            return Some(member);
        }
        let candidate = candidate.as_mut()?;
        let member = candidate.fail(replica, why, GIVE_UP_SWAP)?;
        // Also when some of it are alive: all have to be.
        candidate.given_up = candidate.failures >= GIVE_UP_SWAP;
        let why = &candidate.why;
        tracing::warn!(extension = %id, replica, why, "a replica of a new version has ended");
        Some(member)
    }

    /// Does what is missing.
    fn settle(&mut self) {
        if let Some(candidate) = self.candidate.take_if(|candidate| candidate.given_up) {
            let (launch, why) = (Arc::clone(&candidate.launch), candidate.why.clone());
            self.refused = Some(Refused { launch, why });
            self.let_go(candidate, Duration::ZERO);
        }
        let count = self.count();
        if self.may_start() {
            for generation in [&mut self.serving, &mut self.candidate].into_iter().flatten() {
                let more = usize::from(!generation.renewing.is_empty());
                let rested = generation.retry.is_none_or(|retry| retry <= Instant::now());
                if rested && !generation.given_up {
                    generation.retry = None;
                    while generation.members.len() < count + more {
                        self.replicas += 1;
                        let replica = self.replicas;
                        generation.members.push(start(&generation.launch, replica, &self.sender));
                    }
                }
            }
        }
        if let Some(candidate) = self.candidate.take_if(|candidate| candidate.open() >= count) {
            self.switch(candidate);
        }
        let surplus = self.serving.as_mut().map(|serving| {
            let more = usize::from(!serving.renewing.is_empty());
            serving.members.split_off(serving.members.len().min(count + more))
        });
        for member in surplus.into_iter().flatten() {
            self.take_out(member, Duration::ZERO);
        }
        self.report();
    }

    /// From one event to the next, the new version takes over.
    fn switch(&mut self, mut candidate: Generation) {
        let open = candidate.members.iter().filter(|member| member.open);
        let seats = open.map(|member| (member.replica, member.handle.jobs.clone())).collect();
        self.service.desk.switch(seats, &candidate.launch.process.limits);
        candidate.failures = 0;
        let version = candidate.launch.version.clone();
        let old = self.serving.replace(candidate);
        tracing::info!(extension = %self.service.id, version, "a new version has taken over");
        if let Some(old) = old {
            self.let_go(old, Duration::ZERO);
        }
    }

    fn let_go(&mut self, generation: Generation, linger: Duration) {
        for member in generation.members {
            self.take_out(member, linger);
        }
    }

    /// Ends a replica, once it has answered what it was given.
    fn take_out(&mut self, member: Member, linger: Duration) {
        let Member { replica, handle, .. } = member;
        self.leaving.insert(replica, handle);
        let (desk, sender) = (Arc::clone(&self.service.desk), self.sender.clone());
        let longest = self.wanted.as_ref().map_or(LINGER * 4, |w| w.process.limits.timeout);
        if linger.is_zero() {
            desk.close(replica);
        }
        tokio::task::spawn_local(async move {
            if !linger.is_zero() {
                tokio::time::sleep(linger).await;
                desk.close(replica);
            }
            // Late ones are its own business: it ends them when their time is over.
            let _ = timeout(longest * 2, desk.emptied(replica)).await;
            tell(&sender, Tell::Emptied(replica));
        });
    }

    /// How many replicas there should be.
    fn count(&self) -> usize {
        let Some(wanted) = &self.wanted else { return 0 };
        let replicas = wanted.process.replicas;
        let max = replicas.max.max(replicas.min);
        self.scaled.unwrap_or(replicas.min).clamp(replicas.min, max) as usize
    }

    /// Whether what it depends on runs; only asked before anything of it does.
    fn may_start(&self) -> bool {
        let begun = self.serving.as_ref().is_some_and(|serving| !serving.members.is_empty());
        begun || self.missing().is_none()
    }

    fn missing(&self) -> Option<&Arc<Service>> {
        self.wanted.as_ref()?.needs.iter().find(|needed| !needed.is_running())
    }

    /// When there is something to do, if nothing is heard until then.
    fn wake(&self) -> Option<Instant> {
        let generations = || [&self.serving, &self.candidate].into_iter().flatten();
        let retries = generations().filter_map(|generation| generation.retry).min();
        let waits = !self.may_start() && self.serving.is_some();
        let look = waits.then(|| Instant::now() + LOOK);
        retries.into_iter().chain(look).min()
    }

    fn report(&self) {
        let status = self.wanted.as_ref().map(|wanted| {
            let (state, detail) = self.state();
            self.service.desk.expect(state == ExtensionState::Starting);
            let wanted_replicas = u32::try_from(self.count()).unwrap_or(u32::MAX);
            let version = wanted.version.clone();
            Status { version, state, detail, wanted: wanted_replicas }
        });
        if self.service.tell(status.clone())
            && let Some(Status { version, state, detail, .. }) = status
        {
            tracing::info!(extension = %self.service.id, version, ?state, detail, "extension");
        }
    }

    fn state(&self) -> (ExtensionState, String) {
        let serves = |generation: &Option<Generation>| {
            let generation = generation.as_ref().filter(|generation| generation.open() > 0);
            generation.map(|generation| format!("version {} serves", generation.launch.version))
        };
        if self.place.programs.is_none() {
            let why = "this orchestrator runs no programs; start it with `--programs DIR`";
            return (ExtensionState::Failed, why.to_owned());
        }
        if let Some(Refused { launch, why }) = &self.refused {
            let stays = serves(&self.serving).unwrap_or_else(|| "nothing serves".to_owned());
            let why = format!("version {} did not come up: {why}; {stays}", launch.version);
            return (ExtensionState::Failed, why);
        }
        if let Some(candidate) = &self.candidate {
            let now = serves(&self.serving).unwrap_or_else(|| "nothing serves yet".to_owned());
            let version = &candidate.launch.version;
            return (ExtensionState::Starting, format!("version {version} is started; {now}"));
        }
        let Some(serving) = &self.serving else {
            return (ExtensionState::Starting, String::new());
        };
        let open = serving.open();
        if serving.given_up {
            let why = format!("given up after {} failures: {}", serving.failures, serving.why);
            (ExtensionState::Failed, why)
        } else if open > 0 {
            let few = (open < self.count()).then(|| serving.why.clone());
            (ExtensionState::Running, few.unwrap_or_default())
        } else if serving.failures > 0 {
            // Also while it is tried again: it has not shown yet that it will stay.
            (ExtensionState::Waiting, serving.why.clone())
        } else if let Some(missing) = self.missing().filter(|_| serving.members.is_empty()) {
            (ExtensionState::Starting, format!("it waits for `{}`, which does not run", missing.id))
        } else {
            (ExtensionState::Starting, String::new())
        }
    }
}

fn start(launch: &Arc<Launch>, replica: u64, sender: &mpsc::WeakUnboundedSender<Tell>) -> Member {
    let sender = sender.clone();
    let notes = move |note| tell(&sender, Tell::Replica(note));
    let handle = replica::start(Arc::clone(launch), replica, notes);
    Member { replica, handle, open: false, since: Instant::now() }
}

/// A keeper that has ended need not be told.
fn tell(sender: &mpsc::WeakUnboundedSender<Tell>, tell: Tell) {
    if let Some(sender) = sender.upgrade() {
        let _ = sender.send(tell);
    }
}
