//! The operator's guide, as somebody follows it who types every line of it.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use ctx::load::sign::Secrets;
use ctx::load::webhooks::Mix;
use ctx::rehearsal::legacy::Legacy;

use crate::support::beside::Beside;
use crate::support::markdown::{Block, Document, prints, root, words};
use crate::support::peer;
use crate::support::serve::Serve;
use crate::support::traffic::Traffic;
use crate::support::{Test, until};

const PLAN: &str = "plans/billing.toml";

/// What makes an hour of the scaffold a moment, and lets a machine that is busy with other tests be
/// slower than a service in production.
const HASTY: [(&str, &str); 4] = [
    ("\"10m\"", "\"300ms\""),
    ("\"30m\"", "\"300ms\""),
    ("\"500ms\"", "\"9s\""),
    ("\"250ms\"", "\"9s\""),
];

/// Somebody who follows the guide, with an app and its senders.
struct Reader {
    test: Test,
    app: Legacy,
    /// What is running: it ends with this.
    serve: Option<(Beside, Traffic)>,
    /// What the last command printed.
    told: String,
}

impl Reader {
    fn new() -> Self {
        let (test, app) = (Test::new(), Legacy::start().unwrap());
        Self { test, app, serve: None, told: String::new() }
    }

    /// Does what a section says, and compares what it shows.
    fn follows(&mut self, guide: &Document, heading: &str) {
        for block in guide.section(heading).blocks() {
            match block.kind.as_str() {
                "sh" => block.text.lines().for_each(|line| self.types(line)),
                "toml" => self.writes(&block),
                "text" => prints(&self.told, &block.text),
                other => panic!("a block of `{other}` is not checked"),
            }
        }
    }

    fn types(&mut self, line: &str) {
        let ends = line.split_once("# ends with ").map_or(0, |(_, code)| code.parse().unwrap());
        let mut typed = words(line);
        assert_eq!(typed.remove(0), "ctx", "{line}");
        match typed[0].as_str() {
            "serve" => return self.serves(),
            "migrate" | "rollback" => typed.push("--yes".to_owned()),
            "rehearse" => typed.extend(["--soaks", "2s"].map(str::to_owned)),
            _ => {}
        }
        let ran = self.test.run(&typed.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(ran.code, Some(ends), "`{line}`: {ran:?}");
        self.told = format!("{}{}", ran.stderr, ran.stdout);
        if typed[0] == "init" {
            let plan = std::fs::read_to_string(self.test.path(PLAN)).unwrap();
            let hasty = HASTY.iter().fold(plan, |plan, (slow, fast)| plan.replace(slow, fast));
            self.test.write(PLAN, &hasty);
        }
    }

    fn serves(&mut self) {
        let url = self.app.url();
        let serve =
            ["serve", "--legacy", &url, "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"];
        let serve = Beside::start(&self.test, &serve.map(str::to_owned));
        let test = std::mem::replace(&mut self.test, Test::new());
        self.test = test.env("CTX_ORCHESTRATOR", &serve.address("control"));
        let to = serve.address("data").parse().unwrap();
        let traffic = Traffic::start(to, 100.0, Mix::default(), Secrets::default());
        until("senders are answered", || (traffic.answered() > 50).then_some(()));
        self.serve = Some((serve, traffic));
    }

    /// A whole plan takes the place of the one there, and a part goes into its first phase.
    fn writes(&self, block: &Block) {
        let text = if block.text.starts_with("schema") {
            block.text.clone()
        } else {
            let plan = std::fs::read_to_string(self.test.path(PLAN)).unwrap();
            let second = plan.match_indices("\n[[phase]]").nth(1).unwrap().0;
            format!("{}\n{}\n{}", &plan[..second], block.text, &plan[second..])
        };
        self.test.write(PLAN, &text);
    }
}

#[test]
fn the_guide_goes_as_it_is_told() {
    let guide = Document::read("docs/guide.md");
    let mut reader = Reader::new();
    reader.follows(&guide, "Your first migration");
    reader.follows(&guide, "Reading a verdict");
}

#[test]
fn a_rollback_that_is_incomplete_is_completed_as_the_guide_says() {
    let guide = Document::read("docs/guide.md");
    let mut reader = Reader::new();
    reader.test.write("gateway.conf", "to the gateway");
    reader.serves();
    // The blocks up to the person who mends the cause, and those after.
    let heading = "Exit 22: the rollback is incomplete";
    let section = guide.section(heading).text;
    let (before, after) = section.split_once("\n3. ").unwrap();
    let part =
        |text: &str| Document { path: guide.path.clone(), text: format!("\n## Part\n{text}") };
    reader.follows(&part(before), "Part");
    let balancer = reader.test.path("balancer.conf");
    assert_eq!(std::fs::read_to_string(&balancer).unwrap(), "to the gateway");
    reader.test.write("direct.conf", "to the app");
    reader.follows(&part(after), "Part");
    assert_eq!(std::fs::read_to_string(&balancer).unwrap(), "to the app");
}

#[test]
fn the_unit_is_one_and_hardened() {
    let unit = root().join("docs/systemd/ctx.service");
    if peer::require("systemd-analyze").is_none() {
        return;
    }
    // The binary is where the unit says on the operator's machine, and not on this one.
    let test = Test::new();
    let text = std::fs::read_to_string(&unit).unwrap();
    let text = text.replace("/usr/local/bin/ctx", env!("CARGO_BIN_EXE_ctx"));
    test.write("ctx.service", &text);
    let analyze = |args: &[&str]| {
        let mut command = Command::new("systemd-analyze");
        let ran = command.args(args).arg(test.path("ctx.service")).output().unwrap();
        assert!(ran.status.success(), "{args:?}: {ran:?}");
        String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap()
    };
    let said = analyze(&["verify", "--man=no"]);
    assert!(!said.contains("ctx.service:"), "{said}");
    // Of 10; a service without any of it has 9.2.
    analyze(&["security", "--offline=true", "--threshold=20"]);

    let start = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let typed = words(&start.replace(env!("CARGO_BIN_EXE_ctx"), "ctx"));
    crate::support::markdown::accepted(&typed).unwrap_or_else(|error| panic!("{start}: {error}"));
}

#[test]
fn a_supervisor_is_told_when_it_serves_and_when_it_stops() {
    let test = Test::new().env("CTX_TOKEN", crate::support::serve::TOKEN);
    let socket = test.path("notify");
    let supervisor = UnixDatagram::bind(&socket).unwrap();
    supervisor.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let heard = || {
        let mut message = [0; 200];
        let length = supervisor.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    let app = Legacy::start().unwrap();
    let env = [("NOTIFY_SOCKET", socket.display().to_string())];
    let mut serve = Serve::under(&test, &app.url(), &env).unwrap();
    assert!(heard().starts_with("READY=1\n"));
    serve.signal(rustix::process::Signal::TERM);
    assert!(heard().starts_with("STOPPING=1\n"));
    assert_eq!(until("it has stopped", || serve.ended()), 0);
}
