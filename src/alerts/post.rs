//! Sending one alert to one sink, again while that may help.

use std::time::Duration;

use super::alert::Alert;
use super::{command, http, sinks};
use crate::plan::alerts::{AlertSink, Destination};
use crate::secret::{Secret, SecretRef};
use crate::units::duration;

/// The pauses between attempts: about eight seconds, within which most restarts are over.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Why an alert was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// Never holds an address or a secret.
    pub why: String,
    /// Whether it may be taken later.
    pub again: bool,
    /// How long the sink asks to be left alone.
    pub after: Option<Duration>,
}

impl Unsent {
    pub(super) fn for_now(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: true, after: None }
    }

    pub(super) fn for_good(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: false, after: None }
    }
}

/// Sends an alert, and sends it again until it is taken, refused for good, or tried often enough.
///
/// # Errors
/// With the last reason, and how often it was tried.
pub(super) async fn deliver(sink: &AlertSink, alert: &Alert) -> Result<(), (Unsent, usize)> {
    let mut tried = 0;
    loop {
        let Err(unsent) = send(sink, alert).await else { return Ok(()) };
        tried += 1;
        let Some(pause) = pause(tried, &unsent) else { return Err((unsent, tried)) };
        tokio::time::sleep(pause).await;
    }
}

/// How long to wait after the attempt of this number, from 1; none to give up.
fn pause(tried: usize, unsent: &Unsent) -> Option<Duration> {
    let own = PAUSES.get(tried.checked_sub(1)?).filter(|_| unsent.again)?;
    Some(unsent.after.map_or(*own, |asked| asked.max(*own)))
}

/// Sends an alert once.
///
/// # Errors
/// When it was not taken within the sink's time.
pub async fn send(sink: &AlertSink, alert: &Alert) -> Result<(), Unsent> {
    let attempt = tokio::time::timeout(sink.timeout, once(&sink.to, alert)).await;
    attempt.unwrap_or_else(|_| {
        let within = duration::format(sink.timeout);
        Err(Unsent::for_now(format!("it did not take the alert within {within}")))
    })
}

async fn once(to: &Destination, alert: &Alert) -> Result<(), Unsent> {
    match to {
        Destination::Webhook { address } => {
            let address = secret(address)?;
            http::post(address.expose(), None, sinks::webhook::body(alert).to_string()).await
        }
        Destination::Alertmanager { url, token } => {
            let token = token.as_deref().map(secret).transpose()?;
            let url = format!("{url}{}", sinks::alertmanager::PATH);
            http::post(&url, token.as_ref(), sinks::alertmanager::body(alert).to_string()).await
        }
        Destination::Pagerduty { key, url } => {
            let body = sinks::pagerduty::body(alert, &secret(key)?).to_string();
            http::post(&format!("{url}{}", sinks::pagerduty::PATH), None, body).await
        }
        Destination::Command { argv } => {
            command::give(argv, &sinks::command::body(alert).to_string()).await
        }
    }
}

/// Follows a reference, each time anew: secrets change.
pub(super) fn secret(reference: &str) -> Result<Secret, Unsent> {
    let found = reference.parse::<SecretRef>().and_then(|reference| reference.resolve());
    found.map_err(|error| Unsent::for_good(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_it_was_tried_often_enough() {
        let now = Unsent::for_now("it answered 500");
        let pauses: Vec<_> = (1..=6).map(|tried| pause(tried, &now)).collect();
        assert!(pauses[..5].windows(2).all(|two| two[0] < two[1]), "{pauses:?}");
        assert_eq!(pauses[5], None);
        assert_eq!(pause(1, &Unsent::for_good("it answered 400")), None);
    }

    #[test]
    fn a_sink_that_asks_for_time_gets_it() {
        let asked = Unsent { after: Some(Duration::from_secs(7)), ..Unsent::for_now("429") };
        assert_eq!(pause(1, &asked), Some(Duration::from_secs(7)));
        assert_eq!(pause(6, &asked), None);
    }
}
