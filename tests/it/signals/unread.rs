//! Readers that are there and do not read: Ctrl-S, an ssh that hangs, a program that is busy. They
//! hold up what is printed, and nothing else.

use std::fs::File;
use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Stdio};
use std::time::Duration;

use ctx::error::Code;
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::Instant;

use super::slow;
use crate::shop::{PLAN_FILE, Shop};
use crate::support::terminal::{on_terminal, terminal};
use crate::support::{Test, until};

/// How soon a process ends that only waits for its last lines to be read.
const SOON: Duration = Duration::from_secs(10);

/// A `ctx` whose output nobody reads. Killed when dropped.
struct Unread {
    child: Child,
    /// The other end, held open: of a terminal, or of a pipe.
    end: End,
}

enum End {
    Terminal { _held: OwnedFd },
    Pipe(PipeReader),
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes until there is no more room, and leaves the flags of the file as they were.
fn fill(mut file: impl Write + AsFd) {
    let flags = rustix::fs::fcntl_getfl(&file).unwrap();
    rustix::fs::fcntl_setfl(&file, flags | OFlags::NONBLOCK).unwrap();
    for size in [1024, 1] {
        while match file.write(&vec![b'.'; size]) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}"),
        } {}
    }
    rustix::fs::fcntl_setfl(&file, flags).unwrap();
}

impl Unread {
    /// On a pipe that holds all it can; `json` on stdout, everything else on stderr.
    fn on_a_pipe(test: &Test, args: &[&str]) -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        fill(&writer);
        let both = |writer: &PipeWriter| writer.try_clone().unwrap();
        let mut command = test.command(args);
        command.stdin(Stdio::null()).stdout(both(&writer)).stderr(both(&writer));
        let child = command.spawn().unwrap();
        Self { child, end: End::Pipe(reader) }
    }

    /// On a terminal whose other end nobody reads; `None` where there is no `setsid`.
    fn on_a_terminal(test: &Test, args: &[&str]) -> Option<Self> {
        let (master, name) = terminal();
        let mut options = File::options();
        options.write(true).custom_flags(OFlags::NOCTTY.bits().cast_signed());
        let slave = options.open(&name).unwrap();
        fill(&slave);
        let child = on_terminal(&name, &test.command(args))?;
        Some(Self { child, end: End::Terminal { _held: master } })
    }

    /// Its exit code; none where a signal ended it at once.
    fn ends(&mut self) -> i32 {
        until("its end", || self.child.try_wait().unwrap()).code().unwrap_or(-1)
    }

    fn terminate(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.unwrap(), Signal::TERM).unwrap();
    }

    /// Reads everything until nobody writes any more.
    fn read(&mut self) -> String {
        let End::Pipe(reader) = &mut self.end else { panic!("it is on a terminal") };
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap().trim_start_matches('.').to_owned()
    }
}

fn number(code: Code) -> i32 {
    i32::from(code.number())
}

/// On a terminal and on a pipe, for people and for programs.
fn everywhere(check: impl Fn(&dyn Fn(&Test, &[&str]) -> Option<Unread>)) {
    check(&|test, args| Unread::on_a_terminal(test, args));
    check(&|test, args| Some(Unread::on_a_pipe(test, args)));
    check(&|test, args| Some(Unread::on_a_pipe(test, &[args, &["--json"]].concat())));
}

#[test]
fn a_run_goes_on_to_its_end_while_nobody_reads() {
    everywhere(|begin| {
        let shop = Shop::open();
        let Some(mut running) = begin(&shop.test, &["migrate", "all", "--yes"]) else { return };
        shop.test.until_recorded(2, "run_ended");
        assert_eq!(running.ends(), number(Code::Done));
        let Some(mut back) = begin(&shop.test, &["rollback", "--to", "start", "--yes"]) else {
            return;
        };
        assert_eq!(back.ends(), number(Code::Done));
        assert_eq!(shop.test.count("run_ended"), 3);
        let state = shop.serve.state();
        assert_eq!((state.provisional, state.lease), (None, None));
    });
}

#[test]
fn sigterm_ends_a_run_that_nobody_reads() {
    everywhere(|begin| {
        let shop = slow();
        let Some(mut running) = begin(&shop.test, &["migrate", "phase", "1", "--yes"]) else {
            return;
        };
        shop.test.until_recorded(1, "soak_begun");
        let began = Instant::now();
        running.terminate();
        assert_eq!(running.ends(), number(Code::Terminated));
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        assert_eq!(shop.test.count("interrupted"), 1);
        let state = shop.serve.state();
        assert_eq!((state.provisional, state.lease), (None, None), "by ctx, not by time");
    });
}

#[test]
fn a_failure_that_nobody_reads_is_told_by_the_exit_code() {
    everywhere(|begin| {
        let shop = Shop::open();
        let plan = std::fs::read_to_string(shop.test.path(PLAN_FILE)).unwrap();
        let (first, _) = plan.split_once("[[phase]]\nid    = \"pooling\"").unwrap();
        let failing = r#"
  [[phase.step]]
  id  = "fails"
  run = { do = ["false"], undo = ["true"], timeout = "5s" }
"#;
        shop.test.write(PLAN_FILE, &format!("{first}{failing}"));
        let Some(mut running) = begin(&shop.test, &["migrate", "phase", "1", "--yes"]) else {
            return;
        };
        assert_eq!(running.ends(), number(Code::RolledBack));
    });
}

#[test]
fn a_reader_that_comes_back_is_told_everything() {
    let shop = slow();
    let args = ["migrate", "phase", "1", "--yes", "--json"];
    let mut running = Unread::on_a_pipe(&shop.test, &args);
    shop.test.until_recorded(1, "soak_begun");
    running.terminate();
    shop.test.until_recorded(1, "interrupted");
    let said = running.read();
    assert_eq!(running.ends(), number(Code::Terminated));
    let record = |line: &str| serde_json::from_str::<Value>(line).ok();
    let records: Vec<Value> = said.lines().filter_map(record).collect();
    for (seq, record) in records.iter().enumerate() {
        assert_eq!(record["seq"], seq, "{record}");
    }
    let last = records.last().unwrap();
    assert_eq!((&last["type"], &last["left_out"]), (&"run_end".into(), &0.into()));
    assert!(said.contains("stopping at the next safe point"), "{said}");
}

#[test]
fn a_rehearsal_goes_on_while_nobody_reads() {
    let shop = Shop::open();
    let args = ["rehearse", "--soaks", "2s", "--rate", "50", "--keep", "kept"];
    let mut running = Unread::on_a_pipe(&shop.test, &args);
    assert_eq!(running.ends(), number(Code::Done));
}
