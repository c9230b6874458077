//! What `ctx load` sends: one request over and over, or signed webhooks.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Uri};

use crate::clock::SystemClock;
use crate::control::config::Platform;
use crate::error::{Code, Failure, Result};
use crate::load::dice::Dice;
use crate::load::drive::Supply;
use crate::load::sign::Secrets;
use crate::load::webhooks::{Mix, Webhooks};
use crate::load::{Address, Outgoing};
use crate::secret::{Secret, SecretRef, shown_url};
use crate::units::Percent;

/// The request.
#[derive(Debug, clap::Args)]
pub(super) struct Sent {
    /// Method of the request; POST when there is a body
    #[arg(long, value_name = "METHOD", conflicts_with = "webhooks")]
    method: Option<Method>,
    /// A header of the request, `Name: value`; may be repeated
    #[arg(short = 'H', long = "header", value_name = "HEADER", conflicts_with = "webhooks")]
    headers: Vec<String>,
    /// A header whose value is a secret, `Name=env:NAME` or `Name=file:PATH`
    #[arg(long = "secret-header", value_name = "NAME=REF", conflicts_with = "webhooks")]
    secret_headers: Vec<String>,
    /// Send the bytes of FILE as the body
    #[arg(long, value_name = "FILE", conflicts_with = "webhooks")]
    body: Option<PathBuf>,
    /// Send webhooks of this platform, instead of one request over and over
    #[arg(long, visible_alias = "webhook", value_enum, value_name = "PLATFORM")]
    webhooks: Option<Senders>,
    /// Sign a platform's webhooks with the secret at REF, `env:NAME` or `file:PATH`
    #[arg(long = "secret", value_name = "PLATFORM=REF", requires = "webhooks")]
    secrets: Vec<String>,
}

/// Whose webhooks to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Senders {
    Github,
    Slack,
    Linear,
    /// All three, and reads of `/` in between.
    All,
}

impl Senders {
    fn mix(self) -> Mix {
        let only =
            |platform| Mix { platforms: vec![platform], reads: Percent::ZERO, ..Mix::default() };
        match self {
            Self::Github => only(Platform::Github),
            Self::Slack => only(Platform::Slack),
            Self::Linear => only(Platform::Linear),
            Self::All => Mix::default(),
        }
    }
}

impl Sent {
    /// What is sent to `path`.
    pub(super) fn supply(&self, path: String) -> Result<Supply> {
        let Some(senders) = self.webhooks else {
            return Ok(Supply::Same(self.same(path)?));
        };
        if path != "/" {
            return Err(usage(format!("webhooks are not sent to `{}`", without_query(&path)))
                .why("each platform has a path of its own, such as `/github/events`")
                .hint("leave the path out of the address"));
        }
        let secrets = resolve(&self.secrets)?;
        // Each thread has dice of its own, so that no delivery id is sent twice.
        Ok(Supply::Each(Box::new(move || {
            let clock = Arc::new(SystemClock);
            Box::new(Webhooks::new(senders.mix(), secrets.clone(), clock, Dice::fresh()))
        })))
    }

    fn same(&self, path: String) -> Result<Outgoing> {
        let body = match &self.body {
            None => Bytes::new(),
            Some(file) => std::fs::read(file).map(Bytes::from).map_err(|error| {
                let what = format!("failed to read the body from `{}`", file.display());
                Failure::new(Code::Usage, what).because(&error)
            })?,
        };
        let mut headers = HeaderMap::new();
        headers.insert("user-agent", HeaderValue::from_static("ctx-load"));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        for line in &self.headers {
            let (name, value) = line
                .split_once(':')
                .and_then(|(name, value)| Some((header(name)?, value.trim().parse().ok()?)))
                .ok_or_else(|| {
                    usage("a `--header` is no header").hint("write it like `Accept: text/html`")
                })?;
            headers.insert(name, value);
        }
        for line in &self.secret_headers {
            let hint = "write it like `Authorization=env:NAME`";
            let unfit = || usage("a `--secret-header` is no header").hint(hint);
            let (name, reference) = line.split_once('=').ok_or_else(unfit)?;
            let secret = read(reference, &format!("the header {name}"))?;
            let mut value: HeaderValue = secret.expose().parse().map_err(|_| unfit())?;
            value.set_sensitive(true);
            headers.insert(header(name).ok_or_else(unfit)?, value);
        }
        let usual = if self.body.is_some() { Method::POST } else { Method::GET };
        let method = self.method.clone().unwrap_or(usual);
        Ok(Outgoing { method, path, headers, body, expect: 200, delivery: None })
    }
}

fn usage(what: impl Into<String>) -> Failure {
    Failure::new(Code::Usage, what)
}

fn header(name: &str) -> Option<HeaderName> {
    name.trim().parse().ok()
}

/// Reads a secret. References are parsed here rather than by clap, which repeats a value that it
/// refuses: it may be the secret itself, put there by mistake.
fn read(reference: &str, of: &str) -> Result<Secret> {
    let secret = reference.parse::<SecretRef>().and_then(|found| found.resolve());
    secret.map_err(|error| usage(format!("failed to read the secret of {of}")).because(&error))
}

fn resolve(references: &[String]) -> Result<Secrets> {
    let mut secrets = Secrets::default();
    for text in references {
        let (name, reference) = text.split_once('=').ok_or_else(|| {
            usage("a `--secret` names no platform").hint("write it like `github=env:NAME`")
        })?;
        let platform = Platform::ALL.into_iter().find(|platform| platform.name() == name);
        let platform = platform.ok_or_else(|| {
            usage("a `--secret` is for an unknown platform")
                .hint("use `github=`, `slack=` or `linear=`")
        })?;
        let secret = read(reference, name)?;
        match platform {
            Platform::Linear => secrets.linear = Some(secret),
            Platform::Github => secrets.github = Some(secret),
            Platform::Slack => secrets.slack = Some(secret),
        }
    }
    Ok(secrets)
}

/// The server and the path on it.
pub(super) fn target(url: &str) -> Result<(Address, String)> {
    let unfit = || {
        usage(format!("`{}` is not an address for load", shown_url(url)))
            .hint("write it like `http://127.0.0.1:7800/`")
    };
    let uri: Uri = url.parse().map_err(|_| unfit())?;
    if uri.scheme_str() == Some("https") {
        return Err(unfit()
            .why("it does not speak TLS: what is measured is the service, not its ciphers")
            .hint("use the port behind what ends TLS"));
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(unfit());
    };
    let address = format!("{scheme}://{authority}").parse().map_err(|_| unfit())?;
    Ok((address, path))
}

/// A query may hold a secret, and the summary is kept.
pub(super) fn without_query(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_path() {
        let check = |url: &str, expect: Option<(&str, &str)>| {
            let found = target(url).ok().map(|(address, path)| (address.to_string(), path));
            assert_eq!(found, expect.map(|(a, p)| (a.to_owned(), p.to_owned())), "{url}");
        };
        check("http://127.0.0.1:7800", Some(("http://127.0.0.1:7800", "/")));
        check("http://localhost:1/a?b=c", Some(("http://localhost:1", "/a?b=c")));
        check("localhost:1", None);
        check("https://127.0.0.1:1/", None);
        check("/a", None);
    }
}
