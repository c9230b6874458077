//! What the real processes of a drill are told beside their command line.
//!
//! A drill runs `ctx migrate`, `ctx rollback` and `ctx serve` as an operator would, so that they
//! can be killed. What a rehearsal does within one process, they do by this file: plan time is
//! compressed, approvals are given, suites are signed with the drill's own secrets, and the
//! plan's programs are named and not run unless that was asked for.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Tempo;
use crate::control::config::Platform;
use crate::ids::{GuardId, PhaseId, StepId, random_hex};
use crate::judge::guard::{Guard, OnNoData};
use crate::judge::limit::Limit;
use crate::judge::measure::{Measure, Query};
use crate::judge::{Metric, Unit};
use crate::load::sign::Secrets;
use crate::orchestrator::extensions::Witness;
use crate::plan::Plan;
use crate::plan::model::{OnFailure, Phase};
use crate::secret::{Secret, SecretRef};

/// Longer than a fault of the app takes to show, with requests that time out after ten seconds.
const LONG_ENOUGH: Duration = Duration::from_secs(20);

/// How long a guard that has nobody to ask may wait on a stage: longer than a look takes, and no
/// longer than a drill has time for.
const PATIENCE: Duration = Duration::from_secs(2);
/// From one of its looks to the next.
const EVERY: Duration = Duration::from_millis(100);
/// The longest load of a suite on a stage.
pub const LOAD: Duration = Duration::from_secs(2);

/// One stage's instructions, kept in a file of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Staging {
    /// Plan time over real time.
    pub tempo: f64,
    /// Where the token and the secrets of webhooks are.
    pub secrets: PathBuf,
    /// Programs of the plan run, and requests to other services are sent.
    pub in_earnest: bool,
    /// The step from which on soaks that change nothing take real time, as far as that goes.
    pub watching: Option<(PhaseId, StepId)>,
    /// The monitoring server that a guard of the phase of `watching` asks, besides the plan's own.
    pub provider: Option<String>,
    /// Where the orchestrator notes the events that its extensions' programs have taken.
    pub taken: PathBuf,
}

impl Staging {
    /// Reads the instructions.
    ///
    /// # Errors
    /// When the file cannot be read or is none.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }

    /// Writes the instructions.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, serde_json::to_vec(self)?)
    }

    /// The tempo; real time for a number that is none.
    pub fn tempo(&self) -> Tempo {
        Tempo::new(self.tempo).unwrap_or_default()
    }

    /// Where the operators' token is.
    pub fn token(&self) -> SecretRef {
        SecretRef::File(self.secrets.join("token").display().to_string())
    }

    /// Where the secret of a platform is.
    pub fn secret(&self, platform: Platform) -> SecretRef {
        let name = format!("{}.secret", platform.name());
        SecretRef::File(self.secrets.join(name).display().to_string())
    }

    /// What webhooks are signed with.
    pub fn signing(&self) -> Secrets {
        let of = |platform| self.secret(platform).resolve().ok();
        Secrets {
            linear: of(Platform::Linear),
            github: of(Platform::Github),
            slack: of(Platform::Slack),
        }
    }

    /// Makes a token and secrets, each in a file of its own.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn make_secrets(&self) -> io::Result<()> {
        let platforms = Platform::ALL.map(|platform| self.secret(platform));
        for reference in platforms.into_iter().chain([self.token()]) {
            let SecretRef::File(path) = reference else { continue };
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(random_hex::<32>().as_bytes())?;
        }
        Ok(())
    }

    /// The operators' token itself.
    pub fn operator(&self) -> Option<Secret> {
        self.token().resolve().ok()
    }

    /// Notes every event that a program has taken.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn witness(&self) -> io::Result<Witness> {
        let file = OpenOptions::new().create(true).append(true).open(&self.taken)?;
        let file: Mutex<File> = Mutex::new(file);
        Ok(Arc::new(move |delivery: &str| {
            let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Err(error) = writeln!(file, "{delivery}") {
                tracing::warn!(%error, delivery, "an event that was taken could not be noted");
            }
        }))
    }

    /// A fault shows after seconds, whatever the tempo. A change is not kept before its guards have
    /// held, so there it does; but a soak of a day that lasts a moment would let it pass.
    fn watch_long_enough(&self, phase: &mut Phase) {
        let Some((_, from)) = self.watching.as_ref().filter(|(id, _)| *id == phase.id) else {
            return;
        };
        for step in phase.steps.iter_mut().skip_while(|step| step.id != *from) {
            if !step.is_configuration() {
                let real = self.tempo().to_real(step.soak);
                step.soak = self.tempo().to_plan(step.soak.min(LONG_ENOUGH).max(real));
            }
        }
    }

    /// A guard by query at the stage's own server, which gives up where those of the plan would. A
    /// phase that does not ask it says so, because phases before it were confirmed without.
    fn add_query(&self, plan: &mut Plan) {
        let Ok(id) = "drill-monitoring".parse::<GuardId>() else { return };
        let mut asked = None;
        for phase in &mut plan.phases {
            let watched = self.watching.as_ref().is_some_and(|(id, _)| *id == phase.id);
            match &self.provider {
                Some(url) if watched => asked = Some((url.clone(), phase.number)),
                _ => phase.without_guards.push(id.clone()),
            }
        }
        let Some((url, number)) = asked else { return };
        let phase = plan.phases.iter().find(|phase| phase.number == number);
        let own = phase.map(|phase| plan.guards_of(phase)).unwrap_or_default();
        let fails = own.iter().any(|guard| guard.on_no_data == OnNoData::Fail);
        let query = Query {
            query: "vector(0)".to_owned(),
            from: "drill".to_owned(),
            url,
            token: None,
            ca: None,
            unit: Unit::Number,
        };
        plan.guards.push(Guard {
            id,
            measure: Measure::Query(query),
            limit: Limit::AtMost(0.0),
            breaches: 3,
            min_samples: 1,
            every: self.tempo().to_plan(EVERY),
            on_no_data: if fails { OnNoData::Fail } else { OnNoData::Ignore },
            // The one time of a guard that is real in a rehearsal, too.
            patience: PATIENCE,
        });
    }

    /// Leaves out what [`adapt`] does, and adds what the stage's own server is asked. And a phase
    /// that fails takes no earlier ones with it: what a drill compares with is the state before
    /// that phase.
    pub fn adapt(&self, plan: &mut Plan) {
        adapt(plan);
        self.add_query(plan);
        for phase in &mut plan.phases {
            if phase.on_failure == OnFailure::RollbackAll {
                phase.on_failure = OnFailure::RollbackPhase;
            }
            self.watch_long_enough(phase);
        }
    }
}

/// Leaves out of a plan what means nothing on a stage: how busy the processor is that senders,
/// gateway and app share, and what a Prometheus knows, because none scrapes a stage. Load is real,
/// and short: rates and latencies do not shrink with the soaks.
pub fn adapt(plan: &mut Plan) {
    plan.leave_out(
        |guard| guard.measure.own().is_none_or(|metric| metric == Metric::Cpu),
        |criterion| criterion.check.query().is_some(),
        |metric| metric == Metric::Cpu,
    );
    for load in plan.suites.iter_mut().filter_map(|suite| suite.load.as_mut()) {
        load.lasts = load.lasts.min(LOAD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soaks_that_only_watch_take_real_time_from_the_struck_step_on() {
        let text = r#"
schema = 1
plan = { name = "p", title = "P" }
orchestrator = { url = "http://127.0.0.1:1" }
guards.errors = { metric = "error_rate", max = "5%" }
guards.busy = { metric = "cpu", max = "5%" }

[[phase]]
id = "one"
title = "One"
on_failure = "rollback-all"
step = [
  { id = "before", soak = "24h" },
  { id = "change", set = { "pool.max_idle" = 1 }, soak = "24h" },
  { id = "day", soak = "24h" },
  { id = "short", soak = "5s" },
]
"#;
        let mut plan =
            crate::plan::parse("p.toml", text, &|_| Err(io::ErrorKind::NotFound.into())).unwrap();
        let staging = Staging {
            tempo: 3600.0,
            secrets: PathBuf::new(),
            in_earnest: false,
            watching: Some(("one".parse().unwrap(), "change".parse().unwrap())),
            provider: None,
            taken: PathBuf::new(),
        };
        staging.adapt(&mut plan);
        let soak = |step: usize| staging.tempo().to_real(plan.phases[0].steps[step].soak).as_secs();
        assert_eq!([soak(0), soak(1), soak(2), soak(3)], [24, 24, 24, 5]);
        assert_eq!(plan.guards.len(), 1, "nothing is judged by the processor of a stage");
        assert_eq!(plan.phases[0].on_failure, OnFailure::RollbackPhase);
        assert_eq!(plan.guards_of(&plan.phases[0]).len(), 1);
    }

    #[test]
    fn the_phase_that_is_drilled_alone_asks_the_stage_s_own_monitoring() {
        let text = r#"
schema = 1
plan = { name = "p", title = "P" }
orchestrator = { url = "http://127.0.0.1:1" }
guards.errors = { metric = "error_rate", max = "5%" }

[[phase]]
id = "one"
title = "One"
step = [{ id = "day", soak = "24h" }]

[[phase]]
id = "two"
title = "Two"
step = [{ id = "change", set = { "pool.max_idle" = 1 }, soak = "24h" }]
"#;
        let plan =
            crate::plan::parse("p.toml", text, &|_| Err(io::ErrorKind::NotFound.into())).unwrap();
        let staging = |provider: Option<&str>| Staging {
            tempo: 3600.0,
            secrets: PathBuf::new(),
            in_earnest: false,
            watching: Some(("two".parse().unwrap(), "change".parse().unwrap())),
            provider: provider.map(str::to_owned),
            taken: PathBuf::new(),
        };
        let adapted = |provider| {
            let mut plan = plan.clone();
            staging(provider).adapt(&mut plan);
            plan
        };
        let (without, with) = (adapted(None), adapted(Some("http://127.0.0.1:9")));
        let guards = |plan: &Plan, n: usize| plan.guards_of(&plan.phases[n]);
        assert_eq!(guards(&with, 0), guards(&without, 0));
        assert_eq!(with.phases[0], without.phases[0], "what was confirmed is as it was");
        assert_eq!([guards(&without, 1).len(), guards(&with, 1).len()], [1, 2]);
        let guard = &guards(&with, 1)[1];
        assert_eq!(guard.on_no_data, OnNoData::Fail, "as those of the plan");
        assert_eq!(guard.patience, PATIENCE);
    }
}
