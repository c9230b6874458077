//! GitHub's webhooks: push, pull request, check run and issues.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Event, Flavor, bytes, stamp};
use crate::load::dice::Dice;

/// The hooks that send everything, with the repository of each.
const HOOKS: [(&str, &str); 6] = [
    ("481516201", "payments"),
    ("481516202", "storefront"),
    ("481516203", "ledger"),
    ("481516204", "search"),
    ("481516205", "docs"),
    ("481516206", "infra"),
];

const PEOPLE: [&str; 5] = ["amira-k", "jonas-w", "lin-chen", "okafor", "sofia-r"];

const WORK: [&str; 6] = [
    "retry the export when the bucket is busy",
    "say which field was refused",
    "keep the order of line items in the receipt",
    "drop the index that nothing reads",
    "send the reminder in the reader's time zone",
    "count a refund once",
];

const OWNER: &str = "northwind-labs";

/// Makes one event; `push` is half of them, as it is for a repository that people work in.
pub(super) fn event(dice: &mut Dice, flavor: Flavor, now: DateTime<Utc>) -> Event {
    let hook = usize::try_from(dice.below(6)).expect("below six");
    let (hook, repository) = HOOKS[hook];
    let (kind, body) = match flavor {
        // A list where an object must be: what a proxy that batches events would send.
        Flavor::Refused => ("push", bytes(&json!([{ "ref": "refs/heads/main" }]))),
        Flavor::Unknown => ("sponsorship_tier_renamed", bytes(&renamed(dice, repository, now))),
        Flavor::Known => match dice.below(10) {
            0..5 => ("push", bytes(&push(dice, repository, now))),
            5..7 => ("pull_request", bytes(&pull_request(dice, repository, now))),
            7..9 => ("check_run", bytes(&check_run(dice, repository, now))),
            _ => ("issues", bytes(&issue(dice, repository, now))),
        },
    };
    Event {
        body,
        headers: vec![
            ("x-github-event", kind.to_owned()),
            ("x-github-hook-id", hook.to_owned()),
            ("x-github-hook-installation-target-id", "79929171".to_owned()),
            ("x-github-hook-installation-target-type", "repository".to_owned()),
        ],
        delivery: Some(dice.uuid()),
    }
}

fn push(dice: &mut Dice, repository: &str, now: DateTime<Utc>) -> Value {
    let author = dice.pick(&PEOPLE);
    let commit = commit(dice, repository, author, now);
    let (before, after) = (dice.hex(40), commit["id"].clone());
    json!({
        "ref": "refs/heads/main",
        "before": before,
        "after": after,
        "repository": repository_of(repository),
        "pusher": { "name": author, "email": format!("{author}@northwind.example") },
        "sender": user(author),
        "created": false,
        "deleted": false,
        "forced": false,
        "base_ref": null,
        "compare": format!("https://github.com/{OWNER}/{repository}/compare/{}", &before[..12]),
        "commits": [self::commit(dice, repository, author, now), commit.clone()],
        "head_commit": commit,
    })
}

fn pull_request(dice: &mut Dice, repository: &str, now: DateTime<Utc>) -> Value {
    let author = dice.pick(&PEOPLE);
    let number = 100 + dice.below(4000);
    let base = format!("https://api.github.com/repos/{OWNER}/{repository}");
    let action = dice.pick(&["opened", "synchronize", "closed", "labeled"]);
    json!({
        "action": action,
        "number": number,
        "pull_request": {
            "url": format!("{base}/pulls/{number}"),
            "id": 1_700_000_000 + dice.below(1_000_000),
            "number": number,
            "state": if action == "closed" { "closed" } else { "open" },
            "locked": false,
            "title": dice.pick(&WORK),
            "user": user(author),
            "body": "What changes, and why now.\n\n- [x] covered by a test\n",
            "created_at": stamp(now),
            "updated_at": stamp(now),
            "merge_commit_sha": dice.hex(40),
            "labels": [{ "id": 208_045_946, "name": "Contexten", "color": "1f6feb" }],
            "head": {
                "label": format!("{OWNER}:{author}/work"),
                "ref": format!("{author}/work"),
                "sha": dice.hex(40),
                "user": user(author),
            },
            "base": { "label": format!("{OWNER}:main"), "ref": "main", "sha": dice.hex(40) },
            "draft": false,
            "merged": action == "closed",
            "additions": dice.below(400),
            "deletions": dice.below(200),
            "changed_files": 1 + dice.below(12),
        },
        "repository": repository_of(repository),
        "sender": user(author),
    })
}

fn check_run(dice: &mut Dice, repository: &str, now: DateTime<Utc>) -> Value {
    let id = 30_000_000_000 + dice.below(1_000_000_000);
    json!({
        "action": "completed",
        "check_run": {
            "id": id,
            "name": dice.pick(&["test (stable)", "lint", "build (linux)"]),
            "head_sha": dice.hex(40),
            "external_id": dice.uuid(),
            "url": format!("https://api.github.com/repos/{OWNER}/{repository}/check-runs/{id}"),
            "status": "completed",
            "conclusion": dice.pick(&["success", "success", "success", "failure"]),
            "started_at": stamp(now),
            "completed_at": stamp(now),
            "output": { "title": null, "summary": null, "annotations_count": 0 },
            "check_suite": { "id": id / 3, "head_branch": "main", "status": "completed" },
            "app": { "id": 15368, "slug": "github-actions", "name": "GitHub Actions" },
            "pull_requests": [],
        },
        "repository": repository_of(repository),
        "sender": user(dice.pick(&PEOPLE)),
    })
}

fn issue(dice: &mut Dice, repository: &str, now: DateTime<Utc>) -> Value {
    let (author, number) = (dice.pick(&PEOPLE), 100 + dice.below(4000));
    json!({
        "action": dice.pick(&["opened", "edited", "closed"]),
        "issue": {
            "id": 2_100_000_000 + dice.below(1_000_000),
            "number": number,
            "html_url": format!("https://github.com/{OWNER}/{repository}/issues/{number}"),
            "title": dice.pick(&WORK),
            "user": user(author),
            "labels": [],
            "state": "open",
            "comments": dice.below(20),
            "created_at": stamp(now),
            "updated_at": stamp(now),
            "body": "Seen twice this week; the steps are in the first comment.",
        },
        "repository": repository_of(repository),
        "sender": user(author),
    })
}

/// The payload of a kind of event that came after the app was written.
fn renamed(dice: &mut Dice, repository: &str, now: DateTime<Utc>) -> Value {
    json!({
        "action": "renamed",
        "changed_at": stamp(now),
        "repository": repository_of(repository),
        "sender": user(dice.pick(&PEOPLE)),
    })
}

fn commit(dice: &mut Dice, repository: &str, author: &str, now: DateTime<Utc>) -> Value {
    let id = dice.hex(40);
    let person = json!({
        "name": author,
        "email": format!("{author}@northwind.example"),
        "username": author,
    });
    json!({
        "url": format!("https://github.com/{OWNER}/{repository}/commit/{id}"),
        "tree_id": dice.hex(40),
        "distinct": true,
        "message": dice.pick(&WORK),
        "timestamp": stamp(now),
        "author": person,
        "committer": person,
        "added": [],
        "removed": [],
        "modified": ["src/export.py", "tests/test_export.py", "CHANGELOG.md"],
        "id": id,
    })
}

fn user(login: &str) -> Value {
    let api = format!("https://api.github.com/users/{login}");
    json!({
        "login": login,
        "id": 40_000_000 + login.len(),
        "avatar_url": format!("https://avatars.githubusercontent.com/u/{}?v=4", login.len()),
        "url": api,
        "html_url": format!("https://github.com/{login}"),
        "followers_url": format!("{api}/followers"),
        "following_url": format!("{api}/following{{/other_user}}"),
        "gists_url": format!("{api}/gists{{/gist_id}}"),
        "starred_url": format!("{api}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{api}/subscriptions"),
        "organizations_url": format!("{api}/orgs"),
        "received_events_url": format!("{api}/received_events"),
        "repos_url": format!("{api}/repos"),
        "events_url": format!("{api}/events{{/privacy}}"),
        "type": "User",
        "site_admin": false,
    })
}

/// A repository as every payload repeats it: most of the bytes of a webhook are its URLs.
fn repository_of(name: &str) -> Value {
    const LINKS: [&str; 34] = [
        "archive{/archive_format}{/ref}",
        "assignees{/user}",
        "blobs{/sha}",
        "branches{/branch}",
        "collaborators{/collaborator}",
        "comments{/number}",
        "commits{/sha}",
        "compare/{base}...{head}",
        "contents/{+path}",
        "contributors",
        "deployments",
        "downloads",
        "events",
        "forks",
        "git/commits{/sha}",
        "git/refs{/sha}",
        "git/tags{/sha}",
        "hooks",
        "issues{/number}",
        "issues/comments{/number}",
        "issues/events{/number}",
        "keys{/key_id}",
        "labels{/name}",
        "languages",
        "merges",
        "milestones{/number}",
        "notifications{?since,all,participating}",
        "pulls{/number}",
        "releases{/id}",
        "stargazers",
        "statuses/{sha}",
        "subscribers",
        "subscription",
        "teams",
    ];
    let api = format!("https://api.github.com/repos/{OWNER}/{name}");
    let html = format!("https://github.com/{OWNER}/{name}");
    let mut repository = json!({
        "id": 186_853_002 + name.len(),
        "node_id": "MDEwOlJlcG9zaXRvcnkxODY4NTMwMDI=",
        "name": name,
        "full_name": format!("{OWNER}/{name}"),
        "private": true,
        "owner": user(OWNER),
        "html_url": html,
        "description": "One of the services behind the shop",
        "fork": false,
        "url": api,
        "git_url": format!("git://github.com/{OWNER}/{name}.git"),
        "ssh_url": format!("git@github.com:{OWNER}/{name}.git"),
        "clone_url": format!("{html}.git"),
        "size": 21_904,
        "stargazers_count": 12,
        "watchers_count": 12,
        "language": "Python",
        "has_issues": true,
        "has_projects": true,
        "has_wiki": false,
        "forks_count": 3,
        "archived": false,
        "disabled": false,
        "open_issues_count": 41,
        "license": null,
        "topics": ["orders", "service"],
        "visibility": "private",
        "default_branch": "main",
        "master_branch": "main",
    });
    for link in LINKS {
        let words: String = link
            .chars()
            .take_while(|c| *c != '{')
            .map(|c| if c == '/' { '_' } else { c })
            .collect();
        repository[format!("{}_url", words.trim_end_matches('_'))] = format!("{api}/{link}").into();
    }
    repository
}
