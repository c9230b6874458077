//! Signals, closed terminals and readers that went away, on real processes: rows F25, F26 and F27
//! of the failure model. `tests/it/resume/interrupted.rs` has the first SIGINT.

mod pipes;
mod run;
mod serve;
pub(crate) mod terminal;
mod unread;

use crate::shop::Shop;
use crate::support::Running;

/// A shop whose first phase soaks for a minute, and the run that watches it.
fn soaking() -> (Shop, Running) {
    let shop = slow();
    let running = shop.test.spawn(&["migrate", "phase", "1", "--yes"]);
    shop.test.until_recorded(1, "soak_begun");
    (shop, running)
}

/// A shop whose first phase soaks for a minute.
fn slow() -> Shop {
    let shop = Shop::open();
    shop.edit("soak = \"10ms\"\n", "soak = \"60s\"\n");
    shop
}
