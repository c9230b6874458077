//! Where examples are typed: a project, an orchestrator with an app behind it, and a shell.

use std::process::Command;

use ctx::ledger::Ledger;
use ctx::load::sign::Secrets;
use ctx::load::webhooks::Mix;
use ctx::rehearsal::legacy::Legacy;

use super::act::Act;
use crate::support::serve::{Serve, TOKEN};
use crate::support::terminal::{COLUMNS, Screen, lines, plain};
use crate::support::traffic::Traffic;
use crate::support::{Running, Test};

/// The plan that the examples are about.
pub(super) const PLAN_FILE: &str = "plans/contexten.toml";
const PLAN: &str = include_str!("contexten.toml");

/// What a minute of an example becomes, and a limit that a machine busy with other tests would miss.
const HASTY: [(&str, &str); 5] = [
    ("--lasts 1m", "--lasts 300ms"),
    ("--lasts 30s", "--lasts 300ms"),
    ("--stage 30s:0..500/s --stage 1m:500/s", "--stage 300ms:0..200/s --stage 300ms:200/s"),
    ("--requests 500", "--requests 20"),
    ("p95<100ms", "p95<9s"),
];

/// A project, and what runs beside it. What was begun ends with the scene, in this order.
pub(super) struct Scene {
    /// Somebody else's `ctx`, driving a run.
    pub(super) running: Option<Running>,
    pub(super) traffic: Option<Traffic>,
    pub(super) serve: Option<Serve>,
    pub(super) legacy: Legacy,
    /// A second app.
    pub(super) next: Option<Legacy>,
    pub(super) test: Test,
    /// What the examples call something, and what it is called here.
    names: Vec<(&'static str, String)>,
}

impl Scene {
    /// A project with a plan, an app, and nothing in front of it yet.
    pub(super) fn new() -> Self {
        let test = Test::new()
            .env("CTX_TOKEN", TOKEN)
            .env("USER", "ada")
            .env("GITHUB_SECRET", "hush")
            .env("HOOK", "hush")
            .file(PLAN_FILE, PLAN);
        let legacy = Legacy::start().unwrap();
        let names = vec![("http://127.0.0.1:8000", legacy.url())];
        Self { running: None, traffic: None, serve: None, legacy, next: None, test, names }
    }

    /// With `ctx serve` in front of the app, which the environment names.
    pub(super) fn served() -> Self {
        let mut scene = Self::new();
        let url = scene.legacy.url();
        scene.serves(&url, &[]);
        scene
    }

    /// As [`Scene::served`], with events that keep coming: guards have something to judge.
    pub(super) fn busy() -> Self {
        let mut scene = Self::served();
        let to = scene.serve().address();
        scene.traffic = Some(Traffic::start(to, 50.0, Mix::default(), Secrets::default()));
        scene
    }

    /// Puts `ctx serve` in front of the app at `url`.
    pub(super) fn serves(&mut self, url: &str, more: &[&str]) {
        let serve = Serve::with(&self.test, url, more);
        let control = format!("http://{}", serve.control);
        let test = std::mem::replace(&mut self.test, Test::new());
        self.test = test.env("CTX_ORCHESTRATOR", &control);
        self.is("http://127.0.0.1:7700", control);
        self.is("http://127.0.0.1:7780", format!("http://{}", serve.data));
        self.serve = Some(serve);
    }

    pub(super) fn serve(&self) -> &Serve {
        self.serve.as_ref().expect("the scene is served")
    }

    /// What the examples call `name` is `this` from now on.
    pub(super) fn is(&mut self, name: &'static str, this: String) {
        self.names.retain(|(known, _)| *known != name);
        self.names.push((name, this));
    }

    /// Runs a `ctx` that is no example.
    #[track_caller]
    pub(super) fn ctx(&self, args: &[&str]) {
        let ran = self.test.run(args);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
    }

    /// Lets somebody else's `ctx` run beside the examples.
    pub(super) fn begins(&mut self, args: &[&str]) {
        self.running = None;
        self.running = Some(self.test.spawn(args));
    }

    /// Changes the plan.
    #[track_caller]
    pub(super) fn edits(&self, from: &str, to: &str) {
        let plan = std::fs::read_to_string(self.test.path(PLAN_FILE)).unwrap();
        assert!(plan.contains(from), "`{from}` is in the plan");
        self.test.write(PLAN_FILE, &plan.replace(from, to));
    }

    /// The examples' run is the last one.
    pub(super) fn knows_the_run(&mut self) {
        let ledger = Ledger::read(&self.test.path(".ctx/ledger.sqlite3")).unwrap();
        let id = ledger.runs(1).unwrap()[0].run.to_string();
        self.is("1a90ac40", id[..8].to_owned());
        self.is("1a90", id[..4].to_owned());
    }

    /// A line as it is typed here.
    fn line(&self, line: &str) -> String {
        let hasty = HASTY.iter().map(|(long, short)| (*long, (*short).to_owned()));
        let named = self.names.iter().cloned();
        hasty.chain(named).fold(line.to_owned(), |line, (from, to)| line.replace(from, &to))
    }

    /// A shell's command in the project, with `ctx` in its path.
    fn shell(&self, line: &str) -> Command {
        let ctx = self.test.command(&[]);
        let mut shell = Command::new("bash");
        shell.args(["--noprofile", "--norc", "-o", "pipefail", "-c", line]);
        shell.current_dir(ctx.get_current_dir().unwrap());
        shell.envs(ctx.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let folder = std::path::Path::new(env!("CARGO_BIN_EXE_ctx")).parent().unwrap();
        let path = ctx::settings::environment("PATH").unwrap_or_default();
        shell.env("PATH", format!("{}:{path}", folder.display()));
        shell
    }

    /// Types what a script says, act by act, and checks what comes of it.
    #[track_caller]
    pub(super) fn plays(&mut self, script: &[Act]) {
        let mut faults = 0;
        for act in script {
            (act.before)(self);
            let line = self.line(act.line);
            let Some(mut screen) = Screen::begin(&self.shell(&line)) else { return };
            for (shown, keys) in act.typed {
                if screen.shows(shown) {
                    screen.types(keys.as_bytes());
                } else {
                    faults += 1;
                    eprintln!("`{}` does not show `{shown}` before it ends", act.line);
                }
            }
            let code = screen.ends();
            let shown = screen.shown();
            let mut found = checks(act, code, &shown);
            let written = act.leaves.map(|file| std::fs::metadata(self.test.path(file)));
            if written.is_some_and(|file| !file.is_ok_and(|file| file.len() > 0)) {
                found.push(format!("`{}` is not written", act.leaves.unwrap_or_default()));
            }
            if !found.is_empty() {
                let found = found.join("; ");
                let shown = plain(&shown).replace('\r', "");
                faults += 1;
                eprintln!("`{}`, typed as `{line}`: {found}:\n{shown}", act.line);
            }
        }
        assert_eq!(faults, 0, "faults are told above, where they were found");
    }
}

/// Whether no word of a line is cut by the edge of the terminal. What is drawn in place is filled
/// up to it, and goes on in the next row.
fn fits(line: &str) -> bool {
    let columns: Vec<char> = line.chars().collect();
    let rows: Vec<&[char]> = columns.chunks(usize::from(COLUMNS)).collect();
    rows.windows(2).all(|rows| rows[0].ends_with(&[' ']) || rows[1].starts_with(&[' ']))
}

/// What is wrong with what an example came to.
fn checks(act: &Act, code: Option<i32>, shown: &str) -> Vec<String> {
    let mut found = Vec::new();
    if code != Some(i32::from(act.ends.number())) {
        found.push(format!("it ends with {code:?}"));
    }
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = plain(shown);
    if !words(&text).contains(&words(act.shows)) || (act.leaves.is_none() && act.shows.is_empty()) {
        found.push(format!("`{}` is not shown", act.shows));
    }
    if !(act.verbatim || act.line.contains("--json")) {
        let wide = lines(shown).into_iter().filter(|line| !fits(line));
        found.extend(wide.map(|line| format!("{} columns in `{line}`", line.chars().count())));
    }
    found
}
