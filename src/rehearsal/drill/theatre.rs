//! Everything that one drill needs: an app, an orchestrator, traffic, a ledger, and a folder.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::process::{Company, Run, Server, text};
use super::provider::Provider;
use super::{Drill, Staging};
use crate::control::client::Client;
use crate::control::config::Platform;
use crate::ids::{PhaseId, StepId};
use crate::load::Address;
use crate::load::webhooks::Mix;
use crate::rehearsal::legacy::{Faults, Legacy};
use crate::rehearsal::traffic::Traffic;

/// How long acknowledged events may take to be handled after the last request.
const PATIENCE: Duration = Duration::from_secs(10);

/// One drill's own world. Everything in it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Theatre {
    // In the order of ending: senders first, the app last.
    traffic: Option<Traffic>,
    pub(super) server: Server,
    legacy: Legacy,
    /// What a guard asks, where it is to go away.
    provider: Option<Provider>,
    pub(super) company: Company,
    folder: PathBuf,
    staging: Staging,
    plan: PathBuf,
    runtime: tokio::runtime::Runtime,
}

impl Theatre {
    /// Sets it up in `folder`, on a copy of the state `before`, if there is one.
    pub(super) fn open(
        drill: &Drill,
        folder: &Path,
        before: Option<&Path>,
        watching: Option<(PhaseId, StepId)>,
        asked: bool,
    ) -> Result<Self, String> {
        let failed = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
        let provider = asked.then(Provider::start).transpose();
        let provider = provider.map_err(|error| failed("the monitoring", &error))?;
        let url = provider.as_ref().map(Provider::url);
        let staging = Staging { watching, provider: url, ..drill.staging(folder) };
        let work = folder.join("work");
        let made = || {
            if let Some(before) = before {
                copy(before, folder)?;
            } else {
                fs::create_dir_all(&work)?;
                if let Some(files) = &drill.files {
                    copy(files, &work)?;
                }
            }
            staging.write(&folder.join("staging.json"))
        };
        made().map_err(|error| failed("a folder for the drill", &error))?;
        let company = Company {
            staging: folder.join("staging.json"),
            work,
            log: folder.join("processes.log"),
        };
        let legacy = Legacy::start().map_err(|error| failed("the app", &error))?;
        let beside = drill.file.parent().unwrap_or(Path::new("/"));
        let mut args = Vec::new();
        let mut option = |name: &str, value: String| args.extend([name.to_owned(), value]);
        option("--legacy", legacy.url());
        option("--state", text(&folder.join("state")));
        option("--token", staging.token().to_string());
        option("--workers", "2".to_owned());
        option("--programs", text(beside));
        for platform in Platform::ALL {
            let name = format!("--{}-secret", platform.name());
            option(&name, staging.secret(platform).to_string());
        }
        let server = Server::start(&company, args)?;
        let target: Address =
            format!("http://{}", server.data).parse().map_err(|error| failed("address", &error))?;
        let secrets = staging.signing();
        let traffic = Traffic::start(target, drill.rate, Mix::default(), secrets);
        let traffic = traffic.map_err(|error| failed("the traffic", &error))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self {
            traffic: Some(traffic),
            server,
            legacy,
            provider,
            company,
            folder: folder.to_path_buf(),
            staging,
            plan: drill.file.clone(),
            runtime: runtime.map_err(|error| failed("a runtime", &error))?,
        })
    }

    /// Begins a command of an operator.
    pub(super) fn ctx(&self, args: &[&str]) -> Result<Run, String> {
        let mut all: Vec<String> = args.iter().map(ToString::to_string).collect();
        let mut option = |name: &str, value: String| all.extend([name.to_owned(), value]);
        option("--plan", text(&self.plan));
        option("--ledger", text(&self.folder.join("home/ledger.sqlite3")));
        option("--orchestrator", format!("http://{}", self.server.control));
        option("--reason", "drill".to_owned());
        all.extend(["--yes", "--json"].map(str::to_owned));
        Run::start(&self.company, &all)
    }

    /// The app misbehaves like this from now on.
    pub(super) fn inject(&self, faults: Faults) {
        self.legacy.inject(faults);
    }

    /// The monitoring refuses connections from now on.
    pub(super) fn take_monitoring_down(&mut self) {
        if let Some(provider) = &mut self.provider {
            provider.take_down();
        }
    }

    /// Asks the orchestrator.
    pub(super) fn ask<T, E: std::fmt::Display>(
        &self,
        question: impl AsyncFnOnce(&Client) -> Result<T, E>,
    ) -> Result<T, String> {
        let url = format!("http://{}", self.server.control);
        let client = Client::new(&url, self.staging.operator());
        let answer = self.runtime.block_on(question(&client));
        answer.map_err(|error| format!("the orchestrator does not answer: {error}"))
    }

    /// Ends the orchestrator, copies the state to `to`, and starts it again.
    pub(super) fn set_aside(&mut self, to: &Path) -> Result<(), String> {
        self.server.kill();
        let copied = ["state", "home", "work"].iter().try_for_each(|part| {
            let from = self.folder.join(part);
            if from.exists() { copy(&from, &to.join(part)) } else { Ok(()) }
        });
        copied.map_err(|error| format!("the state after a phase is not set aside: {error}"))?;
        self.server.crash(&self.company)
    }

    /// Ends the traffic: how many events were acknowledged, and those that nobody has handled and
    /// that are no dead letters.
    pub(super) fn end_traffic(&mut self) -> Result<(u64, Vec<String>), String> {
        let Some(traffic) = self.traffic.take() else { return Ok((0, Vec::new())) };
        self.note_taken();
        let report = traffic.stop(self.legacy.handled(), PATIENCE);
        self.note_taken();
        let mut lost = report.unhandled;
        lost.retain(|delivery| self.legacy.handled().times(delivery) == 0);
        if !lost.is_empty() {
            let dead = self.dead_letters()?;
            lost.retain(|delivery| !dead.contains(delivery));
        }
        Ok((report.acknowledged, lost))
    }

    /// Takes over what programs of extensions have handled.
    fn note_taken(&self) {
        let taken = fs::read_to_string(&self.staging.taken).unwrap_or_default();
        taken.lines().for_each(|delivery| self.legacy.handled().record(delivery));
    }

    fn dead_letters(&self) -> Result<BTreeSet<String>, String> {
        let (mut dead, mut after) = (BTreeSet::new(), 0);
        loop {
            let page = self.ask(async |client| client.dead_letters(after).await)?;
            let Some(last) = page.last() else { return Ok(dead) };
            after = last.id;
            dead.extend(page.into_iter().filter_map(|letter| letter.delivery));
        }
    }
}

/// Copies a folder and what is in it; sockets and the like stay where they are.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, target)?;
        }
    }
    Ok(())
}
