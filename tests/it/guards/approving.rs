//! While a phase waits for a person, its guards are watched.

use std::io::Write;
use std::process::{Command, Stdio};

use ctx::error::Code;
use ctx::rehearsal::legacy::Faults;
use ctx::units::Percent;

use crate::resume::{HEALTH, Scene};
use crate::support::until;

const ASK: &str = r#"
  [[phase.step]]
  id      = "ask"
  approve = "Are the customers happy?"
"#;

/// At a terminal the question stands, and nobody answers it.
#[test]
fn a_breach_takes_the_phase_back_while_a_question_stands() {
    let scene = Scene::new(&[HEALTH, ASK]);
    let before = scene.config();
    // A terminal of its own, as `script` makes one.
    let run = scene.test.command(&["migrate", "phase", "1"]);
    let mut line = run.get_program().to_str().unwrap().to_owned();
    for arg in run.get_args() {
        line = format!("{line} '{}'", arg.to_str().unwrap());
    }
    let mut terminal = Command::new("script");
    terminal.env_clear();
    terminal.args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"]);
    for (name, value) in run.get_envs() {
        match value {
            Some(value) => terminal.env(name, value),
            None => terminal.env_remove(name),
        };
    }
    if let Some(folder) = run.get_current_dir() {
        terminal.current_dir(folder);
    }
    let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut keys = child.stdin.take().unwrap();
    keys.write_all(b"y\n").unwrap();
    scene.test.until_recorded(1, "change_confirmed");
    scene.test.until_recorded(1, "approval_asked");
    scene.legacy.inject(Faults { errors: Percent::whole(50), ..Faults::default() });
    let code = until("it ends by itself", || child.try_wait().unwrap()).code();
    scene.legacy.inject(Faults::default());
    drop(keys);
    assert_eq!(code, Some(i32::from(Code::RolledBack.number())));
    assert_eq!(scene.config(), before);
    assert_eq!(scene.test.count("approved"), 0);
    scene.ends();
}

/// Without a terminal the phase is left waiting, and the orchestrator watches.
#[test]
fn a_breach_takes_the_phase_back_while_nobody_is_there() {
    let scene = Scene::new(&[HEALTH, ASK]);
    let before = scene.config();
    let run = scene.begin("1");
    scene.test.until_recorded(1, "soak_begun");
    run.kill();
    scene.test.run(&["migrate", "phase", "1"]).exits(Code::Awaiting).warns(&["customers happy?"]);
    scene.legacy.inject(Faults { errors: Percent::whole(50), ..Faults::default() });
    scene.serve.until("the trip", |state| {
        state.armed.as_ref().is_some_and(|armed| armed.tripped.is_some())
    });
    scene.legacy.inject(Faults::default());
    scene.test.run(&["migrate", "phase", "1", "--yes"]).exits(Code::RolledBack);
    assert_eq!(scene.config(), before);
    assert_eq!(scene.test.count("approved"), 0);
    scene.ends();
}
