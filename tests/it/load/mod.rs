//! `ctx load`, as whoever uses it sees it: against servers whose behaviour is known.

mod server;

use std::time::Duration;

use ctx::error::Code;
use ctx::rehearsal::legacy::Legacy;
use serde_json::Value;

use crate::support::serve::{Serve, TOKEN};
use crate::support::{Ran, Test, until};
use server::{AT_ONCE, Deed, Server};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Runs `ctx load URL ARGS`.
#[track_caller]
fn load(url: &str, args: &[&str]) -> Ran {
    Test::new().run(&[&["load", url], args].concat())
}

/// The outcome of `ctx load URL ARGS --json`.
#[track_caller]
fn outcome(url: &str, args: &[&str]) -> Value {
    load(url, &[args, &["--json"]].concat()).exits(Code::Done).json()
}

/// A figure of an outcome, such as `/latency/p99_ms`.
#[track_caller]
fn figure(outcome: &Value, path: &str) -> f64 {
    let found = outcome.pointer(path).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("no {path} in {outcome}"))
}

#[test]
fn a_rate_is_kept_while_it_lasts() {
    let server = Server::prompt();
    let json = outcome(&server.url(), &["--rate", "200", "--lasts", "1s"]);
    assert_eq!((&json["sent"], &json["answered"]), (&200.into(), &200.into()), "{json}");
    assert_eq!((&json["model"], &json["errors"]), (&"open".into(), &0.into()), "{json}");
    assert!((figure(&json, "/rate_wanted") - 200.0).abs() < 0.1, "{json}");
    let seen = server.seen();
    assert_eq!(seen.len(), 200);
    // The last of them is due after 995 ms, and none leaves early; the first may have been late.
    let took = seen[199].arrived - seen[0].arrived;
    assert!(took > MS(800), "{took:?}");
    assert!(server.connections() > 1, "a rate is spread over connections");
}

#[test]
fn a_ramp_sends_the_area_under_it() {
    let server = Server::prompt();
    let json = outcome(&server.url(), &["--stage", "800ms:0..200/s", "--stage", "100ms:200/s"]);
    assert_eq!(json["sent"], 80 + 20, "{json}");
    let seen = server.seen();
    let early = seen.iter().filter(|seen| seen.arrived - server.seen()[0].arrived < MS(400));
    // A quarter of the ramp's requests lie in its first half, and a half would be no ramp.
    assert!(early.count() < 40, "{seen:?}");
}

#[test]
fn connections_are_as_many_as_asked_for_and_each_is_kept() {
    let server = Server::prompt();
    let json = outcome(&server.url(), &["--connections", "3", "--requests", "300"]);
    assert_eq!((server.seen().len(), server.connections()), (300, 3));
    assert_eq!((&json["sent"], &json["model"]), (&300.into(), &"closed".into()), "{json}");
    assert!(json["rate_wanted"].is_null(), "{json}");
    assert!(json["latency_from"].as_str().unwrap().contains("service times"), "{json}");
}

#[test]
fn so_many_requests_are_sent_and_no_more() {
    let server = Server::prompt();
    load(&server.url(), &["--rate", "500", "--requests", "37"])
        .exits(Code::Done)
        .warns(&["sending 37 requests at 500/s"])
        .says(&["requests sent 37", "status 200 37"]);
    assert_eq!(server.seen().len(), 37);
    let threads = ["--connections", "4", "--threads", "2", "--requests", "7"];
    load(&server.url(), &threads).exits(Code::Done).warns(&["sending 7 requests on 4 connections"]);
    assert_eq!(server.seen().len(), 37 + 7);
}

#[test]
fn a_request_is_sent_as_it_was_asked_for() {
    let (server, test) = (Server::prompt(), Test::new());
    test.write("event.json", "{\"a\":\n1}");
    let url = format!("{}/in?x=hush", server.url());
    let args = ["load", &url, "--requests", "1", "--body", "event.json"];
    let more = ["-H", "X-Kind: push", "--secret-header", "Authorization=env:KEY", "--json"];
    let ran = test.env("KEY", "Bearer 123").run(&[&args[..], &more].concat()).exits(Code::Done);
    let seen = &server.seen()[0];
    assert_eq!(seen.body, b"{\"a\":\n1}");
    let head = seen.head.to_lowercase();
    assert!(head.starts_with("post /in?x=hush http/1.1\r\n"), "{head}");
    for line in ["x-kind: push", "authorization: bearer 123", "content-length: 8"] {
        assert!(head.contains(&format!("{line}\r\n")), "{head}");
    }
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!said.contains("Bearer") && !said.contains("hush"), "{said}");
}

#[test]
fn a_real_gateway_takes_signed_webhooks_and_no_others() {
    let test = Test::new()
        .env("CTX_TOKEN", TOKEN)
        .env("CONTEXTEN_ENHANCED_MODE", "true")
        .env("RIGHT", "the-senders-secret")
        .env("WRONG", "a-secret-of-somebody-else");
    let legacy = Legacy::start().unwrap();
    let secrets = ["--linear-secret", "--github-secret", "--slack-secret"];
    let signed: Vec<_> = secrets.iter().flat_map(|secret| [*secret, "env:RIGHT"]).collect();
    let serve = Serve::with(&test, &legacy.url(), &signed);
    let url = format!("http://{}", serve.data);
    let send = |platform: &str, secret: &str| {
        let secret = format!("{platform}=env:{secret}");
        let args = ["load", &url, "--webhooks", platform, "--secret", &secret];
        let bounds = ["--requests", "10", "--threshold", "errors<=0"];
        test.run(&[&args[..], &bounds].concat())
    };
    for platform in ["github", "slack", "linear"] {
        send(platform, "RIGHT").exits(Code::Done).says(&["status 200 10"]);
    }
    assert_eq!(legacy.handled().events(), 30);
    for platform in ["github", "slack", "linear"] {
        send(platform, "WRONG").exits(Code::CriteriaNotMet).says(&["status 401 10"]);
    }
    assert_eq!(legacy.handled().events(), 30, "nobody else is let in");
}

#[test]
fn webhooks_of_all_platforms_can_be_mixed() {
    let legacy = Legacy::start().unwrap();
    let ran = Test::new().env("HOOK", "hush").file("secrets/slack", "hush\n").run(&[
        "load",
        &legacy.url(),
        "--rate",
        "100",
        "--lasts",
        "500ms",
        "--webhooks",
        "all",
        "--secret",
        "github=env:HOOK",
        "--secret",
        "slack=file:secrets/slack",
        "--json",
    ]);
    let json = ran.exits(Code::Done).json();
    assert_eq!((&json["sent"], &json["statuses"]["200"]), (&50.into(), &50.into()), "{json}");
    assert!(legacy.handled().events() > 25);
    load(&format!("{}/events", legacy.url()), &["--webhooks", "github"])
        .exits(Code::Usage)
        .warns(&["webhooks are not sent to `/events`", "leave the path out of the address"]);
}

#[test]
fn a_threshold_that_is_missed_says_by_how_much() {
    let server = Server::start(|_, _| Deed::Answer { after: MS(30), status: 503 });
    let args = ["--rate", "100", "--requests", "20"];
    let bounds = ["--threshold", "p50<10ms", "--threshold", "errors<25%", "--threshold", "p99<60s"];
    load(&server.url(), &[&args[..], &bounds].concat())
        .exits(Code::CriteriaNotMet)
        .says(&["p50<10ms: NOT MET, it was ", "ms too much", "p99<60s: met, it was "])
        .warns(&[
            "2 of 3 thresholds not met",
            "`p50<10ms`: it was ",
            "`errors<25%`: it was 100.00%, 75.00% too much",
        ]);
    let json = load(&server.url(), &[&args[..], &bounds, &["--json"]].concat());
    let json = json.exits(Code::CriteriaNotMet).json();
    let judged = &json["thresholds"][1];
    assert_eq!(judged["met"], false, "{json}");
    assert_eq!((&judged["actual"], &judged["missed_by"]), (&1.0.into(), &0.75.into()), "{json}");
    let met = json["thresholds"][2]["missed_by"].is_null();
    assert!(met, "{json}");
}

#[test]
fn what_is_no_threshold_is_refused_before_anything_is_sent() {
    let server = Server::prompt();
    for bad in ["p42<1ms", "p95<100", "speed>1"] {
        load(&server.url(), &["--threshold", bad])
            .exits(Code::Usage)
            .warns(&[&format!("`{bad}` is no threshold"), "`p95<100ms`, `errors<1%`"]);
    }
    assert_eq!(server.seen().len(), 0);
}

#[test]
fn a_stall_is_charged_to_every_request_that_waited() {
    let stalls = || Server::stalling(MS(150), MS(350));
    let server = stalls();
    let rate = ["--rate", "200", "--lasts", "2s", "--connections", "8"];
    let open = outcome(&server.url(), &rate);
    // As the server saw it: the n-th answer is that of the n-th request, which was due n times
    // 5 ms after the beginning; and none can have arrived before it was due.
    let seen = server.seen();
    let began = (0..).zip(&seen).map(|(n, seen)| seen.arrived - MS(5 * n)).min().unwrap();
    let mut answered: Vec<_> = seen.iter().map(|seen| seen.answered.unwrap()).collect();
    answered.sort();
    let due = (0..).map(|n| began + MS(5 * n));
    let mut latencies: Vec<_> =
        answered.iter().zip(due).map(|(end, due)| end.saturating_duration_since(due)).collect();
    latencies.sort();
    assert_eq!(latencies.len(), 400);
    let truth = latencies[395].as_secs_f64() * 1000.0;
    assert!(truth > 135.0, "the last of 150 ms are those of one request in a hundred: {truth}");
    let reported = figure(&open, "/latency/p99_ms");
    let error = (reported - truth).abs() / truth;
    assert!(error < 0.1, "reported {reported}, and it was {truth}: {open}");
    assert!(figure(&open, "/waited") > 10.0, "more were due than there are connections: {open}");

    // Whoever waits for the answer before they send the next sees 8 slow ones a stall.
    let closed = outcome(&stalls().url(), &["--connections", "8", "--lasts", "2s"]);
    let service = figure(&closed, "/latency/p99_ms");
    assert!(service < truth / 2.0, "{service}: {closed}");
}

#[test]
fn answers_may_come_in_any_form_and_connections_may_end() {
    let sent = |deed: Deed| {
        let server = Server::start(move |_, _| deed.clone());
        let json =
            outcome(&server.url(), &["--connections", "1", "--rate", "100", "--requests", "10"]);
        assert_eq!((&json["answered"], &json["errors"]), (&10.into(), &0.into()), "{json}");
        server.connections()
    };
    let chunks = ["HTTP/1.1 2", "00 OK\r\ntransfer-enc", "oding: chunked\r\n\r\n", "5\r\nhel"];
    sent(Deed::Pieces([&chunks[..], &["lo\r\n0\r\n", "\r\n"]].concat()));
    sent(Deed::Pieces(vec!["HTTP/1.1 100 Go on\r\n\r\n", "HTTP/1.1 204 No\r\n\r\n"]));
    // Whether it is announced or not.
    assert_eq!(sent(Deed::Close("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")), 10);
    assert_eq!(sent(Deed::Close("HTTP/1.1 200 OK\r\n\r\nuntil the end")), 10);
}

#[test]
fn each_failure_is_counted_as_what_it_was() {
    let check = |deed: Deed, kind: &str| {
        let server = Server::start(move |seen, _| match seen.connection {
            0 => AT_ONCE,
            _ => deed.clone(),
        });
        let args = ["--rate", "100", "--requests", "4", "--timeout", "300ms"];
        let json = outcome(&server.url(), &args);
        assert_eq!(json["answered"], 1, "{kind}: {json}");
        assert_eq!(json["failures"][kind], 3, "{json}");
        assert_eq!(json["error_rate"], 0.75, "{json}");
        json
    };
    check(Deed::Close("HTTP/1.1 200 OK\r\ncontent-le"), "reset");
    check(Deed::Close("SSH-2.0-OpenSSH_9.2\r\n"), "other");
    let json = check(Deed::Silence, "answer_timeout");
    assert!(figure(&json, "/latency/max_ms") >= 300.0, "it took at least that long: {json}");
}

#[test]
fn a_silent_server_is_paid_for_by_all_who_were_due() {
    let server = Server::start(|seen, _| match seen.connection {
        0 => AT_ONCE,
        _ => Deed::Silence,
    });
    let args = ["--rate", "100", "--lasts", "1s", "--connections", "2", "--timeout", "150ms"];
    let json = outcome(&server.url(), &args);
    let of = |field: &str| json[field].as_u64().unwrap();
    assert_eq!(of("sent") + of("unsent"), 100, "none is forgotten: {json}");
    assert_eq!(of("answered") + of("errors"), 100, "{json}");
}

#[test]
fn the_json_form_is_kept() {
    let json = outcome(&Server::prompt().url(), &["--requests", "3", "--threshold", "p99<60s"]);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(json["schema"], "ctx.load/1");
    let spread = ["max_ms", "mean_ms", "p50_ms", "p90_ms", "p95_ms", "p99_9_ms", "p99_ms"];
    let judged = ["actual", "limit", "met", "missed_by", "threshold"];
    let mut all = keys(&json);
    all.sort();
    let expected = "answered busy error_rate errors failures lag lasted_s latency latency_from \
                    model rate_reached rate_wanted schema sent statuses thresholds unexpected \
                    unsent url waited warnings";
    assert_eq!(all, expected.split_whitespace().collect::<Vec<_>>());
    for (value, expected) in [
        (&json["latency"], &spread[..]),
        (&json["lag"], &spread),
        (&json["thresholds"][0], &judged),
    ] {
        let mut found = keys(value);
        found.sort();
        assert_eq!(found, expected, "{value}");
    }
}

#[test]
fn load_prints_a_table() {
    load(&Server::prompt().url(), &["--rate", "50", "--lasts", "200ms"])
        .exits(Code::Done)
        .warns(&["sending requests for 200ms at 50/s"])
        .says(&["requests sent", "status 200", "latency p95", "when each request was due"]);
}

#[test]
fn nobody_listening_is_a_failure() {
    let legacy = Legacy::start().unwrap();
    let url = legacy.url();
    legacy.stop();
    for args in [&["--rate", "50"][..], &["--connections", "2"]] {
        load(&url, &[args, &["--lasts", "100ms"]].concat())
            .exits(Code::Failure)
            .says(&["connection refused"])
            .warns(&["no request was answered", "is the server running?"]);
    }
}

#[test]
fn whoever_does_not_wait_for_the_end_sees_what_there_is() {
    for (code, terminate) in [(Code::Interrupted, false), (Code::Terminated, true)] {
        let (server, test) = (Server::prompt(), Test::new());
        let args = ["load", &server.url(), "--rate", "100", "--lasts", "1h", "--json"];
        let running = test.spawn(&args);
        until("it sends", || (server.seen().len() > 5).then_some(()));
        if terminate {
            running.terminate();
        } else {
            running.interrupt();
        }
        let json = running.ends().exits(code).json();
        assert!(json["answered"].as_u64().unwrap() > 5, "{json}");
        assert!(figure(&json, "/lasted_s") < 60.0, "{json}");
    }
}

#[test]
fn load_stays_on_this_machine() {
    load("http://192.0.2.1:80", &[])
        .exits(Code::Refused)
        .warns(&["`http://192.0.2.1:80` is not on this machine"]);
    load("https://127.0.0.1:1", &[]).exits(Code::Usage).warns(&["it does not speak TLS"]);
}

#[test]
fn a_secret_is_named_and_never_given() {
    let ran =
        load("http://127.0.0.1:1", &["--webhooks", "github", "--secret", "github=hush-hush-hush"])
            .exits(Code::Usage)
            .warns(&["failed to read the secret of github", "`hus...` is not a reference"]);
    assert!(!ran.stderr.contains("hush-hush"), "{}", ran.stderr);
}
