//! Slack's events: mentions and messages in an `event_callback`, and at times the challenge that
//! proves who owns a URL.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Event, Flavor, bytes};
use crate::load::dice::Dice;
use crate::units::Percent;

const CHANNELS: [&str; 4] = ["C05RELEASES", "C05SUPPORT", "C05PLATFORM", "C05GENERAL"];

const USERS: [&str; 4] = ["U061F7AUR", "U0LAN0Z89", "U012AB3CD", "U07BOTBOT"];

const WORDS: [&str; 5] = [
    "can you look at why the nightly export is late?",
    "what changed in payments since Monday",
    "please open an issue for the broken receipt",
    "who is on call this week?",
    "summarise this thread for the release notes",
];

/// A challenge comes when a URL is set up, not often; often enough to be exercised.
const CHALLENGES: Percent = Percent::whole(2);

/// Makes one event, or now and then a challenge.
pub(super) fn event(dice: &mut Dice, flavor: Flavor, now: DateTime<Utc>) -> Event {
    if flavor == Flavor::Known && dice.chance(CHALLENGES) {
        let body = json!({
            "token": "Jhj5dZrVaK7ZwHHjRyZWjbDl",
            "challenge": dice.hex(52),
            "type": "url_verification",
        });
        return Event { body: bytes(&body), headers: Vec::new(), delivery: None };
    }
    let id = format!("Ev{}", dice.id(12));
    let channel = dice.pick(&CHANNELS);
    let mut body = json!({
        "token": "Jhj5dZrVaK7ZwHHjRyZWjbDl",
        "team_id": "T061EG9R6",
        "context_team_id": "T061EG9R6",
        "api_app_id": "A0FFV41KK",
        "event": inner(dice, flavor, channel, now),
        "type": "event_callback",
        "event_id": id,
        "event_time": now.timestamp(),
        "authorizations": [{
            "enterprise_id": null,
            "team_id": "T061EG9R6",
            "user_id": "U07BOTBOT",
            "is_bot": true,
            "is_enterprise_install": false,
        }],
        "is_ext_shared_channel": false,
        "event_context": format!("4-{}", dice.hex(60)),
    });
    if flavor == Flavor::Refused
        && let Some(fields) = body.as_object_mut()
    {
        fields.remove("type");
    }
    Event { body: bytes(&body), headers: Vec::new(), delivery: Some(id) }
}

fn inner(dice: &mut Dice, flavor: Flavor, channel: &str, now: DateTime<Utc>) -> Value {
    let kind = match flavor {
        Flavor::Unknown => "huddle_transcript_ready",
        Flavor::Known | Flavor::Refused => dice.pick(&["app_mention", "app_mention", "message"]),
    };
    let (user, text) = (dice.pick(&USERS), dice.pick(&WORDS));
    let ts = format!("{}.{:06}", now.timestamp(), dice.below(1_000_000));
    json!({
        "user": user,
        "type": kind,
        "ts": ts,
        "client_msg_id": dice.uuid(),
        "text": format!("<@U07BOTBOT> {text}"),
        "team": "T061EG9R6",
        "blocks": [{
            "type": "rich_text",
            "block_id": dice.id(5),
            "elements": [{
                "type": "rich_text_section",
                "elements": [
                    { "type": "user", "user_id": "U07BOTBOT" },
                    { "type": "text", "text": format!(" {text}") },
                ],
            }],
        }],
        "channel": channel,
        "event_ts": ts,
    })
}
