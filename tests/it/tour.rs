//! The README's five minutes with a real service, as a reader would type them.

use ctx::error::Code;

use crate::support::Test;
use crate::support::beside::Beside;
use crate::support::markdown::{Document, prints, root, words};
use crate::support::uvicorn::Uvicorn;

/// The soaks that have begun by the middle of phase 2: three in phase 1, and its own.
const SOAKS: usize = 4;

#[test]
fn the_tour_goes_as_it_is_told() {
    let Some(app) = Uvicorn::start() else { return };
    let mut app = Some(app);
    let plan = std::fs::read_to_string(root().join("plans/examples/tour.toml")).unwrap();
    let mut test = Test::new().file("plans/examples/tour.toml", &plan);
    let (mut serve, mut load) = (None, None);
    let tour = Document::read("README.md").section("Five minutes with a real service");
    let mut told = String::new();
    for block in tour.blocks() {
        if block.kind == "text" {
            prints(&told, &block.text);
            continue;
        }
        for line in block.text.lines() {
            let mut typed = words(line);
            match words(line).iter().map(String::as_str).collect::<Vec<_>>()[..] {
                // The app is there, with its Python, and so is `ctx`.
                ["python3" | "target/venv/bin/pip" | "target/venv/bin/uvicorn", ..]
                | ["export", "PATH=", ..] => {}
                ["export", variable] => {
                    let (name, value) = variable.split_once('=').unwrap();
                    test = test.env(name, value);
                }
                ["ctx", "serve", "--legacy", "http://127.0.0.1:8000"] => {
                    app.as_ref().unwrap().url().clone_into(&mut typed[3]);
                    let free = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"];
                    typed.extend(free.map(str::to_owned));
                    let started = Beside::start(&test, &typed[1..]);
                    told =
                        format!("{}the operators' token is in `.ctx/serve/token`", started.first);
                    test = test.env("CTX_ORCHESTRATOR", &started.address("control"));
                    serve = Some(started);
                }
                ["ctx", "load", "http://127.0.0.1:7780", ..] => {
                    typed[2] = serve.as_ref().unwrap().address("data");
                    load = Some(Beside::start(&test, &typed[1..]));
                }
                ["ctx", "migrate", "phase", "2"] => told = broken(&test, &mut app),
                ["ctx", ..] => {
                    typed.push("--yes".to_owned());
                    let arguments: Vec<_> = typed[1..].iter().map(String::as_str).collect();
                    let ran = test.run(&arguments).exits(Code::Done);
                    told = format!("{}{}", ran.stderr, ran.stdout);
                }
                _ => panic!("the tour cannot be followed at `{line}`"),
            }
        }
    }
    assert!(load.is_some() && app.is_none(), "the tour has lost a part");
    assert!(told.contains("the ledger is intact"), "{told}");
}

/// Runs phase 2, and stops the app while it soaks.
fn broken(test: &Test, app: &mut Option<Uvicorn>) -> String {
    let running = test.spawn(&["migrate", "phase", "2", "--yes"]);
    test.until_recorded(SOAKS, "soak_begun");
    drop(app.take());
    running.ends().exits(Code::RolledBack).stderr
}
