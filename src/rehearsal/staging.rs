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

use serde::{Deserialize, Serialize};

use crate::clock::Tempo;
use crate::control::config::Platform;
use crate::ids::random_hex;
use crate::judge::Metric;
use crate::load::sign::Secrets;
use crate::orchestrator::extensions::Witness;
use crate::plan::Plan;
use crate::plan::model::OnFailure;
use crate::secret::{Secret, SecretRef};

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

    /// Leaves out of a plan what means nothing on a stage: how busy the processor is that senders,
    /// gateway and app share. And a phase that fails takes no earlier ones with it: what a drill
    /// compares with is the state before that phase.
    pub fn adapt(plan: &mut Plan) {
        plan.guards.retain(|guard| guard.metric != Metric::Cpu);
        for phase in &mut plan.phases {
            if phase.on_failure == OnFailure::RollbackAll {
                phase.on_failure = OnFailure::RollbackPhase;
            }
        }
    }
}
