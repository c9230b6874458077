//! The durable inbox, from outside: what senders are told, and what handlers see.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ctx::control::client::Client;
use ctx::control::config::{Config, InboxMode, Mode, flag};
use ctx::error::Code;
use ctx::units::Percent;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::support::serve::{Serve, TOKEN};
use crate::support::{Test, block_on, until};

/// A request as the app saw it.
#[derive(Clone, Debug)]
struct Seen {
    headers: BTreeMap<String, String>,
    body: String,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    status: AtomicU16,
    down: AtomicBool,
}

/// A legacy app that can go away and come back at the same address.
struct App {
    addr: SocketAddr,
    shared: Arc<Shared>,
    running: Option<JoinHandle<()>>,
}

impl App {
    fn start() -> Self {
        let shared = Arc::new(Shared::default());
        shared.status.store(200, Ordering::SeqCst);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let running = Some(Self::serve(listener, &shared));
        Self { addr, shared, running }
    }

    fn serve(listener: TcpListener, shared: &Arc<Shared>) -> JoinHandle<()> {
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.down.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                thread::spawn(move || answer(&stream.unwrap(), &shared));
            }
        })
    }

    fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Nobody listens any more.
    fn goes_away(&mut self) {
        self.shared.down.store(true, Ordering::SeqCst);
        // The thread sees it with the next connection.
        drop(TcpStream::connect(self.addr));
        self.running.take().expect("it is running").join().unwrap();
    }

    fn comes_back(&mut self) {
        self.shared.down.store(false, Ordering::SeqCst);
        self.running = Some(Self::serve(TcpListener::bind(self.addr).unwrap(), &self.shared));
    }

    fn answers(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// The events it saw, by delivery id, and how often.
    fn deliveries(&self) -> BTreeMap<String, u32> {
        let mut deliveries = BTreeMap::new();
        for seen in self.seen() {
            if let Some(id) = seen.headers.get("x-github-delivery") {
                *deliveries.entry(id.clone()).or_default() += 1;
            }
        }
        deliveries
    }
}

/// Answers one request, and closes.
fn answer(stream: &TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line);
    }
    let headers: BTreeMap<String, String> = lines
        .iter()
        .skip(1)
        .filter_map(|line| line.trim().split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    shared.seen.lock().unwrap().push(Seen { headers, body });
    let status = shared.status.load(Ordering::SeqCst);
    let reply =
        format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: 7\r\n\r\nhandled");
    let _ = (&mut &*stream).write_all(reply.as_bytes());
}

struct World {
    app: App,
    serve: Serve,
    test: Test,
}

impl World {
    /// An orchestrator in enhanced mode whose inbox is in that mode, and retries at once.
    fn new(mode: InboxMode, more: &[&str], change: impl FnOnce(&mut Config)) -> Self {
        let test = Test::new().env("HOOK", "hush").env("CTX_TOKEN", TOKEN);
        let app = App::start();
        let serve = Serve::with(&test, &app.url(), more);
        let world = Self { app, serve, test };
        world.serve.set(|config| {
            config.mode = Mode::Enhanced;
            config.inbox.mode = mode;
            config.inbox.first_retry = Duration::from_millis(20);
            config.inbox.max_retry = Duration::from_millis(100);
            let flag = config.flags.get_mut(flag::DURABLE_INBOX).unwrap();
            (flag.enabled, flag.percentage) = (true, Percent::ALL);
            change(config);
        });
        world
    }

    fn client(&self) -> Client {
        self.serve.client()
    }

    fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.serve.data);
        block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let mut request = client.post(url).body(body.to_owned());
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        })
    }

    fn push(&self, delivery: &str) -> (u16, String) {
        self.post("/github/events", &[("x-github-delivery", delivery)], "{}")
    }

    fn until_counted(&self, what: &str, pending: u64, dead: u64) {
        let client = self.client();
        until(what, || {
            let view = block_on(client.inbox()).unwrap();
            (view.pending == pending && view.dead == dead).then_some(())
        });
    }

    fn ctx(&self, args: &[&str]) -> crate::support::Ran {
        let url = format!("http://{}", self.serve.control);
        let args = [args, &["--orchestrator", &url]].concat();
        self.test.run_with(&args, &[("CTX_TOKEN", TOKEN.to_owned())])
    }
}

fn ids(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| format!("d-{n}")).collect()
}

#[test]
fn an_app_that_is_down_costs_nothing_and_its_senders_never_know() {
    let mut world = World::new(InboxMode::Store, &[], |_| {});
    world.app.goes_away();
    for id in ids(0..60) {
        assert_eq!(world.push(&id), (200, "stored\n".to_owned()));
    }
    assert!(world.app.deliveries().is_empty());
    world.app.comes_back();
    world.until_counted("everything is handled", 0, 0);
    let deliveries = world.app.deliveries();
    assert_eq!(deliveries.keys().cloned().collect::<std::collections::BTreeSet<_>>(), {
        ids(0..60).into_iter().collect()
    });
    let metrics = block_on(world.client().metrics(Some(0))).unwrap();
    assert_eq!((metrics.counts.stored, metrics.counts.delivered), (60, 60));
    assert_eq!(metrics.counts.dead, 0);
    assert_eq!(metrics.arms["inbox"].errors, 0, "what the senders saw");
}

/// `cargo test --test it inbox::a_minute -- --ignored --nocapture`
#[test]
#[ignore = "it takes two minutes"]
fn a_minute_without_the_app_under_200_events_a_second() {
    let mut world = World::new(InboxMode::Store, &[], |config| {
        config.inbox.first_retry = Duration::from_secs(1);
        config.inbox.max_retry = Duration::from_secs(10);
    });
    world.app.goes_away();
    let began = tokio::time::Instant::now();
    let mut sent = 0;
    while began.elapsed() < Duration::from_secs(60) {
        let due = u32::try_from(began.elapsed().as_millis() / 5).unwrap();
        while sent < due {
            assert_eq!(world.push(&format!("d-{sent}")).0, 200);
            sent += 1;
        }
        thread::yield_now();
    }
    world.app.comes_back();
    let all = sent;
    let client = world.client();
    for _ in 0..20 {
        let pending = block_on(client.inbox()).unwrap().pending;
        if pending == 0 {
            break;
        }
        thread::park_timeout(Duration::from_secs(5));
    }
    world.until_counted("everything is handled", 0, 0);
    assert_eq!(world.app.deliveries().len(), all as usize);
}

#[test]
fn what_was_acknowledged_is_handled_after_a_crash() {
    let mut world = World::new(InboxMode::Store, &[], |_| {});
    world.app.goes_away();
    for id in ids(0..20) {
        assert_eq!(world.push(&id).0, 200);
    }
    let World { serve, test, .. } = &mut world;
    serve.restart(test);
    assert_eq!(block_on(world.client().inbox()).unwrap().pending, 20);
    world.app.comes_back();
    world.until_counted("everything is handled", 0, 0);
    assert_eq!(world.app.deliveries().len(), 20);
}

#[test]
fn a_delivery_that_comes_again_is_acknowledged_and_handled_once() {
    let mut world = World::new(InboxMode::Store, &[], |_| {});
    assert_eq!(world.push("twice").0, 200);
    world.until_counted("it is handled", 0, 0);
    assert_eq!(world.push("twice").0, 200);
    world.app.goes_away();
    assert_eq!(world.push("waits").0, 200);
    assert_eq!(world.push("waits").0, 200, "while it is not handled yet");
    world.app.comes_back();
    world.until_counted("both are handled", 0, 0);
    let handled = world.app.deliveries();
    assert_eq!(
        handled.into_iter().collect::<Vec<_>>(),
        [("twice".to_owned(), 1), ("waits".to_owned(), 1)]
    );
    let metrics = block_on(world.client().metrics(Some(0))).unwrap();
    assert_eq!(metrics.counts.duplicates, 2);
}

#[test]
fn a_rescued_event_is_one_whose_handler_failed() {
    let world = World::new(InboxMode::Rescue, &[], |_| {});
    assert_eq!(world.push("good"), (200, "handled".to_owned()), "the handler's own answer");
    world.app.answers(400);
    assert_eq!(world.push("refused"), (400, "handled".to_owned()), "so is a refusal");
    world.app.answers(503);
    assert_eq!(world.push("rescued"), (200, "stored\n".to_owned()));
    world.app.answers(200);
    world.until_counted("it is handled", 0, 0);
    let handled = world.app.deliveries();
    assert_eq!((handled["good"], handled["refused"]), (1, 1));
    assert!(handled["rescued"] >= 2, "once when it came, and then until it went well");
}

#[test]
fn what_no_handler_wants_is_a_dead_letter_until_it_is_replayed() {
    let world = World::new(InboxMode::Store, &[], |config| config.inbox.max_attempts = 3);
    world.app.answers(400);
    assert_eq!(world.push("bad").0, 200);
    world.until_counted("it is refused", 0, 1);
    world.app.answers(500);
    assert_eq!(world.push("poison").0, 200);
    world.until_counted("it failed thrice", 0, 2);
    assert_eq!(world.app.deliveries()["poison"], 3);
    let list = world.ctx(&["events", "dead"]).exits(Code::Done);
    assert!(list.stdout.contains("poison"), "{}", list.stdout);
    assert!(list.stdout.contains("bad"), "{}", list.stdout);
    let json = world.ctx(&["events", "dead", "--json"]).exits(Code::Done).json();
    let letters = json["letters"].as_array().unwrap();
    assert_eq!(letters[0]["why"], "the handler answered 400: it does not want it");
    assert_eq!(letters[1]["why"], "the handler answered 500; it failed 3 times");
    let id = letters[1]["id"].to_string();
    let shown = world.ctx(&["events", "show", &id]).exits(Code::Done);
    assert!(shown.stdout.contains("x-github-delivery: poison"), "{}", shown.stdout);
    world.app.answers(200);
    world.ctx(&["events", "replay", &id]).exits(Code::Done).says(&["1 dead letter tried again"]);
    world.until_counted("one of them is handled", 0, 1);
    let first = letters[0]["id"].to_string();
    world.ctx(&["events", "discard", &first, "--yes"]).exits(Code::Done);
    world.ctx(&["events", "replay", "--all"]).exits(Code::Done).says(&["0 dead letters"]);
    world.ctx(&["events", "replay", "999"]).exits(Code::Failure);
    world.ctx(&["events", "status"]).exits(Code::Done).says(&["0 pending, 0 dead"]);
}

#[test]
fn who_needs_the_handlers_own_answer_gets_it() {
    let world = World::new(InboxMode::Store, &[], |config| {
        config.routes.get_mut("linear").unwrap().synchronous = true;
    });
    let challenge = r#"{"type":"url_verification","challenge":"c"}"#;
    assert_eq!(world.post("/slack/events", &[], challenge), (200, "handled".to_owned()));
    let event = r#"{"type":"event_callback","event_id":"Ev1"}"#;
    assert_eq!(world.post("/slack/events", &[], event), (200, "stored\n".to_owned()));
    assert_eq!(world.post("/linear/events", &[], "{}"), (200, "handled".to_owned()));
}

fn hmac(secret: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[test]
fn a_late_event_is_signed_anew_and_vouched_for() {
    let mut world = World::new(InboxMode::Store, &["--slack-secret", "env:HOOK"], |_| {});
    world.app.goes_away();
    let body = r#"{"type":"event_callback","event_id":"Ev1"}"#;
    // As old as Slack's window allows, nearly.
    let time = (chrono::Utc::now().timestamp() - 290).to_string();
    let signature = format!("v0={}", hmac("hush", &format!("v0:{time}:{body}")));
    let headers = [
        ("x-slack-request-timestamp", time.as_str()),
        ("x-slack-signature", &signature),
        ("ctx-event-mac", "v1=forged"),
    ];
    assert_eq!(world.post("/slack/events", &headers, body).0, 200);
    let forged = [headers[0], ("x-slack-signature", "v0=0")];
    assert_eq!(world.post("/slack/events", &forged, body).0, 401);
    world.app.comes_back();
    world.until_counted("it is handled", 0, 0);
    let seen = world.app.seen().pop().unwrap();
    let of = |name: &str| seen.headers[name].as_str();
    assert_ne!(of("x-slack-request-timestamp"), time, "the app would refuse what is minutes old");
    let fresh = format!("v0:{}:{body}", of("x-slack-request-timestamp"));
    assert_eq!(of("x-slack-signature"), format!("v0={}", hmac("hush", &fresh)));
    let key = std::fs::read_to_string(world.test.path("state/event.key")).unwrap();
    let (rev, mac) = of("ctx-event-mac").strip_prefix("v1=").unwrap().split_once(':').unwrap();
    let hash = hex::encode(Sha256::digest(&seen.body));
    let word = format!("v1:slack:Ev1:{}:{hash}:{rev}", of("ctx-event-received"));
    assert_eq!(mac, hmac(key.trim(), &word));
    assert!(of("ctx-event-attempt").parse::<u32>().unwrap() >= 1);
}

#[test]
fn a_full_inbox_sends_senders_away() {
    let mut world = World::new(InboxMode::Store, &[], |config| config.inbox.capacity = 5);
    world.app.goes_away();
    for id in ids(0..5) {
        assert_eq!(world.push(&id).0, 200);
    }
    assert_eq!(world.push("one-more").0, 503);
    world.app.comes_back();
    world.until_counted("there is room again", 0, 0);
    assert_eq!(world.push("one-more").0, 200);
    let metrics = block_on(world.client().metrics(Some(0))).unwrap();
    assert_eq!(metrics.counts.shed, 1);
}

#[test]
fn the_inbox_is_turned_on_and_back_by_percentage() {
    let world = World::new(InboxMode::Store, &[], |config| {
        config.flags.get_mut(flag::DURABLE_INBOX).unwrap().percentage = Percent::whole(50);
    });
    let from = |hook: &str| {
        let headers = [("x-github-hook-id", hook)];
        world.post("/github/events", &headers, "{}").1
    };
    let hooks: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    let first: Vec<String> = hooks.iter().map(|hook| from(hook)).collect();
    let stored = first.iter().filter(|said| *said == "stored\n").count();
    assert!((8..=32).contains(&stored), "about half of 40: {stored}");
    let again: Vec<String> = hooks.iter().map(|hook| from(hook)).collect();
    assert_eq!(first, again, "a sender stays on its side");
    world.serve.set(|config| config.inbox.mode = InboxMode::Off);
    assert!(hooks.iter().all(|hook| from(hook) == "handled"));
}
