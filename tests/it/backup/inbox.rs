//! Stored events as a part of a backup: what waits when the disk is lost is handled all the same.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use ctx::control::config::{Config, InboxMode, Mode, flag};
use ctx::control::inbox::{InboxEvent, InboxEvents};
use ctx::control::wire::{LeaseRequest, ProblemCode};
use ctx::error::Code;
use ctx::ids::RunId;
use ctx::rehearsal::legacy::Legacy;
use ctx::units::Percent;

use super::fixture::rows;
use crate::support::serve::{Serve, TOKEN};
use crate::support::{Ran, Test, block_on, until};

/// An orchestrator that stores every event, in front of an app that is away.
struct World {
    serve: Serve,
    test: Test,
}

impl World {
    fn new() -> Self {
        let test = Test::new().env("CTX_TOKEN", TOKEN);
        let serve = Serve::start(&test, "http://127.0.0.1:9");
        let world = Self { serve, test };
        world.serve.set(|config| {
            config.mode = Mode::Enhanced;
            config.inbox.mode = InboxMode::Store;
            config.inbox.first_retry = Duration::from_millis(20);
            config.inbox.max_retry = Duration::from_millis(100);
            let flag = config.flags.get_mut(flag::DURABLE_INBOX).unwrap();
            (flag.enabled, flag.percentage) = (true, Percent::ALL);
        });
        world
    }

    /// With a dead letter and three events that wait.
    fn with_events() -> Self {
        let world = Self::new();
        let give_up = |after| move |config: &mut Config| config.inbox.give_up = after;
        world.serve.set(give_up(Duration::from_millis(1)));
        world.push("d-dead");
        world.until_counted(0, 1);
        world.serve.set(give_up(Duration::from_secs(86_400)));
        // One has no delivery id.
        for id in ["d-1", "d-2", ""] {
            world.push(id);
        }
        world.until_counted(3, 1);
        world
    }

    fn push(&self, delivery: &str) {
        let url = format!("http://{}/github/events", self.serve.data);
        block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let request = client.post(url).header("x-github-delivery", delivery).body("{}");
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 200);
        });
    }

    fn until_counted(&self, pending: u64, dead: u64) {
        until(&format!("{pending} pending and {dead} dead"), || {
            let view = block_on(self.serve.client().inbox()).unwrap();
            (view.pending == pending && view.dead == dead).then_some(())
        });
    }

    fn ctx(&self, args: &[&str]) -> Ran {
        let url = format!("http://{}", self.serve.control);
        let args = [args, &["--orchestrator", &url]].concat();
        self.test.run_with(&args, &[("CTX_TOKEN", TOKEN.to_owned())])
    }

    fn back_up(&self) -> String {
        self.ctx(&["backup", "create"]).exits(Code::Done).stdout.trim().to_owned()
    }

    /// Loses the inbox's disk, and nothing else.
    fn lose_the_inbox(&mut self) {
        self.serve.kill();
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(self.test.path(&format!("state/inbox.sqlite3{end}")));
        }
        self.serve.restart(&self.test);
        self.until_counted(0, 0);
    }
}

#[test]
fn events_that_were_lost_with_a_disk_come_back_and_are_handled() {
    let mut world = World::with_events();
    let id = world.back_up();
    world.ctx(&["backup", "verify"]).exits(Code::Done).says(&["sound: 4 parts"]);
    world.ctx(&["backup", "show", &id]).exits(Code::Done).says(&["3 pending, 1 dead"]);
    world.lose_the_inbox();
    let back = ["backup", "restore", &id, "--part", "inbox", "--yes"];
    world.ctx(&back).exits(Code::Done).warns(&[
        "inbox: is not there, and comes back",
        "what was handled since, by an inbox that is lost, is handled again",
    ]);
    world.until_counted(3, 1);

    let legacy = Legacy::start().unwrap();
    world.serve.set(|config| config.upstreams.get_mut("legacy").unwrap().url = legacy.url());
    world.until_counted(0, 1);
    let counts = block_on(world.serve.client().metrics(Some(0))).unwrap().counts;
    assert_eq!(counts.delivered, 3);

    // What was handled since is known, by its delivery or as what came back, and is not handled
    // again.
    let dead = block_on(world.serve.client().dead_letters(0)).unwrap().remove(0);
    assert_eq!(dead.delivery.as_deref(), Some("d-dead"));
    world.ctx(&["events", "discard", &dead.id.to_string(), "--yes"]).exits(Code::Done);
    world.until_counted(0, 0);
    world.ctx(&back).exits(Code::Done);
    world.until_counted(0, 0);
    let counts = block_on(world.serve.client().metrics(Some(0))).unwrap().counts;
    assert_eq!(counts.delivered, 3);
}

#[test]
fn an_inbox_with_events_of_its_own_is_left_alone() {
    let world = World::with_events();
    let id = world.back_up();
    world.push("d-4");
    world.until_counted(4, 1);
    world.ctx(&["backup", "restore", &id, "--part", "inbox", "--yes"]).exits(Code::Done).warns(&[
        "inbox: stays; it has 5 events now, and the 4 of the backup go into an empty one only",
        "nothing to do",
    ]);
    world.until_counted(4, 1);

    // Nor does the orchestrator take them from somebody who has not looked.
    let client = world.serve.client();
    let lease = LeaseRequest {
        run: RunId::random(),
        holder: "test".to_owned(),
        host: "here".to_owned(),
        pid: 1,
        ttl_ms: 30_000,
        min_token: 0,
        last_anchor: None,
    };
    let event = InboxEvent {
        number: 1,
        source: "github".to_owned(),
        delivery: Some("d-5".to_owned()),
        target: "/github/events".to_owned(),
        headers: Vec::new(),
        body: hex::encode("{}"),
        received_ms: 1,
        attempts: 0,
        answered: 0,
        dead: None,
    };
    block_on(async {
        let fence = client.acquire(&lease).await.unwrap().body.fence;
        let first = InboxEvents { begins: true, events: vec![event.clone()] };
        let refused = client.restore_inbox(&fence, &first).await.unwrap_err();
        assert_eq!(refused.code(), Some(ProblemCode::InboxInUse), "{refused}");
        // The rest of a restore that has begun; sent twice, it is there once.
        let rest = InboxEvents { begins: false, events: vec![event] };
        let done = client.restore_inbox(&fence, &rest).await.unwrap();
        assert_eq!((done.restored, done.known), (1, 0));
        let again = client.restore_inbox(&fence, &rest).await.unwrap();
        assert_eq!((again.restored, again.known), (0, 1));
    });
    world.until_counted(5, 1);
}

#[test]
fn the_files_of_a_backup_are_their_owners_alone() {
    let world = World::with_events();
    let id = world.back_up();
    let folder = world.test.path(&format!(".ctx/backups/{id}"));
    let closed = |path: std::path::PathBuf| {
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
    };
    for entry in folder.read_dir().unwrap() {
        closed(entry.unwrap().path());
    }
    let to = world.test.path("out");
    let to = to.to_str().unwrap();
    world.ctx(&["backup", "restore", &id, "--to", to, "--part", "inbox"]).exits(Code::Done);
    let out = world.test.path("out/inbox.sqlite3");
    let waiting = rows(
        &out,
        "SELECT coalesce(delivery, 'none') FROM events WHERE state = 'pending' ORDER BY id",
    );
    assert_eq!(waiting, ["d-1", "d-2", "none"]);
    closed(out);
}
