//! A real FastAPI app and the built-in legacy app have one surface.

use std::collections::BTreeSet;
use std::sync::Arc;

use ctx::clock::SystemClock;
use ctx::load::dice::Dice;
use ctx::load::sign::Secrets;
use ctx::load::webhooks::{Mix, Webhooks};
use ctx::load::{Outgoing, Source};
use ctx::rehearsal::legacy::Legacy;
use ctx::secret::Secret;
use ctx::units::Percent;
use serde_json::Value;

use crate::support::uvicorn::Uvicorn;

/// What can be compared of an answer: JSON as a value, anything else as text.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    content_type: String,
    body: Result<Value, String>,
}

struct Client(reqwest::Client);

impl Client {
    fn new() -> Self {
        Self(reqwest::Client::builder().no_proxy().build().unwrap())
    }

    async fn send(&self, base: &str, request: &Outgoing) -> Answer {
        let sent = self.0.request(request.method.clone(), format!("{base}{}", request.path));
        let sent = sent.headers(request.headers.clone()).body(request.body.clone());
        let response = sent.send().await.unwrap();
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        Answer { status, content_type, body: serde_json::from_str(&text).map_err(|_| text) }
    }
}

fn request(method: &str, path: &str, headers: &[(&'static str, &str)], body: &str) -> Outgoing {
    let headers =
        headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    Outgoing {
        method: method.parse().unwrap(),
        path: path.to_owned(),
        headers: headers.collect(),
        body: body.to_owned().into(),
        expect: 0,
        delivery: None,
    }
}

#[tokio::test]
async fn the_app_answers_its_surface() {
    let Some(app) = Uvicorn::start() else { return };
    let (client, app) = (Client::new(), &app);
    let check = async |request: Outgoing, status: u16, pointer: &str, expect: &str| {
        let answer = client.send(app.url(), &request).await;
        assert_eq!(answer.status, status, "{request:?}: {answer:?}");
        let text = answer.body.as_ref().map(|json| json[pointer].as_str());
        assert_eq!(text, Ok(Some(expect)), "{request:?}: {answer:?}");
    };
    let issue = r#"{"type":"Issue","action":"create"}"#;
    let handled = "Linear event Issue.create handled";
    let linear = request("POST", "/linear/events", &[("linear-delivery", "l-1")], issue);
    check(linear, 200, "message", handled).await;
    let github = [("x-github-event", "watch"), ("x-github-delivery", "g-1")];
    let github = request("POST", "/github/events", &github, "{}");
    check(github, 200, "message", "no handler for GitHub event watch").await;
    let challenge = r#"{"type":"url_verification","challenge":"c-1"}"#;
    check(request("POST", "/slack/events", &[], challenge), 200, "challenge", "c-1").await;
    let refused = request("POST", "/slack/events", &[], "{}");
    check(refused, 500, "detail", "SlackEvent: type is missing").await;
    let handled = app.handled().await;
    assert_eq!(handled.keys().map(String::as_str).collect::<BTreeSet<_>>(), ["g-1", "l-1"].into());
}

#[tokio::test]
async fn the_built_in_app_answers_every_request_as_the_real_one_does() {
    let Some(app) = Uvicorn::start() else { return };
    let legacy = Legacy::start().unwrap();
    let url = legacy.url();
    let client = Client::new();
    let mix = Mix { refused: Percent::whole(10), unknown: Percent::whole(10), ..Mix::default() };
    let secret = || Some(Secret::new("hush"));
    let secrets = Secrets { linear: secret(), github: secret(), slack: secret() };
    let mut webhooks = Webhooks::new(mix, secrets, Arc::new(SystemClock), Dice::new(2026));
    let generated = std::iter::repeat_with(|| webhooks.next()).take(500);
    let by_hand = [
        ("GET", "/linear/events", ""),
        ("PUT", "/", ""),
        ("GET", "/elsewhere", ""),
        ("POST", "/linear/events", ""),
        ("POST", "/linear/events", r#"{"type":7,"action":"create"}"#),
        ("POST", "/linear/events", "null"),
        ("POST", "/github/events", "payload=%7B%7D"),
        ("POST", "/github/events", "{}"),
        ("POST", "/slack/events", r#"{"type":"url_verification"}"#),
        ("POST", "/slack/events", r#"{"type":"app_rate_limited"}"#),
        ("POST", "/slack/events", r#"{"type":"event_callback","event":[]}"#),
    ];
    let by_hand = by_hand.map(|(method, path, body)| request(method, path, &[], body));
    let mut statuses = BTreeSet::new();
    for request in generated.chain(by_hand) {
        let (real, built_in) =
            tokio::join!(client.send(app.url(), &request), client.send(&url, &request));
        assert_eq!(built_in, real, "{request:?}");
        assert!(request.expect == 0 || request.expect == real.status, "{request:?}");
        statuses.insert(real.status);
    }
    assert_eq!(statuses, [200, 404, 405, 500].into());
    let handled = app.handled().await;
    assert_eq!(handled.len(), legacy.handled().events());
    assert!(handled.keys().all(|delivery| legacy.handled().times(delivery) == 1));
}
