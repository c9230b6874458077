//! Backups: configuration, database, cache and the service's own databases at one instant.
//!
//! A backup is a folder `backups/ID/` beside the ledger. Its manifest is written last, after every
//! part was restored into a scratch folder and checked there; a folder without a manifest is not
//! a backup, is listed as incomplete, and is never restored.
//!
//! - [`manifest`] (pure): what a backup holds, and the seal over that.
//! - [`restoration`] (pure): what a restore would change, and what would be lost.
//! - [`mod@create`], [`verify`], [`restore`]: the three things that are done with a backup.
//! - [`live`]: a running orchestrator as source and sink.
//! - [`archive`], [`sqlite`], [`scratch`]: compressed parts, databases, places to try things in.

pub mod archive;
pub mod create;
pub mod error;
pub mod folder;
pub mod live;
pub mod manifest;
pub mod restoration;
pub mod restore;
pub mod scratch;
pub mod sqlite;
pub mod verify;

pub use create::{Captured, Request, ServiceDatabase, Source, create};
pub use error::{BackupError, EdgeError};
pub use folder::{Found, list, load};
pub use manifest::Manifest;
pub use restore::Sink;

/// Runs something that blocks on a thread of its own, so that leases are renewed meanwhile.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
