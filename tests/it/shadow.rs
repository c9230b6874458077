//! Shadow copies, as an operator reads them.

use ctx::control::config::{CacheMode, Canary, Upstream, flag};
use ctx::error::Code;
use ctx::rehearsal::legacy::Legacy;
use ctx::units::Percent;

use crate::support::scripted::{Scripted, header};
use crate::support::serve::{Serve, TOKEN};
use crate::support::{Test, block_on, until};

#[test]
fn an_operator_sees_the_parity_of_each_route() {
    let test = Test::new().env("CTX_TOKEN", TOKEN);
    let legacy = Legacy::start().unwrap();
    let serve = Serve::start(&test, &legacy.url());
    let url = format!("http://{}", serve.control);
    let shadow = || test.run(&["shadow", "--orchestrator", &url]).exits(Code::Done);
    shadow().warns(&["nothing was compared yet", "`shadow = true`"]);
    serve.set(|config| {
        config.cache.mode = CacheMode::Read;
        let flag = config.flags.get_mut(flag::CACHING_LAYER).unwrap();
        (flag.enabled, flag.percentage) = (true, Percent::ALL);
    });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let home = format!("http://{}/", serve.data);
    until("a cached answer was compared", || {
        block_on(async { client.get(&home).send().await.unwrap().bytes().await.unwrap() });
        (!block_on(serve.client().shadow()).unwrap().routes.is_empty()).then_some(())
    });
    let said = shadow().stdout;
    assert!(said.contains("home") && said.contains("100.00%"), "{said}");
    let json = test.run(&["shadow", "--json", "--orchestrator", &url]).exits(Code::Done).json();
    assert_eq!(json["routes"]["home"]["parity"], 1.0);
}

#[test]
fn what_a_canary_would_have_said_is_compared_route_by_route_without_the_noise() {
    let test = Test::new().env("CTX_TOKEN", TOKEN);
    let app = |price: u32| {
        let asked = std::sync::atomic::AtomicU32::new(0);
        Scripted::start(move |request| {
            let at = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            // Both apps say another time with each answer, and differ in what the home page costs.
            let price = if request.starts_with("GET /status ") { 7 } else { price };
            (200, format!(r#"{{"time":"{price}-{at}","price":{price}}}"#))
        })
    };
    let (legacy, canary) = (app(100), app(200));
    let serve = Serve::start(&test, &legacy.url());
    serve.set(|config| {
        config.upstreams.insert("canary".to_owned(), Upstream::at(&canary.url()));
        config.canary = Some(Canary { upstream: "canary".to_owned(), weight: Percent::ZERO });
        let mut status = config.routes["home"].clone();
        status.path = "/status".to_owned();
        config.routes.insert("status".to_owned(), status);
    });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let compared = |name: &str, path: &str| {
        let url = format!("http://{}{path}", serve.data);
        until(&format!("{name} was compared"), || {
            let text = block_on(async { client.get(&url).send().await.unwrap().text().await });
            assert!(
                text.unwrap().contains(if name == "home" { "100" } else { "7" }),
                "not a copy's"
            );
            let seen = block_on(serve.client().shadow()).unwrap();
            seen.routes.get(name).filter(|route| route.compared >= 2).cloned()
        })
    };
    let (home, status) = (compared("home", "/?q=1"), compared("status", "/status"));
    assert_eq!((home.parity, status.parity), (Some(0.0), Some(1.0)), "{home:?} {status:?}");
    for route in [&home, &status] {
        assert_eq!(route.noise[0].place, "/time", "the legacy app does not agree with itself");
    }
    assert!(status.differences.is_empty(), "{status:?}");
    let said = &home.differences[0];
    assert_eq!(
        [&said.target, &said.place, &said.enhanced, &said.legacy],
        ["/?q=1", "/price", "200", "100"]
    );
    for copy in canary.seen() {
        assert_eq!(header(&copy, "ctx-shadow"), Some("1"), "the canary gets copies alone");
    }
    let url = format!("http://{}", serve.control);
    let shown = test.run(&["shadow", "--orchestrator", &url]).exits(Code::Done);
    shown.says(&["left out as noise", "/time", "/price", "200", "100", "/?q=1"]);
    let metrics = block_on(async {
        let asked = client.get(format!("{url}/metrics")).bearer_auth(TOKEN).send().await;
        asked.unwrap().text().await.unwrap()
    });
    for line in [
        "ctx_shadow_parity_ratio{route=\"home\"} 0\n",
        "ctx_shadow_parity_ratio{route=\"status\"} 1\n",
        "ctx_shadow_answers_total{route=\"status\",result=\"different\"} 0\n",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
}
