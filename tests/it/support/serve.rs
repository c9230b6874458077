//! `ctx serve`, running in front of a legacy app.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use ctx::control::client::{Client, ControlError, Write};
use ctx::control::config::Config;
use ctx::control::wire::{LeaseRequest, RevisionRequest, State};
use ctx::ids::{RunId, random_hex};
use ctx::load::Address;
use ctx::secret::Secret;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Test, block_on, until};

/// The operators' token of every orchestrator here.
pub(crate) const TOKEN: &str = "an-operator-of-the-tests";

/// A running orchestrator. Killed when dropped, by its own process id.
#[derive(Debug)]
pub(crate) struct Serve {
    /// Besides the addresses.
    args: Vec<String>,
    child: Child,
    /// Held open, so that nothing it prints can fail.
    _stdout: BufReader<ChildStdout>,
    /// `HOST:PORT` of the gateway.
    pub(crate) data: String,
    /// `HOST:PORT` of the control API.
    pub(crate) control: String,
}

impl Serve {
    /// Starts on free ports, with the state in the project's `state` folder.
    #[track_caller]
    pub(crate) fn start(test: &Test, legacy: &str) -> Self {
        Self::with(test, legacy, &[])
    }

    /// As [`Serve::start`], with more arguments.
    #[track_caller]
    pub(crate) fn with(test: &Test, legacy: &str, more: &[&str]) -> Self {
        let args = [&["--legacy", legacy, "--state", "state"], more].concat();
        let args = args.into_iter().map(str::to_owned).collect();
        Self::on(test, args, "127.0.0.1:0", "127.0.0.1:0")
    }

    /// As [`Serve::start`], with more in the environment until it is restarted; what it said when
    /// it does not start.
    pub(crate) fn under(test: &Test, legacy: &str, env: &[(&str, String)]) -> Result<Self, String> {
        let args = ["--legacy", legacy, "--state", "state"].map(str::to_owned).to_vec();
        Self::try_on(test, args, ["127.0.0.1:0"; 2], env)
    }

    /// Ends it as `kill -9` does, and starts it again on the same ports and state.
    #[track_caller]
    pub(crate) fn restart(&mut self, test: &Test) {
        self.kill();
        let args = std::mem::take(&mut self.args);
        *self = Self::on(test, args, &self.data, &self.control);
    }

    /// Starts another one that takes over from this one; what it said when it does not. With more
    /// arguments, and more in its environment.
    pub(crate) fn successor(
        &self,
        test: &Test,
        more: &[&str],
        env: &[(&str, String)],
    ) -> Result<Self, String> {
        let more = more.iter().map(|arg| (*arg).to_owned());
        let args = self.args.iter().cloned().chain(["--take-over".to_owned()]).chain(more);
        let mut next = Self::try_on(test, args.collect(), [&self.data, &self.control], env)?;
        next.args.clone_from(&self.args);
        Ok(next)
    }

    /// Another one takes over; the one before must end by itself, and well.
    #[track_caller]
    pub(crate) fn hand_over(&mut self, test: &Test) {
        let next = self.successor(test, &[], &[]).unwrap_or_else(|said| panic!("{said}"));
        let mut before = std::mem::replace(self, next);
        let code = super::until("the one before ends", || before.ended());
        assert_eq!(code, 0, "{}", std::fs::read_to_string(test.path("serve.log")).unwrap());
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends it a signal, as a service manager does.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit code, if it has ended by itself; `-1` for one that a signal ended.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        self.child.try_wait().unwrap().map(|status| status.code().unwrap_or(-1))
    }

    #[track_caller]
    fn on(test: &Test, args: Vec<String>, listen: &str, control: &str) -> Self {
        Self::try_on(test, args, [listen, control], &[]).unwrap_or_else(|said| panic!("{said}"))
    }

    fn try_on(
        test: &Test,
        args: Vec<String>,
        [listen, control]: [&str; 2],
        env: &[(&str, String)],
    ) -> Result<Self, String> {
        let log = test.path("serve.log");
        let log = OpenOptions::new().create(true).append(true).open(log).unwrap();
        let mut child = test
            .command(&["serve", "--json", "--listen", listen, "--control", control])
            .args(&args)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the built binary starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let listening: Value = match serde_json::from_str(&line) {
            Ok(listening @ Value::Object(_)) if listening["data"].is_string() => listening,
            other => {
                let _ = child.kill();
                let _ = child.wait();
                let log = std::fs::read_to_string(test.path("serve.log")).unwrap_or_default();
                return Err(format!("`ctx serve` said `{line}`: {other:?}\n{log}"));
            }
        };
        let addr = |field: &str| {
            let url = listening[field].as_str().expect("both addresses are in the first line");
            url.strip_prefix("http://").expect("it is a URL").to_owned()
        };
        let (data, control) = (addr("data"), addr("control"));
        Ok(Self { args, child, _stdout: stdout, data, control })
    }

    /// Where load is sent.
    pub(crate) fn address(&self) -> Address {
        format!("http://{}", self.data).parse().unwrap()
    }

    /// Where the orchestrator stands.
    #[track_caller]
    pub(crate) fn state(&self) -> State {
        self.try_state().unwrap()
    }

    /// Waits until the orchestrator stands as it should.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, mut holds: impl FnMut(&State) -> bool) -> State {
        until(what, || self.try_state().ok().filter(&mut holds))
    }

    /// A client of the control API with the right token.
    pub(crate) fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.control), Some(Secret::new(TOKEN)))
    }

    /// Puts a confirmed revision in force.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Config)) {
        let client = self.client();
        block_on(async {
            let lease = LeaseRequest {
                run: RunId::random(),
                holder: "test".to_owned(),
                host: "here".to_owned(),
                pid: 1,
                ttl_ms: 30_000,
                min_token: 0,
                last_anchor: None,
            };
            let fence = client.acquire(&lease).await.unwrap().body.fence;
            let state = client.state().await.unwrap().body;
            let mut config = state.config;
            change(&mut config);
            let reason = "test".to_owned();
            let request = RevisionRequest { config, confirm_within_ms: None, reason };
            let keys = [random_hex::<8>(), random_hex::<8>()];
            let write = Write { fence: &fence, key: &keys[0] };
            let rev = client.apply(write, state.head, &request).await.unwrap().body.rev;
            client.confirm(Write { fence: &fence, key: &keys[1] }, rev).await.unwrap();
            client.release(&fence).await.unwrap();
        });
    }

    fn try_state(&self) -> Result<State, ControlError> {
        block_on(self.client().state()).map(|reply| reply.body)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        self.kill();
    }
}
