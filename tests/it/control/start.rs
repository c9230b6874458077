//! Starting, starting again, and not starting.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use ctx::clock::ManualClock;
use ctx::control::config::{LEGACY, Mode, Platform};
use ctx::control::origin::Origin;
use ctx::control::wire::{AuditKind, AuditRow};
use ctx::orchestrator::store::StoreError;
use ctx::orchestrator::{Initial, Options, Orchestrator, StartError};
use ctx::secret::SecretRef;

use super::harness::{Legacy, Served, options};

#[tokio::test]
async fn the_first_start_passes_everything_to_the_legacy_app() {
    let served = Served::start().await;
    let url = format!("http://{}/anything", served.running().data_addr());
    let reply = served.client.get(url).send().await.unwrap();
    assert_eq!(reply.text().await.unwrap(), "legacy");
    let state = served.state().await;
    assert_eq!((state.head, state.confirmed), (1, 1));
    assert_eq!(state.data_addr, served.running().data_addr().to_string());
}

#[tokio::test]
async fn a_start_with_another_legacy_app_is_a_revision_of_its_own() {
    let mut served = Served::start().await;
    {
        let operator = served.lease("ann").await.unwrap();
        operator.change("one", |config| config.cache.capacity = 1).await;
    }
    let old = std::mem::replace(&mut served.legacy, Legacy::start().await);
    served.orchestrator.take().unwrap().stop(Duration::from_secs(5));
    served.begin().unwrap();
    let state = served.state().await;
    assert_eq!((state.head, state.confirmed), (3, 3));
    assert_eq!(state.config.upstreams[LEGACY].url, served.legacy.url);
    assert_eq!(state.config.cache.capacity, 1, "the rest stays");
    let rows: Vec<AuditRow> = served.get("/v1/audit").await;
    let last = rows.last().unwrap();
    assert_eq!(last.kind, AuditKind::Rebase);
    assert!(last.detail.contains(&old.url), "{}", last.detail);
    served.crash_and_restart();
    assert_eq!(served.state().await.head, 3, "once moved, nothing is left to do");
}

#[tokio::test]
async fn what_the_environment_says_counts_for_the_first_start_only() {
    let mut served = Served::start().await;
    drop(served.orchestrator.take());
    let fresh = tempfile::tempdir().unwrap();
    let initial = || Initial {
        mode: Some(Mode::Enhanced),
        legacy_fallback: Some(false),
        secrets: BTreeMap::from([(Platform::Slack, SecretRef::Env("HOOK".to_owned()))]),
        origins: vec![Origin::of("CONTEXTEN_ENHANCED_MODE", "mode", "enhanced")],
    };
    let start = |folder: &std::path::Path| {
        let clock = Arc::new(ManualClock::default());
        let options = options(folder, &served.legacy.url, clock);
        Orchestrator::start(Options { initial: initial(), ..options }).unwrap()
    };
    let first = start(fresh.path());
    let active = Arc::clone(&first.plane().active());
    assert_eq!((active.config.mode, active.config.legacy_fallback), (Mode::Enhanced, false));
    assert_eq!(active.config.routes["slack"].secret.as_deref(), Some("env:HOOK"));
    assert_eq!(active.config.routes["github"].secret, None);
    let second = start(served.folder.path());
    assert_eq!(second.plane().active().config.mode, Mode::Legacy);
}

#[tokio::test]
async fn each_way_not_to_start_has_its_error() {
    let served = Served::start().await;
    let fresh = tempfile::tempdir().unwrap();
    let start = |change: &dyn Fn(&mut Options)| {
        let clock = Arc::new(ManualClock::default());
        let mut options = options(fresh.path(), "http://127.0.0.1:8000", clock);
        change(&mut options);
        Orchestrator::start(options).err().unwrap()
    };
    let error = start(&|options| options.control = "0.0.0.0:0".parse().unwrap());
    assert!(matches!(error, StartError::NotLoopback(_)), "{error}");
    let error = start(&|options| options.legacy = "ftp://x".to_owned());
    assert!(matches!(error, StartError::Legacy(_)), "{error}");
    let error = start(&|options| options.state_dir = served.folder.path().to_path_buf());
    let locked = matches!(error, StartError::Store { source: StoreError::Locked(_), .. });
    assert!(locked, "{error}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _holder = TcpListener::bind(taken).unwrap();
    for what in ["events", "the control API"] {
        let error = start(&|options| match what {
            "events" => options.listen = taken,
            _ => options.control = taken,
        });
        let named = matches!(&error, StartError::Listen { what: at, .. } if *at == what);
        assert!(named, "{error}");
    }
    // The port of a running gateway counts as taken too.
    let error = start(&|options| options.listen = served.running().data_addr());
    assert!(matches!(error, StartError::Listen { what: "events", .. }), "{error}");
}
