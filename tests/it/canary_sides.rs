//! Who is on the canary's side, seen from outside: a sender stays there however the share grows,
//! over a restart and at another orchestrator, and leaves it last when the share falls.

use std::collections::BTreeSet;

use ctx::control::config::{Canary, Config, Upstream};
use ctx::rehearsal::legacy::{Faults, Legacy};
use ctx::units::Percent;

use crate::support::serve::{Serve, TOKEN};
use crate::support::{Test, block_on};

/// How many senders there are.
const SENDERS: u32 = 400;

/// Both apps; the second says who it is by failing always.
struct Apps {
    legacy: Legacy,
    next: Legacy,
}

impl Apps {
    fn start() -> Self {
        let legacy = Legacy::start().unwrap();
        let next = legacy.start_beside().unwrap();
        next.inject(Faults { errors: Percent::ALL, ..Faults::default() });
        Self { legacy, next }
    }

    /// Gives the second app a share, in percent.
    fn give(&self, share: u32) -> impl FnOnce(&mut Config) {
        let next = Upstream::at(&self.next.url());
        move |config| {
            config.upstreams.insert("next".to_owned(), next);
            let weight = Percent::whole(share);
            config.canary = Some(Canary { upstream: "next".to_owned(), weight });
        }
    }
}

fn project() -> Test {
    Test::new().env("CTX_TOKEN", TOKEN)
}

/// The senders whose events go to the second app.
fn beside(serve: &Serve) -> BTreeSet<u32> {
    let url = format!("{}/github/events", serve.address());
    block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut beside = BTreeSet::new();
        for sender in 0..SENDERS {
            let event = client.post(&url).header("x-github-hook-id", format!("hook-{sender}"));
            let status = event.body("{}").send().await.unwrap().status();
            if status == 500 {
                beside.insert(sender);
            } else {
                assert!(!status.is_server_error(), "the legacy app is well: {status}");
            }
        }
        beside
    })
}

#[test]
fn a_sender_stays_on_its_side_as_the_share_grows_over_a_restart_and_elsewhere() {
    let (test, apps) = (project(), Apps::start());
    let mut serve = Serve::start(&test, &apps.legacy.url());
    let mut before = BTreeSet::new();
    for share in [1, 5, 25] {
        serve.set(apps.give(share));
        let now = beside(&serve);
        assert!(now.is_superset(&before), "whoever is in stays in: {before:?} and {now:?}");
        let about = SENDERS * share / 100;
        let fair = about / 2..=about * 3 / 2 + 2;
        assert!(fair.contains(&u32::try_from(now.len()).unwrap()), "{} at {share}%", now.len());
        assert!(now.len() > before.len(), "more are in at {share}%");
        before = now;
    }
    serve.restart(&test);
    assert_eq!(beside(&serve), before, "after a restart");

    // Another orchestrator with a state of its own, which never had a smaller share.
    let other_test = project();
    let other = Serve::start(&other_test, &apps.legacy.url());
    other.set(apps.give(25));
    assert_eq!(beside(&other), before, "at another orchestrator");

    for share in [5, 1, 0] {
        serve.set(apps.give(share));
        let now = beside(&serve);
        assert!(now.is_subset(&before) && now.len() < before.len(), "{share}%: {now:?}");
        before = now;
    }
    assert_eq!(before, BTreeSet::new());
}
