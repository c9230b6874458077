//! Connections: who gets one, how it ends, and what a restart means for it.

mod callers;
mod connections;
mod control;
mod drain;
mod files;
mod handover;
mod zero;

use ctx::secret::Secret;

use crate::support::Test;
use crate::support::serve::TOKEN;

/// A project whose orchestrator has the tests' token.
fn project() -> Test {
    Test::new().env("CTX_TOKEN", TOKEN)
}

/// The answer to a `GET` of the control API.
fn asked(control: &str, path: &str) -> Option<(u16, String)> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(format!("http://{control}{path}")).bearer_auth(TOKEN);
    crate::support::block_on(async {
        let answer = request.send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    })
}

/// What a webhook is signed with.
fn secret(text: &str) -> Secret {
    Secret::new(text)
}
