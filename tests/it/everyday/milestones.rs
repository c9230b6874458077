//! `ctx milestone`: what a plan promises, and when it came true.

use ctx::error::Code;
use ctx::ledger::fact::Fact;

use crate::shop::Shop;

#[test]
fn a_milestone_is_listed_shown_and_reached_by_its_run() {
    let shop = Shop::open();
    shop.edit(
        "soak = \"10ms\"\n\n[[phase]]",
        "soak = \"10ms\"\n
  [[phase.milestone]]
  id    = \"reads-cached\"
  title = \"Reads come from the cache\"
  days  = \"1-7\"

[[phase]]",
    );
    shop.ctx(&["milestone", "list"]).exits(Code::Done).says(&["reads-cached", "not yet"]);
    shop.ctx(&["migrate", "phase", "1", "--yes"]).exits(Code::Done);
    let ran = shop.ctx(&["milestone", "list"]).exits(Code::Done);
    assert!(!ran.stdout.contains("not yet"), "{ran:?}");
    let ran = shop.ctx(&["milestone", "show", "reads-cached"]).exits(Code::Done);
    ran.says(&["Reads come from the cache", "days 1-7"]);
    let again = shop.ctx(&["milestone", "reach", "reads-cached", "--yes"]).exits(Code::Done);
    again.warns(&["is reached already"]);
    assert_eq!(shop.test.count("milestone_reached"), 1);
    let wrong = shop.ctx(&["milestone", "show", "reads-cashed"]).exits(Code::Usage);
    wrong.warns(&["did you mean `reads-cached`?"]);
}

#[test]
fn a_person_reaches_one_once_its_criteria_hold_and_says_why() {
    let shop = Shop::open();
    shop.edit(
        "soak = \"10ms\"\n\n[[phase]]",
        "soak = \"10ms\"\n
  [[phase.milestone]]
  id    = \"trained\"
  title = \"All shifts were trained\"
  when  = [\"busy\"]

[[phase]]",
    );
    shop.edit(
        "[[phase]]\nid    = \"caching\"",
        "[[criterion]]
id     = \"busy\"
metric = \"throughput\"
min    = 10000000

[[phase]]
id    = \"caching\"",
    );
    let early = shop.ctx(&["milestone", "reach", "trained", "--yes"]).exits(Code::Refused);
    early.warns(&["phase `caching` was never begun"]);
    shop.ctx(&["migrate", "phase", "1", "--yes"]).exits(Code::Done);
    assert_eq!(shop.test.count("milestone_reached"), 0);
    let unmet = shop.ctx(&["milestone", "reach", "trained", "--yes"]).exits(Code::CriteriaNotMet);
    unmet.warns(&["`busy`"]);
    assert_eq!(shop.test.count("milestone_reached"), 0);
}

#[test]
fn who_said_so_stands_in_the_record() {
    let shop = Shop::open();
    shop.ctx(&["migrate", "phase", "1", "--yes"]).exits(Code::Done);
    // Added to the plan of a phase that is confirmed; milestones are no part of what was applied.
    shop.edit(
        "soak = \"10ms\"\n\n[[phase]]",
        "soak = \"10ms\"\n
  [[phase.milestone]]
  id    = \"trained\"
  title = \"All shifts were trained\"

[[phase]]",
    );
    shop.ctx(&["milestone", "reach", "trained"]).exits(Code::NeedsConfirmation);
    let args = ["milestone", "reach", "trained", "--yes", "--reason", "three evenings"];
    shop.ctx(&args).exits(Code::Done);
    let facts = shop.test.facts();
    let Some(Fact::MilestoneReached { by: Some(by), .. }) = facts.last() else {
        panic!("{facts:#?}")
    };
    assert_eq!((by.user.as_str(), by.reason.as_deref()), ("ada", Some("three evenings")));
    shop.ctx(&["milestone", "show", "trained", "--json"]).exits(Code::Done);
    shop.ctx(&["ledger", "verify"]).exits(Code::Done);
    // The run is over, and the next one is not disturbed by what was added to it.
    shop.ctx(&["migrate", "phase", "2", "--yes"]).exits(Code::Done);
}
