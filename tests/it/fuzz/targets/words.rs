//! The small words that stand in headers, plans and flags.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use ctx::control::wire::{Anchor, Fence};
use ctx::ids::{BackupId, ExtensionId, PhaseId, PlanName, RunId};
use ctx::load::Address;
use ctx::secret::SecretRef;
use ctx::units::{Percent, duration};

/// Laws: no text makes a parser panic; what is accepted says itself, and that reads the same.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    survives::<Fence>(&text);
    survives::<Anchor>(&text);
    survives::<Percent>(&text);
    if let Ok(run) = RunId::try_from(text.clone().into_owned()) {
        assert_eq!(run.as_str(), text);
        assert!(text.starts_with(run.short()));
    }
    survives::<BackupId>(&text);
    survives::<PlanName>(&text);
    survives::<PhaseId>(&text);
    survives::<ExtensionId>(&text);
    let _ = text.parse::<Address>();
    match text.parse::<SecretRef>() {
        Ok(reference) => assert_eq!(reference.to_string(), text),
        // It may be the secret itself: no more than a quarter of it may be told.
        Err(error) => {
            let said = error.to_string();
            let told = said.strip_prefix('`').and_then(|said| said.split_once("...`"));
            let (told, _) = told.unwrap_or_else(|| panic!("{said}"));
            assert!(told.chars().count() * 4 <= text.chars().count(), "{said}");
        }
    }
    if let Ok(length) = duration::parse(&text) {
        let shown = duration::format(length);
        assert_eq!(duration::parse(&shown).ok(), Some(length), "`{text}` is shown as `{shown}`");
    }
}

fn survives<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Ok(word) = text.parse::<T>() {
        let shown = word.to_string();
        assert_eq!(shown.parse::<T>().ok().as_ref(), Some(&word), "`{text}` is `{shown}`");
    }
}
