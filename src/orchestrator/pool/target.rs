//! Where connections go to, and how many of them are kept.

use std::sync::Arc;
use std::time::Duration;

use crate::control::config;

/// Where an upstream is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Arc<str>);

impl Address {
    /// The address in `http://HOST:PORT`; port 80 where there is none. `None` for anything else.
    pub fn of_url(url: &str) -> Option<Self> {
        let uri: hyper::Uri = url.parse().ok()?;
        let plain = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        plain.then(|| {
            let port = authority.port_u16().unwrap_or(80);
            Self(format!("{}:{port}", authority.host()).into())
        })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// How connections to an upstream are kept: `pool`, with what is different about this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Over all gateway workers.
    pub min: u32,
    pub max: Option<u32>,
    /// In each gateway worker.
    pub max_idle: usize,
    pub idle_timeout: Duration,
    /// How long a request waits when there are `max`.
    pub wait: Duration,
}

impl Limits {
    /// How long a request waits unless something else is said.
    const WAIT: Duration = Duration::from_secs(1);

    /// Resolves what `upstream` has of its own.
    pub fn of(pool: &config::Pool, upstream: &config::Upstream) -> Self {
        let own = upstream.pool.clone().unwrap_or_default();
        let max_idle = own.max_idle.unwrap_or(pool.max_idle);
        Self {
            min: own.min.unwrap_or(0),
            max: own.max,
            max_idle: usize::try_from(max_idle).unwrap_or(usize::MAX),
            idle_timeout: own.idle_timeout.unwrap_or(pool.idle_timeout),
            // Shorter than an answer may take, so that nobody takes a wait for a slow upstream.
            wait: own.wait.unwrap_or(Self::WAIT).min(upstream.timeout / 2),
        }
    }
}

/// Where a connection goes to, and within what limits.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub address: &'a Address,
    pub connect_timeout: Duration,
    pub limits: Limits,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_upstream_has_of_its_own_comes_first() {
        let pool = config::Pool { max_idle: 64, idle_timeout: Duration::from_secs(2) };
        let mut upstream = config::Upstream::at("http://legacy");
        let limits = Limits::of(&pool, &upstream);
        assert_eq!((limits.min, limits.max, limits.max_idle), (0, None, 64));
        assert_eq!((limits.idle_timeout, limits.wait), (pool.idle_timeout, Limits::WAIT));
        upstream.timeout = Duration::from_millis(400);
        upstream.pool = Some(config::UpstreamPool {
            min: Some(1),
            max: Some(3),
            max_idle: Some(2),
            idle_timeout: Some(Duration::from_secs(9)),
            wait: None,
        });
        let limits = Limits::of(&pool, &upstream);
        assert_eq!((limits.min, limits.max, limits.max_idle), (1, Some(3), 2));
        assert_eq!(limits.idle_timeout, Duration::from_secs(9));
        // Whoever waits for half of the time has the other half to be answered in.
        assert_eq!(limits.wait, Duration::from_millis(200));
    }

    #[test]
    fn an_upstream_is_a_host_and_a_port_and_nothing_else() {
        let address = |url| Address::of_url(url).map(|address| address.0.to_string());
        assert_eq!(address("http://127.0.0.1:8000").as_deref(), Some("127.0.0.1:8000"));
        assert_eq!(address("http://[::1]:8000/").as_deref(), Some("[::1]:8000"));
        assert_eq!(address("http://legacy").as_deref(), Some("legacy:80"));
        for bad in ["", "legacy:80", "https://legacy", "http://legacy/x", "http://u@legacy", "/x"] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }
}
