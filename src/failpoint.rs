//! Failpoints: named instants at which a process can be made to die, stop or wait.
//!
//! Law: nothing survives only because a process was never killed at the wrong moment. So the
//! moments have names, and a test kills at every one of them; see `tests/it/kills`.
//!
//! How it works. `CTX_FAILPOINT=NAME:ACTION[:NTH]` arms one point of one process, and the process
//! acts when that point is hit for the NTH time; 1 unless told otherwise. Only debug builds look:
//! in a release build [`hit`] is an empty function, and [`arm`] takes no notice.
//!
//! How to add one: a row in the table below, and one `failpoint::hit(Point::NAME)` in `src/`.
//! The idea is that of the `fail` crate and of SQLite's `TESTCTRL` hooks.

use std::fmt;
use std::str::FromStr;

/// Makes the enum and the table of it from one list.
macro_rules! points {
    ($($variant:ident $name:literal $what:literal)*) => {
        /// An instant that has a name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Point {
            $(#[doc = $what] $variant,)*
        }

        /// Every point: itself, what it is called, and what the process has done when it is hit.
        pub const ALL: &[(Point, &str, &str)] = &[$((Point::$variant, $name, $what),)*];
    };
}

points! {
    // The ledger, in `ctx`.
    LedgerCreated "ledger.create.before-rename" "A new ledger is whole under another name."
    LedgerRenamed "ledger.create.after-rename" "A new ledger has its name, perhaps not durably."
    LedgerOpened "ledger.open.checked" "The ledger is locked and its tail is checked."
    LedgerInserted "ledger.append.before-commit" "An entry is written and not committed."
    LedgerCommitted "ledger.append.after-commit" "An entry is durable, and nobody knows yet."
    LedgerRebuilt "ledger.rebuild.before-commit" "The derived tables are made again, not committed."
    LedgerRebuiltDurably "ledger.rebuild.after-commit" "The derived tables are made again."

    // The client of the control API, in `ctx`.
    AcquireSends "client.acquire.before-send" "The lease is about to be asked for."
    AcquireReceived "client.acquire.after-receive" "The lease was granted or refused."
    RenewSends "client.renew.before-send" "The lease is about to be renewed."
    RenewReceived "client.renew.after-receive" "The lease was renewed or refused."
    ReleaseSends "client.release.before-send" "The lease is about to be given back."
    ReleaseReceived "client.release.after-receive" "The lease was given back."
    StateSends "client.state.before-send" "The state is about to be asked for."
    StateReceived "client.state.after-receive" "The state has arrived."
    ApplySends "client.apply.before-send" "A change is about to be proposed."
    ApplyReceived "client.apply.after-receive" "A change was accepted or refused."
    ConfirmSends "client.confirm.before-send" "A revision is about to be confirmed."
    ConfirmReceived "client.confirm.after-receive" "A revision was confirmed, or not."
    RevertSends "client.revert.before-send" "A revision is about to be reverted."
    RevertReceived "client.revert.after-receive" "A revision was reverted, or not."
    ArmSends "client.arm.before-send" "The guards are about to be armed."
    ArmReceived "client.arm.after-receive" "The guards were armed, or not."
    DisarmSends "client.disarm.before-send" "The guards are about to be disarmed."
    DisarmReceived "client.disarm.after-receive" "The guards were disarmed, or not."
    OperationSends "client.operation.before-send" "A request's fate is about to be asked for."
    OperationReceived "client.operation.after-receive" "A request's fate is known."
    MetricsSends "client.metrics.before-send" "The metrics are about to be asked for."
    MetricsReceived "client.metrics.after-receive" "The metrics have arrived."
    CacheSends "client.cache.before-send" "The cached answers are about to be asked for."
    CacheReceived "client.cache.after-receive" "The cached answers have arrived."
    RestoreCacheSends "client.restore-cache.before-send" "The cache is about to be put back."
    RestoreCacheReceived "client.restore-cache.after-receive" "The cache was put back."
    DatabaseSends "client.database.before-send" "The database is about to be asked for."
    DatabaseReceived "client.database.after-receive" "A copy of the database has arrived."
    CallSends "client.call.before-send" "A plan's call to the control API is about to leave."
    CallReceived "client.call.after-receive" "A plan's call to the control API was answered."

    // Steps outside the configuration, in `ctx`.
    ProgramSpawns "local.program.before-spawn" "A program of the plan is about to start."
    ProgramSpawned "local.program.after-spawn" "A program of the plan runs."
    ProgramEnded "local.program.after-end" "A program of the plan has ended by itself."
    RequestSends "local.call.before-send" "The request of a `call` step is about to leave."
    RequestAnswered "local.call.after-answer" "The request of a `call` step was answered, or not."

    // A backup, in `ctx`.
    BackupBegun "backup.gather.before" "The backup's folder is there, and empty."
    BackupConfig "backup.config.after" "The configuration is in the scratch folder."
    BackupDatabase "backup.database.after" "The database is in the scratch folder too."
    BackupCache "backup.cache.after" "The cached answers are in the scratch folder too."
    BackupPacks "backup.part.before-pack" "A part is about to be compressed."
    BackupPacked "backup.part.after-pack" "A part is compressed."
    BackupProves "backup.verify.before" "Every part is there and none is checked."
    BackupProved "backup.verify.after" "Every part was restored and checked."
    BackupSeals "backup.manifest.before-rename" "The manifest is durable under another name."
    BackupSealed "backup.manifest.after-rename" "The manifest has its name."
    RestorePuts "backup.restore.before-part" "A part of a backup is about to be put back."
    RestorePut "backup.restore.after-part" "A part of a backup was put back."

    // The control side, in `ctx serve`.
    TokenWritten "serve.token.before-link" "A new token is whole under another name."
    TokenKept "serve.token.after-link" "The token has its name."
    StoreOpened "store.open.locked" "The state folder is locked; nothing is read yet."
    MigrationRun "store.migrate.before-commit" "A migration has run and is not committed."
    MigrationKept "store.migrate.after-commit" "A migration is durable."
    BootSettles "start.settle.before-commit" "What an earlier run left is about to be settled."
    BootSettled "start.settle.after-commit" "What an earlier run left is settled; nobody listens."
    ServeStarted "serve.start.before-announce" "Everything listens, and nothing says so."
    ServeAnnounced "serve.start.after-announce" "The addresses were printed."
    HandoverOffers "handover.offer.before" "Another process asked for the sockets."
    HandoverTaken "handover.take.offered" "The sockets of another process are there too."
    HandoverReleases "handover.release.before" "Another process asked for the state."
    HandoverReleased "handover.release.after" "The state is free, and nobody knows yet."
    HandoverOpens "handover.take.released" "The state of another process is free."
    HandoverServes "handover.take.serves" "Everything listens; the other process does not know."
    HandoverHeard "handover.serving.heard" "Another process serves; this one still accepts."
    ServeDrains "serve.stop.before-drain" "A signal has come; requests in flight may finish."
    ServeDrained "serve.stop.after-drain" "Requests in flight have finished."
    DeskDecided "desk.decide.before-commit" "A transition is decided; nothing is written."
    StoreWritten "store.commit.before" "A transition is written and not committed."
    StoreCommitted "store.commit.after" "A transition is durable and not in force."
    DeskSwaps "desk.swap.before" "A revision is durable and about to be put in force."
    DeskSwapped "desk.swap.after" "A revision is in force."
    DeskReplies "desk.reply.before" "A transition is done, and its caller does not know."
    DeskExpires "desk.expiry.before" "A lease or a deadline has passed; nothing is decided."
    DeskExpired "desk.expiry.after" "A lease or a deadline has passed, and that is in force."
    HealthWritten "store.health.before-commit" "A round of checks is written, not committed."
    HealthCommitted "store.health.after-commit" "A round of checks is durable."
    SnapshotBegun "store.snapshot.before-copy" "An empty file for a copy of the database is there."
    SnapshotTaken "store.snapshot.after-copy" "A copy of the database still has its name."

    // The gateway, in `ctx serve`.
    GatewayAdmitted "gateway.request.admitted" "A request is admitted and goes nowhere yet."
    GatewaySends "gateway.forward.before-send" "A request is about to go to an upstream."
    GatewayAnswered "gateway.forward.after-answer" "The head of an upstream's answer is there."
    GatewayReplies "gateway.reply.before" "An answer is about to go to the client."
    EventChecked "gateway.event.checked" "An event's signature is right, and nobody handles it."
    EventHandled "gateway.event.handled" "A handler has answered, and its answer is not kept."
    CacheKeeps "gateway.cache.before-keep" "An answer has passed, and is about to be kept."
    CacheKept "gateway.cache.after-keep" "An answer is kept."
    InboxWrites "inbox.write.before" "Events are to be stored or marked, and nothing is written."
    InboxWritten "inbox.write.after-commit" "Events are stored or marked, and nobody is told."
    InboxAcknowledges "inbox.acknowledge.before" "An event is stored, and its sender is not told."
    InboxTaken "inbox.attempt.before" "A stored event is about to go to its handler."
    InboxHandled "inbox.attempt.after" "What became of a stored event is known and not noted."
}

impl Point {
    /// What it is called, such as `ledger.append.before-commit`.
    pub fn name(self) -> &'static str {
        // The table is in the order of the variants.
        ALL[self as usize].1
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a process does at its failpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Dies as of `kill -9`.
    Kill,
    /// Is stopped as of `kill -STOP`; somebody else lets it go on.
    Stop,
    /// Ends at once, with exit code 70.
    Exit,
    /// Panics on the thread that has hit the point.
    Panic,
    /// Holds up the thread that has hit the point for this many milliseconds.
    Sleep(u64),
}

/// A point, what to do there, and at which of its hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Armed {
    pub point: Point,
    pub action: Action,
    /// From 1.
    pub nth: u64,
}

/// Why a text arms nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not `NAME:ACTION[:NTH]` with the name of a failpoint")]
pub struct NoFailpoint(String);

impl FromStr for Armed {
    type Err = NoFailpoint;

    fn from_str(text: &str) -> Result<Self, NoFailpoint> {
        let parse = || {
            let mut parts = text.split(':');
            let (name, action) = (parts.next()?, parts.next()?);
            let (point, ..) = *ALL.iter().find(|(_, known, _)| *known == name)?;
            let action = match action {
                "kill" => Action::Kill,
                "stop" => Action::Stop,
                "exit" => Action::Exit,
                "panic" => Action::Panic,
                other => Action::Sleep(other.strip_prefix("sleep=")?.parse().ok()?),
            };
            let nth = parts.next().map_or(Some(1), |nth| nth.parse().ok())?;
            (nth > 0 && parts.next().is_none()).then_some(Self { point, action, nth })
        };
        parse().ok_or_else(|| NoFailpoint(text.to_owned()))
    }
}

/// Arms this process with what `CTX_FAILPOINT` says; the first call counts.
///
/// # Errors
/// When the text names no failpoint. A release build takes no notice of it.
pub fn arm(text: Option<&str>) -> Result<(), NoFailpoint> {
    #[cfg(debug_assertions)]
    if let Some(text) = text {
        armed::arm(text.parse()?);
    }
    #[cfg(not(debug_assertions))]
    let _ = text;
    Ok(())
}

/// The process has come to `point`. In a release build this is nothing.
#[inline]
pub fn hit(point: Point) {
    #[cfg(debug_assertions)]
    armed::hit(point);
    #[cfg(not(debug_assertions))]
    let _ = point;
}

/// What only a debug build has.
#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};

    use super::{Action, Armed, Point};

    static ARMED: OnceLock<Armed> = OnceLock::new();
    static HITS: AtomicU64 = AtomicU64::new(0);

    pub(super) fn arm(armed: Armed) {
        // The first one stays.
        let _ = ARMED.set(armed);
    }

    pub(super) fn hit(point: Point) {
        let Some(armed) = ARMED.get().filter(|armed| armed.point == point) else { return };
        if HITS.fetch_add(1, Ordering::Relaxed) + 1 == armed.nth {
            act(armed);
        }
    }

    #[expect(clippy::exit, reason = "a process that ends here is what was asked for")]
    #[expect(clippy::disallowed_methods, reason = "a thread that hangs is what was asked for")]
    fn act(Armed { point, action, .. }: &Armed) {
        match action {
            Action::Kill => signal(Signal::KILL),
            Action::Stop => signal(Signal::STOP),
            Action::Exit => std::process::exit(70),
            Action::Panic => panic!("failpoint `{point}`"),
            Action::Sleep(ms) => std::thread::sleep(Duration::from_millis(*ms)),
        }
    }

    /// Sends a signal to this process, which can be neither caught nor refused.
    fn signal(signal: Signal) {
        kill_process(getpid(), signal).expect("a process may signal itself");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_at_least_forty_points_and_every_one_has_its_own_name() {
        assert!(ALL.len() >= 40, "{}", ALL.len());
        let names: BTreeSet<_> = ALL.iter().map(|(_, name, _)| name).collect();
        assert_eq!(names.len(), ALL.len());
        for (point, name, what) in ALL {
            assert_eq!(point.name(), *name, "the table is in the order of the variants");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || "-.".contains(c)), "{name}");
            assert!(what.ends_with('.'), "{name}: {what}");
        }
    }

    #[test]
    fn a_text_arms_a_point_or_is_refused() {
        let check = |text: &str, expect| assert_eq!(text.parse::<Armed>().ok(), expect, "{text}");
        let at = |action, nth| Some(Armed { point: Point::LedgerInserted, action, nth });
        check("ledger.append.before-commit:kill", at(Action::Kill, 1));
        check("ledger.append.before-commit:stop:3", at(Action::Stop, 3));
        check("ledger.append.before-commit:sleep=20", at(Action::Sleep(20), 1));
        for wrong in ["", "ledger", ":kill", "sleep=x", "kill:0", "kill:x", "kill:1:1", "cough"] {
            check(&format!("ledger.append.before-commit:{wrong}"), None);
        }
        check("ledger.append.sometime:kill", None);
    }
}
