//! `ctx monitor`: watches the plan's guards outside a phase, and takes the last one back on a breach.
//!
//! Within a phase the guards are armed at the orchestrator. Afterwards nothing is armed: what is
//! confirmed stays until somebody looks. This is the somebody, for hours or for one look in CI. It
//! holds neither the ledger nor the lease, so it is in nobody's way; while a phase is in flight it
//! leaves acting to that run. Whom the plan's sinks of alerts reach is told of a breach at once, and
//! the rollback waits for none of them. It judges by the same code: streaks on samples that share nothing,
//! and what cannot be known is no breach until the guard's own patience has passed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::session::{block_on, connect, listen_for_signals, watched};
use super::{Context, alerts, known, queries, rollback};
use crate::alerts::{Desk, Outside};
use crate::clock::{Clock, SystemClock};
use crate::control::client::Client;
use crate::engine::executor::{Breach, Signal, Stopper, Watch};
use crate::error::{Code, Failure, Result, count};
use crate::ids::{GuardId, PlanName};
use crate::judge::guard::Look;
use crate::ledger::Ledger;
use crate::ledger::fact::{Fact, Recorded};
use crate::ledger::monitored::{Monitored, Progress};
use crate::plan::model::{Guard, OnNoData, Plan};
use crate::progress::{Glance, Observer, Tick};
use crate::prometheus;
use crate::report::{Inputs, Live, Report, text};
use crate::units::duration;

/// The longest time between two looks at anything.
const STRIDE: Duration = Duration::from_millis(200);
/// How long a report waits for the orchestrator.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most columns of a report.
const WIDEST: usize = 100;

/// Watch the guards outside a phase, report progress, and roll back on a breach
///
/// Reports at the start and then every hour: progress, milestones, performance, issues, next
/// steps. On a breach the last confirmed phase is rolled back, as `ctx rollback` does, without a
/// question. Exits with 0 when every guard held, 20 after a rollback, 22 when a rollback is
/// incomplete, 21 when a guard was breached and nothing was rolled back. The sinks of `[alerts]`
/// are told of a breach and of its end.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx monitor\n  ctx monitor --for 8h --every 30m --json\n  ctx monitor --once --no-rollback"
)]
pub struct Args {
    /// Judge every guard once, then exit
    #[arg(long, conflicts_with = "length")]
    once: bool,
    /// Exit after this time; without it, when interrupted
    #[arg(long = "for", id = "length", value_name = "DURATION", value_parser = duration::parse)]
    length: Option<Duration>,
    /// Time from one report to the next
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "1h")]
    every: Duration,
    /// Only report a breach
    #[arg(long)]
    no_rollback: bool,
}

/// Runs the command.
///
/// # Errors
/// When the plan has no guards or faults, a query cannot be answered, or a guard is breached.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    watched(context, |observer| work(args, context, observer))
}

/// Why the watch is over.
enum End {
    Breach(Breach),
    /// Its time has passed, or every guard was judged; and the guards that were breached.
    Over(Vec<GuardId>),
    Signal(Signal),
}

fn work(args: &Args, context: &Context, observer: &mut dyn Observer) -> Result<Code> {
    let plan = crate::plan::load(context.settings.plan_file()?)?.plan;
    let desk = alerts::desk(context, &plan.alerts)?;
    let result = watch(args, context, observer, &plan, &desk);
    desk.close();
    result
}

fn watch(
    args: &Args,
    context: &Context,
    observer: &mut dyn Observer,
    plan: &Plan,
    desk: &Desk,
) -> Result<Code> {
    if plan.guards.is_empty() {
        return Err(Failure::new(Code::Refused, format!("plan `{}` has no guards", plan.name))
            .hint("write `[guards]`; `ctx plan schema` says how"));
    }
    queries::check(&plan.guards, [])?;
    let client = connect(context, &plan.orchestrator)?;
    let (seen, silent) = (BTreeMap::new(), BTreeMap::new());
    let outside = Outside::of(plan.name.clone(), client.url().to_owned());
    let mut monitor = Monitor { args, context, observer, plan, seen, silent, outside, desk };
    let guards = plan.guards.iter().map(|guard| guard.id.clone()).collect();
    let by = super::opening::by(context);
    monitor.tell(Monitored::Begun { guards, by, rollback: !args.no_rollback });
    let end = block_on(async {
        let stopper = listen_for_signals(context, "ctx monitor")?;
        Ok(monitor.watch(&client, &stopper).await)
    })?;
    let breach = match end {
        End::Breach(breach) => breach,
        End::Signal(signal) => {
            monitor.tell(Monitored::Ended { why: format!("{} received", signal.name()) });
            return Ok(Code::Done);
        }
        End::Over(breached) if breached.is_empty() => {
            monitor.tell(Monitored::Ended { why: "every guard held".to_owned() });
            return Ok(Code::Done);
        }
        End::Over(breached) => {
            let names: Vec<_> = breached.iter().map(|id| format!("`{id}`")).collect();
            let what = format!("{} breached", count(breached.len(), "guard"));
            monitor.tell(Monitored::Ended { why: format!("{what}, nothing was rolled back") });
            return Err(Failure::new(Code::Failed, what)
                .why(names.join(", "))
                .hint("undo the last phase with `ctx rollback`"));
        }
    };
    let why = format!("guard `{}` was breached: {}", breach.guard, breach.why);
    monitor.tell(Monitored::Ended { why: "a guard is breached".to_owned() });
    let mut context = context.clone();
    context.reason = Some(match &context.reason {
        Some(reason) => format!("{reason}; {why}"),
        None => why.clone(),
    });
    match rollback::last_phase(&context, &plan.name, monitor.observer, desk)? {
        Some(phase) => {
            let at_ms = SystemClock.wall().timestamp_millis();
            for alert in monitor.outside.rolled_back(&phase, at_ms) {
                desk.put(&alert);
            }
            Err(Failure::new(Code::RolledBack, format!("phase `{phase}` was rolled back"))
                .why(why)
                .hint("`ctx report` tells what happened; `ctx migrate` tries again"))
        }
        None => Err(Failure::new(Code::Failed, "a guard is breached, and no phase is in force")
            .why(why)
            .hint("nothing that ctx did can be undone: look at the service itself")),
    }
}

/// A watch, and what it has told so far.
struct Monitor<'a> {
    args: &'a Args,
    context: &'a Context,
    observer: &'a mut dyn Observer,
    plan: &'a Plan,
    seen: BTreeMap<GuardId, Standing>,
    /// Since when a guard could not be judged.
    silent: BTreeMap<GuardId, Duration>,
    outside: Outside,
    desk: &'a Desk,
}

/// How a guard stands, as far as it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Holds,
    Unknown,
    Breached,
}

impl Monitor<'_> {
    async fn watch(&mut self, client: &Client, stopper: &Stopper) -> End {
        let clock = SystemClock;
        let mut watch = Watch::asking(&self.plan.guards, prometheus::Client::default());
        watch.begin(client).await;
        let began = clock.boot();
        let mut report_at = began;
        loop {
            if let Some(signal) = stopper.asked() {
                return End::Signal(signal);
            }
            let now = clock.boot();
            if now >= report_at {
                report_at = now + self.args.every.max(STRIDE);
                self.report(client).await;
            }
            let stop = stopper.clone();
            let breach = tokio::select! {
                breach = watch.look(client, &clock) => breach,
                signal = stop.wait() => return End::Signal(signal),
            };
            let glances = watch.glances();
            self.tell_changes(&glances, clock.boot());
            // A phase in flight has armed guards of its own: it takes itself back.
            let acts = !self.args.no_rollback && !self.in_flight();
            if let Some(breach) = breach.filter(|_| acts) {
                return End::Breach(breach);
            }
            let past = self.args.length.is_some_and(|length| now.saturating_sub(began) >= length);
            if past || (self.args.once && decided(&self.plan.guards, &glances)) {
                let breached = self.seen.iter().filter(|(_, how)| **how == Standing::Breached);
                return End::Over(breached.map(|(guard, _)| guard.clone()).collect());
            }
            let at_ms = clock.wall().timestamp_millis();
            let waiting = Some("watching the guards".to_owned());
            self.observer.tick(&Tick { at_ms, guards: glances, waiting, ..Tick::default() });
            let due = watch.next().map_or(STRIDE, |next| next.saturating_sub(clock.boot()));
            tokio::time::sleep(due.clamp(Duration::from_millis(5), STRIDE)).await;
        }
    }

    fn in_flight(&self) -> bool {
        let reader = Ledger::read(&self.context.settings.ledger.value);
        reader.ok().and_then(|reader| reader.open_run().ok().flatten()).is_some()
    }

    /// One line for each guard that is breached, cannot be judged, or holds again.
    ///
    /// A guard with little traffic waits for its sample time and again: that it cannot be judged is
    /// told when it has lasted for a quarter of its patience.
    fn tell_changes(&mut self, glances: &[Glance], now: Duration) {
        for Glance { guard, look } in glances {
            let before = self.seen.get(guard).copied();
            let waiting = matches!(look, Look::Waiting(_));
            let since = if waiting {
                *self.silent.entry(guard.clone()).or_insert(now)
            } else {
                self.silent.remove(guard).unwrap_or(now)
            };
            let of = self.plan.guards.iter().find(|one| one.id == *guard);
            let patience = of.map_or(Duration::ZERO, |guard| guard.patience);
            if waiting && now.saturating_sub(since) < patience / 4 {
                continue;
            }
            let (how, why) = match look {
                Look::Held(why) => (Standing::Holds, why.clone()),
                Look::Breached(why) => (Standing::Breached, why.clone()),
                // Not often enough in a row, either way.
                Look::Suspect(_) => continue,
                Look::Waiting(_) if before == Some(Standing::Breached) => continue,
                Look::Waiting(why) => (Standing::Unknown, why.clone()),
            };
            if before == Some(how) {
                continue;
            }
            self.seen.insert(guard.clone(), how);
            let guard = guard.clone();
            match (before, how) {
                // That all is well is said at the end.
                (None, Standing::Holds) => {}
                (Some(_), Standing::Holds) => self.tell(Monitored::Recovered { guard, why }),
                (_, Standing::Unknown) => self.tell(Monitored::Unknown { guard, why }),
                (_, _) => self.tell(Monitored::Breached { guard, why }),
            }
        }
    }

    async fn report(&mut self, client: &Client) {
        let live = live(client).await;
        let Ok(known) = known::known(self.context) else {
            return self.context.ui.note("note: no report: the ledger cannot be read");
        };
        let report = Report::build(&Inputs {
            now_ms: SystemClock.wall().timestamp_millis(),
            records: &known.records,
            plan: Some(self.plan),
            live: live.as_ref(),
        });
        let ui = &self.context.ui;
        if !ui.json && !ui.quiet {
            ui.out_raw(text::render(&report, ui.width.min(WIDEST), ui.color_out));
        }
        self.tell(Monitored::Reported(in_short(&report)));
    }

    /// Puts it on record where there is one and nobody else is writing it, and shows it.
    fn tell(&mut self, event: Monitored) {
        let at = SystemClock.wall();
        if let Some(alert) = self.outside.heard(&event, at.timestamp_millis()) {
            self.desk.put(&alert);
        }
        let fact = Fact::Monitored { plan: PlanName::clone(&self.plan.name), event };
        let path = &self.context.settings.ledger.value;
        let recorded = match path.exists().then(|| Ledger::open(path)) {
            Some(Ok(mut ledger)) => ledger.append(None, &fact, at).map_err(|e| e.to_string()),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("there is no ledger yet".to_owned()),
        };
        let recorded = recorded.unwrap_or_else(|why| {
            self.context.ui.note(format!("note: this is not recorded: {why}"));
            Recorded { seq: 0, at_ms: at.timestamp_millis(), run: None, fact }
        });
        self.observer.fact(&recorded);
    }
}

async fn live(client: &Client) -> Option<Live> {
    let all = async {
        tokio::join!(client.state(), client.metrics(None), client.health(), client.guards())
    };
    let (state, metrics, health, guards) = tokio::time::timeout(PATIENCE, all).await.ok()?;
    let at_ms = SystemClock.wall().timestamp_millis();
    let state = Some(state.ok()?.body);
    Some(Live { at_ms, state, metrics: metrics.ok(), health: health.ok(), guards: guards.ok() })
}

fn in_short(report: &Report) -> Progress {
    let next = report.next_steps.iter();
    let measured = report.performance.iter();
    Progress {
        percent: report.progress.percent,
        phases_done: report.progress.phases_done,
        phases: report.progress.phases,
        milestones_reached: report.milestones.iter().filter(|m| m.reached.is_some()).count(),
        milestones: report.milestones.len(),
        performance: measured.map(|m| format!("{} {}", m.metric, m.text)).collect(),
        issues: report.issues.len(),
        next: next.map(|step| step.command.clone().unwrap_or_else(|| step.why.clone())).collect(),
    }
}

/// Whether every guard was judged: it held, is breached, or may stay without data.
fn decided(guards: &[Guard], glances: &[Glance]) -> bool {
    let look = |guard: &Guard| glances.iter().find(|glance| glance.guard == guard.id);
    guards.iter().all(|guard| match look(guard).map(|glance| &glance.look) {
        Some(Look::Held(_) | Look::Breached(_)) => true,
        Some(Look::Waiting(_)) => guard.on_no_data == OnNoData::Ignore,
        Some(Look::Suspect(_)) | None => false,
    })
}
