//! Who gets in: every route of the table, with every kind of caller.

use ctx::control::wire::{ANCHOR, ProblemCode};
use ctx::orchestrator::control::server::routes::ROUTES;

use super::harness::{PATIENCE, Served, TOKEN, body_for, refused};

fn path(template: &str) -> String {
    template.replace("{rev}", "1").replace("{key}", "k1")
}

#[tokio::test]
async fn no_route_answers_without_the_token() {
    let served = Served::start().await;
    let before = served.state().await.anchor;
    let same_length = "x".repeat(TOKEN.len());
    let longer = format!("{TOKEN}x");
    for route in ROUTES.iter().filter(|route| !route.open) {
        let path = path(route.path);
        let request = || served.stranger(route.method, &path).json(&body_for(route.path));
        refused(request(), ProblemCode::Unauthorized).await;
        for wrong in ["", "wrong", &same_length, &longer, &TOKEN[1..]] {
            refused(request().bearer_auth(wrong), ProblemCode::Unauthorized).await;
        }
        let basic = request().header("authorization", format!("Basic {TOKEN}"));
        refused(basic, ProblemCode::Unauthorized).await;
        let twice = request().bearer_auth(TOKEN).bearer_auth("x");
        refused(twice, ProblemCode::Unauthorized).await;
    }
    assert_eq!(served.state().await.anchor, before, "nothing has changed");
}

#[tokio::test]
async fn a_browser_is_not_an_operator() {
    let served = Served::start().await;
    for route in ROUTES {
        let path = path(route.path);
        let request =
            || served.call(route.method, &path).json(&body_for(route.path)).timeout(PATIENCE);
        refused(request().header("origin", "http://127.0.0.1"), ProblemCode::Forbidden).await;
        refused(request().header("origin", "null"), ProblemCode::Forbidden).await;
        refused(request().header("host", "rebound.example:7700"), ProblemCode::Forbidden).await;
    }
}

#[tokio::test]
async fn probes_need_no_token_and_say_little() {
    let served = Served::start().await;
    for (path, text) in [("/livez", "live"), ("/readyz", "ready")] {
        let reply = served.stranger("get", path).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        assert!(!reply.headers().contains_key(ANCHOR));
        assert_eq!(reply.text().await.unwrap(), text);
    }
}

#[tokio::test]
async fn every_authenticated_reply_carries_the_anchor() {
    let served = Served::start().await;
    let anchor = served.state().await.anchor.to_string();
    for (method, path, status) in [
        ("get", "/v1/state", 200),
        ("get", "/v1/nonsense", 404),
        ("patch", "/v1/state", 405),
        ("get", "/v1/revisions/77", 404),
        ("delete", "/v1/lease", 428),
    ] {
        let reply = served.call(method, path).send().await.unwrap();
        assert_eq!(reply.status(), status, "{method} {path}");
        assert_eq!(reply.headers()[ANCHOR], anchor.as_str(), "{method} {path}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let served = Served::start().await;
    refused(served.call("get", "/v1/nonsense"), ProblemCode::NotFound).await;
    refused(served.stranger("get", "/v1/nonsense"), ProblemCode::Unauthorized).await;
    refused(served.stranger("patch", "/v1/state"), ProblemCode::Unauthorized).await;
    let reply = served.call("patch", "/v1/lease").send().await.unwrap();
    let allow = reply.headers()["allow"].to_str().unwrap();
    for method in ["GET", "PUT", "DELETE"] {
        assert!(allow.contains(method), "{allow}");
    }
    refused(served.call("patch", "/v1/lease"), ProblemCode::MethodNotAllowed).await;
}

#[tokio::test]
async fn a_malformed_request_says_what_is_wrong() {
    let served = Served::start().await;
    let put = || served.call("put", "/v1/lease");
    let bad = ProblemCode::BadRequest;
    refused(put().body("{}"), ProblemCode::UnsupportedMediaType).await;
    let form = put().header("content-type", "application/x-www-form-urlencoded").body("a=b");
    refused(form, ProblemCode::UnsupportedMediaType).await;
    // Also where no body is wanted.
    let text = served.call("get", "/v1/state").header("content-type", "text/plain").body("x");
    refused(text, ProblemCode::UnsupportedMediaType).await;
    let json = || put().header("content-type", "application/json");
    refused(json().body("{"), bad).await;
    refused(json().body("[".repeat(10_000)), bad).await;
    refused(json().body(vec![b' '; (1 << 20) + 1]), ProblemCode::TooLarge).await;
    let nested = |levels: usize| {
        let lists = "[".repeat(levels - 1) + &"]".repeat(levels - 1);
        let mut body = body_for("/v1/lease");
        body["colour"] = serde_json::from_str(&lists).unwrap();
        put().json(&body)
    };
    let (just, deep) = (refused(nested(64), bad).await, refused(nested(65), bad).await);
    assert!(just.detail.contains("colour"), "{just:?}");
    assert!(deep.detail.contains("deeper than 64"), "{deep:?}");
    let mut unknown = body_for("/v1/lease");
    unknown["colour"] = "red".into();
    refused(put().json(&unknown), bad).await;
    let mut unknown = body_for("/v1/lease");
    unknown["last_anchor"] = serde_json::to_value(served.state().await.anchor).unwrap();
    unknown["last_anchor"]["colour"] = "red".into();
    refused(put().json(&unknown), bad).await;
    for path in [
        "/v1/revisions/x",
        "/v1/revisions/-1",
        "/v1/operations/%20",
        "/v1/metrics?from=x",
        "/v1/metrics?form=1",
        "/v1/audit?after=-1",
    ] {
        refused(served.call("get", path), bad).await;
    }
    refused(served.call("get", "/v1/state").header("ctx-fence", "7"), bad).await;
}
