//! `call`: an HTTP request and the one that reverses it.

use toml::Spanned;

use super::action::{TIMEOUT, timeout};
use super::plan::absolute_http;
use crate::error::did_you_mean;
use crate::plan::fault::{Faults, listed};
use crate::plan::model::{Action, Request};
use crate::plan::scalar;
use crate::plan::shape::{Kind, Shape, may, need};
use crate::plan::table::Table;
use crate::plan::usual::{Literal, Range};

pub(super) static CALL: Shape = Shape {
    what: "`call`",
    about: "Like a program, a request may be sent twice, and its `undo` too. Any answer but 2xx, or \
            none, fails the step. In a rehearsal only the orchestrator is asked.",
    keys: &[
        need("do", Kind::Table(&REQUEST), "the request"),
        may("undo", Kind::Table(&REQUEST), "the request that reverses it")
            .more("Needed, unless the step or its phase says `irreversible = true`."),
        may("timeout", Kind::Duration, "how long each may take")
            .usually(TIMEOUT)
            .within(Range::AboveZero),
    ],
};

static REQUEST: Shape = Shape {
    what: "a request",
    about: "",
    keys: &[
        may("method", Kind::Choice(&METHODS), "the HTTP method").usually(Literal::Word("POST")),
        need("url", Kind::Text, "a URL, a path of the data plane, or `control:` and a path").more(
            "`/events` goes to the orchestrator's gateway, `control:/v1/legacy/cleanup` to its \
             control API, with the operators' token and the lease of the run.",
        ),
        may("headers", Kind::Map(&Kind::Text), "header names and values")
            .more("None that says who is asking: the plan is read by many and kept for long."),
        may("body", Kind::Any, "a text, or a table that is sent as JSON"),
    ],
};

/// The methods that a request may use.
pub(super) const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Reads a `call`.
pub(super) fn call(step: &Table<'_>) -> Option<Action> {
    let table = step.table("call")?;
    let timeout = timeout(&table);
    let there = table.table("do").map(|table| request(&table));
    let back = table.table("undo").map(|table| request(&table));
    let undo = match back {
        Some(undo) => Some(undo?),
        None if table.has("undo") => return None,
        None => None,
    };
    Some(Action::Call { request: there??, undo, timeout: timeout? })
}

fn request(table: &Table<'_>) -> Option<Request> {
    let method = method(table, table.usual_word("method"));
    let (headers, body) = (headers(table), body(table));
    let url = table.text("url")?;
    if url.get_ref().starts_with('/') || url.get_ref().starts_with(CONTROL) {
        path(&url, table.faults)?;
    } else if url.get_ref().starts_with("http") {
        absolute_http(&url, table.faults)?;
    } else {
        let message = format!("`{}` is not a URL", url.get_ref());
        let hint = "write a URL, a path such as `/events`, or `control:` and a path";
        table.faults.hinted(url.span(), message, hint);
        return None;
    }
    Some(Request { method: method?, url: (*url.get_ref()).to_owned(), headers, body })
}

/// Reads `method`.
pub(super) fn method(table: &Table<'_>, usual: &str) -> Option<String> {
    let Some(given) = table.text("method") else {
        return (!table.has("method")).then(|| usual.to_owned());
    };
    if METHODS.contains(given.get_ref()) {
        return Some((*given.get_ref()).to_owned());
    }
    let message = format!("unknown method `{}`", given.get_ref());
    let upper = given.get_ref().to_uppercase();
    let hint = match did_you_mean(&upper, METHODS) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known methods: {}", listed(&METHODS)),
    };
    table.faults.hinted(given.span(), message, hint);
    None
}

/// The prefix of a path on the control API.
const CONTROL: &str = "control:";

/// Checks a path of the data plane, or behind `control:` one of the control API.
pub(super) fn path(path: &Spanned<&str>, faults: &Faults<'_>) -> Option<()> {
    let text = path.get_ref();
    let text = text.strip_prefix(CONTROL).unwrap_or(text);
    let good =
        text.starts_with('/') && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if !good {
        let message = format!("`{text}` is not a path");
        faults.hinted(path.span(), message, "a path begins with `/` and has no white space");
    }
    good.then_some(())
}

/// Reads `headers`.
pub(super) fn headers(table: &Table<'_>) -> Vec<(String, String)> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    for (name, value) in table.map("headers") {
        if name.get_ref().is_empty() || !name.get_ref().bytes().all(token) {
            let message = format!("`{}` is not the name of a header", name.get_ref());
            table.faults.push(name.span(), message);
        }
        if carries_credentials(name.get_ref()) {
            let hint = "`control:` and a path is asked with the operators' token; a program that \
                        `run` starts can have its own secrets";
            table.faults.covered(value.span(), "a secret would stand in the plan", hint);
        }
        if value.get_ref().as_str().is_some_and(|text| text.contains(|c: char| c.is_control())) {
            table.faults.push(value.span(), "a header's value cannot hold control characters");
        }
    }
    table.pairs("headers")
}

/// Whether a header of this name says who is asking. The plan is kept in the ledger and shown.
fn carries_credentials(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = ["authorization", "cookie", "token", "secret", "password", "api-key", "apikey"];
    words.iter().any(|word| name.contains(word))
}

/// Reads `body`: a text as it is, anything else as JSON.
pub(super) fn body(table: &Table<'_>) -> Option<String> {
    let value = table.any("body")?;
    let text = value.get_ref().as_str().map(str::to_owned);
    text.or_else(|| scalar::json(value, table.faults).map(|json| json.to_string()))
}
