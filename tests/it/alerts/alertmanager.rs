//! A real Alertmanager, as Debian has it.

use std::process::{Child, Command, Stdio};

use ctx::error::Code;
use serde_json::Value;

use super::double::Double;
use super::half_fails;
use crate::resume::{POOLING, Scene};
use crate::shop::wait_for;
use crate::support::{Test, peer, until};

/// Killed when dropped, by its own process id.
pub(super) struct Alertmanager {
    child: Child,
    pub(super) url: String,
}

impl Alertmanager {
    /// Starts one that tells `receiver` of what begins and what ends, almost at once.
    pub(super) fn start(test: &Test, receiver: &Double) -> Self {
        test.write(
            "alertmanager.yml",
            &format!(
                "route:\n  receiver: double\n  group_by: ['...']\n  group_wait: 50ms\n  \
                 group_interval: 100ms\nreceivers:\n- name: double\n  webhook_configs:\n  \
                 - url: {}/from-alertmanager\n    send_resolved: true\n",
                receiver.url()
            ),
        );
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = std::fs::File::create(test.path("alertmanager.log")).unwrap();
        let child = Command::new("prometheus-alertmanager")
            .current_dir(test.path(""))
            .args(["--config.file=alertmanager.yml", "--storage.path=alertmanager"])
            .args(["--cluster.listen-address=", &format!("--web.listen-address=127.0.0.1:{port}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let alertmanager = Self { child, url: format!("http://127.0.0.1:{port}") };
        until("alertmanager is ready", || alertmanager.get("/-/ready").map(drop));
        alertmanager
    }

    fn get(&self, path: &str) -> Option<String> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        wait_for(async {
            let answer = client.get(format!("{}{path}", self.url)).send().await.ok()?;
            answer.error_for_status().ok()?.text().await.ok()
        })
    }

    /// The names of what it lists as active.
    pub(super) fn active(&self) -> Vec<String> {
        let list = self.get("/api/v2/alerts?active=true").unwrap();
        let list: Value = serde_json::from_str(&list).unwrap();
        let name = |alert: &Value| alert["labels"]["alertname"].as_str().unwrap().to_owned();
        let mut names: Vec<_> = list.as_array().unwrap().iter().map(name).collect();
        names.sort();
        names
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_lists_what_a_breach_left_until_a_rollback_has_ended_it() {
    if peer::require("alertmanager").is_none() {
        return;
    }
    let receiver = Double::start();
    let hold = POOLING.replace("[[phase]]", "[[phase]]\non_failure = \"hold\"");
    let scene = Scene::new(&[&hold]);
    let alertmanager = Alertmanager::start(&scene.test, &receiver);
    // In a file of its own, as one that is shared by many plans would be.
    let sinks = format!("[alerts]\nam = {{ alertmanager = \"{}\" }}\n", alertmanager.url);
    scene.test.write("alerts.toml", &sinks);
    scene.test.write("ctx.toml", "alerts = \"alerts.toml\"\n");
    let running = scene.begin("1");
    scene.test.until_recorded(2, "soak_begun");
    scene.legacy.inject(half_fails());
    running.ends().exits(Code::Failed);
    assert_eq!(alertmanager.active(), ["CtxPersonNeeded", "CtxPhaseFailing"]);
    let statuses = |name: &str| {
        let told = receiver.documents("/from-alertmanager").into_iter();
        let told = told.filter(|told| told["commonLabels"]["alertname"] == *name);
        told.map(|told| told["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    until("it has told of both", || {
        let both = ["CtxPersonNeeded", "CtxPhaseFailing"];
        both.iter().all(|name| statuses(name) == ["firing"]).then_some(())
    });

    scene.test.run(&["rollback", "--yes"]).exits(Code::Done);
    until("both are over", || {
        let both = ["CtxPersonNeeded", "CtxPhaseFailing"];
        both.iter().all(|name| statuses(name) == ["firing", "resolved"]).then_some(())
    });
    assert!(
        !alertmanager.active().iter().any(|name| name != "CtxRollback"),
        "{:?}",
        alertmanager.active()
    );
}
