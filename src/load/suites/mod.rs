//! A plan's test suites: cases one after the other, then load drawn from the same cases.
//!
//! - [`request`]: a case becomes a request: where it goes, its signature, its fresh delivery id.
//! - [`compare`] (pure): what came back against what was expected.
//! - [`exchange`]: what went over the wire, as it may be shown.
//! - [`load`]: requests drawn from the cases at a constant rate; [`used`] is what the machine was
//!   kept busy with meanwhile.
//! - [`outcome`]: what came of it, and the sentence that says so.

pub mod compare;
pub mod exchange;
pub mod load;
pub mod outcome;
pub mod request;
pub mod used;

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use tokio::time::Instant;

use super::dice::Dice;
use super::sign::Secrets;
use crate::clock::Clock;
use crate::plan::model::{Case, Suite};
use crate::secret::Secret;
use compare::{Answer, differences, unlike};
pub use exchange::{Got, Sent};
pub use outcome::{CaseOutcome, Fault, LoadOutcome, SuiteOutcome, Wrong};
use request::{Prepared, prepare};
pub use used::Used;

/// How long one case may take.
const CASE_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of an answer is read; more than any answer a case could want to look into.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// What a suite is run against.
#[derive(Clone, Debug)]
pub struct Target {
    /// The data plane, as `http://HOST:PORT`.
    pub data: String,
    /// The control API and its token, for paths that begin with `control:`.
    pub control: Option<(String, Option<Secret>)>,
    /// What `sign_as` signs with.
    pub secrets: Secrets,
    pub clock: Arc<dyn Clock>,
}

/// Runs every case of `suite` in order, and then its load.
///
/// Never fails as a whole: what goes wrong, a target that does not answer included, is in the
/// outcome of the case that met it. Dropped half way, it sends nothing more.
pub async fn run_suite(suite: &Suite, target: &Target) -> SuiteOutcome {
    let mut dice = Dice::fresh();
    let mut cases = Vec::with_capacity(suite.cases.len());
    // A proxy of the environment must not see, or answer, what is meant for the service; and a
    // redirect is an answer like any other.
    let client = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build();
    for case in &suite.cases {
        let began = Instant::now();
        let exchange = match &client {
            Ok(client) => run_case(client, case, target, &mut dice).await,
            Err(error) => Exchange::not_sent(format!("failed to make an HTTP client: {error}")),
        };
        cases.push(CaseOutcome {
            name: case.name.clone(),
            request: format!("{} {}", case.request.method, case.request.url),
            took: began.elapsed(),
            faults: exchange.faults,
            sent: exchange.sent,
            got: exchange.got,
        });
    }
    let load = match &suite.load {
        Some(load) => Some(load::apply(load, &suite.cases, target, dice).await),
        None => None,
    };
    SuiteOutcome { id: suite.id.clone(), kind: suite.kind, cases, load }
}

/// What was sent, what came back, and what of that was not as expected.
struct Exchange {
    sent: Option<Sent>,
    got: Option<Got>,
    faults: Vec<Fault>,
}

impl Exchange {
    fn not_sent(why: String) -> Self {
        Self { sent: None, got: None, faults: vec![Fault::NotSent { not_sent: why }] }
    }
}

/// Runs one case.
async fn run_case(
    client: &reqwest::Client,
    case: &Case,
    target: &Target,
    dice: &mut Dice,
) -> Exchange {
    let prepared = match prepare(case, target, dice) {
        Ok(prepared) => prepared,
        Err(fault) => return Exchange::not_sent(fault),
    };
    let sent = Some(Sent::of(&prepared));
    let again = case.repeat.then(|| prepared.clone());
    let no_answer = |error: &reqwest::Error| {
        let expected = format!("status {}", case.expect.status);
        Fault::differs(expected, format!("no answer: {}", root(error)))
    };
    let answer = match send(client, prepared).await {
        Ok(answer) => answer,
        Err(error) => return Exchange { sent, got: None, faults: vec![no_answer(&error)] },
    };
    let mut faults = differences(&case.expect, &answer);
    if let Some(again) = again {
        faults.extend(match send(client, again).await {
            Ok(second) => unlike(&answer, &second),
            Err(error) => Some(no_answer(&error)),
        });
    }
    Exchange { sent, got: Some(Got::of(&answer)), faults }
}

async fn send(client: &reqwest::Client, prepared: Prepared) -> reqwest::Result<Answer> {
    let request = client.request(prepared.method, prepared.url);
    let request = request.headers(prepared.headers).body(prepared.body).timeout(CASE_TIMEOUT);
    let mut response = request.send().await?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status: response.status().as_u16(), headers: response.headers().clone(), body })
}

/// The error behind an error: the outer ones only say that sending failed.
fn root(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

#[cfg(test)]
mod tests;
