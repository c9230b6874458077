//! Who may change things, and who is told so: the ledger's lock and the orchestrator's lease.

mod release;
mod second;
mod show;

use crate::shop::Shop;
use crate::support::Running;

/// A shop whose first phase soaks for a minute, and the run that watches it.
fn soaking() -> (Shop, Running) {
    let shop = Shop::open();
    shop.edit("soak = \"10ms\"\n", "soak = \"60s\"\n");
    let running = shop.test.spawn(&["migrate", "phase", "1", "--yes"]);
    shop.serve.until("the change is in force", |state| state.provisional.is_some());
    shop.test.until_recorded(1, "soak_begun");
    (shop, running)
}
