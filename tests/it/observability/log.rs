//! The log: lines that programs can read, and that nobody outside can write.

use ctx::control::inbox::Letters;
use serde_json::Value;

use super::{PARENT, TRACE, World, short};
use crate::support::scripted::{Scripted, header};
use crate::support::serve::{Serve, TOKEN};
use crate::support::{Test, block_on, until};

/// What somebody would put into a log if they could.
const FORGED: &str =
    "x\r\n{\"level\":\"ERROR\",\"message\":\"forged\"}\n2029 ERROR forged\u{1b}[2J\u{9b}31m\u{7f}";

fn well(_: &str) -> (u16, String) {
    (200, "{}".to_owned())
}

/// Says the forged text everywhere where somebody else's words may get into the log.
fn forge(world: &World) {
    let spoofed = "GET /a%0d%0aforged%1b HTTP/1.1\r\nHost: a\r\nX-Request-Id: {\"x\":\"\u{9b}\"}\r\n\
        X-GitHub-Delivery: \"},{\"forged\r\nConnection: close\r\n\r\n";
    world.raw(spoofed.as_bytes());
    world.raw(b"GET /\x1b[2J\x07 HTTP/1.1\r\nHost: a\r\n\r\n");
    world.raw(b"GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: a\x1b[2J\r\n\r\n");
    let letters = Letters {
        ids: vec![7],
        by: FORGED.to_owned(),
        host: FORGED.to_owned(),
        reason: FORGED.to_owned(),
    };
    block_on(world.serve.client().replay_dead(&letters)).unwrap();
}

#[test]
fn every_line_is_one_object_and_is_about_the_request_that_the_app_saw() {
    let world = World::start(&["--log-format", "json"], well);
    let request = format!(
        "POST /github/events?token=hush HTTP/1.1\r\nHost: a\r\ntraceparent: {PARENT}\r\n\
         Content-Length: 2\r\n\r\n{{}}"
    );
    for round in 0..2 {
        if round == 1 {
            world.serve.set(short);
        }
        let answer = world.raw(request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let seen = world.app.seen().pop().unwrap();
        assert_eq!(header(&seen, "traceparent"), Some(PARENT), "it passes unchanged");
        let id = header(&seen, "x-request-id").unwrap();
        let line = until("it is in the log", || {
            let about = |line: &Value| line["request_id"] == id && line["target"] == "ctx::access";
            world.lines().into_iter().find(about)
        });
        assert_eq!(line["trace_id"], TRACE);
        let fields = &line["fields"];
        assert_eq!(
            (&fields["method"], &fields["path"], &fields["status"]),
            (&"POST".into(), &"/github/events".into(), &200.into()),
            "{line}"
        );
        assert_eq!((&fields["route"], &fields["arm"]), (&"github".into(), &"legacy".into()));
        assert_eq!(fields["peer"], "127.0.0.1");
        assert!(fields["took_us"].is_u64(), "{line}");
    }
    assert!(!world.log().contains("hush"), "queries carry secrets");
}

#[test]
fn nobody_outside_writes_a_line_for_programs() {
    let world = World::start(&["--log-format", "json"], well);
    forge(&world);
    let said = until("the replay is in the log", || {
        world.lines().into_iter().find(|line| line["fields"]["by"] == FORGED)
    });
    assert_eq!(said["message"], "dead letters are tried again");
    let log = world.log();
    let odd = |c: char| c.is_control() && c != '\n';
    assert!(!log.contains(odd), "{log:?}");
    for line in world.lines() {
        assert!(line["level"] != "ERROR" && line["message"] != "forged", "{line}");
        let keys = ["timestamp", "level", "target", "message", "request_id", "trace_id", "fields"];
        let object = line.as_object().unwrap();
        assert!(object.keys().all(|key| keys.contains(&&**key)), "{line}");
    }
    let paths: Vec<Value> =
        world.lines().into_iter().map(|line| line["fields"]["path"].clone()).collect();
    assert!(paths.contains(&"/a%0d%0aforged%1b".into()), "{paths:?}");
}

#[test]
fn a_filter_that_cannot_be_read_is_said_to_be_one() {
    let test = Test::new().env("CTX_TOKEN", TOKEN);
    let env = [("CTX_LOG", "ctx=loud"), ("CTX_LOG_FORMAT", "json")];
    let app = Scripted::start(well);
    let _serve = Serve::under(&test, &app.url(), &env.map(|(k, v)| (k, v.to_owned()))).unwrap();
    let log = std::fs::read_to_string(test.path("serve.log")).unwrap();
    let first: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!(first["message"], "`CTX_LOG` cannot be read; it counts as not set", "{log}");
    let env = [("CTX_LOG_FORMAT", "xml".to_owned())];
    let said = Serve::under(&Test::new(), &app.url(), &env).unwrap_err();
    assert!(said.contains("`CTX_LOG_FORMAT` is `xml`") && said.contains("`json`"), "{said}");
}

#[test]
fn nobody_outside_writes_a_line_for_people() {
    let world = World::start(&[], well);
    forge(&world);
    let log = until("the replay is in the log", || {
        Some(world.log()).filter(|log| log.contains("dead letters are tried again"))
    });
    assert!(!log.contains(|c: char| c.is_control() && c != '\n'), "{log:?}");
    assert!(log.contains("by=\"x\\r\\n{"), "{log}");
    for line in log.lines() {
        let begins_here = line.starts_with("note: ") || line.get(4..5) == Some("-");
        assert!(begins_here, "`{line}` is not a line of the log:\n{log}");
    }
}
