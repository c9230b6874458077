//! `ctx init` writes a project that works as it stands, and never over another one.

use ctx::error::Code;

use crate::support::Test;

#[test]
fn what_is_written_has_no_faults_and_rehearses() {
    let test = Test::new();
    let args = ["init", "billing-v2", "--title", "Billing \"v2\", moved", "--no-input"];
    test.run(&args).exits(Code::Done).warns(&["`plans/billing-v2.toml`, a plan of two phases"]);
    test.run(&["plan", "check"]).exits(Code::Done).says(&["no faults; 2 phases"]);
    test.run(&["plan", "show"]).exits(Code::Done).says(&["billing-v2: Billing \"v2\", moved"]);
    let plan = std::fs::read_to_string(test.path("plans/billing-v2.toml")).unwrap();
    // A machine that is busy with other tests is slower than a service in production.
    let relaxed = plan.replace("\"500ms\"", "\"9s\"").replace("\"250ms\"", "\"9s\"");
    test.write("plans/billing-v2.toml", &relaxed);
    test.run(&["rehearse", "--soaks", "4s"]).exits(Code::Done).warns(&["none lost"]);
}

#[test]
fn nothing_is_written_over_a_file_that_is_there() {
    let test = Test::new().file("plans/shop.toml", "mine").file("ctx.toml", "");
    test.run(&["init", "shop", "--no-input"])
        .exits(Code::Refused)
        .warns(&["`plans/shop.toml` is there already", "name another: `ctx init NAME`"]);
    assert_eq!(std::fs::read_to_string(test.path("plans/shop.toml")).unwrap(), "mine");
    test.run(&["init", "shop-2", "--no-input"])
        .exits(Code::Done)
        .warns(&["`ctx.toml` is there and stays as it is"]);
    assert_eq!(std::fs::read_to_string(test.path("ctx.toml")).unwrap(), "");
}

#[test]
fn an_answer_that_cannot_be_used_leaves_nothing_behind() {
    let test = Test::new();
    test.run(&["init", "../up", "--no-input"])
        .exits(Code::Usage)
        .warns(&["`../up` cannot be the name of a plan"]);
    test.run(&["init", "shop", "--token", "secret", "--no-input"])
        .exits(Code::Usage)
        .warns(&["is not a reference to a token", "`env:CTX_TOKEN`"]);
    assert!(!test.path("plans").exists() && !test.path("ctx.toml").exists());
}
