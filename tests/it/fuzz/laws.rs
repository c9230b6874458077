//! Laws that hold for all values, not only for broken ones.

use std::sync::OnceLock;

use chrono::DateTime;
use ctx::control::config::Config;
use ctx::control::document::{Assignment, assign};
use ctx::engine::moves::{Act, unroll};
use ctx::ids::RunId;
use ctx::ledger::Ledger;
use ctx::ledger::fact::{Fact, Recorded};
use ctx::plan::effect::baseline;
use ctx::plan::preview::Preview;
use ctx::plan::{self, Plan};
use ctx::secret::{Secret, SecretRef};
use ctx::units::{Percent, duration};
use proptest::prelude::*;
use serde_json::json;

use super::corpus;

/// What may be done with a ledger.
#[derive(Clone, Debug)]
enum Deed {
    /// Appends a fact of one of a few runs.
    Append { run: u8, length: u8 },
    /// Lets the ledger go, and opens it again.
    Reopen,
    /// Derives the tables anew.
    Rebuild,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        6 => (0..4u8, any::<u8>()).prop_map(|(run, length)| Deed::Append { run, length }),
        1 => Just(Deed::Reopen),
        1 => Just(Deed::Rebuild),
    ];
    prop::collection::vec(deed, 1..30)
}

fn run_id(number: u8) -> RunId {
    format!("{number:032x}").try_into().expect("it is an id")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// A ledger is a list: whatever happens between two appends, it has what was appended.
    #[test]
    fn a_ledger_is_a_list_of_what_was_appended(deeds in deeds()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite3");
        let mut ledger = Ledger::open(&path).unwrap();
        let mut model: Vec<Recorded> = Vec::new();
        for deed in &deeds {
            match deed {
                Deed::Append { run, length } => {
                    let by = "ä\u{0}\"\\".repeat(usize::from(*length));
                    let at = DateTime::from_timestamp_millis(i64::from(*length)).unwrap();
                    let fact = Fact::Interrupted { by };
                    model.push(ledger.append(Some(&run_id(*run)), &fact, at).unwrap());
                }
                Deed::Reopen => {
                    drop(ledger);
                    ledger = Ledger::open(&path).unwrap();
                }
                Deed::Rebuild => ledger.rebuild().unwrap(),
            }
            prop_assert_eq!(ledger.head().unwrap().0, model.len() as u64);
        }
        let reader = Ledger::read(&path).unwrap();
        for run in 0..4 {
            let id = run_id(run);
            let of_run: Vec<_> =
                model.iter().filter(|r| r.run.as_ref() == Some(&id)).cloned().collect();
            prop_assert_eq!(reader.facts(&id).unwrap(), of_run);
        }
        let seqs: Vec<u64> = reader.entries(0, u32::MAX).unwrap().iter().map(|e| e.seq).collect();
        prop_assert_eq!(seqs, (1..=model.len() as u64).collect::<Vec<_>>());
        let verification = reader.verify().unwrap();
        prop_assert!(verification.intact(), "{:?}", verification);
    }
}

/// The plans of the project that stand by themselves.
fn plans() -> &'static [Plan] {
    static PLANS: OnceLock<Vec<Plan>> = OnceLock::new();
    PLANS.get_or_init(|| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
        let mut paths: Vec<_> = folder.read_dir().unwrap().map(|e| e.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|e| e == "toml"));
        let mut plans: Vec<Plan> =
            paths.iter().filter_map(|path| plan::load(path).ok()).map(|l| l.plan).collect();
        let small = String::from_utf8(corpus::plans().swap_remove(0)).unwrap();
        plans.push(plan::parse("small", &small, &|_| unreachable!()).unwrap());
        plans
    })
}

#[test]
fn a_plan_unrolls_to_the_same_bytes_every_time() {
    let bytes = |plan: &Plan| {
        let mut base = baseline();
        let mut bytes = Vec::new();
        for phase in &plan.phases {
            for step in unroll(phase, &base).unwrap() {
                bytes.extend(format!("{:?} {:?}\n", step.at, step.soak).into_bytes());
                if let Act::Change { target } = step.act {
                    bytes.extend(target.canonical());
                    base = *target;
                }
            }
        }
        (bytes, serde_json::to_string(&Preview::of(plan).unwrap()).unwrap())
    };
    assert!(plans().len() >= 2);
    for plan in plans() {
        assert_eq!(bytes(plan), bytes(&plan.clone()), "{}", plan.name);
        // A resumed run has its phase from the ledger: from JSON.
        let stored: Plan = {
            let mut stored = plan.clone();
            for phase in &mut stored.phases {
                let text = serde_json::to_string(phase).unwrap();
                *phase = serde_json::from_str(&text).unwrap();
            }
            stored
        };
        assert_eq!(&stored, plan);
        assert_eq!(bytes(&stored), bytes(plan), "{}", plan.name);
    }
}

/// An assignment that fits a fresh configuration.
fn assignment() -> impl Strategy<Value = Assignment> {
    let percent = (0..=100_000u32).prop_map(|n| Percent::from_thousandths(n).unwrap().to_string());
    let length =
        (1..10_000_000u64).prop_map(|ms| duration::format(std::time::Duration::from_millis(ms)));
    prop_oneof![
        percent.clone().prop_map(|p| ("flags.auto_scaling.percentage", json!(p))),
        percent.prop_map(|p| ("scaling.target", json!(p))),
        length.clone().prop_map(|l| ("cache.ttl", json!(l))),
        length.clone().prop_map(|l| ("health.interval", json!(l))),
        length.prop_map(|l| ("upstreams.legacy.timeout", json!(l))),
        any::<u32>().prop_map(|n| ("pool.max_idle", json!(n))),
        (0..1_000_000u64).prop_map(|n| ("cache.capacity", json!(n))),
        prop::sample::select(vec!["off", "write", "read"])
            .prop_map(|mode| ("cache.mode", json!(mode))),
    ]
    .prop_map(|(path, value)| Assignment { path: path.to_owned(), value })
}

/// The value at a dotted path.
fn at(config: &Config, path: &str) -> serde_json::Value {
    let document = serde_json::to_value(config).unwrap();
    document.pointer(&format!("/{}", path.replace('.', "/"))).cloned().unwrap_or_default()
}

proptest! {
    /// The inverse of an assignment is the assignment of what was there.
    #[test]
    fn what_is_assigned_is_there_and_goes_away_again(
        assignments in prop::collection::vec(assignment(), 1..8)
    ) {
        let base = Config::legacy("http://127.0.0.1:8000");
        let Ok(after) = assign(&base, &assignments) else { return Ok(()) };
        let text = String::from_utf8(after.canonical()).unwrap();
        let again: Config = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(again.canonical(), text.into_bytes());
        for (index, one) in assignments.iter().enumerate() {
            let last = assignments[index + 1..].iter().all(|later| later.path != one.path);
            prop_assert!(!last || at(&after, &one.path) == one.value, "{:?}", one);
        }
        let inverse: Vec<_> = assignments
            .iter()
            .map(|one| Assignment { path: one.path.clone(), value: at(&base, &one.path) })
            .collect();
        prop_assert_eq!(assign(&after, &inverse).unwrap().canonical(), base.canonical());
    }

    /// A secret is in no text that is made of it or of what went wrong with it.
    #[test]
    fn a_secret_shows_itself_to_nobody(value in "[a-zA-Z0-9+/=_-]{12,80}") {
        let shown = format!("{:?}", Secret::new(value.clone()));
        prop_assert!(!shown.contains(&value));
        let error = value.parse::<SecretRef>().unwrap_err();
        let said = format!("{error} {error:?}");
        prop_assert!(!said.contains(&value[..5]), "{}", said);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, format!("  {value}\r\n")).unwrap();
        let reference = SecretRef::File(file.display().to_string());
        let secret = reference.resolve().unwrap();
        prop_assert_eq!(secret.expose(), &value);
        let shown = format!("{secret:?} {reference} {reference:?}");
        prop_assert!(!shown.contains(&value));
    }

    /// Shares are ordered as numbers are, and survive their text.
    #[test]
    fn a_share_survives_its_text_in_order(a in 0..=100_000u32, b in 0..=100_000u32) {
        let share = |n| Percent::from_thousandths(n).unwrap();
        prop_assert_eq!(share(a).to_string().parse(), Ok(share(a)));
        prop_assert_eq!(share(a).cmp(&share(b)), a.cmp(&b));
        let text = serde_json::to_string(&share(a)).unwrap();
        prop_assert_eq!(serde_json::from_str::<Percent>(&text).unwrap(), share(a));
    }
}
