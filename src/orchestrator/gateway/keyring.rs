//! The webhook secrets that the configuration refers to, as they were last read.
//!
//! The law: a secret that cannot be read any more leaves the one that was read before in use. It
//! is read when a revision first names it, and again when an operator says so; a revision that
//! names what is known already reads nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::control::config::Config;
use crate::secret::{Rotating, Secret, SecretError, SecretRef};

/// Secrets by their reference, such as `file:/etc/ctx/github`.
#[derive(Debug, Default)]
pub(crate) struct Keyring(BTreeMap<String, Rotating>);

impl Keyring {
    /// The secret behind a reference, if it could ever be read.
    pub(super) fn get(&self, reference: &str) -> Option<&Rotating> {
        self.0.get(reference)
    }

    /// Reads what `config` names and is not known yet, and forgets what it does not name.
    pub(crate) fn follow(&mut self, config: &Config) {
        let named: BTreeSet<&str> =
            config.routes.values().filter_map(|route| route.secret.as_deref()).collect();
        self.0.retain(|reference, _| named.contains(reference.as_str()));
        for reference in named {
            if !self.0.contains_key(reference)
                && let Some(secret) = read(reference)
            {
                self.0.insert(reference.to_owned(), Rotating::new(secret));
            }
        }
    }

    /// Reads every secret that `config` names again.
    pub(crate) fn reload(&mut self, config: &Config) {
        for (reference, known) in &mut self.0 {
            if let Some(secret) = read(reference) {
                known.turn(secret);
            }
        }
        self.follow(config);
    }
}

fn read(reference: &str) -> Option<Secret> {
    let secret = reference.parse::<SecretRef>().and_then(|reference| reference.resolve());
    let report = |error: &SecretError| tracing::error!(%error, "a webhook secret was not read");
    secret.inspect_err(report).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(file: &std::path::Path) -> Config {
        let mut config = Config::legacy("http://127.0.0.1:1");
        let route = config.routes.values_mut().next().expect("it has routes");
        route.secret = Some(format!("file:{}", file.display()));
        config
    }

    #[test]
    fn a_secret_that_cannot_be_read_any_more_stays_in_use() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "first").unwrap();
        let (mut keyring, config) = (Keyring::default(), config(file.path()));
        let reference = format!("file:{}", file.path().display());
        let accepted = |keyring: &Keyring| {
            let known = keyring.get(&reference).map(Rotating::accepted).into_iter().flatten();
            known.map(|secret| secret.expose().to_owned()).collect::<Vec<_>>()
        };
        keyring.follow(&config);
        assert_eq!(accepted(&keyring), ["first"]);
        // Another revision that names it reads nothing.
        std::fs::write(file.path(), "second").unwrap();
        keyring.follow(&config);
        assert_eq!(accepted(&keyring), ["first"]);
        keyring.reload(&config);
        assert_eq!(accepted(&keyring), ["second", "first"]);
        std::fs::write(file.path(), "").unwrap();
        keyring.reload(&config);
        assert_eq!(accepted(&keyring), ["second", "first"], "unread is not replaced");
        std::fs::write(file.path(), "second").unwrap();
        keyring.reload(&config);
        assert_eq!(accepted(&keyring), ["second"], "and the rotation is over");
        keyring.follow(&Config::legacy("http://127.0.0.1:1"));
        assert!(accepted(&keyring).is_empty(), "what nothing names is forgotten");
    }
}
