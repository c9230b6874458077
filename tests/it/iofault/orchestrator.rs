//! The state folder fails under `ctx serve`.

use ctx::control::client::{Client, Reply, Write};
use ctx::control::config::Config;
use ctx::control::wire::{Anchor, LeaseRequest, RevisionRequest};
use ctx::ids::RunId;
use ctx::rehearsal::legacy::Legacy;
use ctx::secret::Secret;

use super::{each, shim, struck};
use crate::shop::operator;
use crate::support::block_on;
use crate::support::serve::{Serve, TOKEN};

/// What was answered with success.
#[derive(Debug, Default)]
struct Acknowledged {
    /// Keys and the revisions that they made.
    operations: Vec<(String, u64)>,
    /// The hash of the last configuration that was confirmed.
    confirmed: Option<String>,
    /// What a confirmation without an answer would have confirmed.
    perhaps: Option<String>,
    anchor: Option<Anchor>,
}

impl Acknowledged {
    fn saw<T>(&mut self, reply: Reply<T>) -> T {
        self.anchor = reply.anchor.or(self.anchor.take());
        reply.body
    }
}

fn client(serve: &Serve) -> Client {
    Client::new(&format!("http://{}", serve.control), Some(Secret::new(TOKEN)))
}

fn lease(anchor: Option<Anchor>) -> LeaseRequest {
    LeaseRequest {
        run: RunId::random(),
        holder: "ada".to_owned(),
        host: "desk".to_owned(),
        pid: 7,
        ttl_ms: 30_000,
        min_token: 0,
        last_anchor: anchor,
    }
}

/// The document in force with another bound of its pool.
fn pooled(config: &Config, max_idle: u32) -> Config {
    let mut config = config.clone();
    config.pool.max_idle = max_idle;
    config
}

/// Three changes: two are confirmed, one is taken back. Whatever fails, the next is tried; the
/// gateway answers all the time.
async fn work(serve: &Serve) -> Acknowledged {
    let (client, mut done) = (client(serve), Acknowledged::default());
    serves(serve).await;
    let Ok(granted) = client.acquire(&lease(None)).await else { return done };
    let fence = done.saw(granted).fence;
    for (name, max_idle) in [("one", 10), ("two", 20), ("three", 30)] {
        serves(serve).await;
        let Ok(state) = client.state().await else { continue };
        let state = done.saw(state);
        let config = pooled(&state.config, max_idle);
        let hash = config.hash();
        let request = RevisionRequest { config, confirm_within_ms: None, reason: name.to_owned() };
        let key = format!("{name}-apply");
        let write = Write { fence: &fence, key: &key };
        let Ok(applied) = client.apply(write, state.head, &request).await else { continue };
        let rev = done.saw(applied).rev;
        done.operations.push((key, rev));
        serves(serve).await;
        let key = format!("{name}-end");
        let write = Write { fence: &fence, key: &key };
        let ended = match name {
            "two" => client.revert(write, rev).await,
            _ => client.confirm(write, rev).await,
        };
        match ended {
            Ok(ended) => {
                let rev = done.saw(ended).rev;
                done.operations.push((key, rev));
                if name != "two" {
                    (done.confirmed, done.perhaps) = (Some(hash), None);
                }
            }
            Err(_) if name != "two" => done.perhaps = Some(hash),
            Err(_) => {}
        }
    }
    serves(serve).await;
    done
}

/// The gateway answers.
async fn serves(serve: &Serve) {
    let reply = reqwest::get(format!("http://{}/", serve.data)).await.unwrap();
    assert!(reply.status().as_u16() < 500, "{}", reply.status());
}

#[test]
fn every_operation_on_the_state_folder_fails_in_turn() {
    let Some(shim) = shim() else { return };
    each(
        || Legacy::start().unwrap(),
        |legacy, fault| {
            let test = operator();
            let (folder, log) = (test.path("state"), test.path("struck.log"));
            let environment = fault.environment(shim, &folder, &log);
            let done = match Serve::under(&test, &legacy.url(), &environment) {
                // A store that cannot be opened is no orchestrator: it said so and ended.
                Err(said) => {
                    assert!(said.contains("error"), "{fault:?}: {said}");
                    assert!(!said.contains("panicked"), "{fault:?}: {said}");
                    Acknowledged::default()
                }
                Ok(mut serve) => {
                    let done = block_on(work(&serve));
                    serve.kill();
                    done
                }
            };
            let hit = struck(&log);
            let about = format!("{fault:?}\n{}", hit.clone().unwrap_or_default());
            let serve = Serve::start(&test, &legacy.url());
            block_on(survives(&serve, done, &about));
            hit.is_some()
        },
    );
}

/// Everything that was answered with success is there after a restart.
async fn survives(serve: &Serve, done: Acknowledged, about: &str) {
    let client = client(serve);
    let state = client.state().await.unwrap().body;
    for (key, rev) in &done.operations {
        let found = client.operation(key).await.unwrap();
        let found = found.unwrap_or_else(|| panic!("{about}: `{key}` is lost"));
        assert_eq!(found.result.rev, *rev, "{about}: {key}");
    }
    if let Some(confirmed) = done.confirmed {
        let may = [Some(confirmed), done.perhaps];
        assert!(may.contains(&Some(state.config_hash.clone())), "{about}: {state:?} not {may:?}");
    }
    assert_eq!(state.provisional, None, "{about}");
    // The last anchor that was seen must be in the audit chain: otherwise this is refused.
    client.acquire(&lease(done.anchor)).await.unwrap_or_else(|error| panic!("{about}: {error}"));
    serves(serve).await;
}
