//! What came back, against what a case expects. Pure.

use hyper::HeaderMap;
use serde_json::Value;

use super::outcome::Fault;
use crate::plan::model::Expect;

/// How much of a body or a value is shown.
const SHOWN: usize = 200;

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Every way in which `answer` is not what was expected: each with both sides. None is a pass.
pub fn differences(expect: &Expect, answer: &Answer) -> Vec<Fault> {
    let body = String::from_utf8_lossy(&answer.body);
    let mut found = Vec::new();
    if answer.status != expect.status {
        let got = format!("{} with {}", answer.status, shown_body(&body));
        found.push(Fault::differs(format!("status {}", expect.status), got));
    }
    for text in &expect.contains {
        if !body.contains(text.as_str()) {
            let expected = format!("`{}` in the body", excerpt(text));
            found.push(Fault::differs(expected, shown_body(&body)));
        }
    }
    for (name, text) in &expect.headers {
        found.extend(header_difference(name, text, &answer.headers));
    }
    found.extend(json_differences(&expect.json, &body));
    found
}

/// What differs between the answers to a delivery and to the same delivery sent again.
pub fn unlike(first: &Answer, again: &Answer) -> Option<Fault> {
    let json = |answer: &Answer| serde_json::from_slice::<Value>(&answer.body).ok();
    let same = first.body == again.body || json(first).is_some_and(|one| json(again) == Some(one));
    if first.status == again.status && same {
        return None;
    }
    let shown = |answer: &Answer| {
        format!("{} with {}", answer.status, shown_body(&String::from_utf8_lossy(&answer.body)))
    };
    let expected = format!("{} when sent again", shown(first));
    Some(Fault::differs(expected, shown(again)))
}

fn header_difference(name: &str, text: &str, headers: &HeaderMap) -> Option<Fault> {
    let values: Vec<_> = headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    if values.iter().any(|value| value.contains(text)) {
        return None;
    }
    let got = match values.as_slice() {
        [] => "no such header".to_owned(),
        values => format!("`{}`", excerpt(&values.join(", "))),
    };
    Some(Fault::differs(format!("`{text}` in header `{name}`"), got))
}

fn json_differences(expect: &[(String, Value)], body: &str) -> Vec<Fault> {
    if expect.is_empty() {
        return Vec::new();
    }
    let Ok(json) = serde_json::from_str::<Value>(body) else {
        return vec![Fault::differs("JSON", shown_body(body))];
    };
    let differs = |(pointer, wanted): &(String, Value)| {
        let got = json.pointer(pointer);
        let text = match got {
            Some(got) if got == wanted => return None,
            Some(got) => format!("`{}`", excerpt(&got.to_string())),
            None => format!("nothing there in {}", shown_body(body)),
        };
        let wanted = excerpt(&wanted.to_string());
        Some(Fault::differs(format!("`{wanted}` at `{pointer}`"), text))
    };
    expect.iter().filter_map(differs).collect()
}

fn shown_body(body: &str) -> String {
    if body.is_empty() { "an empty body".to_owned() } else { format!("`{}`", excerpt(body)) }
}

/// The text on one line, at most 200 characters of it.
pub(super) fn excerpt(text: &str) -> String {
    let one_line = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut shown: String = one_line.take(SHOWN).collect();
    if text.trim().chars().nth(SHOWN).is_some() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json; charset=utf-8".parse().unwrap());
        headers.append("vary", "accept".parse().unwrap());
        headers.append("vary", "cookie".parse().unwrap());
        Answer { status, headers, body: body.as_bytes().to_vec() }
    }

    fn said(expect: &Expect, answer: &Answer) -> Vec<String> {
        differences(expect, answer).iter().map(ToString::to_string).collect()
    }

    fn ok() -> Expect {
        Expect { status: 200, contains: vec![], headers: vec![], json: vec![] }
    }

    #[test]
    fn a_status_is_compared_and_the_body_shown() {
        let check = |status, body: &str, expect: &[&str]| {
            assert_eq!(said(&ok(), &answer(status, body)), expect);
        };
        check(200, "anything", &[]);
        check(500, "oh\nno", &["expected status 200, got 500 with `oh no`"]);
        check(204, "", &["expected status 200, got 204 with an empty body"]);
        let long = "x".repeat(300);
        let long_cut = format!("expected status 200, got 502 with `{}...`", "x".repeat(200));
        check(502, &long, &[&long_cut]);
    }

    #[test]
    fn texts_headers_and_pointers_are_each_compared() {
        let body = r#"{"message":"handled","parts":[{"n":1}],"none":null}"#;
        let check = |edit: fn(&mut Expect), expect: &[&str]| {
            let mut expected = ok();
            edit(&mut expected);
            assert_eq!(said(&expected, &answer(200, body)), expect);
        };
        check(|e| e.contains.push("handled".into()), &[]);
        check(
            |e| e.contains.push("lost".into()),
            &[concat!(
                "expected `lost` in the body, got ",
                r#"`{"message":"handled","parts":[{"n":1}],"none":null}`"#
            )],
        );
        check(|e| e.headers.push(("Content-Type".into(), "application/json".into())), &[]);
        check(|e| e.headers.push(("vary".into(), "cookie".into())), &[]);
        check(
            |e| e.headers.push(("vary".into(), "origin".into())),
            &["expected `origin` in header `vary`, got `accept, cookie`"],
        );
        check(
            |e| e.headers.push(("x-ctx".into(), "1".into())),
            &["expected `1` in header `x-ctx`, got no such header"],
        );
        check(|e| e.json.push(("/parts/0/n".into(), json!(1))), &[]);
        check(|e| e.json.push(("/none".into(), json!(null))), &[]);
        check(
            |e| e.json.push(("/parts/0/n".into(), json!(2))),
            &["expected `2` at `/parts/0/n`, got `1`"],
        );
        check(
            |e| e.json.push(("/missing".into(), json!(2))),
            &[concat!(
                "expected `2` at `/missing`, got nothing there in ",
                r#"`{"message":"handled","parts":[{"n":1}],"none":null}`"#
            )],
        );
    }

    #[test]
    fn a_delivery_sent_again_is_answered_alike() {
        let check = |first: (u16, &str), again: (u16, &str), expect: Option<&str>| {
            let found = unlike(&answer(first.0, first.1), &answer(again.0, again.1));
            assert_eq!(found.map(|fault| fault.to_string()).as_deref(), expect);
        };
        check((200, r#"{"a":1,"b":2}"#), (200, r#"{"b":2, "a":1}"#), None);
        check((200, "ok"), (200, "ok"), None);
        check(
            (200, "ok"),
            (409, "ok"),
            Some("expected 200 with `ok` when sent again, got 409 with `ok`"),
        );
        check(
            (200, "{}"),
            (200, "no"),
            Some("expected 200 with `{}` when sent again, got 200 with `no`"),
        );
    }

    #[test]
    fn all_differences_come_at_once() {
        let expected = Expect {
            status: 200,
            contains: vec!["a".into()],
            headers: vec![("b".into(), "c".into())],
            json: vec![("/d".into(), json!("e")), ("/f".into(), json!("g"))],
        };
        assert_eq!(said(&expected, &answer(404, "{}")).len(), 5);
        assert_eq!(
            said(&expected, &answer(200, "a<html>")),
            ["expected `c` in header `b`, got no such header", "expected JSON, got `a<html>`"]
        );
    }
}
