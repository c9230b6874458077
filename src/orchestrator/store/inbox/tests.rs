use super::*;

fn event(delivery: &str, body: &str) -> Event {
    Event {
        source: "github".to_owned(),
        delivery: Some(delivery.to_owned()),
        body_hash: body.to_owned(),
        target: "/github/events".to_owned(),
        headers: vec![("x-github-event".to_owned(), "push".to_owned())],
        body: body.as_bytes().to_vec(),
        received_ms: 1000,
    }
}

fn inbox() -> (tempfile::TempDir, Inbox) {
    let folder = tempfile::tempdir().unwrap();
    let inbox = Inbox::open(folder.path()).unwrap();
    (folder, inbox)
}

#[test]
fn a_delivery_is_stored_once_and_another_body_is_another_event() {
    let (_folder, mut inbox) = inbox();
    let mut put = |event: Event| inbox.write(|batch| batch.put(&event)).unwrap();
    assert_eq!(put(event("d1", "a")), Put::Stored);
    assert_eq!(put(event("d1", "a")), Put::Known);
    assert_eq!(put(event("d1", "b")), Put::StoredBesides);
    assert_eq!(put(event("d1", "a")), Put::Known);
    let nameless = Event { delivery: None, ..event("", "a") };
    assert_eq!(put(nameless.clone()), Put::Stored);
    assert_eq!(put(nameless), Put::Stored);
    assert_eq!(inbox.census().unwrap().pending, 4);
}

#[test]
fn what_is_handled_is_gone_and_still_known() {
    let (folder, mut inbox) = inbox();
    inbox.write(|batch| batch.put(&event("d1", "a"))).unwrap();
    let due = inbox.due(1000, 10).unwrap();
    assert_eq!(inbox.pending(due[0]).unwrap().unwrap().event, event("d1", "a"));
    inbox.write(|batch| batch.mark(due[0], &Mark::Handled)).unwrap();
    assert_eq!(inbox.pending(due[0]).unwrap(), None);
    drop(inbox);
    let mut inbox = Inbox::open(folder.path()).unwrap();
    assert_eq!(inbox.census().unwrap(), Census::default());
    assert_eq!(inbox.write(|batch| batch.put(&event("d1", "a"))).unwrap(), Put::Known);
    inbox.write(|batch| batch.forget(2000)).unwrap();
    assert_eq!(inbox.write(|batch| batch.put(&event("d1", "a"))).unwrap(), Put::Stored);
}

#[test]
fn an_event_waits_dies_and_is_replayed() {
    let (_folder, mut inbox) = inbox();
    inbox.write(|batch| batch.put(&event("d1", "a"))).unwrap();
    let id = inbox.due(1000, 10).unwrap()[0];
    let retry = Mark::Retry { due_ms: 5000, answered: true, why: "status 503".to_owned() };
    inbox.write(|batch| batch.mark(id, &retry)).unwrap();
    assert!(inbox.due(4999, 10).unwrap().is_empty());
    assert_eq!(inbox.next_due(1000).unwrap(), Some(5000));
    assert_eq!(inbox.due(5000, 10).unwrap(), [id]);
    let kept = inbox.pending(id).unwrap().unwrap();
    assert_eq!((kept.attempts, kept.answered), (1, 1));
    let dead = Mark::Dead { answered: true, why: "status 400".to_owned() };
    inbox.write(|batch| batch.mark(id, &dead)).unwrap();
    assert_eq!(inbox.census().unwrap(), Census { pending: 0, dead: 1, oldest_ms: None });
    assert_eq!(inbox.dead(0, 10).unwrap()[0].why, "status 400");
    assert!(inbox.dead_letter(id).unwrap().is_some());
    assert_eq!(inbox.write(|batch| batch.replay(Some(&[id, 99]), 9000)).unwrap(), 1);
    assert_eq!(inbox.due(9000, 10).unwrap(), [id]);
    assert_eq!(inbox.pending(id).unwrap().unwrap().attempts, 0);
    assert_eq!(inbox.write(|batch| batch.discard(&[id])).unwrap(), 0, "it is not dead");
}

#[test]
fn an_event_without_an_id_comes_back_once() {
    let (_folder, mut inbox) = inbox();
    let event = Event { delivery: None, ..event("", "a") };
    let backed_up =
        |number| Returned { number, event: event.clone(), attempts: 0, answered: 0, dead: None };
    for _ in 0..3 {
        inbox.write(|batch| batch.put(&event)).unwrap();
    }
    // One is handled, one is discarded, and one is lost.
    let due = inbox.due(1000, 10).unwrap();
    inbox.write(|batch| batch.mark(due[0], &Mark::Handled)).unwrap();
    let dead = Mark::Dead { answered: false, why: String::new() };
    inbox.write(|batch| batch.mark(due[1], &dead)).unwrap();
    assert_eq!(inbox.write(|batch| batch.discard(&[due[1]])).unwrap(), 1);
    inbox.connection.execute("DELETE FROM events", []).unwrap();
    let mut back =
        |number| inbox.write(|batch| batch.bring_back(&backed_up(number), 2000)).unwrap();
    assert_eq!([due[0], due[1]].map(&mut back), [Put::Known, Put::Known]);
    assert_eq!([due[2], due[2]].map(&mut back), [Put::Stored, Put::Known]);
    // Brought back, it has another number, under which it is known as well once it is handled.
    let id = inbox.due(2000, 10).unwrap()[0];
    assert_ne!(id, due[2]);
    inbox.write(|batch| batch.mark(id, &Mark::Handled)).unwrap();
    for number in [due[2], id] {
        let put = inbox.write(|batch| batch.bring_back(&backed_up(number), 3000)).unwrap();
        assert_eq!(put, Put::Known);
    }
}

#[test]
fn a_batch_that_fails_leaves_nothing_behind() {
    let (_folder, mut inbox) = inbox();
    let failed: Result<(), StoreError> = inbox.write(|batch| {
        batch.put(&event("d1", "a"))?;
        Err(StoreError::Stopped)
    });
    assert!(failed.is_err());
    assert_eq!(inbox.census().unwrap(), Census::default());
    assert_eq!(inbox.write(|batch| batch.put(&event("d1", "a"))).unwrap(), Put::Stored);
}

#[test]
fn who_counts_and_who_looks_reads_no_body() {
    let (_folder, inbox) = inbox();
    let plan = |sql: &str| {
        let mut statement = inbox.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
        rows.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    };
    for sql in [
        "SELECT count(*) FROM events WHERE state = 'pending'",
        "SELECT count(*) FROM events WHERE state = 'dead'",
        "SELECT min(since_ms) FROM events WHERE state = 'pending'",
        "SELECT id FROM events WHERE state = 'pending' AND due_ms <= 1
         ORDER BY due_ms, since_ms LIMIT 9",
    ] {
        let plan = plan(sql);
        assert!(plan.contains("COVERING INDEX") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[test]
fn a_clock_that_was_set_back_holds_nothing_up() {
    let (_folder, mut inbox) = inbox();
    inbox.write(|batch| batch.put(&event("d1", "a"))).unwrap();
    inbox.write(|batch| batch.bring_forward(10)).unwrap();
    assert_eq!(inbox.due(10, 10).unwrap().len(), 1);
}
