//! The control API of `ctx serve`, held to the document that it serves.

use std::process::{Command, Stdio};

use ctx::control::client::Client;
use ctx::control::wire::LeaseRequest;
use ctx::rehearsal::legacy::Legacy;
use ctx::secret::Secret;
use reqwest::Method;
use serde_json::Value;

use crate::support::serve::{Serve, TOKEN};
use crate::support::{Test, peer};

/// A running orchestrator and what it says about itself.
struct Served {
    serve: Serve,
    document: Value,
    http: reqwest::Client,
    _test: Test,
    _legacy: Legacy,
}

impl Served {
    async fn start() -> Self {
        let test = Test::new().env("CTX_TOKEN", TOKEN);
        let legacy = Legacy::start().unwrap();
        let serve = Serve::start(&test, &legacy.url());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let document = http.get(format!("http://{}/openapi.json", serve.control));
        let document = document.bearer_auth(TOKEN).send().await.unwrap().json().await.unwrap();
        Self { serve, document, http, _test: test, _legacy: legacy }
    }

    fn url(&self) -> String {
        format!("http://{}", self.serve.control)
    }

    /// Every operation: its method, its path with parameters filled in, and whether it is open to
    /// everybody.
    fn operations(&self) -> Vec<(Method, String, bool)> {
        let paths = self.document["paths"].as_object().expect("a document has paths");
        let operations = paths.iter().flat_map(|(path, item)| {
            let path = path.replace("{rev}", "1").replace("{key}", "k");
            let methods = item.as_object().expect("a path has operations").iter();
            methods.map(move |(method, operation)| {
                let open = operation["security"].as_array().is_some_and(Vec::is_empty);
                (method.to_ascii_uppercase().parse().unwrap(), path.clone(), open)
            })
        });
        operations.collect()
    }
}

#[tokio::test]
async fn the_document_in_docs_is_the_one_that_is_served() {
    let served = Served::start().await;
    let docs: Value = serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
    assert_eq!(docs, served.document);
}

#[tokio::test]
async fn without_the_token_only_what_is_declared_open_answers() {
    let served = Served::start().await;
    let operations = served.operations();
    assert!(operations.len() >= 20, "{operations:?}");
    for (method, path, open) in operations {
        let probe = ["/livez", "/readyz", "/openapi.json"].contains(&path.as_str());
        assert!(!open || probe, "{path} is open to everybody");
        let url = served.url() + &path;
        let stranger = served.http.request(method.clone(), &url).send().await.unwrap();
        assert_eq!(stranger.status(), if open { 200 } else { 401 }, "{method} {path}");
        assert_eq!(stranger.headers().contains_key("www-authenticate"), !open, "{method} {path}");
        let wrong = served.http.request(method.clone(), &url).bearer_auth("wrong");
        let wrong = wrong.send().await.unwrap();
        assert_eq!(wrong.status(), if open { 200 } else { 401 }, "{method} {path}");
    }
    let client = Client::new(&served.url(), Some(Secret::new(TOKEN)));
    assert_eq!(client.state().await.unwrap().body.head, 1, "nothing was changed");
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_told_those_that_it_has() {
    let served = Served::start().await;
    let operations = served.operations();
    for (_, path, _) in &operations {
        let request = served.http.request(Method::PATCH, served.url() + path).bearer_auth(TOKEN);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 405, "{path}");
        let allowed = answer.headers()["allow"].to_str().unwrap();
        let allowed: Vec<&str> = allowed.split(',').map(str::trim).collect();
        for (method, ..) in operations.iter().filter(|(_, other, _)| other == path) {
            assert!(allowed.contains(&method.as_str()), "{method} {path}: {allowed:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_as_the_document_says() {
    if peer::require("schemathesis").is_none() {
        return;
    }
    let served = Served::start().await;
    let request = LeaseRequest {
        run: "0123456789abcdef".repeat(2).try_into().unwrap(),
        holder: "ada".to_owned(),
        host: "here".to_owned(),
        pid: 1,
        ttl_ms: 600_000,
        min_token: 0,
        last_anchor: None,
    };
    let client = Client::new(&served.url(), Some(Secret::new(TOKEN)));
    let fence = client.acquire(&request).await.unwrap().body.fence;
    let scratch = tempfile::tempdir().unwrap();
    let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi/run.sh"));
    script
        .args([served.url(), fence.to_string()])
        .current_dir(scratch.path())
        .env("CTX_TOKEN", TOKEN)
        .env("CTX_PYTHON", peer::python())
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || script.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
