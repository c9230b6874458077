//! A pseudo terminal of 80 columns, with a program on it that can be watched and typed to.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::peer::skipped;
use super::until;

/// The columns that every terminal has.
pub(crate) const COLUMNS: u16 = 80;

/// A terminal that nothing runs on yet: the end that watches, and the name of the other.
pub(crate) fn terminal() -> (OwnedFd, String) {
    // Not inherited: whoever holds this end keeps the terminal open.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    (master, name)
}

/// A command on the terminal of this name, with its arguments, folder and environment; `None` where
/// there is no `setsid` to give it that.
pub(crate) fn on_terminal(name: &str, typed: &Command) -> Option<Child> {
    let slave = || {
        let mut options = File::options();
        options.read(true).write(true);
        options.custom_flags(OFlags::NOCTTY.bits().cast_signed()).open(name).unwrap()
    };
    let mut command = Command::new("setsid");
    command.arg("--ctty").arg(typed.get_program()).args(typed.get_args());
    command.current_dir(typed.get_current_dir().unwrap()).env_clear();
    command.envs(typed.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let spawned = command.env("TERM", "xterm").stdin(slave()).stdout(slave()).stderr(slave());
    match spawned.spawn() {
        Ok(child) => Some(child),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            skipped("there is no `setsid` on this machine");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// A terminal of 80 columns and 24 rows with a program on it. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Screen {
    child: Child,
    master: File,
    shown: Arc<Mutex<String>>,
    reading: Option<JoinHandle<()>>,
}

impl Drop for Screen {
    #[expect(clippy::print_stderr, reason = "it is shown with the failure")]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the terminal shows:\n{}", plain(&self.shown()));
        }
    }
}

impl Screen {
    /// `None` where there is no `setsid`.
    pub(crate) fn begin(command: &Command) -> Option<Self> {
        let (master, name) = terminal();
        let size = Winsize { ws_row: 24, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let child = on_terminal(&name, command)?;
        let master = File::from(master);
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut end, seen) = (master.try_clone().unwrap(), Arc::clone(&shown));
        let reading = std::thread::spawn(move || {
            let (mut buffer, mut kept) = ([0; 4096], Vec::new());
            while let Ok(n @ 1..) = end.read(&mut buffer) {
                kept.extend_from_slice(&buffer[..n]);
                // A character that came in half waits for the rest.
                let whole = match std::str::from_utf8(&kept) {
                    Err(error) if error.error_len().is_none() => error.valid_up_to(),
                    _ => kept.len(),
                };
                let text = String::from_utf8_lossy(&kept[..whole]).into_owned();
                kept.drain(..whole);
                // A terminal says where its cursor is when it is asked.
                if text.contains("\x1b[6n") {
                    let _ = end.write_all(b"\x1b[1;1R");
                }
                seen.lock().unwrap().push_str(&text);
            }
        });
        Some(Self { child, master, shown, reading: Some(reading) })
    }

    /// Everything that was written to it so far.
    pub(crate) fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    /// Waits until this is shown, or it has ended without.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) -> bool {
        until(text, || {
            let ended = self.child.try_wait().unwrap().is_some();
            let shown = self.shown().contains(text);
            (shown || ended).then_some(shown)
        })
    }

    #[track_caller]
    pub(crate) fn until_shown(&self, text: &str) {
        until(text, || self.shown().contains(text).then_some(()));
    }

    pub(crate) fn types(&mut self, keys: &[u8]) {
        self.master.write_all(keys).unwrap();
    }

    /// Its exit code, once it has ended and everything it wrote was read.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> Option<i32> {
        let code = until("its end", || self.child.try_wait().unwrap()).code();
        if let Some(reading) = self.reading.take() {
            until("the end of what it writes", || reading.is_finished().then_some(()));
        }
        code
    }

    /// Whether what is typed is shown and read in lines, as before.
    pub(crate) fn is_as_before(&self) -> bool {
        let modes = tcgetattr(self.master.as_fd()).unwrap().local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }
}

/// The lines that were written, each up to where the cursor was moved.
pub(crate) fn lines(shown: &str) -> Vec<String> {
    let mut apart = String::new();
    for (n, piece) in shown.split("\x1b[").enumerate() {
        let end = piece.find(|c: char| c.is_ascii_alphabetic() || c == '~');
        match end.filter(|_| n > 0) {
            Some(end) if !piece[end..].starts_with('m') => apart.push('\n'),
            _ => {}
        }
        apart.push_str(if n == 0 { piece } else { end.map_or("", |end| &piece[end + 1..]) });
    }
    apart.split(['\n', '\r']).map(str::to_owned).collect()
}

/// What was written, without the sequences that move the cursor or set a style.
pub(crate) fn plain(shown: &str) -> String {
    let mut text = String::new();
    let mut rest = shown;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        text.push_str(before);
        let end = after.find(|c: char| c.is_ascii_alphabetic()).map_or(after.len(), |at| at + 1);
        rest = &after[end..];
    }
    text + rest
}
