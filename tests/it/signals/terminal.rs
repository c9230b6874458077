//! A terminal that closes: a laptop is shut, an ssh session breaks.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::process::Child;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use ctx::error::Code;
use rustix::fs::OFlags;

use super::slow;
use crate::support::terminal::{on_terminal, terminal};
use crate::support::{Test, until};

/// `ctx` on a terminal of its own, with somebody who watches.
struct Terminal {
    child: Child,
    /// Closes the terminal when it is sent something or dropped.
    close: mpsc::Sender<()>,
    watching: Option<JoinHandle<String>>,
}

impl Terminal {
    /// `None` where `ctx` cannot be given a terminal.
    fn open(test: &Test, args: &[&str]) -> Option<Self> {
        let (master, name) = terminal();
        let child = on_terminal(&name, &test.command(args))?;
        let flags = rustix::fs::fcntl_getfl(&master).unwrap();
        rustix::fs::fcntl_setfl(&master, flags | OFlags::NONBLOCK).unwrap();
        let (close, closed) = mpsc::channel();
        let watching = std::thread::spawn(move || watch(File::from(master), &closed));
        Some(Self { child, close, watching: Some(watching) })
    }

    /// Closes the terminal, waits for the end, and returns the exit code and what was shown.
    fn close(mut self) -> (Option<i32>, String) {
        let _ = self.close.send(());
        let shown = self.watching.take().expect("it is closed once").join().unwrap();
        let status = until("its end", || self.child.try_wait().unwrap());
        (status.code(), shown)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads until it is told to close, or nobody writes any more.
fn watch(mut master: File, closed: &mpsc::Receiver<()>) -> String {
    let (mut shown, mut buffer) = (Vec::new(), [0; 4096]);
    while matches!(closed.try_recv(), Err(mpsc::TryRecvError::Empty)) {
        match master.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => shown.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                #[expect(clippy::disallowed_methods, reason = "the pause between two looks")]
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&shown).into_owned()
}

#[test]
fn a_terminal_that_closes_ends_the_run_as_sigterm_does() {
    let shop = slow();
    let args = ["migrate", "phase", "1", "--yes"];
    let Some(terminal) = Terminal::open(&shop.test, &args) else { return };
    shop.test.until_recorded(1, "soak_begun");
    let (code, shown) = terminal.close();
    assert_eq!(code, Some(i32::from(Code::Terminated.number())), "{shown}");
    assert!(shown.contains("Cached reads"), "it was on the terminal: {shown}");
    let state = shop.serve.state();
    assert_eq!((state.provisional, state.lease), (None, None), "taken back by ctx itself");
    assert_eq!(shop.test.count("interrupted"), 1, "and recorded");
    // `nohup` is not needed to go on: the same command, from wherever.
    shop.edit("soak = \"60s\"\n", "soak = \"10ms\"\n");
    shop.ctx(&["rollback", "--yes"]).exits(Code::Done);
}

#[test]
fn a_terminal_that_closes_under_a_rollback_does_not_stop_it() {
    let shop = crate::shop::Shop::with_first_phase();
    let before = shop.serve.state().config_hash;
    let Some(terminal) = Terminal::open(&shop.test, &["rollback", "--yes"]) else { return };
    // The first was the migration's.
    shop.test.until_recorded(2, "lease_taken");
    let _ = terminal.close();
    until("the rollback's end", || (shop.test.count("run_ended") == 2).then_some(()));
    assert_ne!(shop.serve.state().config_hash, before);
}
