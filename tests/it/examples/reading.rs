//! What is read: the ledger, the plan, and both beside the service.

use ctx::control::config::{CacheMode, flag};
use ctx::error::Code;
use ctx::units::Percent;

use super::act::{Act, act};
use super::scene::Scene;
use crate::support::{block_on, until};

/// The examples' backup is the last one.
fn knows_the_backup(scene: &mut Scene) {
    let list = scene.test.run(&["backup", "list", "--json"]).json();
    let id = list["backups"][0]["id"].as_str().unwrap_or_else(|| panic!("{list}")).to_owned();
    scene.is("b-20300101t120000-4f1d", id);
}

/// An answer from the cache was compared with the app's.
fn compared(scene: &mut Scene) {
    let serve = scene.serve();
    serve.set(|config| {
        config.cache.mode = CacheMode::Read;
        let flag = config.flags.get_mut(flag::CACHING_LAYER).unwrap();
        (flag.enabled, flag.percentage) = (true, Percent::ALL);
    });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let home = format!("http://{}/", serve.data);
    until("a cached answer was compared", || {
        block_on(async { http.get(&home).send().await.unwrap().bytes().await.unwrap() });
        (!block_on(serve.client().shadow()).unwrap().routes.is_empty()).then_some(())
    });
}

pub(super) const SCRIPT: &[Act] = &[
    act("ctx plan check", "no faults"),
    act("ctx plan check plans/contexten.toml --live", "no faults"),
    act("ctx plan show --phase 2", "pool-ramp"),
    act("ctx plan show plans/contexten.toml --detailed-exitcode", "health-monitoring")
        .ends(Code::ChangesPending),
    act("ctx plan schema > plan.schema.json", "").leaves("plan.schema.json"),
    act("ctx plan schema | grep -A 3 max_tail_ratio", "description").verbatim(),
    act("ctx status --live", "foundation"),
    act("ctx validate", "error-rate"),
    act("ctx validate --phase 2 --json", "\"error-rate\""),
    act("ctx report", "foundation"),
    act("ctx report -o report.html", "report.html").leaves("report.html"),
    act("ctx report --phase 2 --format junit -o phase-2.xml", "phase-2.xml").leaves("phase-2.xml"),
    act("ctx history", "done"),
    act("ctx history -n 1 --json", "\"run\""),
    act("ctx show 1a90", "confirmed as revision 2").after(Scene::knows_the_run),
    act("ctx show 1a90ac40 --json", "change_confirmed"),
    act("ctx milestone list", "connection-pooling"),
    act("ctx milestone list --json", "connection-pooling"),
    act("ctx milestone show connection-pooling", "gradual rollout"),
    act("ctx milestone show connection-pooling --json", "gradual rollout"),
    act("ctx drift", "phase `performance`: not confirmed yet"),
    act("ctx drift --detailed-exitcode --json", "\"pending\":[\"performance\"]")
        .ends(Code::ChangesPending),
    act("ctx lock show", "nobody"),
    act("ctx monitor --once --no-rollback", "error-rate"),
    act("ctx monitor", "SIGINT received").typing(&[("error-rate", "\x03")]),
    act("ctx monitor --for 8h --every 30m --json", "monitor").typing(&[("error-rate", "\x03")]),
    act("ctx test phase 2", "the home page is HTML"),
    act("ctx test phase performance --junit tests.xml", "tests.xml").leaves("tests.xml"),
    act("ctx test phase 2 --junit tests.xml", "tests.xml").leaves("tests.xml"),
    act("ctx test suite functional", "the home page is HTML"),
    act("ctx test suite functional --json", "\"passed\":true"),
    act("ctx config show --origin", "CTX_ORCHESTRATOR"),
    act("ctx config show --live", "mode"),
    act("ctx config show --live --origin", "mode"),
    act("ctx config show --live --json", "\"mode\""),
    act("ctx doctor", "orchestrator"),
    act("ctx doctor --plan plans/contexten.toml --json", "\"passed\":true"),
    act("ctx alerts list", "chat"),
    act("ctx alerts list --json", "\"chat\""),
    act("ctx alerts test", "ok"),
    act("ctx alerts test chat", "ok"),
    act("ctx backup list", "b-").after(knows_the_backup),
    act("ctx backup list --json", "\"id\""),
    act("ctx backup show b-20300101t120000-4f1d", "config"),
    act("ctx backup show b-20300101t120000-4f1d --json", "config"),
    act("ctx backup verify", "b-"),
    act("ctx backup verify b-20300101t120000-4f1d", "b-"),
    act("ctx shadow", "home").after(compared),
    act("ctx shadow --json", "\"routes\""),
    act("ctx help migrate", "Run a phase"),
    act("ctx help 22", "rollback"),
    act("ctx help head_moved", "status 412"),
    act("ctx help codes", "head_moved"),
    act("ctx man migrate > ctx-migrate.1", "").leaves("ctx-migrate.1"),
    act("ctx man --write ~/.local/share/man/man1", "man1")
        .leaves(".local/share/man/man1/ctx-migrate.1"),
    act("ctx completions bash > ~/.local/share/bash-completion/completions/ctx", "")
        .after(|scene| scene.test.write(".local/share/bash-completion/completions/other", ""))
        .leaves(".local/share/bash-completion/completions/ctx"),
    act("ctx completions fish > ~/.config/fish/completions/ctx.fish", "")
        .after(|scene| scene.test.write(".config/fish/completions/other", ""))
        .leaves(".config/fish/completions/ctx.fish"),
];

#[test]
fn what_is_read() {
    let mut scene = Scene::busy();
    scene.ctx(&["migrate", "phase", "1", "--yes"]);
    scene.plays(SCRIPT);
}
