//! `ctx status --watch` on a terminal of its own.

use ctx::error::Code;

use crate::shop::Shop;
use crate::support::terminal::{Screen, plain};
use crate::support::until;

/// `None` where there is no terminal to be had.
fn watched(shop: &Shop) -> Option<Screen> {
    Screen::begin(&shop.test.command(&["status", "--watch"]))
}

/// A shop whose first phase soaks for a minute under a guard that holds.
fn guarded() -> Shop {
    let shop = Shop::open();
    shop.edit("soak = \"10ms\"\n", "soak = \"60s\"\n");
    let guard = "[guards.load]\nmetric = \"cpu\"\nmax = \"100%\"\nfor = 3\n\n[[phase]]\nid    = \"caching\"";
    shop.edit("[[phase]]\nid    = \"caching\"", guard);
    shop
}

#[test]
fn it_follows_a_run_to_its_end_and_leaves_the_last_screen() {
    let shop = guarded();
    let running = shop.test.spawn(&["migrate", "phase", "1", "--yes"]);
    shop.test.until_recorded(1, "soak_begun");
    let Some(mut watched) = watched(&shop) else { return };
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
        let Some(mut watched) = watched(&shop) else { return };
        watched.until_shown("cache-reads");
        watched.types(key);
        assert_eq!(watched.ends(), Some(i32::from(code.number())));
        assert!(watched.is_as_before(), "{:?}", watched.shown());
    }
    assert!(shop.serve.state().provisional.is_some(), "the run does not mind");
    running.interrupt();
    running.ends().exits(Code::Interrupted);
}
