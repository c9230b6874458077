//! What came back, against what a case expects. Pure.

use hyper::HeaderMap;
use serde_json::Value;

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
pub fn differences(expect: &Expect, answer: &Answer) -> Vec<String> {
    let body = String::from_utf8_lossy(&answer.body);
    let mut found = Vec::new();
    if answer.status != expect.status {
        found.push(format!(
            "expected status {}, got {} with {}",
            expect.status,
            answer.status,
            shown_body(&body)
        ));
    }
    for text in &expect.contains {
        if !body.contains(text.as_str()) {
            found.push(format!("expected `{}` in the body, got {}", cut(text), shown_body(&body)));
        }
    }
    for (name, text) in &expect.headers {
        found.extend(header_difference(name, text, &answer.headers));
    }
    found.extend(json_differences(&expect.json, &body));
    found
}

fn header_difference(name: &str, text: &str, headers: &HeaderMap) -> Option<String> {
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
        values => format!("`{}`", cut(&values.join(", "))),
    };
    Some(format!("expected `{text}` in header `{name}`, got {got}"))
}

fn json_differences(expect: &[(String, Value)], body: &str) -> Vec<String> {
    if expect.is_empty() {
        return Vec::new();
    }
    let Ok(json) = serde_json::from_str::<Value>(body) else {
        return vec![format!("expected JSON, got {}", shown_body(body))];
    };
    let differs = |(pointer, wanted): &(String, Value)| {
        let got = json.pointer(pointer);
        let text = match got {
            Some(got) if got == wanted => return None,
            Some(got) => format!("`{}`", cut(&got.to_string())),
            None => format!("nothing there in {}", shown_body(body)),
        };
        Some(format!("expected `{}` at `{pointer}`, got {text}", cut(&wanted.to_string())))
    };
    expect.iter().filter_map(differs).collect()
}

fn shown_body(body: &str) -> String {
    if body.is_empty() { "an empty body".to_owned() } else { format!("`{}`", cut(body)) }
}

/// The text on one line, at most 200 characters of it.
fn cut(text: &str) -> String {
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

    fn ok() -> Expect {
        Expect { status: 200, contains: vec![], headers: vec![], json: vec![] }
    }

    #[test]
    fn a_status_is_compared_and_the_body_shown() {
        let check = |status, body: &str, expect: &[&str]| {
            assert_eq!(differences(&ok(), &answer(status, body)), expect);
        };
        check(200, "anything", &[]);
        check(500, "oh\nno", &["expected status 200, got 500 with `oh no`"]);
        check(204, "", &["expected status 200, got 204 with an empty body"]);
        let long = "x".repeat(300);
        let cut = format!("expected status 200, got 502 with `{}...`", "x".repeat(200));
        check(502, &long, &[&cut]);
    }

    #[test]
    fn texts_headers_and_pointers_are_each_compared() {
        let body = r#"{"message":"handled","parts":[{"n":1}],"none":null}"#;
        let check = |edit: fn(&mut Expect), expect: &[&str]| {
            let mut expected = ok();
            edit(&mut expected);
            assert_eq!(differences(&expected, &answer(200, body)), expect);
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
    fn all_differences_come_at_once() {
        let expected = Expect {
            status: 200,
            contains: vec!["a".into()],
            headers: vec![("b".into(), "c".into())],
            json: vec![("/d".into(), json!("e")), ("/f".into(), json!("g"))],
        };
        assert_eq!(differences(&expected, &answer(404, "{}")).len(), 5);
        assert_eq!(
            differences(&expected, &answer(200, "a<html>")),
            ["expected `c` in header `b`, got no such header", "expected JSON, got `a<html>`"]
        );
    }
}
