//! What a query says about itself before it is sent: which metrics it selects, and how far back
//! it looks.
//!
//! The server is the one that parses a query. This reads only as much as two questions need, and
//! knows the lexical structure of the language for it: comments, strings, label matchers, ranges, and
//! which words are functions, aggregations or keywords.

use std::time::Duration;

/// Words that stand before a list of labels.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Words that are never a metric.
const KEYWORDS: [&str; 8] = ["and", "or", "unless", "atan2", "offset", "bool", "inf", "nan"];

/// What a query selects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// The names of metrics, each once, in the order of the text.
    pub metrics: Vec<String>,
    /// The longest range, such as `5m` in `rate(x[5m])`.
    pub range: Option<Duration>,
}

/// Reads what a query selects.
pub fn selected(query: &str) -> Selected {
    let mut found = Selected::default();
    let mut rest = query;
    while let Some(c) = rest.chars().next() {
        rest = match c {
            '#' => rest.find('\n').map_or("", |end| &rest[end..]),
            '"' | '\'' | '`' => string(rest).1,
            '{' => matchers(&rest[1..], &mut found),
            '[' => range(&rest[1..], &mut found),
            _ if c.is_ascii_digit() => {
                rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.')
            }
            _ if starts_word(c) => word(rest, &mut found),
            _ => &rest[c.len_utf8()..],
        };
    }
    found
}

fn starts_word(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == ':'
}

/// A word, and what follows it.
fn split_word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !starts_word(c) && !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

fn word<'q>(text: &'q str, found: &mut Selected) -> &'q str {
    let (word, rest) = split_word(text);
    let next = rest.trim_start();
    let lower = word.to_ascii_lowercase();
    if LISTS.contains(&lower.as_str()) {
        // The labels in the list are no metrics.
        let Some(list) = next.strip_prefix('(') else { return rest };
        return list.find(')').map_or("", |end| &list[end + 1..]);
    }
    let aggregates = ["by", "without"].contains(&split_word(next).0.to_ascii_lowercase().as_str());
    if !next.starts_with('(') && !aggregates && !KEYWORDS.contains(&lower.as_str()) {
        found.add(word);
    }
    rest
}

/// A string without its quotes, and what follows it.
fn string(text: &str) -> (String, &str) {
    let mut chars = text.char_indices();
    let Some((_, quote)) = chars.next() else { return (String::new(), "") };
    let mut said = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => return (said, &text[at + 1..]),
            '\\' if quote != '`' => said.extend(chars.next().map(|(_, escaped)| escaped)),
            _ => said.push(c),
        }
    }
    (said, "")
}

/// Label matchers, up to and with the closing brace: only a name that must be equal counts.
fn matchers<'q>(text: &'q str, found: &mut Selected) -> &'q str {
    let mut rest = text;
    let mut label = "";
    let mut equal = false;
    while let Some(c) = rest.chars().next() {
        rest = match c {
            '}' => return &rest[1..],
            '"' | '\'' | '`' => {
                let (said, after) = string(rest);
                let next = after.trim_start();
                // A name in quotes stands alone: `{"http.requests"}`.
                let alone = label.is_empty() && !next.starts_with(['=', '!']);
                if alone || (label == "__name__" && equal) {
                    found.add(&said);
                }
                after
            }
            ',' => {
                (label, equal) = ("", false);
                &rest[1..]
            }
            '=' => {
                equal = !rest[1..].starts_with('~');
                rest[1..].strip_prefix('~').unwrap_or(&rest[1..])
            }
            _ if starts_word(c) => {
                let (word, after) = split_word(rest);
                label = word;
                after
            }
            _ => &rest[c.len_utf8()..],
        };
    }
    ""
}

fn range<'q>(text: &'q str, found: &mut Selected) -> &'q str {
    let (inside, rest) = text.split_once(']').unwrap_or((text, ""));
    let width = duration(inside.split(':').next().unwrap_or_default().trim());
    found.range = found.range.max(width);
    rest
}

/// A duration as a query writes it: `1h30m`.
fn duration(text: &str) -> Option<Duration> {
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let millis = match &rest[..end] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "y" => 31_536_000_000,
            _ => return None,
        };
        total = total.checked_add(count.checked_mul(millis)?)?;
        rest = &rest[end..];
    }
    (total > 0).then(|| Duration::from_millis(total))
}

impl Selected {
    fn add(&mut self, name: &str) {
        if !self.metrics.iter().any(|known| known == name) {
            self.metrics.push(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, metrics: &[&str], range: Option<u64>) {
        let found = selected(query);
        assert_eq!(found.metrics, metrics, "{query}");
        assert_eq!(found.range, range.map(Duration::from_secs), "{query}");
    }

    #[test]
    fn metrics_and_ranges_are_found_and_nothing_else() {
        check("up", &["up"], None);
        check(
            r#"sum(rate(errors_total{code=~"5..", job="a]b"}[30s])) / sum(rate(all_total[1m30s]))"#,
            &["errors_total", "all_total"],
            Some(90),
        );
        check("sum by (route, job) (rate(x:y_total[5m:10s] offset 1h))", &["x:y_total"], Some(300));
        check("SUM(a) BY (job) / on(job) group_left(team) b > bool 1e3", &["a", "b"], None);
        check("a and on() b unless ignoring (c) d or NaN", &["a", "b", "d"], None);
        check(r#"{__name__="named", job="x"} + {__name__=~"re.*"}"#, &["named"], None);
        check(r#"{"http.requests", code="500"}"#, &["http.requests"], None);
        check("a # b\n+ a @ end()", &["a"], None);
        check("histogram_quantile(0.95, sum(rate(h_bucket[1m])) by (le))", &["h_bucket"], Some(60));
        check("label_replace(up, 'a', '$1', 'b', '(.*)')", &["up"], None);
        check("vector(1) + 0x1F + 5", &[], None);
    }

    #[test]
    fn what_is_cut_off_does_no_harm() {
        for query in ["x{a=\"b", "x[5m", "sum by (", "\"", "x{__name__=", "é[é]", "#"] {
            let _ = selected(query);
        }
    }
}
