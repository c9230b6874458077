//! What the two processes say to each other: one JSON object a line.

use serde::{Deserialize, Serialize};

/// The version of the exchange. Another one is refused before anything has changed.
pub(super) const VERSION: u32 = 1;
/// The longest line.
pub(super) const LONGEST: usize = 4096;

/// What the new process says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(super) enum Ask {
    Prepare {
        version: u32,
        pid: u32,
        /// Whether what is in flight may be reverted.
        force: bool,
    },
    Release,
    Serving,
}

/// What the old process says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(super) enum Reply {
    /// The sockets come with this line: the control API's, and then those for events.
    Offered {
        pid: u32,
        events: usize,
    },
    Refused {
        why: String,
        /// Whether `--force` would help.
        forcible: bool,
    },
    Released,
}

pub(super) fn line(words: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(words).expect("words are plain data");
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_one_line_that_reads_back() {
        let refused = Reply::Refused { why: "a\nb".to_owned(), forcible: true };
        let text = line(&refused);
        assert_eq!(text.iter().position(|b| *b == b'\n'), Some(text.len() - 1));
        assert_eq!(serde_json::from_slice::<Reply>(&text).unwrap(), refused);
        let prepare = br#"{"say":"prepare","version":1,"pid":7,"force":false}"#;
        let expect = Ask::Prepare { version: VERSION, pid: 7, force: false };
        assert_eq!(serde_json::from_slice::<Ask>(prepare).unwrap(), expect);
        assert!(serde_json::from_slice::<Ask>(b"{\"say\":\"dance\"}").is_err());
    }
}
