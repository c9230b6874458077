//! Acts outside the configuration: programs, HTTP requests, test suites, backups, approvals.
//!
//! A local act that was begun and not ended is done again, so a plan's programs must be safe to
//! run twice; what such a step does when it is undone stands beside it in the plan.

use std::time::Duration;

use super::watch::Breach;
use super::{Approval, Executor, Hands, Stop, Target, backup_id, chain};
use crate::control::client::Write;
use crate::control::wire::OperationKind;
use crate::engine::moves::Act;
use crate::failpoint::{self, Point};
use crate::ledger::fact::{At, Fact};
use crate::plan::model::{Action, Request};
use crate::units::duration;

impl<H: Hands> Executor<'_, H> {
    /// Does a local act, or does it again.
    pub(super) async fn local(&mut self, index: usize) -> Result<(), Stop> {
        let (at, action) = {
            let step = &self.state().moves[index];
            match &step.act {
                Act::Local(action) => (step.at.clone(), action.clone()),
                Act::Change { .. } => return Ok(()),
            }
        };
        if !self.requirements_hold(index).await? {
            return Ok(());
        }
        self.record(&Fact::LocalIntended { at: at.clone() })?;
        let done = match &action {
            Action::Run { command, timeout, .. } => {
                self.run_program(command, *timeout, Some(&at)).await?
            }
            Action::Call { request, timeout, .. } => {
                self.watched_call(&at, request, *timeout).await?
            }
            Action::Test { suites } => self.test(&at, suites).await?,
            Action::Backup => {
                let id = backup_id(&*self.world.clock);
                let run = self.run().clone();
                match self.world.hands.backup(self.world.client, &id, Some(&run)).await {
                    Ok(taken) => {
                        let detail = format!("backup {id}, {} bytes, verified", taken.bytes);
                        let manifest_hash = taken.manifest_hash;
                        let (path, bytes) = (taken.path, taken.bytes);
                        self.record(&Fact::BackupDone { backup: id, path, bytes, manifest_hash })?;
                        Ok(detail)
                    }
                    Err(failure) => Err(chain(&failure)),
                }
            }
            Action::Approve { prompt } => return self.approve(at, prompt).await,
            _ => Ok("watching".to_owned()),
        };
        match done {
            Ok(detail) => self.record(&Fact::LocalDone { at, detail })?,
            Err(why) => self.record(&Fact::StepFailed { at, why })?,
        }
        self.milestones().await
    }

    async fn test(
        &mut self,
        at: &At,
        suites: &[crate::ids::SuiteId],
    ) -> Result<Result<String, String>, Stop> {
        let (data, fence) = (format!("http://{}", self.there().await?.data_addr), self.fence());
        let key = self.key(&at.to_string(), 1, OperationKind::Apply);
        let mut said = Vec::new();
        for id in suites {
            let suites = &self.protocol.state.begun.suites;
            let Some(suite) = suites.iter().find(|suite| suite.id == *id) else {
                return Ok(Err(format!("the plan has no suite `{id}`")));
            };
            let target =
                Target { data: data.clone(), client: self.world.client, fence: &fence, key: &key };
            let watching = self.watch.until_breach(self.world.client, &*self.world.clock);
            let ended = tokio::select! {
                result = self.world.hands.suite(suite, &target) => Ok(result),
                breach = watching => Err(breach),
            };
            let result = match ended {
                Ok(Ok(result)) => result,
                Ok(Err(failure)) => return Ok(Err(chain(&failure))),
                Err(breach) => return self.breached(at, breach, &format!("suite `{id}`")),
            };
            said.push(format!("suite `{id}`: {}", result.actual));
            if !result.passed {
                said.extend(result.failures);
                return Ok(Err(said.join("; ")));
            }
        }
        Ok(Ok(said.join("; ")))
    }

    /// Records that a guard was breached while something else was under way.
    pub(super) fn breached<T>(
        &mut self,
        at: &At,
        breach: Breach,
        meanwhile: &str,
    ) -> Result<Result<T, String>, Stop> {
        let Breach { guard, why } = breach;
        let ended = format!("{meanwhile} was ended: guard `{guard}` was breached");
        self.record(&Fact::GuardBreached { guard, at: at.clone(), why })?;
        Ok(Err(ended))
    }

    async fn approve(&mut self, at: At, prompt: &str) -> Result<(), Stop> {
        self.record(&Fact::ApprovalAsked { at: at.clone(), prompt: prompt.to_owned() })?;
        let watching = self.watch.until_breach(self.world.client, &*self.world.clock);
        let answer = tokio::select! {
            answer = self.world.hands.approve(prompt) => Ok(answer),
            breach = watching => Err(breach),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(Breach { guard, why }) => {
                return self.record(&Fact::GuardBreached { guard, at, why });
            }
        };
        match answer {
            Approval::By(by) => self.record(&Fact::Approved { at, by })?,
            Approval::Refused => {
                self.record(&Fact::StepFailed { at, why: "a person refused".to_owned() })?;
            }
            Approval::Nobody => return Err(Stop::Awaiting(prompt.to_owned())),
        }
        self.milestones().await
    }

    /// The request of a step, under the guards. One that was sent when a guard is breached may
    /// have arrived, so it is undone like any other step that was begun.
    async fn watched_call(
        &mut self,
        at: &At,
        request: &Request,
        timeout: Duration,
    ) -> Result<Result<String, String>, Stop> {
        let shown = format!("`{} {}`", request.method, request.url);
        // Out of `self` for as long as both are at work.
        let mut watch = std::mem::take(&mut self.watch);
        let (client, clock) = (self.world.client, std::sync::Arc::clone(&self.world.clock));
        let position = at.to_string();
        let ended = tokio::select! {
            done = self.call(&position, request, timeout) => Ok(done),
            breach = watch.until_breach(client, &*clock) => Err(breach),
        };
        self.watch = watch;
        match ended {
            Ok(done) => done,
            Err(breach) => self.breached(at, breach, &shown),
        }
    }

    /// Sends the request of a `call` step; `Err` inside says why it failed.
    pub(super) async fn call(
        &mut self,
        position: &str,
        request: &Request,
        timeout: Duration,
    ) -> Result<Result<String, String>, Stop> {
        let method = request.method.parse().unwrap_or(reqwest::Method::GET);
        let key = self.key(position, 1, OperationKind::Apply);
        let shown = format!("{} {}", request.method, request.url);
        let elsewhere = !request.url.starts_with(['/']) && !request.url.starts_with("control:");
        if self.world.rehearsal && elsewhere {
            return Ok(Ok(format!("`{shown}` is not sent in a rehearsal")));
        }
        failpoint::hit(Point::RequestSends);
        let answer = if let Some(path) = request.url.strip_prefix("control:") {
            let fence = self.fence();
            let write = Write { fence: &fence, key: &key };
            let call = self.world.client.call(method, path, request.body.clone(), write);
            tokio::time::timeout(timeout, call).await.map(|r| r.map_err(|e| e.to_string()))
        } else {
            let url = if request.url.starts_with('/') {
                format!("http://{}{}", self.there().await?.data_addr, request.url)
            } else {
                request.url.clone()
            };
            tokio::time::timeout(timeout, send(method, url, request)).await
        };
        failpoint::hit(Point::RequestAnswered);
        Ok(match answer {
            Ok(Ok((status, _))) if (200..300).contains(&status) => {
                Ok(format!("`{shown}` answered {status}"))
            }
            Ok(Ok((status, body))) => {
                Err(format!("`{shown}` answered {status}: {}", tail(body.as_bytes(), 200)))
            }
            Ok(Err(error)) => Err(format!("`{shown}`: {error}")),
            Err(_) => Err(format!("`{shown}` did not answer within {}", duration::format(timeout))),
        })
    }
}

async fn send(
    method: reqwest::Method,
    url: String,
    request: &Request,
) -> Result<(u16, String), String> {
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .expect("a client without TLS can be built");
    let mut call = http.request(method, url);
    for (name, value) in &request.headers {
        call = call.header(name, value);
    }
    if let Some(body) = &request.body {
        call = call.body(body.clone());
    }
    let response = call.send().await.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    Ok((status, response.text().await.map_err(|error| error.to_string())?))
}

/// The end of what a program said, as one line without control characters.
pub(super) fn tail(bytes: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(most)..]);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_says_cannot_move_the_cursor() {
        assert_eq!(tail(b"a\x1b[2Jb\r\nc", 100), "a[2Jb c");
        assert_eq!(tail(b"0123456789", 4), "6789");
    }
}
