//! The HTML report in headless Chromium: what is on the page, in a narrow window too, and what
//! axe-core has to say about it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::desk::Desk;
use crate::support::peer;

/// The page of a desk with a history, written by `ctx report -o`.
fn page(desk: &Desk) -> String {
    desk.told(&["report", "-o", "report.html"]);
    std::fs::read_to_string(desk.path().join("report.html")).unwrap()
}

/// The document of a file after its scripts have run, in a window of this width.
fn rendered(file: &Path, width: u32) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--window-size={width},1200"))
        .args(["--virtual-time-budget=20000", "--timeout=60000", "--dump-dom"])
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && !dom.is_empty(), "{output:?}");
    dom
}

/// The page with a script of the test's own, which writes what it finds into `#found`.
fn probed(page: &str, scripts: &[&str]) -> String {
    // The policy of the page lets no script run, and that is tested on its own.
    let start = page.find("<meta http-equiv").unwrap();
    let end = start + page[start..].find('>').unwrap() + 1;
    let scripts = format!("<script>{}</script>", scripts.join("</script><script>"));
    let body = page[end..].replace("</body>", &format!("{scripts}</body>"));
    format!("{}{body}", &page[..start])
}

/// What the script wrote.
fn found(desk: &Desk, page: &str, scripts: &[&str], width: u32) -> Value {
    let file = desk.path().join("probed.html");
    std::fs::write(&file, probed(page, scripts)).unwrap();
    let dom = rendered(&file, width);
    let start = dom.find("<pre id=\"found\">").unwrap_or_else(|| panic!("nothing found: {dom}"));
    let text = &dom[start + "<pre id=\"found\">".len()..];
    let text = &text[..text.find("</pre>").unwrap()];
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&text).unwrap()
}

const TELL: &str = "function tell(value) { const pre = document.createElement('pre'); \
                    pre.id = 'found'; pre.textContent = JSON.stringify(value); \
                    document.documentElement.appendChild(pre); }";

#[test]
fn a_browser_shows_the_report_on_a_desk_and_on_a_phone() {
    if peer::require("chromium").is_none() {
        return;
    }
    let desk = Desk::with_readings();
    let page = page(&desk);
    let look = "window.addEventListener('load', () => tell({
        title: document.title,
        headings: [...document.querySelectorAll('h1, h2')].map((h) => h.textContent),
        charts: document.querySelectorAll('svg[role=img][aria-label]').length,
        lines: document.querySelectorAll('svg line.breach').length,
        rows: document.querySelectorAll('tbody tr').length,
        wide: document.documentElement.scrollWidth > window.innerWidth,
    }));";
    for width in [1200, 500] {
        let seen = found(&desk, &page, &[TELL, look], width);
        assert_eq!(seen["title"], "The shop behind the gateway");
        let headings = seen["headings"].to_string();
        for heading in ["Next", "Phases", "Over time", "Issues met", "Runs"] {
            assert!(headings.contains(heading), "{heading} in {headings}");
        }
        // The phases, the error rate, and the rollout; each with its breach.
        assert_eq!(seen["charts"], 3, "{seen}");
        assert_eq!(seen["lines"], 2, "{seen}");
        assert_eq!(seen["wide"], false, "the page scrolls sideways at {width}");
    }
}

#[test]
fn axe_finds_nothing_in_the_way_of_anybody() {
    if peer::require("chromium").is_none() || peer::require("axe-core").is_none() {
        return;
    }
    let desk = Desk::with_readings();
    let axe = std::fs::read_to_string(peer::axe()).unwrap();
    let run = "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice'] })\
               .then((found) => tell({ passes: found.passes.length, \
               violations: found.violations.map((v) => [v.id, v.nodes.map((n) => n.html)]) }));";
    let found = found(&desk, &page(&desk), &[TELL, &axe, run], 1200);
    assert_eq!(found["violations"], Value::Array(Vec::new()), "{found:#}");
    assert!(found["passes"].as_u64() > Some(10), "{found}");
}

#[test]
fn the_page_asks_nobody_and_runs_nothing() {
    let desk = Desk::with_readings();
    let page = page(&desk);
    assert!(page.contains("default-src 'none'; style-src 'unsafe-inline'"));
    for asks in ["<script", "src=", "href=", "@import", "url(", "<link", "<iframe"] {
        assert!(!page.contains(asks), "`{asks}` in the page");
    }
}
