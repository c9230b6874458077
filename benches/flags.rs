//! Evaluations of flags, beside datalogic-rs: the same rules, the same contexts, in turn.
//!
//! datalogic-rs is a JSON Logic engine with flagd's operators. It is asked as its documentation
//! says is fastest: rules compiled once, contexts parsed once, results borrowed from an arena that
//! is reset after each question. Ours is asked as the server asks it, and answers more: value,
//! variant and reason. Both must name the same variant for every context, or the benchmark ends.
//!
//! Rounds go through both in turn; a figure is the median of the rounds, in processor time. `cargo bench --bench
//! flags -- 200000 15`, for 200,000 evaluations a round and 15 rounds.

#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use ctx::control::config::Flag;
use ctx::orchestrator::flags::evaluator::{Context, Evaluator, KeyMissing};
use ctx::orchestrator::flags::{Key, Share};
use ctx::units::Percent;
use datalogic_rs::{Engine, Logic, ParsedData, Session};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

/// Contexts that are asked for in turn.
const USERS: usize = 64;
/// What the issue asks for.
const LIMIT_NS: f64 = 50.0;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A flag, in our words and in theirs.
struct Case {
    name: &'static str,
    ours: Evaluator,
    theirs: Logic,
}

fn main() -> Result<ExitCode> {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse::<usize>().ok());
    let (times, rounds) = (numbers.next().unwrap_or(200_000), numbers.next().unwrap_or(15));
    let engine = Engine::new();
    let cases = cases(&engine)?;
    let attributes: Vec<Map<String, Value>> = (0..USERS).map(attributes).collect();
    let contexts: Vec<Context<'_>> = attributes.iter().map(Context::new).collect();
    let parsed: Vec<ParsedData> = attributes
        .iter()
        .map(|context| ParsedData::from_json(&as_flagd(context).to_string()))
        .collect::<std::result::Result<_, _>>()?;
    println!("{times} evaluations a round, {rounds} rounds; medians in ns");
    println!("{:<44} {:>8} {:>12} {:>7}", "", "ctx", "datalogic-rs", "ratio");
    let mut within = true;
    let gate = Share::new("checkout", Percent::whole(30));
    let keys: Vec<String> = (0..USERS).map(|user| format!("user-{user}")).collect();
    let share = median(rounds, || {
        nanoseconds(times, |i| gate.includes(Key::Sticky(keys[i % USERS].as_bytes())))
    });
    println!("{:<44} {share:>8.1}", "a percentage, as the gateway asks it");
    let mut session = engine.session();
    for case in &cases {
        agree(case, &contexts, &parsed, &mut session)?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            ours.push(nanoseconds(times, |i| case.ours.evaluate(&contexts[i % USERS], 0)));
            theirs.push(nanoseconds(times, |i| {
                let found = session.eval_borrowed(&case.theirs, &parsed[i % USERS]);
                let some = black_box(found).is_ok();
                session.reset();
                some
            }));
        }
        let (ours, theirs) = (middle(ours), middle(theirs));
        println!("{:<44} {ours:>8.1} {theirs:>12.1} {:>6.1}x", case.name, theirs / ours);
        within &= ours <= LIMIT_NS;
    }
    println!("{} {LIMIT_NS} ns", if within { "all within" } else { "NOT all within" });
    Ok(if within { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cases(engine: &Engine) -> Result<Vec<Case>> {
    let colours = json!({ "red": "#f00", "green": "#0f0", "blue": "#00f", "on": "#fff" });
    let of = |name, percentage: &str, rule: Option<Value>, theirs: Value| -> Result<Case> {
        let mut flag = json!({ "enabled": true, "percentage": percentage,
            "bucketing": "flagd-v2" });
        if let Some(rule) = rule {
            flag["variants"] = colours.clone();
            flag["targeting"] = rule;
        }
        let flag: Flag = serde_json::from_value(flag)?;
        let ours = Evaluator::new("checkout", &flag).map_err(|faults| faults.join("; "))?;
        Ok(Case { name, ours, theirs: engine.compile(theirs.to_string().as_str())? })
    };
    let both = |name, rule: Value| of(name, "100%", Some(rule.clone()), rule);
    let thirds = json!({ "fractional": [["red", 20], ["green", 30], ["blue", 50]] });
    let email = json!({ "cat": [{ "var": "$flagd.flagKey" }, { "var": "email" }] });
    let staff = json!({ "if": [{ "ends_with": [{ "var": "email" }, "@ctx.example"] }, "red",
        { "in": [{ "var": "plan" }, ["pro", "team"]] }, "green", "blue"] });
    Ok(vec![
        of(
            "boolean with percentage",
            "30%",
            None,
            json!({ "fractional": [["on", 30_000], ["off", 70_000]] }),
        )?,
        both("variants by fractional", thirds.clone())?,
        both(
            "variants by fractional over an attribute",
            json!({ "fractional": [email, ["red", 20], ["green", 30], ["blue", 50]] }),
        )?,
        both("a rule: ends_with, in", staff.clone())?,
        both(
            "a rule that ends in a fractional",
            json!({ "if": [{ "==": [{ "var": "country" }, "NZ"] }, thirds, "red"] }),
        )?,
    ])
}

fn attributes(user: usize) -> Map<String, Value> {
    let domain = if user.is_multiple_of(10) { "ctx.example" } else { "mail.example" };
    let (plan, country) = (["free", "pro", "team"][user % 3], ["NZ", "DE"][user % 2]);
    let context = json!({
        "targetingKey": format!("user-{user}"),
        "email": format!("user-{user}@{domain}"),
        "plan": plan,
        "country": country,
        "age": user % 90,
    });
    let Value::Object(context) = context else { unreachable!("written as an object") };
    context
}

/// flagd puts its own properties beside those of the user.
fn as_flagd(context: &Map<String, Value>) -> Value {
    let mut context = context.clone();
    context.insert("$flagd".to_owned(), json!({ "flagKey": "checkout", "timestamp": 0 }));
    context.into()
}

/// Makes sure that both name the same variant for everybody.
fn agree(
    case: &Case,
    contexts: &[Context<'_>],
    parsed: &[ParsedData],
    session: &mut Session<'_>,
) -> Result<()> {
    for (context, parsed) in contexts.iter().zip(parsed) {
        let ours = case.ours.evaluate(context, 0).map_err(|KeyMissing| "no key")?.variant;
        let theirs = session.eval_borrowed(&case.theirs, parsed)?.as_str();
        if ours != theirs {
            let why = format!("{}: {ours:?} and {theirs:?} for {context:?}", case.name);
            return Err(why.into());
        }
        session.reset();
    }
    Ok(())
}

fn nanoseconds<T>(times: usize, mut question: impl FnMut(usize) -> T) -> f64 {
    let began = processor_time();
    for i in 0..times {
        black_box(question(black_box(i)));
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let each = processor_time().saturating_sub(began).as_nanos() as f64 / times as f64;
    each
}

/// What this thread has had of the processor: others who want it do not count.
fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let second = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(second, u32::try_from(now.tv_nsec).unwrap_or_default())
}

fn median(rounds: usize, mut round: impl FnMut() -> f64) -> f64 {
    middle((0..rounds).map(|_| round()).collect())
}

fn middle(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
