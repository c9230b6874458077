//! Zero: no request fails, whatever an operator does to the service.

use std::collections::HashMap;
use std::time::Duration;

use ctx::control::config::{InboxMode, flag};
use ctx::rehearsal::legacy::Legacy;
use ctx::units::Percent;
use rustix::process::Signal;

use super::callers::Callers;
use super::{asked, project};
use crate::support::serve::{Serve, TOKEN};
use crate::support::uvicorn::Uvicorn;
use crate::support::{block_on, until};

#[test]
fn no_request_fails_through_changes_restarts_and_new_secrets() {
    let test = project().env("CONTEXTEN_ENHANCED_MODE", "true");
    test.write("github", "secret-0");
    let secret = format!("file:{}", test.path("github").display());
    let legacy = Legacy::start().unwrap();
    let args = ["--github-secret", &secret, "--workers", "2"];
    let mut serve = Serve::with(&test, &legacy.url(), &args);
    let callers = Callers::start(&serve.data, "secret-0", 16);
    let mut reloads = 0;
    let mut reload = |serve: &Serve, callers: &Callers| {
        reloads += 1;
        let next = format!("secret-{reloads}");
        test.write("github", &next);
        serve.signal(Signal::HUP);
        // Both are good from now on, so senders may change when they like.
        until("the new secret is read", || {
            let log = std::fs::read_to_string(test.path("serve.log")).unwrap();
            (log.matches("the secrets were read again").count() >= reloads).then_some(())
        });
        callers.sign_with(&next);
    };
    for round in 0..3 {
        for change in 0..7 {
            serve.set(|config| turn(config, change));
        }
        reload(&serve, &callers);
        callers.go_on();
        serve.hand_over(&test);
        callers.go_on();
        if round < 2 {
            reload(&serve, &callers);
        }
    }
    let seen = callers.stop();
    assert_eq!(reloads, 5);
    assert!(serve.state().head > 20, "{}", serve.state().head);
    assert_eq!(seen.failures, Vec::<String>::new(), "of {}", seen.acknowledged.len());
    assert_eq!(seen.refused, 0);
    let all = seen.acknowledged.len();
    let handled = legacy.handled();
    let lost = handled.await_all(seen.acknowledged, Duration::from_secs(20));
    assert_eq!((lost, handled.repeated()), (Vec::new(), 0), "of {all}");
    until("nothing waits any more", || {
        let (_, inbox) = asked(&serve.control, "/v1/inbox")?;
        inbox.contains("\"pending\":0").then_some(())
    });
    let log = std::fs::read_to_string(test.path("serve.log")).unwrap();
    assert!(!log.contains(TOKEN) && !log.contains("secret-1"), "no secret is logged");
}

#[test]
fn no_request_of_a_real_app_fails_through_a_restart() {
    let Some(app) = Uvicorn::start() else { return };
    let test = project().env("CONTEXTEN_ENHANCED_MODE", "true");
    let mut serve = Serve::start(&test, app.url());
    let callers = Callers::start(&serve.data, "", 8);
    for change in 0..3 {
        serve.set(|config| turn(config, change));
        serve.hand_over(&test);
        callers.go_on();
    }
    let seen = callers.stop();
    assert_eq!(seen.failures, Vec::<String>::new(), "of {}", seen.acknowledged.len());
    let handled = || block_on(app.handled());
    let lost = |handled: &HashMap<String, u64>| {
        seen.acknowledged.iter().filter(|id| !handled.contains_key(*id)).count()
    };
    until("every event is handled", || (lost(&handled()) == 0).then_some(()));
    assert!(handled().values().all(|times| *times == 1), "and none of them twice");
}

/// One of seven changes: the inbox, the pool, the breakers and the cache come and go.
fn turn(config: &mut ctx::control::config::Config, change: u32) {
    let mut set = |name: &str, on: bool| {
        let flag = config.flags.get_mut(name).unwrap();
        flag.enabled = on;
        flag.percentage = if on { Percent::ALL } else { Percent::ZERO };
    };
    match change {
        0 => set(flag::CONNECTION_POOLING, true),
        1 => {
            set(flag::DURABLE_INBOX, true);
            config.inbox.mode = InboxMode::Store;
        }
        2 => set(flag::CIRCUIT_BREAKING, true),
        3 => config.inbox.concurrency += 1,
        4 => set(flag::CONNECTION_POOLING, false),
        5 => config.limits.connections += 1,
        _ => set(flag::CIRCUIT_BREAKING, false),
    }
}
