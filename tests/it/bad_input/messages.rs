//! Every kind of wrong input, and what is said about it: one table, one kept document.
//!
//! The scene is a desk with a plan and a ledger, and nobody listens at the orchestrator's address.
//! What needs a story of its own stands in the files beside this one; what is wrong within a plan
//! in `tests/it/plan/faults.rs`. `CTX_BLESS=1` writes the document anew; read the difference.

use std::fmt::Write as _;

use ctx::ledger::Ledger;
use ctx::settings::environment;

use crate::desk::Desk;
use crate::support::markdown::words;

/// Files with something wrong about them.
const FILES: &[(&str, &[u8])] = &[
    ("empty.toml", b""),
    ("bytes.dat", b"\xff\xfe\x00\x01"),
    ("half.json", b"{\"flags\": ["),
    ("list.json", b"[]"),
    (
        "flagd.json",
        b"{\"flags\": {\"one\": {\"state\": \"ENABLD\", \"variants\": {\"on\": true}, \
          \"defaultVariant\": \"of\"}, \"two\": {\"state\": \"ENABLED\", \"variants\": {}}}}",
    ),
    ("arms.json", b"{\"schema\": \"ctx.samples/1\", \"metrics\": [{\"name\": \"errors\"}]}"),
    (
        "greeter.toml",
        b"id = \"greeter\"\nname = \"Greeter\"\nversoin = \"1.0.0\"\nkind = \"htp\"\n",
    ),
    ("export.jsonl", b"{\"type\":\"entry\"}\n"),
    ("sinks.toml", b"[alerts]\nchat = { webook = \"env:CHAT\" }\nlog = { command = [] }\n"),
    ("broken.toml", b"[plan\n"),
    ("home/ctx/ctx.toml", b"orchestrator = 7700\n"),
];

/// Command lines, with what stands in the environment before them.
const CASES: &str = "
# Settings.
CTX_PLAN=nowhere.toml ctx plan check
CTX_PLAN=plans ctx plan check
CTX_PLAN=empty.toml ctx plan check
CTX_PLAN=broken.toml ctx migrate next --yes
CTX_LEDGER=bytes.dat ctx status
CTX_LEDGER=plans ctx status
CTX_LEDGER=nowhere.sqlite3 ctx ledger verify
CTX_ORCHESTRATOR=nonsense ctx config show --live
CTX_ORCHESTRATOR=ftp://127.0.0.1:7700 ctx drift
CTX_ALERTS=nowhere.toml ctx alerts list
CTX_ALERTS=bytes.dat ctx alerts list
CTX_ALERTS=sinks.toml ctx alerts test
XDG_CONFIG_HOME=/DIR/home ctx status
CTX_LOG_FORMAT=yaml ctx serve --legacy http://127.0.0.1:1
CTX_FAILPOINT=nonsense ctx status
# Flags: addresses, durations, percentages, numbers, words.
ctx status --color sometimes
ctx status --watch
ctx status --json-into records
ctx serve
ctx serve --legacy nonsense --listen 127.0.0.1:0 --control 127.0.0.1:0
ctx serve --legacy http://127.0.0.1:1 --listen nonsense
ctx serve --legacy http://127.0.0.1:1 --listen 127.0.0.1:0 --control 0.0.0.0:0
ctx serve --legacy http://127.0.0.1:1 --token hush
ctx serve --legacy http://127.0.0.1:1 --token env:NOT_SET
ctx serve --legacy http://127.0.0.1:1 --github-secret hush
ctx serve --legacy http://127.0.0.1:1 --workers 0
ctx serve --legacy http://127.0.0.1:1 --programs nowhere
ctx serve --legacy http://127.0.0.1:1 --alerts sinks.toml
ctx serve --legacy http://127.0.0.1:1 --force
ctx monitor --for soon
ctx monitor --every 1fortnight
ctx monitor --once --for 1h
ctx load http://127.0.0.1:1/ --rate 5 --lasts never
ctx load http://127.0.0.1:1/ --rate 0
ctx load http://127.0.0.1:1/ --stage 30s
ctx load http://127.0.0.1:1/ --rate 5 --threshold p96<1s
ctx load ftp://127.0.0.1:1/ --rate 5
ctx load http://192.0.2.1/ --rate 5
ctx flags set connection_pooling --on --percentage 120%
ctx flags set connection_pooling --percentage nonsense
ctx rehearse --soaks never
ctx rehearse nowhere.toml
ctx rehearse --drill --fault eror
ctx report --format pdf
ctx completions tcsh
ctx history -n some
ctx events replay
ctx events replay nonsense
ctx lock release --lease nonsense
# Names: phases, runs, milestones, suites, sinks, backups, extensions, commands, codes.
ctx migrate phase cachin
ctx migrate phase 9
ctx migrate phase 0
ctx plan show --phase cachin
ctx validate --phase cachin
ctx report --phase cachin
ctx test phase cachin
ctx test suite smoke
ctx rollback --to cachin --yes
ctx rollback --to 7 --yes
ctx show 22222223
ctx show abcdef
ctx show nonsense
ctx milestone show cached
ctx milestone reach cached
ctx alerts test chat
ctx backup show b-2030
ctx backup verify nonsense
ctx backup restore nonsense --yes
ctx help migrat
ctx help cods
ctx help head_mved
ctx help 99
ctx help plan chek
ctx man migrat
ctx init NOT_A_NAME --no-input
# Files: manifests, flags, samples, exports.
ctx extension validate nowhere.toml
ctx extension validate bytes.dat
ctx extension validate greeter.toml
ctx flags import nowhere.json
ctx flags import half.json
ctx flags import list.json
ctx flags import flagd.json
ctx canary judge nowhere.json
ctx canary judge half.json
ctx canary judge arms.json
ctx ledger import nowhere.jsonl
ctx ledger import export.jsonl
ctx ledger import export.jsonl --ledger new.sqlite3
ctx ledger import bytes.dat --ledger new.sqlite3
ctx plan check greeter.toml
";

#[test]
fn every_message_about_bad_input_is_as_it_was_reviewed() {
    let desk = Desk::with_history();
    for (name, bytes) in FILES {
        let path = desk.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let untouched = || {
        let ledger = Ledger::read(&desk.path().join(".ctx/ledger.sqlite3")).unwrap();
        let mut files = desk.files();
        files.retain(|(path, ..)| !path.starts_with(desk.path().join(".ctx")));
        (ledger.head().unwrap(), files)
    };
    let before = untouched();
    let folder = desk.path().display().to_string();
    let mut told = String::new();
    for line in CASES.lines().filter(|line| !line.is_empty()) {
        if let Some(heading) = line.strip_prefix("# ") {
            writeln!(told, "# {heading}\n").unwrap();
            continue;
        }
        let (env, args) = line.split_once("ctx ").unwrap_or(("", &line[4..]));
        let args = words(args);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = desk.command(&args);
        command.env("CTX_TOKEN", "an-operator-of-the-tests");
        if let Some((name, value)) = env.trim().split_once('=') {
            command.env(name, value.replace("/DIR", &folder));
        }
        let output = command.stdin(std::process::Stdio::null()).output().unwrap();
        // Faults of a plan are the result of its check; everything else is said on stderr.
        let result = if args[0] == "plan" { output.stdout } else { Vec::new() };
        let said = String::from_utf8([result, output.stderr].concat()).unwrap();
        let said = said.replace(&folder, "DIR");
        let code = output.status.code().unwrap();
        assert!(code != 0 && code != 70 && !said.contains("panicked"), "{line}: {code}: {said}");
        assert!(said.contains("error: ") || said.contains("Usage: "), "{line}: {said}");
        writeln!(told, "$ {line}  -> {code}\n{}", said.trim_end()).unwrap();
        told.push('\n');
    }
    assert!(untouched() == before, "nothing is half done");
    let kept =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/bad_input/messages.txt");
    if environment("CTX_BLESS").is_some() {
        std::fs::write(&kept, &told).unwrap();
    }
    let kept = std::fs::read_to_string(kept).unwrap_or_default();
    if let Some((was, is)) = kept.lines().zip(told.lines()).find(|(was, is)| was != is) {
        panic!("`{was}` is now `{is}`; `CTX_BLESS=1` writes all of it anew:\n{told}");
    }
    assert_eq!(kept.len(), told.len(), "`CTX_BLESS=1` writes it anew:\n{told}");
}
