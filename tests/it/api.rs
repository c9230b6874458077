//! The control API as `docs/api.md` tells it: what stands there is typed, with a real curl, at a
//! real orchestrator. What is made from the code there is held against it by
//! `src/orchestrator/control/server/reference`.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use ctx::rehearsal::legacy::Legacy;

use crate::support::Test;
use crate::support::markdown::{Document, prints};
use crate::support::peer;
use crate::support::serve::{Serve, TOKEN};

/// The address of the document, which is that of `ctx serve` by itself.
const ADDRESS: &str = "export API=http://127.0.0.1:7700";

#[test]
fn a_change_with_curl_goes_as_it_is_told() {
    if peer::require("curl").and(peer::require("jq")).is_none() {
        return;
    }
    let test = Test::new().env("CTX_TOKEN", TOKEN).file(".ctx/serve/token", TOKEN);
    let app = Legacy::start().unwrap();
    let serve = Serve::start(&test, &app.url());
    let types = |script: &str| {
        let address = format!("export API=http://{}", serve.control);
        let script = script.replace(ADDRESS, "");
        let ran = Command::new("sh")
            .args(["-euc", &format!("{address}\n{script}")])
            .current_dir(test.path("."))
            .env_remove("CTX_TOKEN")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(ran.status.success() && ran.stderr.is_empty(), "{script}\n{ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    };
    let section = Document::read("docs/api.md").section("With curl");
    assert!(section.text.contains(ADDRESS));
    let mut told = String::new();
    for block in section.blocks() {
        match block.kind.as_str() {
            "sh" => told = types(&block.text),
            "text" => prints(&told, &block.text),
            other => panic!("a block of `{other}` is not checked"),
        }
    }
    // The effect of it all, as somebody else sees it.
    let state = serve.state();
    assert_eq!((state.head, state.confirmed, state.config.pool.max_idle), (2, 2, 128));
    assert_eq!((state.provisional, state.lease), (None, None));
    let kept = std::fs::metadata(test.path(".ctx/curl")).unwrap().permissions().mode();
    assert_eq!(kept & 0o777, 0o600, "the token is its owner's alone");
    let secret = |file: &str| std::fs::read_to_string(test.path(file)).unwrap();
    for file in ["state.json", "change.json", "granted.json", "kept.json", "no.json"] {
        assert!(!secret(file).contains(TOKEN), "{file}");
    }
}
