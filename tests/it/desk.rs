//! An operator's desk: a folder with a plan and a ledger, and the `ctx` binary to ask about it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ctx::clock::from_wall_ms;
use ctx::control::config::Config;
use ctx::control::wire::{Anchor, Fence};
use ctx::ids::RunId;
use ctx::ledger::Ledger;
use ctx::ledger::fact::{At, Base, By, Fact, Outcome, RunBegun, RunKind, Sample};
use ctx::plan;
use ctx::plan::model::{Guard, Phase};

/// The file that holds [`PLAN`].
pub(crate) const PLAN_FILE: &str = "plans/shop.toml";

/// Nobody listens at the address of its orchestrator.
const PLAN: &str = r#"
schema = 1

[plan]
name  = "shop"
title = "The shop behind the gateway"

[orchestrator]
url = "http://127.0.0.1:1"

[guards.error-rate]
metric = "error_rate"
max    = "5%"
for    = 3

[[phase]]
id    = "pooling"
title = "Pooled connections"
days  = "1-7"

  [[phase.step]]
  id   = "pool-ramp"
  ramp = { flag = "connection_pooling", to = ["25%", "100%"], soak = "30m" }

[[phase]]
id    = "caching"
title = "Cached reads"
days  = "8-14"

  [[phase.step]]
  id   = "cache-reads"
  set  = { "cache.mode" = "read" }
  soak = "1h"
"#;

/// A folder of its own, and `ctx` in it.
#[derive(Debug)]
pub(crate) struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    /// A desk with a plan and nothing done.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("plans")).unwrap();
        std::fs::write(folder.path().join(PLAN_FILE), PLAN).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes facts to the ledger, a second apart, beginning on 2026-01-`day`.
    pub(crate) fn record(self, run: char, day: i64, facts: &[Fact]) -> Self {
        let run: RunId = run.to_string().repeat(32).try_into().unwrap();
        let mut ledger = Ledger::open(&self.path().join(".ctx/ledger.sqlite3")).unwrap();
        let start = 1_767_225_600_000 + (day - 1) * 86_400_000;
        for (second, fact) in (0..).zip(facts) {
            ledger.append(Some(&run), fact, from_wall_ms(start + second * 1000)).unwrap();
        }
        self
    }

    /// The first phase confirmed, the second rolled back by a guard.
    pub(crate) fn with_history() -> Self {
        let desk = Self::new();
        let (first, second) = (desk.phase("1"), desk.phase("2"));
        desk.record('1', 5, &confirmed(&first)).record('2', 6, &rolled_back(&second))
    }

    /// As [`Desk::with_history`], with what the guards read.
    pub(crate) fn with_readings() -> Self {
        let desk = Self::new();
        let plan = plan::load(&desk.path().join(PLAN_FILE)).unwrap().plan;
        let read = |facts: Vec<Fact>, rate| guarded(facts, &plan.guards, rate);
        let first = read(confirmed(&plan.phases[0]), 0.004);
        let second = read(rolled_back(&plan.phases[1]), 0.062);
        desk.record('1', 5, &first).record('2', 6, &second)
    }

    /// The first phase on its way: the first part of its ramp soaks.
    pub(crate) fn in_flight() -> Self {
        let desk = Self::new();
        let phase = desk.phase("1");
        desk.record('1', 5, &confirmed(&phase)[..5])
    }

    fn phase(&self, number: &str) -> Phase {
        plan::load(&self.path().join(PLAN_FILE)).unwrap().plan.phase(number).unwrap().clone()
    }

    /// Runs `ctx` with these arguments in the folder.
    pub(crate) fn ctx(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// `ctx` with these arguments, about to be run in the folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ctx"));
        command.args(args).current_dir(self.path()).env_clear().env("HOME", self.path());
        command
    }

    /// What `ctx` prints to stdout; it must end with exit code 0.
    pub(crate) fn told(&self, args: &[&str]) -> String {
        let output = self.ctx(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Every file of the folder with its bytes and its time of change.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>, std::time::SystemTime)> {
        let mut files = Vec::new();
        let mut folders = vec![self.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let modified = path.metadata().unwrap().modified().unwrap();
                    files.push((path.clone(), std::fs::read(path).unwrap(), modified));
                }
            }
        }
        files.sort();
        files
    }
}

fn begun(phase: &Phase) -> Fact {
    let config = Config::legacy("http://127.0.0.1:8000");
    Fact::RunBegun(Box::new(RunBegun {
        kind: RunKind::Migrate,
        plan: "shop".parse().unwrap(),
        plan_title: "The shop behind the gateway".to_owned(),
        plan_file: PLAN_FILE.to_owned(),
        file_hash: "aa".repeat(32),
        phase_hash: "bb".repeat(32),
        phases: 2,
        phase: phase.clone(),
        guards: Vec::new(),
        suites: Vec::new(),
        milestones: Vec::new(),
        base: Base {
            orchestrator: "http://127.0.0.1:1".to_owned(),
            token: None,
            state_uuid: "5eed".repeat(8),
            rev: 41,
            config_hash: config.hash(),
            config,
            anchor: Anchor { seq: 7, hash: "07".repeat(32) },
        },
        by: By {
            user: "mara".to_owned(),
            host: "ops-1".to_owned(),
            ctx_version: "0.1.0".to_owned(),
            reason: Some("go live".to_owned()),
        },
        tempo: 1.0,
    }))
}

fn lease() -> Fact {
    let fence = Fence { counter: 7, id: "00ff".repeat(4) };
    Fact::LeaseTaken { fence, anchor: None, pid: 42 }
}

fn part(phase: &Phase, part: u32) -> At {
    let step = &phase.steps[0];
    At { step: step.id.clone(), part, parts: u32::try_from(step.parts()).unwrap() }
}

fn change(at: &At, rev: u64) -> Vec<Fact> {
    vec![
        Fact::ChangeIntended {
            at: at.clone(),
            attempt: 1,
            key: format!("apply-{rev}"),
            if_match: rev - 1,
            target_hash: "cc".repeat(32),
        },
        Fact::ChangeApplied { at: at.clone(), rev, anchor: None },
        Fact::SoakBegun { at: at.clone(), plan_ms: 1_800_000, real_ms: 1_800_000 },
    ]
}

/// The same run under guards, which read `rate` in each soak.
fn guarded(facts: Vec<Fact>, guards: &[Guard], rate: f64) -> Vec<Fact> {
    let mut told = Vec::new();
    for mut fact in facts {
        if let Fact::RunBegun(begun) = &mut fact {
            begun.guards = guards.to_vec();
        }
        let soaks = if let Fact::SoakBegun { at, .. } = &fact { Some(at.clone()) } else { None };
        told.push(fact);
        for (at, value) in soaks.into_iter().flat_map(|at| [(at.clone(), rate / 2.0), (at, rate)]) {
            let guard = guards[0].id.clone();
            let samples = vec![Sample { guard, value, samples: Some(124) }];
            told.push(Fact::GuardsSampled { at, samples });
        }
    }
    told
}

fn confirmed(phase: &Phase) -> Vec<Fact> {
    let confirm = |part: &At, rev: u64| {
        vec![
            Fact::SoakEnded { at: part.clone(), looks: 1800 },
            Fact::ConfirmIntended { at: part.clone(), rev, key: format!("confirm-{rev}") },
            Fact::ChangeConfirmed { at: part.clone(), rev, anchor: None },
        ]
    };
    let mut facts = vec![begun(phase), lease()];
    for (number, rev) in (1..).zip([42, 43]) {
        let at = part(phase, number);
        facts.extend(change(&at, rev));
        facts.extend(confirm(&at, rev));
    }
    facts.push(Fact::RunEnded {
        outcome: Outcome::Done,
        summary: "phase confirmed at revision 43".to_owned(),
    });
    facts
}

fn rolled_back(phase: &Phase) -> Vec<Fact> {
    let at = part(phase, 1);
    let why = "error_rate 6.2% (n=124), limit at most 5%, breach 3 of 3".to_owned();
    let cause = format!("guard `error-rate` breached: {why}");
    let mut facts = vec![begun(phase), lease()];
    facts.extend(change(&at, 44));
    facts.extend([
        Fact::GuardBreached { guard: "error-rate".parse().unwrap(), at, why },
        Fact::RollbackBegun { cause: cause.clone() },
        Fact::RevertIntended { rev: 44, key: "revert-44".to_owned() },
        Fact::Reverted { rev: 44, head: 45 },
        Fact::ReadBack { rev: 45, config_hash: "dd".repeat(32), equal: true },
        Fact::RunEnded { outcome: Outcome::RolledBack, summary: cause },
    ]);
    facts
}
