//! `ctx help CODE`: what a number in a log means, and what to do about it.

use ctx::control::wire::ProblemCode;
use ctx::error::Code;
use insta::assert_snapshot;

use crate::support::Test;

#[test]
fn a_code_is_explained_by_its_number_and_by_its_name() {
    let test = Test::new();
    let told = test.run(&["help", "22"]).exits(Code::Done).stdout;
    assert_snapshot!(told, @"
    22 ROLLBACK_INCOMPLETE: the rollback is incomplete: a person is needed

    Part of a phase could not be undone: an undo failed, or the step has none. The
    rest is undone, and the ledger names the step.

    What to do
    ctx status    names what is not undone
    ctx show RUN  shows what its undo said
    ctx rollback  tries the undo again once its cause is gone
    ");
    assert_eq!(test.run(&["help", "rollback_incomplete"]).exits(Code::Done).stdout, told);
    let json = test.run(&["help", "22", "--json"]).exits(Code::Done).json();
    assert_eq!((&json["exit_code"], &json["code"]), (&22.into(), &"ROLLBACK_INCOMPLETE".into()));
}

#[test]
fn every_code_is_listed_and_explained() {
    let test = Test::new();
    let all = test.run(&["help", "codes"]).exits(Code::Done).stdout;
    for code in Code::ALL {
        assert!(all.contains(code.name()), "{code:?} in\n{all}");
        test.run(&["help", &code.number().to_string()]).exits(Code::Done).says(&[code.title()]);
    }
    for code in ProblemCode::ALL {
        assert!(all.contains(code.name()), "{code:?} in\n{all}");
    }
    assert!(all.lines().all(|line| line.chars().count() <= 80), "{all}");
    test.run(&["help", "head_moved"]).exits(Code::Done).says(&["status 412", "If-Match"]);
}

#[test]
fn a_command_is_explained_too_and_a_near_miss_is_suggested() {
    let test = Test::new();
    let help = test.run(&["plan", "check", "--help"]).exits(Code::Done).stdout;
    assert_eq!(test.run(&["help", "plan", "check"]).exits(Code::Done).stdout, help);
    test.run(&["help"]).exits(Code::Done).says(&["Usage: ctx [OPTIONS] <COMMAND>"]);
    test.run(&["help", "migrat"]).exits(Code::Usage).warns(&["did you mean `migrate`?"]);
    test.run(&["help", "ROLLBACK_INCOMPLET"])
        .exits(Code::Usage)
        .warns(&["did you mean `rollback_incomplete`?"]);
    test.run(&["help", "99"]).exits(Code::Usage).warns(&["there is no command or code `99`"]);
}
