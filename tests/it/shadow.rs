//! Shadow copies, as an operator reads them.

use ctx::control::config::{CacheMode, flag};
use ctx::error::Code;
use ctx::rehearsal::legacy::Legacy;
use ctx::units::Percent;

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
