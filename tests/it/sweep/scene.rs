//! What all parts share: the FastAPI app behind `ctx serve`, other apps beside it, and a caller.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use ctx::control::config::{Config, Extension, Mode, Platform, Upstream, flag};
use ctx::ids::ExtensionId;
use ctx::rehearsal::legacy::Legacy;
use ctx::units::Percent;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use super::{MANY, Seen, Share};
use crate::support::plans;
use crate::support::scripted::Scripted;
use crate::support::serve::{Serve, TOKEN};
use crate::support::uvicorn::Uvicorn;
use crate::support::{Test, until};

/// Where the programs of extensions are, in folders as the manifests are beside the plan.
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");

/// An answer, as its caller sees it.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) aged: bool,
    pub(super) body: String,
}

/// Everything that runs. The last field ends last.
pub(super) struct Scene {
    pub(super) serve: Serve,
    /// Another app with the same surface.
    pub(super) next: Legacy,
    /// One that answers nothing but 500.
    pub(super) failing: Scripted,
    /// One that takes a while.
    pub(super) slow: Scripted,
    app: Uvicorn,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    sent: Cell<usize>,
    acknowledged: RefCell<Vec<String>>,
    _test: Test,
}

impl Scene {
    pub(super) fn new() -> Option<Self> {
        let app = Uvicorn::start()?;
        let test = Test::new().env("CTX_TOKEN", TOKEN).env("HUSH", "hush-hush");
        let more = ["--programs", PROGRAMS, "--workers", "1"];
        let serve = Serve::with(&test, app.url(), &more);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Some(Self {
            serve,
            next: Legacy::start().unwrap(),
            failing: Scripted::start(|_| (500, String::new())),
            slow: Scripted::start(|_| {
                #[expect(clippy::disallowed_methods, reason = "it takes a while")]
                std::thread::sleep(Duration::from_millis(400));
                (200, String::new())
            }),
            app,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            runtime: runtime.unwrap(),
            sent: Cell::new(0),
            acknowledged: RefCell::default(),
            _test: test,
        })
    }

    /// As many events of a platform as there are many, one after the other, each of a sender of
    /// its own.
    pub(super) fn events(&self, platform: Platform) -> Vec<Answer> {
        let mut answers = Vec::new();
        for sender in 0..MANY {
            let (delivery, request) = self.event(platform, sender);
            let answer = self.runtime.block_on(async { read(request.send().await.unwrap()).await });
            // What the others have handled is no business of the app's.
            if platform == Platform::Github && answer.status == 200 {
                self.acknowledged.borrow_mut().push(delivery);
            }
            answers.push(answer);
        }
        answers
    }

    /// As many events at once.
    pub(super) fn burst(&self, platform: Platform) {
        let requests: Vec<_> = (0..MANY).map(|sender| self.event(platform, sender).1).collect();
        self.runtime.block_on(async {
            let mut all = tokio::task::JoinSet::new();
            for request in requests {
                all.spawn(async move { request.send().await.unwrap().status() });
            }
            all.join_all().await;
        });
    }

    fn event(&self, platform: Platform, sender: usize) -> (String, RequestBuilder) {
        let n = self.sent.replace(self.sent.get() + 1);
        let delivery = format!("d-{n}");
        let body = json!({
            "type": if platform == Platform::Slack { "event_callback" } else { "Issue" },
            "action": "create", "event_id": delivery, "event": { "type": "message" },
            "actor": { "name": "Ada" },
        });
        let url = format!("http://{}/{}/events", self.serve.data, platform.name());
        let request = self.client.post(url).body(body.to_string());
        let request = match platform {
            Platform::Linear => request.header("linear-delivery", &delivery),
            Platform::Github => request
                .header("x-github-delivery", &delivery)
                .header("x-github-event", "push")
                .header("x-github-hook-id", sender.to_string()),
            Platform::Slack => request,
        };
        (delivery, request)
    }

    /// As many readers of the home page, each with a name of its own.
    pub(super) fn reads(&self) -> Vec<Answer> {
        let url = format!("http://{}/", self.serve.data);
        let one = |reader: usize| {
            let request = self.client.get(&url).header("x-reader", reader.to_string());
            self.runtime.block_on(async { read(request.send().await.unwrap()).await })
        };
        (0..MANY).map(one).collect()
    }

    /// Who of as many users an application would show a feature.
    pub(super) fn shown(&self, flag: &str) -> usize {
        let url = format!("http://{}/ofrep/v1/evaluate/flags/{flag}", self.serve.control);
        let one = |user: &usize| {
            let asked = json!({ "context": { "targetingKey": format!("user-{user}") } });
            let request = self.client.post(&url).bearer_auth(TOKEN).body(asked.to_string());
            let request = request.header("content-type", "application/json");
            let answer = self.runtime.block_on(async { read(request.send().await.unwrap()).await });
            serde_json::from_str::<Value>(&answer.body).unwrap()["value"] == true
        };
        (0..MANY).filter(one).count()
    }

    /// A document of the control API.
    pub(super) fn asks(&self, path: &str) -> Value {
        serde_json::from_str(&self.control(path)).unwrap()
    }

    /// The sum over every series of `/metrics` that begins so; 0 where there is none.
    pub(super) fn told(&self, series: &str) -> f64 {
        let told = self.control("/metrics");
        let lines = told.lines().filter(|line| line.starts_with(series));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }

    /// What is seen of requests: how many of them show it, which is by how much a counter grows.
    #[track_caller]
    pub(super) fn counted(&self, series: &str, shows: impl FnOnce() -> usize) -> Seen {
        let before = self.told(series);
        let outside = shows();
        let grown = until(&format!("{outside} of {series}"), || {
            let grown = whole(self.told(series) - before);
            (grown >= outside).then_some(grown)
        });
        assert_eq!(grown, outside, "{series}");
        Seen { outside: Share::of(outside, MANY), told: Share::of(grown, MANY) }
    }

    #[track_caller]
    pub(super) fn every_acknowledged_event_is_handled(&self) {
        let acknowledged = self.acknowledged.borrow();
        assert!(acknowledged.len() > 10 * MANY, "{}", acknowledged.len());
        until("every acknowledged event is handled", || {
            let handled = self.runtime.block_on(self.app.handled());
            let there = |id: &String| handled.contains_key(id) || self.next.handled().times(id) > 0;
            acknowledged.iter().all(there).then_some(())
        });
    }

    fn control(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.serve.control);
        let request = self.client.get(url).bearer_auth(TOKEN);
        let answer = self.runtime.block_on(async { read(request.send().await.unwrap()).await });
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }
}

async fn read(answer: Response) -> Answer {
    let (status, aged) = (answer.status().as_u16(), answer.headers().contains_key("age"));
    Answer { status, aged, body: answer.text().await.unwrap() }
}

/// A count that was told as a number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a small count")]
pub(super) fn whole(told: f64) -> usize {
    told.round() as usize
}

/// The strategy's own manifests, for the other app; and the example program's.
pub(super) fn manifests() -> Vec<(String, String)> {
    let mut all: Vec<_> = Platform::ALL
        .map(|platform| {
            let file = format!("extensions/{}.toml", platform.name());
            let text = plans::read(&file);
            (file, plans::changed(&text, &[("\"legacy\"", "\"next\"")]))
        })
        .into();
    for name in ["greeter.toml", "greeter.py"] {
        let text = std::fs::read_to_string(format!("{PROGRAMS}/extensions/{name}")).unwrap();
        all.push((format!("extensions/{name}"), text));
    }
    all
}

/// A flag for everybody.
pub(super) fn on(config: &mut Config, name: &str) {
    let flag = config.flags.get_mut(name).unwrap();
    (flag.enabled, flag.percentage) = (true, Percent::ALL);
}

/// The own processor takes every event, and this extension those of its platform: at the URL of an
/// app of its own.
pub(super) fn extended(config: &mut Config, platform: Platform, url: &str) {
    config.mode = Mode::Enhanced;
    on(config, flag::EXTENSION_MANAGEMENT);
    config.upstreams.insert("beside".to_owned(), Upstream::at(url));
    let name = platform.name();
    let extension: Extension = serde_json::from_value(json!({
        "name": name, "version": "1.0.0", "category": "platform_integration", "platform": name,
        "upstream": "beside", "path": format!("/{name}/events"),
    }))
    .unwrap();
    config.extensions.insert(format!("{name}-beside").parse::<ExtensionId>().unwrap(), extension);
}
