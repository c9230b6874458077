//! Whether a sink could be told, without telling it anything.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::http;
use super::post::{Unsent, secret};
use crate::plan::alerts::Destination;
use crate::settings::environment;

/// Looks whether a sink's secrets are there, and somebody at its address, or its program.
///
/// # Errors
/// A sentence about what is missing, without an address that is secret.
pub async fn reach(to: &Destination) -> Result<(), String> {
    let reached = match to {
        Destination::Webhook { address } => match secret(address) {
            Ok(address) => http::reach(address.expose()).await,
            Err(unsent) => Err(unsent),
        },
        Destination::Alertmanager { url, token } => {
            match token.as_deref().map(secret).transpose() {
                Ok(_) => http::reach(url).await,
                Err(unsent) => Err(unsent),
            }
        }
        Destination::Pagerduty { key, url } => match secret(key) {
            Ok(_) => http::reach(url).await,
            Err(unsent) => Err(unsent),
        },
        Destination::Command { argv } => program(argv.first().map_or("", String::as_str)),
    };
    reached.map_err(|unsent| unsent.why)
}

/// Whether there is such a program, where the shell would look for it.
fn program(name: &str) -> Result<(), Unsent> {
    let runs = |path: &Path| {
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let path = environment("PATH").unwrap_or_default();
    let found = if name.contains('/') {
        runs(Path::new(name))
    } else {
        std::env::split_paths(&path).any(|folder| runs(&folder.join(name)))
    };
    if found { Ok(()) } else { Err(Unsent::for_good(format!("there is no program `{name}`"))) }
}
