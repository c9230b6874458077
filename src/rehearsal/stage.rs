//! The stage of a rehearsal: a legacy app, an orchestrator in front of it, and traffic, all on
//! loopback ports that the system chose.
//!
//! The orchestrator is the one that `ctx serve` runs, spoken to over the same HTTP API; only its
//! folder is a scratch one and its clock a compressed one.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::legacy::Legacy;
use super::traffic::{Traffic, TrafficReport};
use crate::clock::{SystemClock, Tempo};
use crate::control::client::Client;
use crate::control::config::Platform;
use crate::error::{Code, Failure, Result};
use crate::ids::random_hex;
use crate::load::sign::Secrets;
use crate::load::webhooks::Mix;
use crate::load::{Address, Rate};
use crate::orchestrator::extensions::{Programs, Witness};
use crate::orchestrator::{Initial, Options, Orchestrator};
use crate::secret::{Secret, SecretRef};

/// How long requests in flight may take when the stage is cleared.
const DRAIN: Duration = Duration::from_secs(5);
/// How long acknowledged events may take to be handled after the last request.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything that runs during a rehearsal. Cleared away when dropped.
#[derive(Debug)]
pub struct Stage {
    folder: PathBuf,
    keep: bool,
    legacy: Option<Legacy>,
    orchestrator: Option<Orchestrator>,
    traffic: Option<Traffic>,
    client: Client,
    secrets: Secrets,
}

impl Stage {
    /// Sets the stage: requests arrive at `rate` a second, plan time runs at `tempo`.
    ///
    /// With `keep`, the folder stays there afterwards. Extensions that are programs run as they
    /// would in earnest.
    ///
    /// # Errors
    /// When there is no scratch folder, port or thread to be had.
    pub fn set(
        tempo: Tempo,
        rate: Rate,
        keep: Option<&Path>,
        programs: Option<Programs>,
    ) -> Result<Self> {
        let failed = |what: &str, error: &dyn std::error::Error| {
            Failure::new(Code::Failure, format!("failed to {what} for the rehearsal"))
                .because(error)
        };
        let folder = keep.map_or_else(scratch, Path::to_path_buf);
        std::fs::create_dir_all(&folder)
            .map_err(|error| failed(&format!("create `{}`", folder.display()), &error))?;
        let secrets = Secrets {
            linear: Some(Secret::new(random_hex::<16>())),
            github: Some(Secret::new(random_hex::<16>())),
            slack: Some(Secret::new(random_hex::<16>())),
        };
        let references = store_secrets(&folder, &secrets)
            .map_err(|error| failed("write the webhook secrets", &error))?;
        let legacy = Legacy::start().map_err(|error| failed("start the legacy app", &error))?;
        let token = Secret::new(random_hex::<32>());
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let handled = Arc::clone(legacy.handled());
        let programs = programs.map(|programs| {
            // An event that a program has taken is not lost because the app did not see it.
            let witness: Witness = Arc::new(move |delivery: &str| handled.record(delivery));
            Programs { witness: Some(witness), ..programs }
        });
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let orchestrator = Orchestrator::start(Options {
            legacy: legacy.url(),
            listen: anywhere,
            control: anywhere,
            inherited: None,
            state_dir: folder.join("orchestrator"),
            token: token.clone(),
            tempo,
            clock: Arc::new(SystemClock),
            workers,
            judge_cpu: false,
            flags_token: None,
            initial: Initial { secrets: references, ..Initial::default() },
            programs,
        })
        .map_err(|error| failed("start the orchestrator", &error))?;
        let client = Client::new(&format!("http://{}", orchestrator.control_addr()), Some(token));
        let target: Address = format!("http://{}", orchestrator.data_addr())
            .parse()
            .map_err(|error: crate::load::client::AddressError| failed("address", &error))?;
        let traffic = Traffic::start(target, rate, Mix::default(), secrets.clone())
            .map_err(|error| failed("start the traffic", &error))?;
        Ok(Self {
            folder,
            keep: keep.is_some(),
            legacy: Some(legacy),
            orchestrator: Some(orchestrator),
            traffic: Some(traffic),
            client,
            secrets,
        })
    }

    /// The control API's client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What webhooks are signed with.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Where the rehearsal's ledger is.
    pub fn ledger(&self) -> PathBuf {
        self.folder.join("ledger.sqlite3")
    }

    /// The folder of the rehearsal.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Ends the traffic and says what became of every request; the orchestrator goes on.
    ///
    /// # Panics
    /// When the traffic was ended before.
    pub fn end_traffic(&mut self) -> TrafficReport {
        let traffic = self.traffic.take().expect("traffic ends once");
        let legacy = self.legacy.as_ref().expect("the legacy app outlives the traffic");
        traffic.stop(legacy.handled(), PATIENCE)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Senders first, then the one they send to, then the one behind it.
        self.traffic.take();
        if let Some(orchestrator) = self.orchestrator.take() {
            orchestrator.stop(DRAIN);
        }
        if let Some(legacy) = self.legacy.take() {
            legacy.stop();
        }
        if !self.keep
            && let Err(error) = std::fs::remove_dir_all(&self.folder)
        {
            tracing::warn!(%error, folder = %self.folder.display(), "the scratch folder stays");
        }
    }
}

fn scratch() -> PathBuf {
    std::env::temp_dir().join(format!("ctx-rehearsal-{}", random_hex::<8>()))
}

/// Writes each secret to a file of its own, because configuration names secrets by reference only.
fn store_secrets(
    folder: &Path,
    secrets: &Secrets,
) -> std::io::Result<BTreeMap<Platform, SecretRef>> {
    let mut references = BTreeMap::new();
    for platform in Platform::ALL {
        let Some(secret) = secrets.of(platform) else { continue };
        let path = folder.join(format!("{}.secret", platform.name()));
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(secret.expose().as_bytes())?;
        references.insert(platform, SecretRef::File(path.display().to_string()));
    }
    Ok(references)
}
