//! A run of `ctx` that has begun: it can be waited for, interrupted or killed.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::Ran;

/// How long one run of the binary may take.
const LIMIT: Duration = Duration::from_secs(120);

/// A run of `ctx`. Killed when dropped, by its own process id.
#[derive(Debug)]
pub(crate) struct Running {
    command: String,
    child: Child,
    stdout: mpsc::Receiver<String>,
    stderr: mpsc::Receiver<String>,
}

impl Running {
    pub(super) fn start(mut command: Command, named: String) -> Self {
        // A group of its own, as a shell gives it.
        let mut child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the built binary starts");
        let stdout = read_aside(child.stdout.take().expect("it is piped"));
        let stderr = read_aside(child.stderr.take().expect("it is piped"));
        Self { command: named, child, stdout, stderr }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end within two minutes.
    #[track_caller]
    pub(crate) fn ends(mut self) -> Ran {
        let texts = self.stdout.recv_timeout(LIMIT);
        let texts = texts.and_then(|out| Ok((out, self.stderr.recv_timeout(LIMIT)?)));
        let Ok((stdout, stderr)) = texts else {
            let _ = self.child.kill();
            let said = [&self.stdout, &self.stderr].map(|pipe| pipe.recv_timeout(LIMIT));
            panic!("`{}` did not end within {LIMIT:?}: {said:#?}", self.command);
        };
        let code = self.child.wait().expect("it was spawned here").code();
        Ran { command: std::mem::take(&mut self.command), code, stdout, stderr }
    }

    /// Ends it as `kill -9` does, at whatever it is doing.
    pub(crate) fn kill(mut self) -> Ran {
        self.child.kill().expect("it was spawned here");
        self.ends()
    }

    /// Sends SIGINT to it alone.
    pub(crate) fn interrupt(&self) {
        kill_process(self.pid(), Signal::INT).unwrap();
    }

    /// Sends SIGTERM, as a service manager does.
    pub(crate) fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    /// Stops it as `kill -STOP` does.
    pub(crate) fn stop(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
    }

    /// Lets it go on after [`Running::stop`].
    pub(crate) fn go_on(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    /// Sends SIGHUP, as the end of a session does.
    pub(crate) fn hang_up(&self) {
        kill_process(self.pid(), Signal::HUP).unwrap();
    }

    /// Its exit code, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        self.child.try_wait().unwrap().map(|status| status.code().unwrap_or(-1))
    }

    /// Sends SIGINT to it and what it has started, as Ctrl-C on a terminal does.
    pub(crate) fn interrupt_group(&self) {
        kill_process_group(self.pid(), Signal::INT).unwrap();
    }

    fn pid(&self) -> Pid {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        pid.expect("a process id is positive")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a pipe to its end on a thread of its own, so that neither pipe can fill up.
fn read_aside(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}
