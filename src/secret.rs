//! Secrets, by reference only.
//!
//! A plan, a setting and a configuration name where a secret is, never the secret: `env:NAME` or
//! `file:PATH`. The value lives in [`Secret`], which has no `Display`, no `Serialize`, and a
//! `Debug` that shows nothing.
//!
//! What a secret's value is, is remembered for as long as the process lives, so that a text from
//! outside, such as what a program said before it failed, can be shown without it: [`redacted`].

use std::borrow::Cow;
use std::fmt;
use std::fs;
use std::str::FromStr;
use std::sync::{PoisonError, RwLock};

/// The variable that holds the operators' token unless a plan or a flag names another place.
pub const TOKEN_VARIABLE: &str = "CTX_TOKEN";

/// Shorter values are not covered in texts: what they cover would mostly be something else.
const COVERED_FROM: usize = 8;

/// Every secret that this process has had in its hands.
static KNOWN: RwLock<Known> = RwLock::new(Known { values: Vec::new(), variables: Vec::new() });

struct Known {
    values: Vec<String>,
    variables: Vec<String>,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    Env(String),
    File(String),
}

/// A secret's value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// A secret that can be replaced while it is in use: what was made with the one before it is good
/// as well, until it is read once more and is still the same.
#[derive(Clone, Debug)]
pub struct Rotating {
    current: Secret,
    previous: Option<Secret>,
}

impl Rotating {
    /// Begins with one secret.
    pub const fn new(current: Secret) -> Self {
        Self { current, previous: None }
    }

    /// Takes what was read now. Another secret moves the current one to the second place; the same
    /// one ends a rotation.
    pub fn turn(&mut self, read: Secret) {
        if read == self.current {
            self.previous = None;
        } else {
            self.previous = Some(std::mem::replace(&mut self.current, read));
        }
    }

    /// The secrets that are good, the current one first.
    pub fn accepted(&self) -> impl Iterator<Item = &Secret> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

/// Why a secret cannot be had. Never contains the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("`{0}` is not a reference to a secret; write `env:NAME` or `file:PATH`")]
    NotAReference(String),
    #[error("the environment variable `{0}` is not set")]
    NotSet(String),
    #[error("failed to read the secret in `{0}`")]
    Unreadable(String, #[source] std::io::Error),
    #[error("the secret in `{0}` is empty")]
    Empty(String),
}

impl FromStr for SecretRef {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.to_owned())),
            _ => Err(SecretError::NotAReference(glimpse(text))),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
        }
    }
}

impl SecretRef {
    /// Reads the secret. Surrounding white space of a file is dropped.
    ///
    /// # Errors
    /// When it is not set, not readable, or empty.
    pub fn resolve(&self) -> Result<Secret, SecretError> {
        let value = match self {
            #[expect(clippy::disallowed_methods, reason = "secrets are never kept in settings")]
            Self::Env(name) => {
                std::env::var(name).map_err(|_| SecretError::NotSet(name.clone()))?
            }
            Self::File(path) => fs::read_to_string(path)
                .map_err(|error| SecretError::Unreadable(path.clone(), error))?,
        };
        if let Self::Env(name) = self {
            remember(|known| &mut known.variables, name);
        }
        match value.trim() {
            "" => Err(SecretError::Empty(self.to_string())),
            value => Ok(Secret::new(value)),
        }
    }
}

/// Enough of a text to know which one is meant. It may be the secret itself, put there by mistake:
/// no more than its first quarter, and at most four characters.
fn glimpse(text: &str) -> String {
    let shown = (text.chars().count() / 4).min(4);
    text.chars().take(shown).chain("...".chars()).collect()
}

fn remember(of: impl Fn(&mut Known) -> &mut Vec<String>, text: &str) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    let list = of(&mut known);
    if !list.iter().any(|one| one == text) {
        list.push(text.to_owned());
    }
}

/// A text without the secrets that this process knows.
pub fn redacted(text: &str) -> Cow<'_, str> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let values = known.values.iter().filter(|value| value.len() >= COVERED_FROM);
    values.fold(Cow::Borrowed(text), |text, value| {
        if text.contains(value.as_str()) {
            Cow::Owned(text.replace(value.as_str(), "[secret]"))
        } else {
            text
        }
    })
}

/// The environment variables that hold a secret of ctx: a program that ctx starts goes without.
pub fn variables() -> Vec<String> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let own = known.variables.iter().filter(|name| *name != TOKEN_VARIABLE);
    std::iter::once(TOKEN_VARIABLE).chain(own.map(String::as_str)).map(str::to_owned).collect()
}

/// A URL as it may be shown: without credentials, and without what stands behind `?` or `#`,
/// which is where tokens are put by mistake.
pub fn shown_url(url: &str) -> String {
    let (url, rest) = match url.find(['?', '#']) {
        Some(at) => (&url[..at], &url[at..=at]),
        None => (url, ""),
    };
    let more = if rest.is_empty() { "" } else { "..." };
    match url.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.find("://").map_or("", |at| &before[..at + 3]);
            format!("{scheme}...@{host}{rest}{more}")
        }
        None => format!("{url}{rest}{more}"),
    }
}

impl Secret {
    /// Wraps a value that was made here, such as a fresh token.
    pub fn new(value: impl Into<String>) -> Self {
        let value = value.into();
        remember(|known| &mut known.values, &value);
        Self(value)
    }

    /// The value itself, at the one place that sends or compares it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_and_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hush\n").unwrap();
        let reference: SecretRef = format!("file:{}", file.path().display()).parse().unwrap();
        let secret = reference.resolve().unwrap();
        assert_eq!(secret.expose(), "hush");
        assert!(!format!("{secret:?}").contains("hush"));
        let error = "hush-hush-secret".parse::<SecretRef>().unwrap_err();
        assert!(!error.to_string().contains("hush-hush"), "{error}");
    }

    #[test]
    fn a_text_is_shown_without_the_secrets_that_are_known() {
        let _token = Secret::new("a-token-of-this-very-test");
        let _short = Secret::new("short");
        let said = redacted("sent `Bearer a-token-of-this-very-test` in short");
        assert_eq!(said, "sent `Bearer [secret]` in short");
        assert!(matches!(redacted("nothing in here"), Cow::Borrowed(_)));
        assert!(variables().contains(&TOKEN_VARIABLE.to_owned()));
    }

    #[test]
    fn a_url_is_shown_without_what_may_be_a_secret() {
        for (url, shown) in [
            ("http://127.0.0.1:1", "http://127.0.0.1:1"),
            ("http://ada:hush@127.0.0.1:1/a", "http://...@127.0.0.1:1/a"),
            ("http://ada:hu@sh@a", "http://...@a"),
            ("http://a/?token=hush", "http://a/?..."),
            ("http://a#hush@x", "http://a#..."),
            ("ada:hush@a", "...@a"),
            ("", ""),
        ] {
            assert_eq!(shown_url(url), shown);
        }
    }

    #[test]
    fn an_empty_or_missing_secret_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let reference = SecretRef::File(file.path().display().to_string());
        assert!(matches!(reference.resolve(), Err(SecretError::Empty(_))));
        let nowhere = SecretRef::Env("CTX_TEST_SURELY_NOT_SET".to_owned());
        assert!(matches!(nowhere.resolve(), Err(SecretError::NotSet(_))));
    }
}
