//! The hands of the engine: backups, suites and approvals, as the command line does them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Context;
use super::backup::{failure as backup_failure, service_databases};
use super::session::confirm;
use crate::backup::live::Live;
use crate::backup::{self, Request, ServiceDatabase};
use crate::clock::SystemClock;
use crate::control::client::Client;
use crate::control::config::{Config, Platform};
use crate::engine::executor::{Approval, BackupTaken, Hands, SuiteResult, Target};
use crate::error::{Code, Failure, Result, count};
use crate::ids::{BackupId, PlanName, RunId};
use crate::load::sign::Secrets;
use crate::load::suites::{self, run_suite};
use crate::plan::Plan;
use crate::plan::model::Suite;
use crate::secret::SecretRef;

/// Where backups go, what is in them, and what suites are signed with.
#[derive(Debug)]
pub(crate) struct Workshop<'a> {
    context: &'a Context,
    /// The folder that holds the ledger and the backups.
    home: PathBuf,
    plan: Option<PlanName>,
    /// The service's own databases.
    databases: Vec<ServiceDatabase>,
    /// Known already; otherwise the references in the configuration are followed.
    secrets: Option<Secrets>,
    /// Approvals are given: nobody is asked, and nothing real is at stake.
    approving: bool,
}

impl<'a> Workshop<'a> {
    /// Works for a plan that was read from `file`.
    pub(crate) fn new(context: &'a Context, plan: &Plan, file: &Path) -> Self {
        let databases = service_databases(&plan.backup.databases, file);
        let plan = Some(plan.name.clone());
        Self { plan, databases, ..Self::without_plan(context) }
    }

    /// Works without a plan file: a rollback needs none.
    pub(crate) fn without_plan(context: &'a Context) -> Self {
        Self {
            context,
            home: context.settings.home(),
            plan: None,
            databases: Vec::new(),
            secrets: None,
            approving: false,
        }
    }

    /// Keeps backups in another folder.
    pub(crate) fn at(self, home: PathBuf) -> Self {
        Self { home, ..self }
    }

    /// Signs with these secrets.
    pub(crate) fn signing(self, secrets: Secrets) -> Self {
        Self { secrets: Some(secrets), ..self }
    }

    /// Gives every approval.
    pub(crate) fn approving(self) -> Self {
        Self { approving: true, ..self }
    }

    /// Signs and approves as the drill says that this process is a part of, if it is.
    pub(crate) fn staged(self) -> Self {
        match &self.context.staging {
            Some(staging) => {
                let secrets = staging.signing();
                self.signing(secrets).approving()
            }
            None => self,
        }
    }

    /// What suites are run against, where events are received at `data`.
    pub(crate) async fn target(&self, client: &Client, data: String) -> suites::Target {
        let secrets = self.secrets(client).await;
        let control = Some((client.url().to_owned(), client.token().cloned()));
        suites::Target { data, control, secrets, clock: Arc::new(SystemClock) }
    }

    /// What suites are signed with: what is known, or what the routes' references lead to here.
    async fn secrets(&self, client: &Client) -> Secrets {
        if let Some(secrets) = &self.secrets {
            return secrets.clone();
        }
        let config = client.state().await.ok().map(|reply| reply.body.config);
        config.as_ref().map(follow).unwrap_or_default()
    }
}

/// Resolves the routes' secrets where they can be resolved from here.
fn follow(config: &Config) -> Secrets {
    let mut secrets = Secrets::default();
    for route in config.routes.values() {
        let reference = route.secret.as_ref().and_then(|text| text.parse::<SecretRef>().ok());
        let (Some(platform), Some(reference)) = (route.platform, reference) else { continue };
        let secret = match reference.resolve() {
            Ok(secret) => secret,
            Err(error) => {
                tracing::warn!(%error, platform = platform.name(), "suites go unsigned");
                continue;
            }
        };
        match platform {
            Platform::Linear => secrets.linear = Some(secret),
            Platform::Github => secrets.github = Some(secret),
            Platform::Slack => secrets.slack = Some(secret),
        }
    }
    secrets
}

impl Hands for Workshop<'_> {
    async fn backup(
        &mut self,
        client: &Client,
        id: &BackupId,
        run: Option<&RunId>,
    ) -> Result<BackupTaken> {
        let request = Request {
            home: self.home.clone(),
            id: id.clone(),
            plan: self.plan.clone(),
            run: run.cloned(),
            databases: self.databases.clone(),
        };
        let path = backup::folder::all(&self.home).join(id.as_str()).display().to_string();
        let taken = backup::create(&Live { client }, request, &SystemClock).await;
        let manifest = taken.map_err(backup_failure)?;
        Ok(BackupTaken { path, bytes: manifest.bytes(), manifest_hash: manifest.hash() })
    }

    async fn suite(&mut self, suite: &Suite, target: &Target<'_>) -> Result<SuiteResult> {
        let target = self.target(target.client, target.data.clone()).await;
        let outcome = run_suite(suite, &target).await;
        let passed = outcome.cases.iter().filter(|case| case.passed()).count();
        let mut actual = format!("{passed} of {} passed", count(outcome.cases.len(), "case"));
        if let Some(load) = &outcome.load {
            actual = format!("{actual}; load {}", load.summary());
        }
        let failed = outcome.cases.iter().filter(|case| !case.passed());
        let failures = failed
            .map(|case| format!("{}, {}: {}", case.name, case.request, case.faults.join(", ")));
        Ok(SuiteResult { passed: outcome.passed(), actual, failures: failures.collect() })
    }

    async fn approve(&mut self, prompt: &str) -> Approval {
        if self.approving || self.context.yes {
            return Approval::By(crate::settings::user());
        }
        match confirm(self.context, prompt) {
            Ok(()) => Approval::By(crate::settings::user()),
            Err(Failure { code: Code::NeedsConfirmation, .. }) => Approval::Nobody,
            Err(_) => Approval::Refused,
        }
    }
}
