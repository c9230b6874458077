//! How an exposition is written: in Prometheus' text format, or as `OpenMetrics` 1.0 to whoever
//! accepts that.
//!
//! The two differ in three places: `OpenMetrics` names the type of a counter without its `_total`,
//! ends with `# EOF`, and has another content type.
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>

use std::fmt::Write as _;

/// How the exposition is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Format {
    Text,
    OpenMetrics,
}

impl Format {
    /// What an `Accept` asks for; the text format unless it names the other one.
    pub(in super::super) fn accepted(accept: &str) -> Self {
        let names = |range: &str| {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            kind.eq_ignore_ascii_case("application/openmetrics-text")
                && !parts.any(|part| part == "q=0")
        };
        if accept.split(',').any(names) { Self::OpenMetrics } else { Self::Text }
    }

    pub(in super::super) const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Writes an exposition in the text format in this one.
    pub(super) fn of(self, text: String) -> String {
        if self == Self::Text {
            return text;
        }
        let mut open = String::with_capacity(text.len() + 8);
        for line in text.lines() {
            let head = line.strip_prefix("# ").and_then(|rest| {
                let mut words = rest.splitn(3, ' ');
                Some((words.next()?, words.next()?.strip_suffix("_total")?, words.next()?))
            });
            let _ = match head {
                Some((what, name, rest)) => writeln!(open, "# {what} {name} {rest}"),
                None => writeln!(open, "{line}"),
            };
        }
        open.push_str("# EOF\n");
        open
    }
}

/// An exposition in the making.
pub(super) struct Page(pub(super) String);

impl Page {
    /// A family with its samples by their labels, `{a="b"}` or nothing. Without samples it is left
    /// out: what is not known is not zero.
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str, samples: &[(String, f64)]) {
        if samples.is_empty() {
            return;
        }
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for (labels, value) in samples {
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Into<Option<f64>>) {
        let sample = value.into().map(|value| (String::new(), value));
        self.family(name, "gauge", help, sample.as_slice());
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "counter", help, &[(String::new(), value)]);
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows floats only")]
pub(super) fn float(n: u64) -> f64 {
    n as f64
}

/// A sample's labels. Values are names of the configuration.
pub(super) fn labels(pairs: &[(&str, &str)]) -> String {
    let escaped =
        |value: &str| value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    let pair = |(name, value): &(&str, &str)| format!("{name}=\"{}\"", escaped(value));
    format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_whoever_accepts_it() {
        for (accept, format) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/plain;version=0.0.4;q=0.2,*/*;q=0.1", Format::Text),
            ("application/openmetrics-text;q=0, text/plain", Format::Text),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2",
                Format::OpenMetrics,
            ),
            ("text/plain, Application/OpenMetrics-Text", Format::OpenMetrics),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept}");
        }
    }

    #[test]
    fn a_counters_type_has_no_total_in_openmetrics() {
        let mut page = Page(String::new());
        page.counter("a_total", "Some a_total.", 1.0);
        page.gauge("b", "Some b.", 0.5);
        page.gauge("c", "Not known.", None);
        let open = Format::OpenMetrics.of(page.0.clone());
        assert_eq!(
            open,
            "# HELP a Some a_total.\n# TYPE a counter\na_total 1\n\
             # HELP b Some b.\n# TYPE b gauge\nb 0.5\n# EOF\n"
        );
        assert_eq!(Format::Text.of(page.0.clone()), page.0);
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(labels(&[("a", "x\"\\\n"), ("b", "y")]), r#"{a="x\"\\\n",b="y"}"#);
    }
}
