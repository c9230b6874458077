//! The report and the status as a reader meets them.

use insta::assert_snapshot;

use super::fixture::{NOON, plan, records, rolled_back};
use super::{Inputs, Records, Report, Status, markdown, screen, text};

const LATER: i64 = NOON + 45 * 60_000;

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
    $ ctx abort
      undoes the phase instead

    Phases
    #  phase        status     done  days   soak  begun              lasted
    1  foundation   confirmed  100%  1-14   10m   2029-12-31 12:00Z  15m
    2  performance  running    16%   15-28  3h    2030-01-01 12:00Z  45m

    Phase 1: Foundation enhancement
    step    status  revision  soak  ended
    health  done    41        10m   2029-12-31 12:15Z

    Phase 2: Performance optimization
    step            status   parts  revision  soak  detail
    pool-ramp       soaking  1/4    42-43     30m
    cache-reads     pending                   1h
    migrate-schema  pending                         irreversible

    Milestones
    milestone           status              planned     title
    foundation-ready    reached 2029-12-31  days 11-14  Health is watched
    pooling-everywhere  pending             day 18      All traffic on pooled
                                                        connections

    Success criteria
    category     criterion      verdict     evidence, or target           judged
    performance  response-time  met         latency_p95 12.3ms (n=1240),  2029-12-31
                                            limit at most 100ms
    reliability  uptime         not judged  uptime at least 99.9%

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
      reason: week 1; phase confirmed
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
    step            status       parts  revision  soak  detail
    pool-ramp       rolled back  0/4    42-43     30m
    cache-reads     pending                       1h
    migrate-schema  pending                             irreversible

    Milestones
    milestone           status   planned  title
    pooling-everywhere  pending  day 18   All traffic on pooled connections

    Success criteria
    category     criterion      verdict  evidence, or target              judged
    performance  response-time  met      latency_p95 12.3ms (n=1240),     2029-12-31
                                         limit at most 100ms

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
      reason: week 3; guard `error-rate`: error_rate 6.2% (n=124), limit at most 5%,
      breach 3 of 3
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
    note      the plan file is not at hand: milestones to come and risks are not
              shown
    note      the orchestrator was not reached: revisions are as recorded, not read
              back

    Next
    $ ctx resume
      takes the run up

    Phases
    #  phase        status     done  days   soak  begun              lasted
    1  foundation   confirmed  100%  1-14   10m   2029-12-31 12:00Z  15m
    2  performance  running    16%   15-28  3h    2030-01-01 12:00Z  45m

    Phase 1: Foundation enhancement
    step    status  revision  soak  ended
    health  done    41        10m   2029-12-31 12:15Z

    Phase 2: Performance optimization
    step            status   parts  revision  soak  detail
    pool-ramp       soaking  1/4    42-43     30m
    cache-reads     pending                   1h
    migrate-schema  pending                         irreversible

    Milestones
    milestone         status              title
    foundation-ready  reached 2029-12-31  Health is watched

    Success criteria
    category     criterion      verdict  evidence, or target              judged
    performance  response-time  met      latency_p95 12.3ms (n=1240),     2029-12-31
                                         limit at most 100ms

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
      reason: week 1; phase confirmed
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
    | 2030-01-01 12:00Z | `22222222` | migrate | `performance` | rolled back | 42m7s | ann&#64;build-7 | reason: week 3; guard \`error-rate\`: error\_rate 6.2% (n=124), limit at most 5%, breach 3 of 3 |
    | 2029-12-31 12:00Z | `11111111` | migrate | `foundation` | done | 15m | ann&#64;build-7 | reason: week 1; phase confirmed |

    Ledger: entry 52, `9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a`
    ");
}

#[test]
fn the_status_of_a_run_in_flight() {
    let (records, plan) = (records(), plan());
    let inputs = Inputs { now_ms: LATER, records: &records, plan: Some(&plan), live: None };
    assert_snapshot!(screen::render(&Status::build(&inputs, None), 80, false), @"
    plan      contexten-enhanced: ContextenApp to the enhanced orchestrator
    target    http://127.0.0.1:7700, not asked, or no answer
    progress  58%: 1 of 2 phases confirmed, 1 of 4 steps and 2 of 7 parts done
    phase     2 of 2 performance: running, Performance optimization
    step      1 of 3 pool-ramp, part 2 of 4 at 25%, for 14m54s, soak ends in 15m6s
    run       22222222 since 2030-01-01 12:00Z: soaks for 30m
    revision  revision 43 reverts to revision 42 unless confirmed, as recorded
    guards    error-rate not read: error_rate at most 5%
              latency not read: latency_p95 at most 500ms
              cpu not read: cpu at most 95%
    backup    b-20300101-1200-a1b2 2030-01-01 12:00Z, 1.2 MiB
    issue     2029-12-31 12:01Z foundation: step failed, health: the orchestrator
              refused it
    next      `ctx migrate phase 2`: resumes the run at step pool-ramp 2/4
    or        `ctx abort`: undoes the phase instead
    ");
}
