//! How often a canary is judged wrongly, and after how many requests it is decided, by the judge
//! of a canary step and by what others do, on the same simulated traffic.
//!
//! A phase is 60 looks, a second apart; at each, both arms have served 20 more requests. Latencies
//! vary by a tenth around 100 ms with one in fifty three times as long; the control fails once in
//! 200. What stands beside:
//!
//! - *threshold*, checked every five looks on what came since the last check, as Flagger and Argo
//!   Rollouts do, with Flagger's figures: more than 1 % errors or a p99 above 500 ms is a failed
//!   check. At the first one, or at the fifth of all, the canary is rolled back. It sees the canary
//!   alone, so whoever sets the limits has to know what is usual;
//! - *rank test, once*, as Kayenta's published rule: the mean latency and the error rate of each look
//!   are a series per arm, and the canary fails when the 98 % confidence interval of the shift between
//!   them (Mann-Whitney) is above a quarter of the shift itself. It decides when the phase is over.
//!
//! `cargo bench --bench judge -- 500`. The number is that of phases per row. With `--profile dev` it
//! takes as long, and nothing is built anew.

#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
#![expect(clippy::cast_precision_loss, reason = "small counts of a simulation")]

use ctx::control::observe::Bucket;
use ctx::judge::Verdict;
use ctx::judge::canary::{ALPHA, Compare, Trial};
use ctx::judge::stats::fisher::Failures;
use ctx::load::dice::Dice;

const LOOKS: usize = 60;
const REQUESTS: u64 = 20;
/// How many looks lie between two checks of a threshold.
const CHECK: usize = 5;
/// What everybody is used to: of a thousand requests, so many fail, and so many take long.
const FAILING: u64 = 5;
const SLOW: u64 = 20;
/// The quantile of the normal distribution for a two-sided interval of 98 %.
const Z: f64 = 2.326_347_874_040_841;

/// What the canary is like.
struct Traffic {
    name: &'static str,
    /// Of a thousand requests.
    failing: u64,
    typical_us: u64,
    /// Of a thousand answers, those that take three times as long.
    slow: u64,
    worse: bool,
}

const USUAL: Traffic =
    Traffic { name: "equal", failing: FAILING, typical_us: 100_000, slow: SLOW, worse: false };

const TRAFFIC: [Traffic; 8] = [
    USUAL,
    Traffic { name: "5 % slower", typical_us: 105_000, ..USUAL },
    Traffic { name: "1.5 times as slow", typical_us: 150_000, worse: true, ..USUAL },
    Traffic { name: "10 times as slow", typical_us: 1_000_000, worse: true, ..USUAL },
    Traffic { name: "one in ten slow", slow: 100, worse: true, ..USUAL },
    Traffic { name: "3 % errors", failing: 30, worse: true, ..USUAL },
    Traffic { name: "10 % errors", failing: 100, worse: true, ..USUAL },
    Traffic { name: "all fail", failing: 1000, worse: true, ..USUAL },
];

/// What one arm served between two looks.
#[derive(Clone)]
struct Served {
    failed: u64,
    ms: Vec<f64>,
}

fn served(dice: &mut Dice, traffic: &Traffic) -> Served {
    let Traffic { failing, typical_us, slow, .. } = *traffic;
    let failed = (0..REQUESTS).filter(|_| dice.below(1000) < failing).count() as u64;
    let one = |dice: &mut Dice| {
        // Twelve throws add up to nearly normal ones: 6 on average, by 1.
        let sum: u64 = (0..12).map(|_| dice.below(1000)).sum();
        let tail = if dice.below(1000) < slow { 3.0 } else { 1.0 };
        // As a histogram has it: in steps of half a percent.
        let ms = typical_us as f64 / 1000.0 * (0.4 + sum as f64 / 10_000.0) * tail;
        (ms * 2.0).round() / 2.0
    };
    Served { failed, ms: (0..REQUESTS).map(|_| one(dice)).collect() }
}

/// What became of a phase: the look at which it was rolled back, if it was.
type Decided = Option<usize>;

/// When it was rolled back, or else whether it was held when the phase was over.
fn sequential(control: &[Served], canary: &[Served]) -> (Decided, bool) {
    let mut trial = Trial::new(Compare::default(), ALPHA);
    let mut held = false;
    let decided = (0..LOOKS).find(|look| {
        for (arm, served) in
            [(&mut trial.control, &control[*look]), (&mut trial.canary, &canary[*look])]
        {
            let buckets: Vec<_> = served.ms.iter().map(|ms| Bucket { ms: *ms, n: 1 }).collect();
            arm.add(Failures { requests: REQUESTS, failed: served.failed }, &buckets);
        }
        let verdict = trial.look();
        held = matches!(verdict, Verdict::Inconclusive(_));
        matches!(verdict, Verdict::Fail(_))
    });
    (decided, held)
}

fn threshold(canary: &[Served], checks: usize) -> Decided {
    let failed = canary.chunks(CHECK).enumerate().filter(|(_, served)| {
        let mut ms: Vec<f64> = served.iter().flat_map(|one| one.ms.iter().copied()).collect();
        ms.sort_by(f64::total_cmp);
        let p99 = ms[(ms.len() * 99).div_ceil(100) - 1];
        let errors: u64 = served.iter().map(|one| one.failed).sum();
        p99 > 500.0 || errors as f64 / ms.len() as f64 > 0.01
    });
    failed.map(|(check, _)| (check + 1) * CHECK - 1).nth(checks - 1)
}

fn once(control: &[Served], canary: &[Served]) -> Decided {
    let series = |arm: &[Served], of: fn(&Served) -> f64| arm.iter().map(of).collect::<Vec<_>>();
    let metrics: [fn(&Served) -> f64; 2] =
        [|served| served.ms.iter().sum::<f64>() / REQUESTS as f64, |served| served.failed as f64];
    let high = metrics.iter().any(|of| {
        let (theirs, ours) = (series(control, *of), series(canary, *of));
        let mut shifts: Vec<f64> =
            ours.iter().flat_map(|a| theirs.iter().map(move |b| a - b)).collect();
        shifts.sort_by(f64::total_cmp);
        let (n, pairs) = (LOOKS as f64, shifts.len());
        let spread = Z * (n * n * (2.0 * n + 1.0) / 12.0).sqrt();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below pairs")]
        let low = (n * n / 2.0 - spread).max(0.0) as usize;
        shifts[low] > (0.25 * shifts[pairs / 2]).max(0.0)
    });
    high.then_some(LOOKS - 1)
}

fn main() {
    // `cargo bench` adds a flag of its own.
    let phases: u64 = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(500);
    println!("{phases} phases of {LOOKS} looks at {REQUESTS} more requests per arm");
    println!("each cell: wrong decisions, and the requests per arm until a rollback (median)");
    println!("wrong is an equal canary that was rolled back, or a worse one that was not;");
    println!("held: neither rolled back nor promoted when the phase is over\n");
    println!(
        "{:<18}{:>14}{:>10}{:>16}{:>16}{:>16}",
        "canary", "ctx", "held", "threshold, 1st", "threshold, 5th", "rank test, once"
    );
    for traffic in &TRAFFIC {
        let mut decided: [Vec<Decided>; 4] = Default::default();
        let mut held = 0;
        for seed in 0..phases {
            let mut dice = Dice::new(seed);
            let control: Vec<_> = (0..LOOKS).map(|_| served(&mut dice, &USUAL)).collect();
            let canary: Vec<_> = (0..LOOKS).map(|_| served(&mut dice, traffic)).collect();
            let (ours, holds) = sequential(&control, &canary);
            held += u64::from(holds);
            let all = [ours, threshold(&canary, 1), threshold(&canary, 5), once(&control, &canary)];
            for (decided, one) in decided.iter_mut().zip(all) {
                decided.push(one);
            }
        }
        let [ours, others @ ..] = decided.map(|decided| cell(traffic, &decided));
        let held = format!("{:.1}%", 100.0 * held as f64 / phases as f64);
        println!(
            "{:<18}{ours:>14}{held:>10}{:>16}{:>16}{:>16}",
            traffic.name, others[0], others[1], others[2]
        );
    }
}

/// The share of wrong decisions, and after how many requests those rolled back were.
fn cell(traffic: &Traffic, decided: &[Decided]) -> String {
    let wrong = decided.iter().filter(|one| one.is_some() != traffic.worse).count();
    let share = 100.0 * wrong as f64 / decided.len() as f64;
    let mut at: Vec<usize> = decided.iter().copied().flatten().collect();
    at.sort_unstable();
    let requests = at
        .get(at.len() / 2)
        .map_or_else(|| "-".to_owned(), |look| ((*look as u64 + 1) * REQUESTS).to_string());
    format!("{share:.1}% {requests}")
}
