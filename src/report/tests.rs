//! The report and the status as a reader meets them.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::fixture::{NOON, plan, records, rolled_back, run};
use super::page::width_of;
use super::{Inputs, Live, Records, Report, Status, markdown, screen, text};
use crate::control::config::Config;
use crate::control::observe::{self, Check, Health, Host, Latency, Metrics, Window};
use crate::control::wire::{Anchor, LeaseView, Provisional, State};
use crate::plan::Plan;
use crate::units::Percent;

const LATER: i64 = NOON + 45 * 60_000;

/// The orchestrator of a run that is driven right now.
fn live() -> Live {
    let mut config = Config::legacy("http://127.0.0.1:8000");
    let flag = config.flags.get_mut("connection_pooling").unwrap();
    (flag.enabled, flag.percentage) = (true, Percent::whole(25));
    let check = |name: &str, status| Check {
        name: name.to_owned(),
        status,
        detail: "connection refused".to_owned(),
        at: "2030-01-01T12:44:59Z".to_owned(),
    };
    let latency = Latency { p50_ms: 4.0, p95_ms: 12.3, p99_ms: 40.0, max_ms: 88.0 };
    Live {
        at_ms: LATER,
        state: Some(State {
            state_uuid: "u".to_owned(),
            version: "0.1.0".to_owned(),
            head: 43,
            confirmed: 42,
            provisional: Some(Provisional {
                rev: 43,
                run: run('2'),
                key: "key".to_owned(),
                reason: "phase performance, step pool-ramp 2/4".to_owned(),
                reverts_to: 42,
                deadline_in_ms: Some(360_000),
            }),
            lease: Some(LeaseView {
                run: run('2'),
                holder: "ann".to_owned(),
                host: "build-7".to_owned(),
                pid: 4711,
                counter: 7,
                expires_in_ms: 24_000,
                heartbeat_age_ms: 6000,
            }),
            anchor: Anchor { seq: 9, hash: "ab".repeat(32) },
            config_hash: config.hash(),
            config,
            data_addr: "127.0.0.1:7701".to_owned(),
            up_ms: 86_400_000,
            life: 1,
            armed: None,
            origins: Vec::new(),
        }),
        metrics: Some(Metrics {
            to_ms: 5000,
            total: Window { requests: 1240, errors: 77, latency: Some(latency) },
            host: Host { cpu: Some(0.42), memory: None },
            ..Metrics::default()
        }),
        health: Some(Health {
            status: observe::Status::Unhealthy,
            checks: vec![
                check("store", observe::Status::Healthy),
                check("upstream legacy", observe::Status::Unhealthy),
                check("upstream next", observe::Status::Unhealthy),
            ],
            ..Health::default()
        }),
        guards: None,
    }
}

fn report(records: &Records) -> Report {
    Report::build(&Inputs { now_ms: LATER, records, plan: Some(&plan()), live: None })
}

#[test]
fn the_report_of_a_migration_on_its_way() {
    assert_snapshot!(text::render(&report(&records()), 80, false), @"
    ContextenApp to the enhanced orchestrator
    plan      contexten-enhanced
    as of     2030-01-01 12:45:00Z
    progress  58%: 1 of 2 phases confirmed, 1 of 4 steps and 2 of 7 parts done
    ledger    52 9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a
    note      the orchestrator was not reached: revisions are as recorded, not read
              back

    Next
    $ ctx migrate phase 2
      resumes the run at step pool-ramp 2/4
    $ ctx rollback
      undoes the phase instead

    Phases
    #  phase        status     done  days   soak  begun              lasted
    1  foundation   confirmed  100%  1-14   10m   2029-12-31 12:00Z  15m
    2  performance  running    16%   15-28  3h    2030-01-01 12:00Z  45m

    Phase 1: Foundation enhancement
    step    status  revision  soak  ended
    health  done    41        10m   2029-12-31 12:15Z

    Phase 2: Performance optimization
    step            status   parts  revision  soak
    pool-ramp       soaking  1/4    42-43     30m
    cache-reads     pending                   1h
    migrate-schema  pending
      irreversible

    Milestones
    milestone           status              planned     title
    foundation-ready    reached 2029-12-31  days 11-14  Health is watched
    pooling-everywhere  pending             day 18      All traffic on pooled
                                                        connections

    Success criteria
    category     criterion      verdict     judged
    performance  response-time  met         2029-12-31
      latency_p95 12.3ms (n=1240), limit at most 100ms
    reliability  uptime         not judged
      uptime at least 99.9%

    Issues
    time               phase       run
    2029-12-31 12:01Z  foundation  11111111
      step failed, health: the orchestrator refused it

    Risks
    severity  risk                  mitigation
    high      Data loss             a verified backup before each phase; restore is
                                    drilled
    medium    Configuration issues  every document is checked before it is sent

    Backups
    backup                taken              size     run
    b-20300101-1200-a1b2  2030-01-01 12:00Z  1.2 MiB  22222222
      .ctx/backups/b-20300101-1200-a1b2

    Runs
    time               run       kind     phase        outcome    lasted  user
    2030-01-01 12:00Z  22222222  migrate  performance  in flight  45m     ann
      reason: week 3
    2029-12-31 12:00Z  11111111  migrate  foundation   done       15m     ann
      phase confirmed; reason: week 1
    ");
}

#[test]
fn the_report_of_a_phase_that_was_rolled_back() {
    let report = report(&rolled_back()).only("performance").unwrap();
    assert_snapshot!(text::render(&report, 80, false), @"
    ContextenApp to the enhanced orchestrator
    plan      contexten-enhanced
    as of     2030-01-01 12:45:00Z
    progress  0%: 0 of 1 phase confirmed, 0 of 3 steps and 0 of 6 parts done
    ledger    52 9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a
    note      the orchestrator was not reached: revisions are as recorded, not read
              back

    Next
    $ ctx show 22222222
      shows why it was rolled back
    $ ctx migrate phase 2
      tries again, once that is mended

    Phases
    #  phase        status       done  days   soak  begun              lasted
    2  performance  rolled back  0%    15-28  3h    2030-01-01 12:00Z  42m7s

    Phase 2: Performance optimization
    step            status       parts  revision  soak
    pool-ramp       rolled back  0/4    42-43     30m
    cache-reads     pending                       1h
    migrate-schema  pending
      irreversible

    Milestones
    milestone           status   planned  title
    pooling-everywhere  pending  day 18   All traffic on pooled connections

    Success criteria
    category     criterion      verdict  judged
    performance  response-time  met      2029-12-31
      latency_p95 12.3ms (n=1240), limit at most 100ms

    Issues
    time               phase        run
    2030-01-01 12:42Z  performance  22222222
      guard breached, error-rate: error_rate 6.2% (n=124), limit at most 5%, breach
      3 of 3

    Risks
    severity  risk                  mitigation
    high      Data loss             a verified backup before each phase; restore is
                                    drilled
    medium    Configuration issues  every document is checked before it is sent

    Backups
    backup                taken              size     run
    b-20300101-1200-a1b2  2030-01-01 12:00Z  1.2 MiB  22222222
      .ctx/backups/b-20300101-1200-a1b2

    Runs
    time               run       kind     phase        outcome      lasted  user
    2030-01-01 12:00Z  22222222  migrate  performance  rolled back  42m7s   ann
      guard `error-rate`: error_rate 6.2% (n=124), limit at most 5%, breach 3 of 3;
      reason: week 3
    ");
}

#[test]
fn the_report_without_a_plan_file() {
    let records = Records { open: None, ..records() };
    let report =
        Report::build(&Inputs { now_ms: LATER, records: &records, plan: None, live: None });
    assert_snapshot!(text::render(&report, 80, false), @"
    ContextenApp to the enhanced orchestrator
    plan      contexten-enhanced
    as of     2030-01-01 12:45:00Z
    progress  58%: 1 of 2 phases confirmed, 1 of 4 steps and 2 of 7 parts done
    ledger    52 9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a
    note      the plan file is not at hand: risks are not shown
    note      the orchestrator was not reached: revisions are as recorded, not read
              back

    Next
    $ ctx migrate phase 2
      takes the phase up

    Phases
    #  phase        status     done  days   soak  begun              lasted
    1  foundation   confirmed  100%  1-14   10m   2029-12-31 12:00Z  15m
    2  performance  running    16%   15-28  3h    2030-01-01 12:00Z  45m

    Phase 1: Foundation enhancement
    step    status  revision  soak  ended
    health  done    41        10m   2029-12-31 12:15Z

    Phase 2: Performance optimization
    step            status   parts  revision  soak
    pool-ramp       soaking  1/4    42-43     30m
    cache-reads     pending                   1h
    migrate-schema  pending
      irreversible

    Milestones
    milestone           status              planned     title
    foundation-ready    reached 2029-12-31  days 11-14  Health is watched
    pooling-everywhere  pending             day 18      All traffic on pooled
                                                        connections

    Success criteria
    category     criterion      verdict  judged
    performance  response-time  met      2029-12-31
      latency_p95 12.3ms (n=1240), limit at most 100ms

    Issues
    time               phase       run
    2029-12-31 12:01Z  foundation  11111111
      step failed, health: the orchestrator refused it

    Backups
    backup                taken              size     run
    b-20300101-1200-a1b2  2030-01-01 12:00Z  1.2 MiB  22222222
      .ctx/backups/b-20300101-1200-a1b2

    Runs
    time               run       kind     phase        outcome    lasted  user
    2030-01-01 12:00Z  22222222  migrate  performance  in flight  45m     ann
      reason: week 3
    2029-12-31 12:00Z  11111111  migrate  foundation   done       15m     ann
      phase confirmed; reason: week 1
    ");
}

#[test]
fn the_report_in_markdown() {
    assert_snapshot!(markdown::render(&report(&rolled_back())), @r"
    # ContextenApp to the enhanced orchestrator

    Plan `contexten-enhanced`, as of 2030-01-01 12:45:00Z. **50%: 1 of 2 phases confirmed, 1 of 4 steps and 1 of 7 parts done.**

    > Note: the orchestrator was not reached: revisions are as recorded, not read back.

    ## Next

    - `ctx show 22222222`: shows why it was rolled back
    - `ctx migrate phase 2`: tries again, once that is mended

    ## Phases

    | # | phase | title | status | done | days | soak | begun | lasted |
    | --- | --- | --- | --- | --- | --- | --- | --- | --- |
    | 1 | `foundation` | Foundation enhancement | confirmed | 100% | 1-14 | 10m | 2029-12-31 12:00Z | 15m |
    | 2 | `performance` | Performance optimization | rolled back | 0% | 15-28 | 3h | 2030-01-01 12:00Z | 42m7s |

    ### Phase 1: Foundation enhancement

    | step | status | parts | revision | soak | ended | detail |
    | --- | --- | --- | --- | --- | --- | --- |
    | `health` | done | 1/1 | 41 | 10m | 2029-12-31 12:15:00Z |  |

    ### Phase 2: Performance optimization

    | step | status | parts | revision | soak | ended | detail |
    | --- | --- | --- | --- | --- | --- | --- |
    | `pool-ramp` | rolled back | 0/4 | 42-43 | 30m |  |  |
    | `cache-reads` | pending | 0/1 |  | 1h |  |  |
    | `migrate-schema` | pending | 0/1 |  |  |  | irreversible |

    ## Milestones

    | milestone | status | planned | title |
    | --- | --- | --- | --- |
    | `foundation-ready` | reached 2029-12-31 | days 11-14 | Health is watched |
    | `pooling-everywhere` | pending | day 18 | All traffic on pooled connections |

    ## Success criteria

    | category | criterion | target | actual | verdict | evidence | judged |
    | --- | --- | --- | --- | --- | --- | --- |
    | performance | `response-time` | latency\_p95 at most 100ms | 12.3ms | met | latency\_p95 12.3ms (n=1240), limit at most 100ms | 2029-12-31 12:15Z |
    | reliability | `uptime` | uptime at least 99.9% |  | not judged |  |  |

    ## Issues

    | time | phase | run | what |
    | --- | --- | --- | --- |
    | 2030-01-01 12:42Z | `performance` | `22222222` | guard breached, error-rate: error\_rate 6.2% (n=124), limit at most 5%, breach 3 of 3 |
    | 2029-12-31 12:01Z | `foundation` | `11111111` | step failed, health: the orchestrator refused it |

    ## Risks

    | severity | risk | mitigation |
    | --- | --- | --- |
    | high | Data loss | a verified backup before each phase; restore is drilled |
    | medium | Configuration issues | every document is checked before it is sent |

    ## Backups

    | backup | taken | size | run | path |
    | --- | --- | --- | --- | --- |
    | `b-20300101-1200-a1b2` | 2030-01-01 12:00Z | 1.2 MiB | `22222222` | `.ctx/backups/b-20300101-1200-a1b2` |

    ## Runs

    | time | run | kind | phase | outcome | lasted | by | why |
    | --- | --- | --- | --- | --- | --- | --- | --- |
    | 2030-01-01 12:00Z | `22222222` | migrate | `performance` | rolled back | 42m7s | ann&#64;build-7 | guard \`error-rate\`: error\_rate 6.2% (n=124), limit at most 5%, breach 3 of 3; reason: week 3 |
    | 2029-12-31 12:00Z | `11111111` | migrate | `foundation` | done | 15m | ann&#64;build-7 | phase confirmed; reason: week 1 |

    Ledger: entry 52, `9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a`
    ");
}

#[test]
fn the_status_of_a_run_in_flight() {
    let (records, plan) = (records(), plan());
    let inputs = Inputs { now_ms: LATER, records: &records, plan: Some(&plan), live: None };
    assert_snapshot!(screen::render(&Status::build(&inputs, None), 80, false), @"
    plan      contexten-enhanced: ContextenApp to the enhanced orchestrator
    target    http://127.0.0.1:7700, not read: `--live` asks it
    progress  58%: 1 of 2 phases confirmed, 1 of 4 steps and 2 of 7 parts done
    phase     2 of 2 performance: running, Performance optimization
    step      1 of 3 pool-ramp, part 2/4 at 25%, for 14m54s, 15m6s left
    run       22222222 since 2030-01-01 12:00Z: soaks for 30m
    eta       2030-01-01 15:00:06Z at the earliest: 2h15m of soaks left
    revision  revision 43 reverts to revision 42 unless confirmed, as recorded
    guards    error-rate not read: error_rate at most 5%
              latency not read: latency_p95 at most 500ms
              cpu not read: cpu at most 95%
    backup    b-20300101-1200-a1b2 2030-01-01 12:00Z, 1.2 MiB
    issue     2029-12-31 12:01Z foundation: step failed, health: the orchestrator
              refused it
    next      `ctx migrate phase 2`: resumes the run at step pool-ramp 2/4
    or        `ctx rollback`: undoes the phase instead
    ");
}

#[test]
fn the_status_of_a_run_that_is_driven_right_now() {
    let (records, plan, live) = (records(), plan(), live());
    let inputs = Inputs { now_ms: LATER, records: &records, plan: Some(&plan), live: Some(&live) };
    assert_snapshot!(screen::render(&Status::build(&inputs, None), 80, false), @"
    plan      contexten-enhanced: ContextenApp to the enhanced orchestrator
    target    http://127.0.0.1:7700, UNHEALTHY
              upstream legacy: connection refused, and 1 more
    progress  58%: 1 of 2 phases confirmed, 1 of 4 steps and 2 of 7 parts done
    phase     2 of 2 performance: running, Performance optimization
    step      1 of 3 pool-ramp, part 2/4 at 25% (reads 25%), for 14m54s, 15m6s left
    run       22222222 since 2030-01-01 12:00Z: soaks for 30m
    eta       2030-01-01 15:00:06Z at the earliest: 2h15m of soaks left
    revision  revision 43 reverts to revision 42 at 12:51:00Z unless confirmed
    guards    error-rate OUTSIDE: 6.21% (n=1240), at most 5%, fails at 3 in a row
              latency within: 12.3ms (n=1240), at most 500ms, fails at 3 in a row
              cpu within: 42%, at most 95%, fails at 3 in a row
    lease     ann@build-7, process 4711, run 22222222, expires in 24s
    backup    b-20300101-1200-a1b2 2030-01-01 12:00Z, 1.2 MiB
    issue     2029-12-31 12:01Z foundation: step failed, health: the orchestrator
              refused it
    next      `ctx status --watch`: follows the run, which somebody drives right now
    ");
    let report = Report::build(&inputs);
    let measured: Vec<&str> = report.performance.iter().map(|measured| measured.metric).collect();
    let expected =
        ["error_rate", "latency_p50", "latency_p95", "latency_p99", "throughput", "cpu", "healthy"];
    assert_eq!(measured, expected);
    assert_eq!(report.orchestrator.as_ref().unwrap().revision, 43);
}

#[test]
fn what_the_orchestrator_itself_counts_is_what_counts() {
    use crate::control::armed::{Armed, GuardLook, GuardsView, LookOutcome};
    let (records, plan, mut live) = (records(), plan(), live());
    let look = |guard: &str, outcome, why: &str| GuardLook {
        guard: guard.parse().unwrap(),
        outcome,
        why: why.to_owned(),
        held: false,
    };
    let suspect = "error_rate 6.2% (n=124), limit at most 5%, breach 2 of 3";
    live.guards = Some(GuardsView {
        armed: Some(Armed {
            run: run('2'),
            plan: plan.name.clone(),
            phase: "performance".parse().unwrap(),
            target: 42,
            target_hash: String::new(),
            guards: Vec::new(),
            canaries: Vec::new(),
            tripped: None,
            asked: None,
        }),
        looks: vec![
            look("error-rate", LookOutcome::Suspect, suspect),
            look("cpu", LookOutcome::Held, "cpu 40%, limit at most 95%"),
        ],
        canary: None,
    });
    live.state.as_mut().unwrap().config = Config::legacy("http://127.0.0.1:8000");
    let inputs = Inputs { now_ms: LATER, records: &records, plan: Some(&plan), live: Some(&live) };
    let status = Status::build(&inputs, None);
    let streaks: Vec<_> = status.guards.iter().map(|guard| guard.streak).collect();
    assert_eq!(streaks, [Some(2), None, Some(0)]);
    let screen = screen::render(&status, 80, false);
    for line in [
        "guards    error-rate OUTSIDE: 6.2% (n=124), at most 5%, streak 2/3\n",
        "          cpu within: 40%, at most 95%, streak 0/3\n",
        "step      1 of 3 pool-ramp, part 2/4 at 25%, READS 0%",
    ] {
        assert!(screen.contains(line), "{line} in\n{screen}");
    }
    // Guards of another run say nothing about this one.
    live.guards.as_mut().unwrap().armed.as_mut().unwrap().run = run('9');
    let inputs = Inputs { now_ms: LATER, records: &records, plan: Some(&plan), live: Some(&live) };
    assert!(Status::build(&inputs, None).guards.iter().all(|guard| guard.streak.is_none()));
}

#[test]
fn colour_changes_no_letter() {
    let report = report(&rolled_back());
    let (plain, painted) = (text::render(&report, 80, false), text::render(&report, 80, true));
    assert_ne!(plain, painted);
    let mut stripped = String::new();
    for (n, piece) in painted.split('\x1b').enumerate() {
        stripped.push_str(if n == 0 { piece } else { piece.split_once('m').unwrap().1 });
    }
    let trimmed: Vec<&str> = stripped.lines().map(str::trim_end).collect();
    assert_eq!(trimmed, plain.lines().map(str::trim_end).collect::<Vec<_>>());
}

#[test]
fn markdown_from_elsewhere_stays_text() {
    let mut records = rolled_back();
    records.issues[0].what = "a | b <img src=x> [link](http://x) @team `code` #1".to_owned();
    records.backups[0].path = "a`b|c".to_owned();
    let text = markdown::render(&report(&records));
    let issue = text.lines().find(|line| line.contains("link")).unwrap();
    assert_snapshot!(issue, @r"
    | 2030-01-01 12:42Z | `performance` | `22222222` | guard breached, a \| b &lt;img src=x&gt; \[link\](http&#58;//x) &#64;team \`code\` \#1 |
    ");
    assert!(text.contains("`` a`b\\|c ``"), "{text}");
}

/// The same migration with names as long as they may be and texts from anywhere.
fn stretched(id: &str, text: &str) -> (Plan, Records) {
    let (mut plan, mut records) = (plan(), records());
    plan.title = text.to_owned();
    plan.milestones[0].title = text.to_owned();
    plan.risks[0].mitigations = vec![text.to_owned(); 3];
    for phase in &mut plan.phases {
        phase.title = text.to_owned();
        phase.objective = Some(text.to_owned());
    }
    let place = records.open.as_mut().unwrap();
    place.begun.phase.title = text.to_owned();
    place.begun.phase.id = id.parse().unwrap();
    place.begun.guards = plan.guards.iter().cycle().take(12).cloned().collect();
    for guard in &mut place.begun.guards {
        guard.id = id.parse().unwrap();
    }
    for row in &mut records.runs {
        (row.phase, row.user) = (id.parse().unwrap(), text.to_owned());
        (row.reason, row.summary) = (Some(text.to_owned()), Some(text.to_owned()));
    }
    records.backups[0].backup = id.parse().unwrap();
    records.backups[0].path = text.to_owned();
    records.issues[0].what = text.to_owned();
    (plan, records)
}

proptest! {
    #[test]
    fn whatever_the_names_are_the_pages_fit(
        id in "[a-z0-9][a-z0-9_-]{0,63}",
        text in "\\PC{0,200}",
        asked in any::<bool>(),
    ) {
        let (plan, records) = stretched(&id, &text);
        let live = live();
        let inputs = Inputs {
            now_ms: LATER,
            records: &records,
            plan: Some(&plan),
            live: asked.then_some(&live),
        };
        let report = Report::build(&inputs);
        for line in text::render(&report, 80, false).lines() {
            prop_assert!(width_of(line) <= 80, "{line:?}");
        }
        let screen = screen::render(&Status::build(&inputs, Some(&text)), 80, false);
        prop_assert!(screen.lines().count() <= 24, "{screen}");
        for line in screen.lines() {
            prop_assert!(width_of(line) <= 80, "{line:?}");
        }
        let columns = |line: &str| line.replace("\\|", "").matches('|').count();
        let page = markdown::render(&report);
        let mut table = 0;
        for line in page.lines() {
            // Every row of a table has as many columns as its head.
            match (line.starts_with('|'), table) {
                (false, _) => table = 0,
                (true, 0) => table = columns(line),
                (true, table) => prop_assert_eq!(columns(line), table, "{}", line),
            }
        }
        let json = serde_json::to_string(&report).unwrap();
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    }
}
