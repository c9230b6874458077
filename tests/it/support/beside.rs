//! A command of a document that runs while others do.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use super::Test;

/// A `ctx` that runs beside the others. Killed when dropped, by its own process id.
pub(crate) struct Beside {
    child: Child,
    /// The first line of its stdout.
    pub(crate) first: String,
}

impl Beside {
    pub(crate) fn start(test: &Test, arguments: &[String]) -> Self {
        let words: Vec<_> = arguments.iter().map(String::as_str).collect();
        let mut child = test
            .command(&words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the built binary starts");
        let stdout = child.stdout.take().expect("it is piped");
        let mut beside = Self { child, first: String::new() };
        if arguments[0] == "serve" {
            BufReader::new(stdout).read_line(&mut beside.first).unwrap();
        }
        beside
    }

    /// The URL that stands after `name=` in the first line.
    pub(crate) fn address(&self, name: &str) -> String {
        let mut words = self.first.split_whitespace();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).unwrap().to_owned()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
