//! A service in front of which everything dies: its app and its senders alone survive.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ctx::control::client::Client;
use ctx::control::wire::State;
use ctx::error::Code;
use ctx::failpoint::Point;
use ctx::ledger::Ledger;
use ctx::load::Address;
use ctx::load::sign::Secrets;
use ctx::load::webhooks::Mix;
use ctx::orchestrator::control::audit;
use ctx::orchestrator::store::Store;
use ctx::rehearsal::legacy::Legacy;
use ctx::secret::Secret;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use super::daemon::Daemon;
use super::history;
use super::tally::{Strike, Tally, armament};
use crate::support::traffic::Traffic;
use crate::support::{Test, block_on, until};

/// What the webhooks are signed with.
const SECRET: &str = "a-secret-of-the-webhooks";
/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(100);
/// Events and reads a second.
const RATE: f64 = 60.0;

const PLAN: &str = r#"
schema = 1

[plan]
name  = "small"
title = "A small migration with everything in it"

[orchestrator]
url   = "http://CONTROL"
token = "file:TOKEN"

[guards.error-rate]
metric      = "error_rate"
max         = "90%"
for         = 3
min_samples = 2
every       = "20ms"

[[phase]]
id    = "reads"
title = "Health, cached reads and pooled connections"

  [[phase.step]]
  id   = "cache"
  set  = { "health.enabled" = true, "health.interval" = "1s", "cache.mode" = "write", "flags.caching_layer.enabled" = true, "flags.caching_layer.percentage" = "100%" }
  soak = "SOAK"

  [[phase.step]]
  id  = "mark"
  run = { do = ["touch", "mark"], undo = ["rm", "-f", "mark"], timeout = "20s" }

[[phase]]
id    = "events"
title = "Events through the own processor"

  [[phase.step]]
  id   = "ramp"
  ramp = { flag = "enhanced_event_processing", to = ["50%", "100%"], soak = "20ms" }

  [[phase.step]]
  id   = "inbox"
  set  = { "inbox.mode" = "store", "inbox.first_retry" = "20ms", "inbox.max_retry" = "200ms", "flags.durable_inbox.enabled" = true, "flags.durable_inbox.percentage" = "100%" }
  soak = "20ms"

  [[phase.step]]
  id   = "ask"
  call = { do = { method = "GET", url = "control:/v1/health" }, undo = { method = "GET", url = "control:/v1/health" }, timeout = "5s" }
"#;

/// How a command ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// Absent when a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) said: String,
}

impl Ended {
    pub(super) fn is(&self, code: Code) -> bool {
        self.code == Some(i32::from(code.number()))
    }

    /// Whether it says this, wherever its lines break.
    pub(super) fn says(&self, text: &str) -> bool {
        self.said.split_whitespace().collect::<Vec<_>>().join(" ").contains(text)
    }
}

/// A service, its operator's project, and what was killed of it so far.
pub(super) struct Scene {
    /// Ends before the servers do.
    traffic: Option<Traffic>,
    pub(super) serve: Daemon,
    legacy: Legacy,
    pub(super) test: Test,
    pub(super) tally: Tally,
}

impl Scene {
    /// Starts everything; `strikes` arm the first starts of `ctx serve`.
    pub(super) fn new(strikes: Vec<Strike>, soak: &str) -> Self {
        let test = Test::new().env("HOOK", SECRET);
        let legacy = Legacy::start().unwrap();
        let url = legacy.url();
        let signed = ["--linear-secret", "--github-secret", "--slack-secret"];
        let signed = signed.into_iter().flat_map(|flag| [flag, "env:HOOK"]);
        let args: Vec<_> =
            ["--legacy", &url, "--state", "state"].into_iter().chain(signed).collect();
        let mut serve = Daemon::new(&args, strikes);
        let mut tally = Tally::default();
        serve.start(&test, &mut tally);
        let (data, control) = serve.at();
        let token = test.path("state/token").display().to_string();
        let plan = PLAN.replace("CONTROL", control).replace("TOKEN", &token).replace("SOAK", soak);
        test.write("plans/small.toml", &plan);
        let to: Address = format!("http://{data}").parse().unwrap();
        let secret = || Some(Secret::new(SECRET));
        let secrets = Secrets { linear: secret(), github: secret(), slack: secret() };
        let traffic = Traffic::start(to, RATE, Mix::default(), secrets);
        Self { traffic: Some(traffic), serve, legacy, test, tally }
    }

    /// Runs `ctx` to its end, which may be that of the strike; `serve` is struck meanwhile, and
    /// started again whenever it dies.
    pub(super) fn run(
        &mut self,
        args: &[&str],
        strike: Option<Strike>,
        mut serve: Option<Duration>,
    ) -> Ended {
        let mut command = self.test.command(args);
        let armed = strike.and_then(|strike| armament(&mut command, strike));
        let mut struck_at = match strike {
            Some(Strike::After(delay)) => Some(delay),
            _ => None,
        };
        let mut child = self.spawn(command);
        let began = Instant::now();
        self.ends_with(&mut child, armed, |scene, child| {
            if serve.take_if(|at| began.elapsed() >= *at).is_some() {
                scene.serve.strike(&scene.test, &mut scene.tally);
            }
            if struck_at.take_if(|at| began.elapsed() >= *at).is_some() {
                child.0.kill().expect("it was spawned here");
            }
        })
    }

    /// Runs `ctx` until it is stopped, as of `kill -STOP`, at a point; does something else; and
    /// lets it go on to its end.
    pub(super) fn run_stopped(
        &mut self,
        args: &[&str],
        point: Point,
        meanwhile: impl FnOnce(&mut Self),
    ) -> Ended {
        let mut command = self.test.command(args);
        command.env("CTX_FAILPOINT", format!("{point}:stop"));
        let mut child = self.spawn(command);
        let id = child.0.id();
        let stopped = || {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')).then_some(())
        };
        until(&format!("it is stopped at {point}"), stopped);
        meanwhile(self);
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw).expect("an id is positive");
        kill_process(pid, Signal::CONT).unwrap();
        self.ends_with(&mut child, None, |_, _| {})
    }

    /// Starts a process whose output is kept.
    fn spawn(&self, mut command: Command) -> Ending {
        let out = File::create(self.test.path("ctx.log")).unwrap();
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        Ending(command.spawn().expect("the built binary starts"))
    }

    /// Waits for the end of a process, and looks after `ctx serve` meanwhile.
    fn ends_with(
        &mut self,
        child: &mut Ending,
        armed: Option<Point>,
        mut meanwhile: impl FnMut(&mut Self, &mut Ending),
    ) -> Ended {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.0.try_wait().unwrap() {
                break status;
            }
            self.serve.look_after(&self.test, &mut self.tally);
            meanwhile(self, child);
            assert!(began.elapsed() < LIMIT, "it does not end: {}", self.said());
            super::nap(Duration::from_millis(2));
        };
        if status.signal() == Some(Signal::KILL.as_raw()) {
            self.tally.struck(armed);
        }
        Ended { code: status.code(), said: self.said() }
    }

    /// What the last command said.
    fn said(&self) -> String {
        std::fs::read_to_string(self.test.path("ctx.log")).unwrap()
    }

    /// Waits, while `ctx serve` is looked after, until it holds.
    pub(super) fn wait(&mut self, limit: Duration, mut holds: impl FnMut(&Self) -> bool) -> bool {
        let began = Instant::now();
        while began.elapsed() < limit {
            if holds(self) {
                return true;
            }
            self.serve.look_after(&self.test, &mut self.tally);
            super::nap(Duration::from_millis(10));
        }
        false
    }

    /// Where the orchestrator stands.
    pub(super) fn state(&mut self) -> State {
        let began = Instant::now();
        loop {
            self.serve.look_after(&self.test, &mut self.tally);
            let token = std::fs::read_to_string(self.test.path("state/token")).unwrap();
            let url = format!("http://{}", self.serve.at().1);
            let client = Client::new(&url, Some(Secret::new(token)));
            match block_on(client.state()) {
                Ok(reply) => return reply.body,
                Err(error) => assert!(began.elapsed() < LIMIT, "{error}"),
            }
        }
    }

    /// The ledger, if there is one yet.
    pub(super) fn ledger(&self) -> Option<ctx::ledger::Reader> {
        let path = self.test.path(".ctx/ledger.sqlite3");
        path.exists().then(|| Ledger::read(&path).unwrap())
    }

    /// Checks that both chains verify and that no acknowledged event is lost, and ends everything.
    pub(super) fn ends(mut self) -> Tally {
        let verified = self.run(&["ledger", "verify"], None, None);
        assert!(verified.is(Code::Done) || self.ledger().is_none(), "{verified:#?}");
        let report = self.traffic.take().expect("it is stopped once").stop();
        let acknowledged = report.acknowledged.iter().cloned();
        let lost = self.legacy.handled().await_all(acknowledged, Duration::from_secs(5));
        let all = report.acknowledged.len();
        assert_eq!(lost, Vec::<String>::new(), "acknowledged and never handled, of {all}");
        self.serve.kill(&mut self.tally);
        let store = Store::open(&self.test.path("state")).unwrap();
        let (mut tip, mut past) = (audit::genesis(), Vec::new());
        loop {
            let rows = store.audit(tip.seq).unwrap();
            if rows.is_empty() {
                break;
            }
            let verified = audit::verify(tip, rows.clone());
            tip = verified.unwrap_or_else(|seq| panic!("the audit chain breaks at row {seq}"));
            past.extend(rows);
        }
        assert!(!past.is_empty(), "an orchestrator that has lived has a past");
        history::check(&past, &self.ledger().as_ref().map(history::told).unwrap_or_default());
        self.tally.acknowledged = all;
        self.tally
    }
}

/// A process that is killed, by its own id, when the test gives up on it.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
