//! `ctx serve`: what it does about SIGTERM and SIGHUP, and when nobody reads its log.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use ctx::clock::{Clock, SystemClock};
use ctx::control::client::Client;
use ctx::control::config::Platform;
use ctx::control::observe::Status;
use ctx::control::wire::AuditKind;
use ctx::load::sign;
use ctx::load::sign::Secrets;
use ctx::load::webhooks::Mix;
use ctx::rehearsal::legacy::Legacy;
use ctx::secret::Secret;
use rustix::process::Signal;

use super::soaking;
use crate::shop::{operator, wait_for};
use crate::support::serve::{Serve, TOKEN};
use crate::support::traffic::Traffic;
use crate::support::{Test, until};

/// A legacy app that answers its one request when it is told to.
struct Held {
    url: String,
    /// Says that the request has arrived.
    arrived: mpsc::Receiver<()>,
    answer: mpsc::Sender<()>,
}

impl Held {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, arrived) = mpsc::channel();
        let (answer, told) = mpsc::channel();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = tell.send(());
            let _ = told.recv();
            let reply = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nlate";
            let _ = stream.write_all(reply.as_bytes());
        });
        Self { url, arrived, answer }
    }
}

/// The status of an answer, and its body.
fn get(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn sigterm_lets_a_request_in_flight_finish_and_lets_nobody_in() {
    let test = operator();
    let app = Held::start();
    let mut serve = Serve::start(&test, &app.url);
    let data = serve.data.clone();
    let request = std::thread::spawn(move || get(&data, "/slow"));
    app.arrived.recv_timeout(Duration::from_secs(30)).unwrap();
    serve.signal(Signal::TERM);
    until("nobody is let in", || TcpStream::connect(&serve.data).is_err().then_some(()));
    assert_eq!(serve.ended(), None, "a request is in flight");
    // Neither ends it early, nor counts as the second SIGTERM.
    serve.signal(Signal::HUP);
    app.answer.send(()).unwrap();
    let answer = request.join().unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("late"), "{answer}");
    assert_eq!(until("it ends", || serve.ended()), 0);
}

#[test]
fn a_second_sigterm_does_not_wait_for_anybody() {
    let test = operator();
    let app = Held::start();
    let mut serve = Serve::start(&test, &app.url);
    let data = serve.data.clone();
    let request = std::thread::spawn(move || get(&data, "/slow"));
    app.arrived.recv_timeout(Duration::from_secs(30)).unwrap();
    serve.signal(Signal::TERM);
    until("nobody is let in", || TcpStream::connect(&serve.data).is_err().then_some(()));
    serve.signal(Signal::TERM);
    assert_eq!(until("it ends", || serve.ended()), 0);
    drop(app);
    let _ = request.join().unwrap();
}

#[test]
fn what_is_provisional_at_sigterm_is_reverted_by_the_next_start() {
    let (mut shop, running) = soaking();
    let before = shop.serve.state();
    assert!(before.provisional.is_some());
    shop.serve.signal(Signal::TERM);
    assert_eq!(until("it ends", || shop.serve.ended()), 0);
    running.kill();
    shop.serve.restart(&shop.test);
    let after = shop.serve.state();
    assert_eq!((after.provisional, after.lease), (None, None));
    assert_ne!(after.config_hash, before.config_hash);
    let audit = shop.audit();
    let kinds: Vec<_> = audit.iter().map(|row| row.kind).rev().take(2).collect();
    assert_eq!(kinds, [AuditKind::Revert, AuditKind::Boot]);
}

/// What the gateway answers to a GitHub event that is signed with `secret`.
fn event(serve: &Serve, secret: &str) -> u16 {
    let body = r#"{"zen":"Keep it logically awesome."}"#;
    let at = SystemClock.wall();
    let signed = sign::headers(Platform::Github, Some(&Secret::new(secret)), body.as_bytes(), at);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut call = client
        .post(format!("http://{}/github/events", serve.data))
        .header("content-type", "application/json")
        .header("x-github-event", "ping")
        .header("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958");
    for (name, value) in signed {
        call = call.header(name, value);
    }
    wait_for(call.body(body).send()).unwrap().status().as_u16()
}

/// An orchestrator that checks GitHub's signatures, with its secret and its token in files.
fn guarded(test: &Test, legacy: &Legacy) -> Serve {
    test.write("github", "old-secret");
    test.write("token", TOKEN);
    let secret = format!("file:{}", test.path("github").display());
    let token = format!("file:{}", test.path("token").display());
    Serve::with(test, &legacy.url(), &["--github-secret", &secret, "--token", &token])
}

fn may(serve: &Serve, token: &str) -> bool {
    let client = Client::new(&format!("http://{}", serve.control), Some(Secret::new(token)));
    wait_for(client.state()).is_ok()
}

#[test]
fn sighup_reads_secrets_again_and_touches_nothing_else() {
    let test = operator().env("CONTEXTEN_ENHANCED_MODE", "true");
    let legacy = Legacy::start().unwrap();
    let serve = guarded(&test, &legacy);
    let before = serve.state();
    assert_eq!((event(&serve, "old-secret"), event(&serve, "new-secret")), (200, 401));

    // Senders go on signing with the old one, as long as nobody has told them.
    let old = Secrets { github: Some(Secret::new("old-secret")), ..Secrets::default() };
    let traffic = Traffic::start(serve.address(), 100.0, Mix::default(), old);
    test.write("github", "new-secret\n");
    test.write("token", "a-new-token-for-operators\n");
    assert_eq!(event(&serve, "new-secret"), 401, "nothing is read before it is asked for");
    serve.signal(Signal::HUP);
    until("the new secret is known", || (event(&serve, "new-secret") == 200).then_some(()));
    until("the new token is known", || may(&serve, "a-new-token-for-operators").then_some(()));
    assert_eq!(event(&serve, "old-secret"), 200, "both are good for now");
    assert!(may(&serve, TOKEN), "a run under way keeps its lease");
    let answered = traffic.answered();
    until("traffic goes on", || (traffic.answered() > answered + 20).then_some(()));
    traffic.stop().is_undisturbed();
    let after = serve.state();
    assert_eq!((after.head, &after.anchor), (before.head, &before.anchor), "no route has changed");

    // The rotation is over when they are read once more.
    serve.signal(Signal::HUP);
    until("the old secret is gone", || (event(&serve, "old-secret") == 401).then_some(()));
    until("the old token is gone", || (!may(&serve, TOKEN)).then_some(()));
    assert_eq!(event(&serve, "new-secret"), 200);
}

#[test]
fn a_secret_that_cannot_be_read_leaves_the_one_before_in_use() {
    let test = operator().env("CONTEXTEN_ENHANCED_MODE", "true");
    let legacy = Legacy::start().unwrap();
    let mut serve = guarded(&test, &legacy);
    std::fs::remove_file(test.path("github")).unwrap();
    test.write("token", "  \n");
    serve.signal(Signal::HUP);
    let log = || std::fs::read_to_string(test.path("serve.log")).unwrap();
    until("it says so", || log().contains("the secrets were read again").then_some(()));
    assert!(log().contains("a webhook secret was not read"), "{}", log());
    assert!(log().contains("the token stays as it is"), "{}", log());
    assert_eq!((event(&serve, "old-secret"), event(&serve, "x")), (200, 401), "never let through");
    assert!(may(&serve, TOKEN));
    assert_eq!(serve.ended(), None);
    for secret in ["old-secret", TOKEN] {
        assert!(!log().contains(secret));
    }
}

/// A process that does not outlive its test.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_orchestrator_whose_log_nobody_reads_goes_on() {
    let test = operator();
    let legacy = Legacy::start().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let free = "127.0.0.1:0";
    let child = test
        .command(&["serve", "--json", "--legacy", &legacy.url(), "--state", "state"])
        .args(["--listen", free, "--control", free])
        .env("CTX_LOG", "trace")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(writer)
        .spawn()
        .unwrap();
    let mut child = Guarded(child);
    // Whoever has read the log goes away, and then the one who has read the addresses.
    drop(reader);
    let mut line = String::new();
    let stdout = child.0.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
    let listening: serde_json::Value = serde_json::from_str(&line).unwrap();
    let data = listening["data"].as_str().unwrap().strip_prefix("http://").unwrap();
    for _ in 0..20 {
        let answer = get(data, "/").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    // A change is logged before it is in force; so it must be in force, not only on record.
    let control = listening["control"].as_str().unwrap();
    let plan = crate::shop::plan(control).replace(
        "\"cache.mode\" = \"read\"",
        "\"health.enabled\" = true, \"health.interval\" = \"100ms\"",
    );
    test.write(crate::shop::PLAN_FILE, &plan);
    test.run(&["migrate", "all", "--yes"]).exits(ctx::error::Code::Done);
    let client = Client::new(control, Some(Secret::new(TOKEN)));
    until("health is checked", || {
        (wait_for(client.health()).unwrap().status != Status::Unknown).then_some(())
    });
    rustix::process::kill_process(rustix::process::Pid::from_child(&child.0), Signal::TERM)
        .unwrap();
    let status = until("it ends", || child.0.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}
