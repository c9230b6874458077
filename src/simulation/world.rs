//! Virtual time, the queue of events, and everybody who acts.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::invariants::Invariant;
use super::mutants::Switch;
use super::network::{Answered, Reply, Request, Weather, What};
use super::operator::{Last, Operator};
use super::rng::Rng;
use super::scenario::Scenario;
use super::server::{Here, Server};
use super::witness::Witness;
use crate::control::armed::Ask;

/// After so much time without faults, everything has come to an end.
const BOUND: u64 = 45 * 60 * 1000;

/// Something that happens.
#[derive(Debug)]
pub(super) enum Event {
    AtServer(Request),
    AtOperator(Reply),
    /// The server's own timer.
    Timer,
    Crash,
    Start {
        edit: bool,
    },
    /// What a process waits for is over.
    Alarm {
        operator: usize,
        generation: u64,
    },
    /// A lease is to be renewed.
    Renewal {
        operator: usize,
        incarnation: u64,
        round: u64,
    },
    Kill {
        operator: usize,
        incarnation: u64,
    },
    Signal {
        operator: usize,
        incarnation: u64,
    },
    /// A person comes back to the command line.
    Return {
        operator: usize,
    },
    /// A guard is breached at the orchestrator.
    Breach,
    /// A person asks something of the run in flight.
    Ask,
    /// Somebody sees to a phase whose operator is not coming back.
    Rescue,
    Edit,
    Copy,
    Restore,
    Calm,
}

#[derive(Debug)]
struct Entry {
    at: u64,
    number: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) now: u64,
    queue: BinaryHeap<Reverse<Entry>>,
    numbers: u64,
    pub(super) rng: Rng,
    pub(super) weather: Weather,
    pub(super) kills: u64,
    pub(super) scenario: Scenario,
    pub(super) switches: Vec<Switch>,
    pub(super) server: Server,
    pub(super) operators: Vec<Operator>,
    pub(super) witness: Witness,
    timer: Option<u64>,
    /// What happened, in words, where somebody wants to read it.
    pub(super) story: Option<Vec<String>>,
    pub(super) events: u64,
}

impl World {
    pub(super) fn new(seed: u64, switches: &[Switch], told: bool) -> Self {
        let mut rng = Rng::new(seed);
        let scenario = Scenario::of(&mut rng);
        let mut witness = Witness::default();
        witness.thorough = seed.is_multiple_of(16);
        let kills = scenario.kills;
        let mut here = Here { now: 0, rng: &mut rng, witness: &mut witness, kills };
        let server = Server::born(&mut here, switches);
        let mut world = Self {
            now: 0,
            queue: BinaryHeap::new(),
            numbers: 0,
            weather: scenario.weather,
            kills,
            switches: switches.to_vec(),
            server,
            operators: Vec::new(),
            witness,
            timer: None,
            story: told.then(Vec::new),
            events: 0,
            rng,
            scenario,
        };
        world.prepare();
        world
    }

    fn prepare(&mut self) {
        let scenario = self.scenario.clone();
        for (operator, plan) in scenario.plans.iter().enumerate() {
            let changes_mind = self.rng.one_in(5);
            let grace = scenario.graces[operator];
            self.operators.push(Operator::new(*plan, changes_mind, grace));
            let at = self.rng.within(0, 20_000);
            self.at(at, Event::Return { operator });
        }
        for at in &scenario.crashes {
            self.at(*at, Event::Crash);
        }
        if let Some(at) = scenario.breach_at {
            self.at(at, Event::Breach);
        }
        for at in &scenario.asks {
            self.at(*at, Event::Ask);
        }
        for minutes in 1..8 {
            self.at(scenario.calm_at + minutes * 300_000, Event::Rescue);
        }
        if let Some(at) = scenario.edit_at {
            self.at(at, Event::Edit);
        }
        if let Some((copied, restored)) = scenario.restore {
            self.at(copied, Event::Copy);
            self.at(restored, Event::Restore);
        }
        self.at(scenario.calm_at, Event::Calm);
    }

    pub(super) fn has(&self, switch: Switch) -> bool {
        self.switches.contains(&switch)
    }

    pub(super) fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(format!("{:>8} {}", self.now, what()));
        }
    }

    pub(super) fn at(&mut self, at: u64, event: Event) {
        self.numbers += 1;
        self.queue.push(Reverse(Entry { at, number: self.numbers, event }));
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Runs until everybody is done, or something broke.
    pub(super) fn run(&mut self) {
        while self.witness.violation.is_none() {
            let Some(Reverse(Entry { at, event, .. })) = self.queue.pop() else { break };
            self.now = at;
            self.witness.now = at;
            self.events += 1;
            if at > self.scenario.calm_at + BOUND {
                let waits =
                    format!("{:?}", self.operators.iter().map(|o| o.last).collect::<Vec<_>>());
                self.witness.fail(Invariant::I13, || format!("not at an end: {waits}"));
                break;
            }
            self.happen(event);
            let up = self.server.core.is_some();
            self.witness.in_force(&self.server.active, &self.server.book, up);
            self.set_timer();
        }
        if self.witness.violation.is_none() {
            self.end();
        }
    }

    /// Nothing more happens: nobody has been forgotten, and nothing is left behind.
    fn end(&mut self) {
        if let Some(at) = self.operators.iter().position(|operator| operator.last.is_none()) {
            self.witness.fail(Invariant::I11, || format!("operator {at} is nowhere"));
        }
        let left = self.server.book.provisional.first().copied();
        self.witness.hold(Invariant::I8, left.is_none(), || {
            format!("revision {left:?} is provisional for ever")
        });
        let (active, confirmed) =
            (self.server.active.rev, self.server.book.confirmed().content.rev);
        self.witness.hold(Invariant::I8, active == confirmed, || {
            format!("revision {active} is in force, {confirmed} is confirmed")
        });
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::AtServer(request) => self.at_server(&request),
            Event::AtOperator(reply) => self.reply(&reply),
            Event::Timer => {
                self.timer = None;
                self.here(Server::tick);
            }
            Event::Crash => self.crash(),
            Event::Start { edit } => {
                if self.server.core.is_none() {
                    self.tell(|| {
                        format!("the orchestrator starts{}", if edit { ", edited" } else { "" })
                    });
                    self.here(|server, here| server.start(here, edit));
                }
            }
            Event::Breach => {
                self.tell(|| "a guard is breached".to_owned());
                self.here(Server::breach);
            }
            Event::Ask => {
                let asks = [Ask::Confirm, Ask::Pause, Ask::Abort];
                let ask = asks[usize::try_from(self.rng.within(0, 3)).expect("a small number")];
                let done = self.here(|server, here| server.ask(here, ask));
                self.tell(|| format!("somebody asks for {ask:?}: {done:?}"));
            }
            Event::Rescue => self.rescue(),
            Event::Edit => {
                let done = self.here(Server::edit);
                self.tell(|| format!("somebody edits the configuration: {done}"));
                if !done {
                    // They restart it with another one instead.
                    self.server.crash();
                    let at = self.now + self.rng.within(100, 3_000);
                    self.at(at, Event::Start { edit: true });
                }
            }
            Event::Copy => {
                self.tell(|| "a copy of the state is made".to_owned());
                self.server.copy = Some(self.server.book.clone());
            }
            Event::Restore => {
                self.tell(|| "the copy is put back".to_owned());
                self.server.restore(&mut self.witness);
                let at = self.now + self.rng.within(100, 20_000);
                self.at(at, Event::Start { edit: false });
            }
            Event::Calm => {
                self.tell(|| "faults stop".to_owned());
                (self.weather, self.kills) = (Weather::CALM, 0);
                // Who comes back too late every time never gets anywhere: from here on they attend.
                for operator in &mut self.operators {
                    operator.grace = None;
                }
            }
            Event::Alarm { operator, generation } => self.alarm(operator, generation),
            Event::Renewal { operator, incarnation, round } => {
                self.renewal(operator, incarnation, round);
            }
            Event::Kill { operator, incarnation } => {
                if self.operators[operator].incarnation == incarnation {
                    self.kill(operator);
                }
            }
            Event::Signal { operator, incarnation } => self.signal(operator, incarnation),
            Event::Return { operator } => self.comes(operator),
        }
    }

    /// Lets the server do something, and starts it again later if that killed it.
    fn here<T>(&mut self, act: impl FnOnce(&mut Server, &mut Here<'_>) -> T) -> T {
        let up = self.server.core.is_some();
        let mut here = Here {
            now: self.now,
            rng: &mut self.rng,
            witness: &mut self.witness,
            kills: self.kills,
        };
        let done = act(&mut self.server, &mut here);
        if up && self.server.core.is_none() {
            self.tell(|| "the orchestrator dies in a transaction".to_owned());
            self.start_later();
        }
        done
    }

    /// A phase whose operator is not coming back is taken back.
    fn rescue(&mut self) {
        let core = self.server.core.as_ref();
        let Some(armed) = core.and_then(|core| core.armed()).cloned() else { return };
        let owner = armed.run.as_str()[..4].parse::<usize>().expect("a small number");
        let operator = &self.operators[owner];
        let open = operator.runs.last().is_some_and(|ledger| ledger.opening.run == armed.run);
        if armed.tripped.is_none() && (operator.last.is_some() || !open) {
            let done = self.here(|server, here| server.ask(here, Ask::Abort));
            self.tell(|| format!("somebody aborts the phase that nobody sees to: {done:?}"));
        }
    }

    fn start_later(&mut self) {
        let pause = if self.rng.one_in(4) { 40_000 } else { 4_000 };
        let at = self.now + self.rng.within(50, pause);
        self.at(at, Event::Start { edit: false });
    }

    fn crash(&mut self) {
        if self.server.core.is_some() {
            self.tell(|| "the orchestrator is killed".to_owned());
            self.server.crash();
            self.start_later();
        }
    }

    fn set_timer(&mut self) {
        if let Some(at) = self.server.wakes_at()
            && self.timer.is_none_or(|timer| at < timer)
        {
            // A store that failed is asked again, but not in a tight loop.
            let at = at.max(self.now + 10);
            self.timer = Some(at);
            // A busy machine comes to it a little late.
            let late = self.rng.within(0, 150);
            self.at(at + late, Event::Timer);
        }
    }

    /// Sends a request on its way, maybe twice.
    pub(super) fn send(&mut self, request: &Request) {
        if self.is_cut_off(request.operator) {
            return;
        }
        for travel in self.weather.travel(&mut self.rng).into_iter().flatten() {
            self.at(self.now + travel, Event::AtServer(request.clone()));
        }
    }

    fn at_server(&mut self, request: &Request) {
        let answered = self.here(|server, here| server.handle(here, request));
        if self.story.is_some() {
            let (at, id, what) = (request.operator, request.id, asked(&request.what));
            let shown = shown(answered.as_ref());
            self.tell(|| format!("server  <- {at} #{id} {what}: {shown}"));
        }
        let Some(result) = answered.filter(|_| !self.is_cut_off(request.operator)) else { return };
        let reply = Reply { id: request.id, operator: request.operator, result };
        if let Answered::Unreachable = reply.result {
            // A refused connection is known at once.
            self.at(self.now + 1, Event::AtOperator(reply));
            return;
        }
        for travel in self.weather.travel(&mut self.rng).into_iter().flatten() {
            self.at(self.now + travel, Event::AtOperator(reply.clone()));
        }
    }

    fn is_cut_off(&self, operator: usize) -> bool {
        let cut = self.scenario.partition;
        cut.is_some_and(|(who, from, until)| who == operator && (from..until).contains(&self.now))
    }

    /// How it ended for each operator.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = Option<Last>> {
        self.operators.iter().map(|operator| operator.last)
    }
}

/// A request in a few words.
fn asked(what: &What) -> String {
    match what {
        What::Lease(lease) => {
            let anchor = lease.last_anchor.as_ref().map(|anchor| anchor.seq);
            format!("lease, min token {}, anchor {anchor:?}", lease.min_token)
        }
        What::Apply { key, if_match, request } => {
            format!("apply {key:.8} on {if_match}: {:?}", super::scenario::slots(&request.config))
        }
        What::Confirm { key, rev } => format!("confirm {key:.8} of {rev}"),
        What::Revert { key, rev } => format!("revert {key:.8} of {rev}"),
        What::Operation { key } => format!("operation {key:.8}"),
        What::Arm(_) => "arm".to_owned(),
        other => format!("{other:?}"),
    }
}

fn shown(answered: Option<&Answered>) -> String {
    use crate::engine::protocol::Answer;
    match answered {
        None => "no answer".to_owned(),
        Some(Answered::Answer(answer)) => match &**answer {
            Answer::Refused(problem) => format!("{:?}", problem.code),
            Answer::State(there) => format!(
                "head {}, provisional {:?}, tripped {:?}, {:?}",
                there.head,
                there.provisional.as_ref().map(|p| p.rev),
                there.armed.as_ref().map(|armed| armed.tripped.is_some()),
                super::scenario::slots(&there.config)
            ),
            Answer::Granted { fence, anchor } => {
                format!("fence {}, anchor {:?}", fence.counter, anchor.as_ref().map(|a| a.seq))
            }
            Answer::Changed { rev, .. } => format!("revision {rev}"),
            other => format!("{other:?}"),
        },
        Some(Answered::Guards(armed)) => {
            let armed =
                armed.as_ref().map(|armed| (armed.tripped.is_some(), armed.asked.is_some()));
            format!("armed {armed:?}")
        }
        Some(other) => format!("{other:?}"),
    }
}
