//! Suites against the legacy app.

use serde_json::json;

use super::*;
use crate::clock::SystemClock;
use crate::control::config::Platform;
use crate::judge::{Limit, Metric};
use crate::plan::model::{Expect, Load, Request, Signature, SuiteKind};
use crate::rehearsal::legacy::{Faults, Legacy};
use crate::units::Percent;

fn case(name: &str, method: &str, url: &str) -> Case {
    let request = Request { method: method.into(), url: url.into(), headers: vec![], body: None };
    let expect = Expect { status: 200, contains: vec![], headers: vec![], json: vec![] };
    Case {
        name: name.into(),
        request,
        sign_as: None,
        signature: Signature::Right,
        repeat: false,
        expect,
    }
}

fn event(platform: Platform, body: &str) -> Case {
    let url = format!("/{}/events", platform.name());
    let mut case = case(platform.name(), "POST", &url);
    case.request.headers.push(("X-GitHub-Event".into(), "push".into()));
    case.request.body = Some(body.into());
    case.sign_as = Some(platform);
    case
}

fn said(case: &CaseOutcome) -> Vec<String> {
    case.faults.iter().map(ToString::to_string).collect()
}

fn events() -> Vec<Case> {
    vec![
        event(Platform::Github, "{}"),
        event(Platform::Linear, r#"{"type":"Issue","action":"create"}"#),
        event(Platform::Slack, r#"{"type":"event_callback","event":{"type":"message"}}"#),
    ]
}

fn target(url: &str) -> Target {
    let secret = || Some(Secret::new("hush"));
    Target {
        data: url.to_owned(),
        control: None,
        secrets: Secrets { linear: secret(), github: secret(), slack: secret() },
        clock: Arc::new(SystemClock),
    }
}

fn suite(cases: Vec<Case>, load: Option<Load>) -> Suite {
    Suite { id: "smoke".parse().unwrap(), kind: SuiteKind::Functional, cases, load }
}

fn load(thresholds: Vec<(Metric, Limit)>) -> Load {
    Load { rate: 100.0, lasts: Duration::from_millis(300), thresholds }
}

#[tokio::test]
async fn each_case_is_answered_and_each_event_has_an_id_of_its_own() {
    let legacy = Legacy::start().unwrap();
    let mut cases = [events(), events()].concat();
    let mut home = case("home", "GET", "/");
    home.expect.contains.push("<title>Contexten</title>".into());
    home.expect.headers.push(("content-type".into(), "text/html".into()));
    cases.push(home);
    let outcome = run_suite(&suite(cases, None), &target(&legacy.url())).await;
    assert!(outcome.passed(), "{outcome:#?}");
    assert_eq!(outcome.summary(), "smoke: 7 of 7 cases passed");
    assert_eq!((legacy.handled().events(), legacy.handled().repeated()), (6, 0));
}

#[tokio::test]
async fn a_failure_names_the_request_and_both_sides() {
    let legacy = Legacy::start().unwrap();
    let mut wrong = event(Platform::Slack, r#"{"text":"no type"}"#);
    wrong.expect.json.push(("/message".into(), json!("ok")));
    let outcome = run_suite(&suite(vec![wrong], None), &target(&legacy.url())).await;
    assert!(!outcome.passed());
    assert_eq!(outcome.cases[0].request, "POST /slack/events");
    assert_eq!(
        said(&outcome.cases[0]),
        [
            r#"expected status 200, got 500 with `{"detail":"SlackEvent: type is missing"}`"#,
            concat!(
                r#"expected `"ok"` at `/message`, got nothing there in "#,
                r#"`{"detail":"SlackEvent: type is missing"}`"#
            ),
        ]
    );
}

#[tokio::test]
async fn what_a_case_gives_itself_is_not_overwritten() {
    let legacy = Legacy::start().unwrap();
    let mut repeated = event(Platform::Github, "{}");
    repeated.request.headers.push(("X-GitHub-Delivery".into(), "again".into()));
    let cases = vec![repeated.clone(), repeated];
    assert!(run_suite(&suite(cases, None), &target(&legacy.url())).await.passed());
    assert_eq!(legacy.handled().times("again"), 2);
}

#[tokio::test]
async fn each_spoilt_signature_is_another_one_and_none_without_a_secret() {
    let target = target("http://127.0.0.1:1");
    let signed = |signature, target: &Target| {
        let mut case = event(Platform::Slack, r#"{"type":"event_callback"}"#);
        case.signature = signature;
        prepare(&case, target, &mut Dice::new(7))
    };
    let proofs = [Signature::Right, Signature::Wrong, Signature::OtherBytes, Signature::Stale];
    let proofs = proofs.map(|how| {
        let headers = signed(how, &target).unwrap().headers;
        headers["x-slack-signature"].clone()
    });
    for (n, proof) in proofs.iter().enumerate() {
        assert!(!proofs[..n].contains(proof), "{proofs:?}");
    }
    let missing = signed(Signature::Missing, &target).unwrap().headers;
    assert!(!missing.contains_key("x-slack-signature"));
    let nobody = Target { secrets: Secrets::default(), ..target };
    assert!(signed(Signature::Right, &nobody).is_ok());
    let why = signed(Signature::Wrong, &nobody).unwrap_err();
    assert!(why.contains("no secret of `slack` is known here"), "{why}");
}

#[tokio::test]
async fn a_delivery_is_sent_again_as_it_was() {
    let legacy = Legacy::start().unwrap();
    let mut cases = events();
    for case in &mut cases {
        case.repeat = true;
    }
    let outcome = run_suite(&suite(cases, None), &target(&legacy.url())).await;
    assert!(outcome.passed(), "{outcome:#?}");
    assert_eq!((legacy.handled().events(), legacy.handled().repeated()), (3, 3));
}

#[tokio::test]
async fn control_paths_go_to_the_control_api_and_need_one() {
    let (data, control) = (Legacy::start().unwrap(), Legacy::start().unwrap());
    data.inject(Faults { errors: Percent::ALL, ..Faults::default() });
    let mut target = target(&data.url());
    let suite = suite(vec![case("state", "GET", "control:/")], None);
    let without = run_suite(&suite, &target).await;
    assert_eq!(said(&without.cases[0]), ["not sent: there is no control API to ask"]);
    target.control = Some((control.url(), Some(Secret::new("token"))));
    assert!(run_suite(&suite, &target).await.passed());
}

#[tokio::test]
async fn nobody_listening_is_a_fault_of_every_case_and_of_the_load() {
    let legacy = Legacy::start().unwrap();
    let target = target(&legacy.url());
    legacy.stop();
    let outcome = run_suite(&suite(events(), Some(load(vec![]))), &target).await;
    assert!(outcome.cases.iter().all(|case| said(case)[0].contains("refused")), "{outcome:#?}");
    let load = outcome.load.unwrap();
    assert_eq!(load.faults, ["no request was answered"]);
}

#[tokio::test]
async fn load_is_judged_by_what_the_sender_saw() {
    let legacy = Legacy::start().unwrap();
    let limits = vec![
        (Metric::ErrorRate, Limit::AtMost(0.01)),
        (Metric::LatencyP95, Limit::AtMost(5000.0)),
        (Metric::Throughput, Limit::AtLeast(1000.0)),
    ];
    let target = target(&legacy.url());
    let fine = run_suite(&suite(events(), Some(load(limits.clone()))), &target).await;
    assert!(fine.passed(), "{fine:#?}");
    let sent = fine.load.as_ref().and_then(|l| l.outcome.as_ref()).unwrap().sent;
    assert_eq!(sent, 30, "100 a second for 300 ms");
    assert_eq!(legacy.handled().events(), 3 + 30);

    legacy.inject(Faults { errors: Percent::whole(50), ..Faults::default() });
    let bad = run_suite(&suite(events(), Some(load(limits))), &target).await.load.unwrap();
    assert!(!bad.passed());
    assert_eq!(bad.summary(), "failed: error_rate 50% (n=30), limit at most 1%");
    let wrong: u64 = bad.wrong.iter().map(|one| one.times).sum();
    assert_eq!(wrong, 15, "{bad:#?}");
    let told = bad.told();
    assert_eq!(told[0], "request   POST /github/events (`github`)", "{told:?}");
    assert_eq!(told[1], "expected  status 200");
    assert!(told[2].starts_with("got       status 500, "), "{told:?}");
}

#[tokio::test]
async fn load_without_a_case_on_the_data_plane_is_not_applied() {
    let legacy = Legacy::start().unwrap();
    let cases = vec![case("state", "GET", "control:/")];
    let outcome = run_suite(&suite(cases, Some(load(vec![]))), &target(&legacy.url())).await;
    assert_eq!(
        outcome.load.unwrap().summary(),
        "failed: there is no case to draw requests to the data plane from"
    );
}

#[tokio::test]
async fn a_case_that_cannot_be_sent_says_what_is_wrong_with_it() {
    let legacy = Legacy::start().unwrap();
    let mut header = case("header", "GET", "/");
    header.request.headers.push(("x y".into(), "1".into()));
    let cases = vec![case("method", "GE T", "/"), case("path", "GET", "/a b"), header];
    let outcome = run_suite(&suite(cases, None), &target(&legacy.url())).await;
    let faults: Vec<_> = outcome.cases.iter().flat_map(said).collect();
    assert_eq!(
        faults,
        [
            "not sent: `GE T` is not a method",
            &*format!("not sent: `{}/a b` is not a URL", legacy.url()),
            "not sent: `x y` is not the name of a header",
        ]
    );
}
