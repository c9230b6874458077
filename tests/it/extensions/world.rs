//! An orchestrator that runs `program.py` for Linear's events, and senders before it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use ctx::control::config::{Config, Extension, Mode, Platform, flag};
use ctx::control::observe::{ExtensionState, ExtensionView, Metrics};
use ctx::rehearsal::legacy::Legacy;
use ctx::units::Percent;
use serde_json::{Value, json};

use crate::support::serve::{Serve, TOKEN};
use crate::support::{Ran, Test, block_on, peer, until};

pub(super) const ID: &str = "probe";

pub(super) struct World {
    pub(super) serve: Serve,
    pub(super) test: Test,
    _legacy: Legacy,
}

/// An answer to an event.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// What the program's header says, or nothing for another handler.
    pub(super) says: String,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl World {
    /// In enhanced mode, with every event to extensions; `None` where there is no Python.
    pub(super) fn new() -> Option<Self> {
        Self::under(&[])
    }

    /// As [`World::new`], with more in the orchestrator's environment.
    pub(super) fn under(env: &[(&str, &str)]) -> Option<Self> {
        peer::require("python")?;
        let mut test = Test::new().env("CTX_TOKEN", TOKEN);
        for (name, value) in env {
            test = test.env(name, value);
        }
        test.write("programs/program.py", include_str!("program.py"));
        let legacy = Legacy::start().unwrap();
        let serve = Serve::with(&test, &legacy.url(), &["--programs", "programs"]);
        let world = Self { serve, test, _legacy: legacy };
        world.serve.set(|config| {
            config.mode = Mode::Enhanced;
            config.legacy_fallback = false;
            let flag = config.flags.get_mut(flag::EXTENSION_MANAGEMENT).unwrap();
            (flag.enabled, flag.percentage) = (true, Percent::ALL);
        });
        Some(world)
    }

    /// Installs the program, and waits until it runs.
    pub(super) fn install(&self, version: &str, more: Value) {
        self.put(version, more);
        self.until_running(version);
    }

    /// Puts a revision in force that has the program in this version.
    pub(super) fn put(&self, version: &str, more: Value) {
        self.serve.set(|config| insert(config, version, more));
    }

    pub(super) fn ctx(&self, args: &[&str]) -> Ran {
        let url = format!("http://{}", self.serve.control);
        self.test.run(&[args, &["--orchestrator", &url]].concat())
    }

    pub(super) fn view(&self) -> Option<ExtensionView> {
        let list = block_on(self.serve.client().extensions()).unwrap();
        list.extensions.into_iter().find(|view| view.id == ID)
    }

    /// Waits until the program is in a state as it should be.
    #[track_caller]
    pub(super) fn until(
        &self,
        what: &str,
        holds: impl Fn(&ExtensionView) -> bool,
    ) -> ExtensionView {
        let mut last = None;
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until(what, || {
                last = self.view();
                last.clone().filter(&holds)
            })
        }));
        found.unwrap_or_else(|_| panic!("not `{what}`: {last:?}"))
    }

    #[track_caller]
    pub(super) fn until_running(&self, version: &str) -> ExtensionView {
        self.until("running", |view| {
            view.state == ExtensionState::Running
                && view.version == version
                && view.replicas == view.wanted
        })
    }

    /// Sends one event of Linear's.
    pub(super) fn send(&self, body: &Value) -> Answer {
        block_on(post(&self.serve.data, body))
    }

    pub(super) fn metrics(&self) -> Metrics {
        block_on(self.serve.client().metrics(Some(0))).unwrap()
    }

    /// The text of `/metrics`.
    pub(super) fn exposition(&self) -> String {
        let url = format!("http://{}/metrics", self.serve.control);
        block_on(async {
            let answer = client().get(url).bearer_auth(TOKEN).send().await.unwrap();
            answer.text().await.unwrap()
        })
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.test.path("serve.log")).unwrap()
    }

    /// Sends events from `senders` at once until it is stopped.
    pub(super) fn load(&self, senders: usize) -> Load {
        Load::start(&self.serve.data, senders)
    }
}

/// Runs the same thing `count` times at once.
async fn futures<F: Future<Output = ()>>(count: usize, one: impl Fn(usize) -> F) {
    let mut all: Vec<_> = (0..count).map(|n| Box::pin(one(n))).collect();
    std::future::poll_fn(|cx| {
        all.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// Events that keep coming. Stops when dropped.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    answers: Arc<Mutex<Vec<Answer>>>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    /// Sends events to the gateway at `data` from `senders` at once.
    pub(super) fn start(data: &str, senders: usize) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let answers = Arc::<Mutex<Vec<Answer>>>::default();
        let (data, stopped, noted) = (data.to_owned(), Arc::clone(&stop), Arc::clone(&answers));
        let thread = std::thread::spawn(move || {
            block_on(async {
                let client = client();
                let one = |_| async {
                    while !stopped.load(Ordering::SeqCst) {
                        let answer = send(&client, &data, &json!({})).await;
                        noted.lock().unwrap().push(answer);
                    }
                };
                futures(senders, one).await;
            });
        });
        let load = Self { stop, answers, thread: Some(thread) };
        load.more(10);
        load
    }

    /// Waits until this many more were answered.
    #[track_caller]
    pub(super) fn more(&self, count: usize) {
        let now = self.answers.lock().unwrap().len();
        until("more answers", || (self.answers.lock().unwrap().len() >= now + count).then_some(()));
    }

    /// Stops, and gives every answer in order.
    pub(super) fn stop(mut self) -> Vec<Answer> {
        self.halt();
        std::mem::take(&mut *self.answers.lock().unwrap())
    }

    fn halt(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.halt();
        }
    }
}

/// The extension `program.py` in this version, with more keys of its manifest.
#[expect(clippy::needless_pass_by_value, reason = "stories write it in place")]
pub(super) fn extension(version: &str, more: Value) -> Extension {
    let mut value = json!({
        "name": "Probe", "version": version, "category": "event_processor",
        "platform": Platform::Linear.name(), "kind": "process",
        "command": [peer::python(), "-B", "./program.py"],
        "config": { "say": version },
        "config_schema": {
            "say": { "type": "string" }, "start": { "type": "string" },
            "pause_ms": { "type": "integer", "default": 0 },
        },
    });
    for (key, more) in more.as_object().unwrap() {
        match (value.get_mut(key), more) {
            (Some(Value::Object(has)), Value::Object(more)) => has.extend(more.clone()),
            _ => value[key] = more.clone(),
        }
    }
    serde_json::from_value(value).unwrap()
}

pub(super) fn insert(config: &mut Config, version: &str, more: Value) {
    config.extensions.insert(ID.parse().unwrap(), extension(version, more));
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap()
}

/// Sends one event of Linear's to the gateway at `data`.
pub(super) async fn post(data: &str, body: &Value) -> Answer {
    send(&client(), data, body).await
}

async fn send(client: &reqwest::Client, data: &str, wish: &Value) -> Answer {
    // The legacy app takes nothing less for an event.
    let mut body = json!({ "type": "Issue", "action": "create" });
    body.as_object_mut().unwrap().extend(wish.as_object().unwrap().clone());
    let url = format!("http://{data}/linear/events?team=core");
    let request = client.post(url).header("linear-delivery", "d-7").header("x-more", "1");
    let answer = request.body(body.to_string()).send().await.expect("the gateway answers");
    let says = answer.headers().get("x-says");
    let says = says.map_or(String::new(), |says| says.to_str().unwrap().to_owned());
    let status = answer.status().as_u16();
    Answer { status, says, text: answer.text().await.expect("the answer is whole") }
}

/// Whether a process of this number is there, and no zombie.
pub(super) fn is_alive(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}
