//! The examples are what they say: installed as their comments tell, they answer.

use ctx::control::config::{Mode, flag};
use ctx::error::Code;
use ctx::rehearsal::legacy::Legacy;
use ctx::units::Percent;
use serde_json::json;

use super::world::post;
use crate::support::serve::{Serve, TOKEN};
use crate::support::{Test, block_on, peer};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/extensions");

#[test]
fn the_greeter_greets() {
    if peer::require("python").is_none() {
        return;
    }
    for (env, greeting) in [(None, "Hello"), (Some("Moin"), "Moin")] {
        let mut test = Test::new().env("CTX_TOKEN", TOKEN);
        if let Some(greeting) = env {
            test = test.env("GREETING", greeting);
        }
        let legacy = Legacy::start().unwrap();
        let serve = Serve::with(&test, &legacy.url(), &["--programs", FOLDER]);
        serve.set(|config| {
            config.mode = Mode::Enhanced;
            let flag = config.flags.get_mut(flag::EXTENSION_MANAGEMENT).unwrap();
            (flag.enabled, flag.percentage) = (true, Percent::ALL);
        });
        let (url, file) = (format!("http://{}", serve.control), format!("{FOLDER}/greeter.toml"));
        test.run(&["extension", "install", &file, "--yes", "--orchestrator", &url])
            .exits(Code::Done);
        let answer = block_on(post(&serve.data, &json!({ "actor": { "name": "Ada" } })));
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json(), json!({ "said": format!("{greeting}, Ada"), "delivery": "d-7" }));
        let log = std::fs::read_to_string(test.path("serve.log")).unwrap();
        assert!(log.contains("greeting with `Hello`"), "stderr goes to the log: {log}");
    }
}
