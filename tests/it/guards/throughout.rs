//! Guards are watched during everything that a phase does, not only while it soaks.

use std::net::TcpListener;

use ctx::error::Code;
use ctx::rehearsal::legacy::Faults;
use ctx::units::Percent;

use crate::resume::{HEALTH, Scene};

fn breaks(scene: &Scene) {
    scene.legacy.inject(Faults { errors: Percent::whole(50), ..Faults::default() });
}

#[test]
fn a_breach_ends_the_wait_for_an_answer() {
    // Takes connections, and answers nobody.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/slow", silent.local_addr().unwrap());
    let step = format!(
        "\n  [[phase.step]]\n  id = \"ask\"\n  call = {{ do = {{ method = \"POST\", url = \"{url}\" }}, \
         undo = {{ method = \"GET\", url = \"control:/v1/state\" }}, timeout = \"10m\" }}\n"
    );
    let scene = Scene::new(&[HEALTH, &step]);
    let before = scene.config();
    let run = scene.begin("1");
    scene.test.until_recorded(1, "local_intended");
    breaks(&scene);
    scene.test.until_recorded(1, "guard_breached");
    scene.legacy.inject(Faults::default());
    run.ends()
        .exits(Code::RolledBack)
        .warns(&["/slow` was ended: guard `error-rate` was breached"]);
    assert_eq!(scene.config(), before);
    scene.ends();
}

#[test]
fn a_breach_ends_the_judging_of_a_criterion() {
    // It cannot be known for a long time: there is not so much traffic.
    let criterion = "\n  [[phase.criterion]]\n  id = \"fast\"\n  metric = \"latency_p95\"\n  \
                     max = \"1s\"\n  min_samples = 1000000\n";
    let scene = Scene::new(&[HEALTH, criterion]);
    let before = scene.config();
    let run = scene.begin("1");
    scene.test.until_recorded(1, "change_confirmed");
    breaks(&scene);
    run.ends().exits(Code::RolledBack).warns(&["guard `error-rate`"]);
    assert_eq!(scene.test.count("guard_breached") + scene.test.count("taken_back"), 2);
    assert_eq!(scene.test.count("criterion_judged"), 0, "it was not waited for");
    assert_eq!(scene.config(), before);
    scene.ends();
}
