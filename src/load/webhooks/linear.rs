//! Linear's webhooks: issues created and updated, comments created.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::{Event, Flavor, bytes};
use crate::load::dice::Dice;

/// The hooks that send everything. The same in each delivery: not a delivery id.
const HOOKS: [&str; 3] = [
    "000042e3-d123-4980-b49f-8e140eef9329",
    "1f0a8f3c-2b61-4d0e-9c57-0a4d1be3c7aa",
    "7c1d5f80-93b4-4f8e-8a53-5d2f6e0b9c11",
];

const ORGANIZATION: &str = "dc844923-f9a4-40a3-825c-dea7747e57d6";

const TITLES: [&str; 4] = [
    "Exports stop at midnight in UTC+9",
    "Receipt shows the old address",
    "Search forgets the filter on reload",
    "Webhook retries arrive out of order",
];

/// Makes one event.
pub(super) fn event(dice: &mut Dice, flavor: Flavor, now: DateTime<Utc>) -> Event {
    let (kind, action, data) = match flavor {
        Flavor::Unknown => ("CustomerNeed", "create", json!({ "id": dice.uuid() })),
        Flavor::Known | Flavor::Refused => match dice.below(10) {
            0..4 => ("Issue", "create", issue(dice, now)),
            4..8 => ("Issue", "update", issue(dice, now)),
            _ => ("Comment", "create", comment(dice, now)),
        },
    };
    let mut body = json!({
        "action": action,
        "actor": { "id": dice.uuid(), "name": "Sofia R.", "type": "user" },
        "createdAt": millis(now),
        "data": data,
        "url": format!("https://linear.app/northwind/issue/NW-{}", dice.below(5000)),
        "type": kind,
        "organizationId": ORGANIZATION,
        "webhookTimestamp": now.timestamp_millis(),
        "webhookId": dice.pick(&HOOKS),
    });
    if action == "update" {
        body["updatedFrom"] = json!({ "updatedAt": millis(now), "stateId": dice.uuid() });
    }
    if flavor == Flavor::Refused
        && let Some(fields) = body.as_object_mut()
    {
        fields.remove(dice.pick(&["type", "action"]));
    }
    Event {
        body: bytes(&body),
        headers: vec![("linear-event", kind.to_owned())],
        delivery: Some(dice.uuid()),
    }
}

fn issue(dice: &mut Dice, now: DateTime<Utc>) -> Value {
    let (number, team) = (dice.below(5000), dice.uuid());
    json!({
        "id": dice.uuid(),
        "createdAt": millis(now),
        "updatedAt": millis(now),
        "number": number,
        "identifier": format!("NW-{number}"),
        "title": dice.pick(&TITLES),
        "description": "Reported by two customers.\n\n1. open the page\n2. wait a minute\n",
        "priority": dice.below(5),
        "priorityLabel": "High",
        "estimate": 3,
        "sortOrder": -17.03,
        "branchName": format!("sofia/nw-{number}"),
        "teamId": team,
        "team": { "id": team, "key": "NW", "name": "Northwind" },
        "stateId": dice.uuid(),
        "state": { "id": dice.uuid(), "color": "#f2c94c", "name": "In Progress", "type": "started" },
        "labelIds": [dice.uuid()],
        "labels": [{ "id": dice.uuid(), "color": "#4ea7fc", "name": "Contexten" }],
        "assigneeId": dice.uuid(),
        "creatorId": dice.uuid(),
        "subscriberIds": [dice.uuid(), dice.uuid()],
    })
}

fn comment(dice: &mut Dice, now: DateTime<Utc>) -> Value {
    let issue = dice.uuid();
    json!({
        "id": dice.uuid(),
        "createdAt": millis(now),
        "updatedAt": millis(now),
        "body": "Reproduced on staging; the log line is in the thread.",
        "issueId": issue,
        "userId": dice.uuid(),
        "issue": { "id": issue, "title": dice.pick(&TITLES) },
        "user": { "id": dice.uuid(), "name": "Jonas W." },
    })
}

/// RFC 3339 to the millisecond, as Linear writes times.
fn millis(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
