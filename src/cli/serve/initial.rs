//! What the environment and the command line say about the first configuration.
//!
//! The law: a variable that steered the service before steers it the same way now, or it is said
//! why not; and a secret is only ever pointed to. Afterwards the configuration is what the
//! orchestrator has stored, and plans change it: a variable that is still set is then ignored.

use super::Args;
use crate::control::config::{Mode, Platform};
use crate::control::origin::Origin;
use crate::error::Result;
use crate::orchestrator::Initial;
use crate::secret::SecretRef;

const MODE: &str = "CONTEXTEN_ENHANCED_MODE";
const FALLBACK: &str = "CONTEXTEN_LEGACY_FALLBACK";

/// The variables with which the app checks signatures, the one that counts first.
const SIGNING: [(Platform, &str); 4] = [
    (Platform::Github, "GITHUB_WEBHOOK_SECRET"),
    (Platform::Linear, "LINEAR_SIGNING_SECRET"),
    (Platform::Linear, "LINEAR_WEBHOOK_SECRET"),
    (Platform::Slack, "SLACK_SIGNING_SECRET"),
];

/// The variables with which the app calls the platforms, which the gateway never does.
const CALLING: [&str; 6] = [
    "GITHUB_TOKEN",
    "LINEAR_ACCESS_TOKEN",
    "LINEAR_API_KEY",
    "LINEAR_TEAM_ID",
    "SLACK_APP_TOKEN",
    "SLACK_BOT_TOKEN",
];

/// What revision 1 is to be.
///
/// # Errors
/// When a flag names no secret.
pub(super) fn initial(
    args: &Args,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Initial> {
    let mut initial = Initial::default();
    if let Some((enhanced, note)) = environment(MODE).map(|value| truth(&value)) {
        let mode = if enhanced { Mode::Enhanced } else { Mode::Legacy };
        let value = if enhanced { "enhanced" } else { "legacy" };
        initial.mode = Some(mode);
        initial.origins.push(Origin { note, ..Origin::of(MODE, "mode", value) });
    }
    if let Some((fallback, note)) = environment(FALLBACK).map(|value| truth(&value)) {
        initial.legacy_fallback = Some(fallback);
        let origin = Origin::of(FALLBACK, "legacy_fallback", &fallback.to_string());
        initial.origins.push(Origin { note, ..origin });
    }
    let flags = [
        ("--github-secret", Platform::Github, &args.github_secret),
        ("--slack-secret", Platform::Slack, &args.slack_secret),
        ("--linear-secret", Platform::Linear, &args.linear_secret),
    ];
    // Who decides about a platform's secret.
    let mut decided = std::collections::BTreeMap::new();
    for (flag, platform, text) in flags {
        let Some(text) = text else { continue };
        let reference = text.parse().map_err(|error| super::token::bad_secret(flag, &error))?;
        initial.origins.push(secret(flag, platform, &reference));
        initial.secrets.insert(platform, reference);
        decided.insert(platform, flag);
    }
    for (platform, name) in SIGNING {
        if environment(name).is_none() {
            continue;
        }
        let reference = SecretRef::Env(name.to_owned());
        let origin = secret(name, platform, &reference);
        if let Some(other) = decided.get(&platform) {
            initial.origins.push(origin.but(format!("{other} comes first")));
        } else {
            initial.origins.push(origin);
            initial.secrets.insert(platform, reference);
            decided.insert(platform, name);
        }
    }
    for name in CALLING.into_iter().filter(|name| environment(name).is_some()) {
        initial.origins.push(Origin {
            name: name.to_owned(),
            path: None,
            value: None,
            used: false,
            note: "it is the app's: the gateway never calls the platform".to_owned(),
        });
    }
    Ok(initial)
}

fn secret(name: &str, platform: Platform, reference: &SecretRef) -> Origin {
    Origin::of(name, &format!("routes.{}.secret", platform.name()), &reference.to_string())
}

/// What the service as it was reads in a variable, `value.lower() == 'true'`, and a note where that
/// may not be what was meant.
fn truth(value: &str) -> (bool, String) {
    match value.to_lowercase().as_str() {
        "true" => (true, String::new()),
        "false" | "0" | "no" | "off" => (false, String::new()),
        _ => {
            let shown: String = value.chars().take(20).collect();
            (false, format!("{shown:?} reads as false, as it always did; only `true` is true"))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::error::Code;

    fn args(extra: &[&str]) -> Args {
        let line = ["ctx", "serve", "--legacy", "http://127.0.0.1:8000"];
        let Command::Serve(args) = Cli::parse_from(line.iter().chain(extra)).command else {
            panic!("`serve` is a command")
        };
        args
    }

    fn with(extra: &[&str], variables: &[(&str, &str)]) -> Initial {
        let find = |name: &str| {
            let variable = variables.iter().find(|(known, _)| *known == name);
            variable.map(|(_, value)| (*value).to_owned())
        };
        initial(&args(extra), find).unwrap()
    }

    #[test]
    fn a_variable_means_what_it_always_meant() {
        for (value, enhanced, odd) in [
            ("true", true, false),
            ("TRUE", true, false),
            ("True", true, false),
            ("false", false, false),
            ("no", false, false),
            ("1", false, true),
            ("yes", false, true),
            (" true", false, true),
            ("tru", false, true),
        ] {
            let initial = with(&[], &[(MODE, value)]);
            let mode = if enhanced { Mode::Enhanced } else { Mode::Legacy };
            assert_eq!(initial.mode, Some(mode), "{value}");
            assert_eq!(!initial.origins[0].note.is_empty(), odd, "{value}");
        }
        assert_eq!(with(&[], &[(FALLBACK, "False")]).legacy_fallback, Some(false));
        assert_eq!(with(&[], &[]).origins, []);
    }

    #[test]
    fn signing_secrets_are_pointed_to_and_a_flag_comes_first() {
        let variables = [
            ("SLACK_SIGNING_SECRET", "very-secret"),
            ("LINEAR_WEBHOOK_SECRET", "very-secret"),
            ("LINEAR_SIGNING_SECRET", "very-secret"),
            ("SLACK_BOT_TOKEN", "very-secret"),
        ];
        let initial = with(&["--slack-secret", "file:/run/slack"], &variables);
        assert_eq!(initial.secrets[&Platform::Slack].to_string(), "file:/run/slack");
        assert_eq!(initial.secrets[&Platform::Linear].to_string(), "env:LINEAR_SIGNING_SECRET");
        let used: Vec<(&str, bool)> =
            initial.origins.iter().map(|origin| (&*origin.name, origin.used)).collect();
        assert_eq!(
            used,
            [
                ("--slack-secret", true),
                ("LINEAR_SIGNING_SECRET", true),
                ("LINEAR_WEBHOOK_SECRET", false),
                ("SLACK_SIGNING_SECRET", false),
                ("SLACK_BOT_TOKEN", false),
            ]
        );
        assert!(!format!("{initial:?}").contains("very-secret"));
    }

    #[test]
    fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
        let args = args(&["--slack-secret", "xoxb-very-secret"]);
        let failure = initial(&args, |_| None).unwrap_err();
        assert_eq!(failure.code, Code::Usage);
        assert!(!format!("{failure:?}").contains("very-secret"));
    }
}
