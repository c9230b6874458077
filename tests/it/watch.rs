//! `ctx status --watch` on a terminal of its own.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::Child;
use std::sync::{Arc, Mutex};

use ctx::error::Code;
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::shop::Shop;
use crate::signals::terminal::{on_terminal, terminal};
use crate::support::until;

/// A terminal of 80 columns and 24 rows with `ctx` on it. Killed when dropped.
struct Watched {
    child: Child,
    master: File,
    shown: Arc<Mutex<String>>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Watched {
    /// `None` where there is no `setsid`.
    fn begin(shop: &Shop) -> Option<Self> {
        let (master, name) = terminal();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let child = on_terminal(&name, &shop.test, &["status", "--watch"])?;
        let master = File::from(master);
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut end, seen) = (master.try_clone().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = end.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
                // A terminal says where its cursor is when it is asked.
                if text.contains("\x1b[6n") {
                    let _ = end.write_all(b"\x1b[1;1R");
                }
                seen.lock().unwrap().push_str(&text);
            }
        });
        Some(Self { child, master, shown })
    }

    fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    fn until_shown(&self, text: &str) {
        until(text, || self.shown().contains(text).then_some(()));
    }

    fn ends(&mut self) -> Option<i32> {
        until("its end", || self.child.try_wait().unwrap()).code()
    }

    /// Whether what is typed is shown and read in lines, as before.
    fn is_as_before(&self) -> bool {
        let modes = tcgetattr(self.master.as_fd()).unwrap().local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }
}

/// A shop whose first phase soaks for a minute under a guard that holds.
fn guarded() -> Shop {
    let shop = Shop::open();
    shop.edit("soak = \"10ms\"\n", "soak = \"60s\"\n");
    let guard = "[guards.load]\nmetric = \"cpu\"\nmax = \"100%\"\nfor = 3\n\n[[phase]]\nid    = \"caching\"";
    shop.edit("[[phase]]\nid    = \"caching\"", guard);
    shop
}

/// What was written, without the sequences that move the cursor or set a style.
fn plain(shown: &str) -> String {
    let mut text = String::new();
    let mut rest = shown;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        text.push_str(before);
        let end = after.find(|c: char| c.is_ascii_alphabetic()).map_or(after.len(), |at| at + 1);
        rest = &after[end..];
    }
    text + rest
}

#[test]
fn it_follows_a_run_to_its_end_and_leaves_the_last_screen() {
    let shop = guarded();
    let running = shop.test.spawn(&["migrate", "phase", "1", "--yes"]);
    shop.test.until_recorded(1, "soak_begun");
    let Some(mut watched) = Watched::begin(&shop) else { return };
    watched.until_shown("cache-reads");
    watched.until_shown("within:");
    // A second value of the guarded metric has been drawn.
    let bars = |text: &str| text.chars().filter(|c| ('▁'..='█').contains(c)).count();
    until("a sparkline that grows", || (bars(&watched.shown()) >= 2).then_some(()));
    assert!(!watched.is_as_before(), "keys are read one by one");
    running.interrupt();
    running.ends().exits(Code::Interrupted);
    shop.ctx(&["rollback", "--yes"]).exits(Code::Done);
    assert_eq!(watched.ends(), Some(0), "it ends with the run");
    let shown = watched.shown();
    assert!(!shown.contains("\x1b[?1049h"), "no screen of its own: {shown:?}");
    assert!(!shown.contains("\x1b[2J"), "the screen is never cleared: {shown:?}");
    // The last screen stands in whole lines, below whatever was drawn in place.
    let text = plain(&shown);
    let last = text.rsplit_once("progress").map(|(_, last)| last).unwrap_or_default();
    assert!(last.contains("\nlast run  "), "whole lines stay: {text:?}");
    assert!(watched.is_as_before());
}

#[test]
fn whoever_leaves_gets_the_terminal_back() {
    let shop = guarded();
    let running = shop.test.spawn(&["migrate", "phase", "1", "--yes"]);
    shop.test.until_recorded(1, "soak_begun");
    for (key, code) in [(b"q", Code::Done), (b"\x03", Code::Interrupted)] {
        let Some(mut watched) = Watched::begin(&shop) else { return };
        watched.until_shown("cache-reads");
        watched.master.write_all(key).unwrap();
        assert_eq!(watched.ends(), Some(i32::from(code.number())));
        assert!(watched.is_as_before(), "{:?}", watched.shown());
    }
    assert!(shop.serve.state().provisional.is_some(), "the run does not mind");
    running.interrupt();
    running.ends().exits(Code::Interrupted);
}
