//! The names of requests and traces: where a failed event can be found again, and who had it tried
//! once more.

use ctx::control::config::{InboxMode, Mode, flag};
use ctx::control::wire::{AuditKind, AuditRow};
use ctx::error::Code;
use serde_json::Value;

use super::{PARENT, TRACE, World, short, switch_on};
use crate::support::scripted::header;
use crate::support::serve::TOKEN;
use crate::support::{block_on, until};

fn audit(world: &World) -> Vec<AuditRow> {
    let url = format!("http://{}/v1/audit", world.serve.control);
    block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let rows = client.get(url).bearer_auth(TOKEN).send().await.unwrap();
        rows.json().await.unwrap()
    })
}

#[test]
fn a_dead_letter_keeps_its_names_and_its_replay_is_on_record() {
    let world = World::start(&["--log-format", "json"], |request| {
        // It works for whoever comes once the letter was replayed.
        let again = request.contains("mended");
        (if again { 200 } else { 500 }, String::new())
    });
    world.serve.set(|config| {
        config.mode = Mode::Enhanced;
        config.inbox.mode = InboxMode::Store;
        config.inbox.max_attempts = 1;
        switch_on(config, flag::DURABLE_INBOX);
    });
    let event = format!(
        "POST /github/events HTTP/1.1\r\nHost: a\r\nX-Request-Id: case-7\r\ntraceparent: {PARENT}\r\n\
         X-GitHub-Delivery: d-1\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    let answer = world.raw(event.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let client = world.serve.client();
    until("it is dead", || (block_on(client.inbox()).unwrap().dead == 1).then_some(()));

    let id = block_on(client.dead_letters(0)).unwrap()[0].id.to_string();
    let shown = world.ctx(&["events", "show", &id, "--json"]).exits(Code::Done).json();
    assert_eq!(
        (&shown["letter"]["request_id"], &shown["letter"]["trace_id"]),
        (&"case-7".into(), &TRACE.into()),
        "{shown}"
    );
    world.ctx(&["events", "show", &id]).exits(Code::Done).says(&["case-7", TRACE]);
    let line = until("the log says so", || {
        let dead = |line: &Value| line["message"] == "an event is in the dead letters";
        world.lines().into_iter().find(dead)
    });
    assert_eq!((&line["request_id"], &line["trace_id"]), (&"case-7".into(), &TRACE.into()));

    let replay = ["events", "replay", &id, "--reason", "the handler is mended"];
    let said = world.ctx(&replay).exits(Code::Done).stdout;
    assert!(said.starts_with("1 dead letter tried again; on record in row "), "{said}");
    let rows = audit(&world);
    let row = rows.iter().find(|row| row.kind == AuditKind::Replay).unwrap();
    assert!(said.contains(&format!("row {} ", row.seq)), "{said}: {row:?}");
    assert!(row.detail.starts_with(&format!("1 dead letter ({id}) tried again, asked by ")));
    assert!(row.detail.ends_with(": the handler is mended"), "{}", row.detail);
    let born = rows.iter().find(|row| row.kind == AuditKind::Birth).unwrap();
    assert!(row.at_ms >= born.at_ms, "{row:?}");

    until("it was tried again", || {
        let seen = world.app.seen();
        (seen.iter().filter(|request| request.contains("case-7")).count() == 2).then_some(())
    });
    for attempt in world.app.seen().iter().filter(|request| request.contains("case-7")) {
        assert_eq!(header(attempt, "x-request-id"), Some("case-7"));
        assert_eq!(header(attempt, "traceparent"), Some(PARENT), "every attempt is of one trace");
    }
    until("it is dead again", || (block_on(client.inbox()).unwrap().dead == 1).then_some(()));
    world.ctx(&["events", "discard", &id, "--yes"]).exits(Code::Done);
    let rows = audit(&world);
    assert!(rows.iter().any(|row| row.kind == AuditKind::Discard && row.seq > 1), "{rows:?}");
}

#[test]
fn an_answer_of_the_gateway_names_the_request_and_one_of_the_app_where_that_is_asked_for() {
    let world = World::start(&[], |_| (200, String::new()));
    let request = b"POST /github/events HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}";
    let id_of = |answer: &str| header(answer, "x-request-id").map(str::to_owned);
    for pooled in [false, true] {
        world.serve.set(|config| {
            config.tracing.answer_request_id = false;
            config.routes.get_mut("github").unwrap().secret = None;
            config.mode = Mode::Legacy;
            if pooled {
                short(config);
            }
        });
        let plain = world.raw(request);
        assert_eq!(id_of(&plain), None, "the app's answer passes as it is: {plain}");
        world.serve.set(|config| config.tracing.answer_request_id = true);
        let named = world.raw(request);
        let seen = world.app.seen().pop().unwrap();
        assert_eq!(id_of(&named).as_deref(), header(&seen, "x-request-id"), "{named}");
        world.serve.set(|config| {
            config.tracing.answer_request_id = false;
            config.mode = Mode::Enhanced;
            config.routes.get_mut("github").unwrap().secret = Some("env:PATH".to_owned());
        });
        let refused = world.raw(request);
        assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
        let id = id_of(&refused).unwrap();
        until("the log has it", || world.log().contains(&id).then_some(()));
    }
}
