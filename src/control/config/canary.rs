//! What takes a share of the traffic beside what has all of it, to be compared with it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Config, Extension, LEGACY};
use crate::ids::ExtensionId;
use crate::units::Percent;

/// A second upstream that takes a share of what would go to `legacy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The name of the upstream.
    pub upstream: String,
    /// Its share of the traffic.
    pub weight: Percent,
}

/// A new version of an installed extension, which runs beside it and takes a share of its events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtensionCanary {
    /// The extension that is installed.
    pub id: ExtensionId,
    /// The new version, as it would be installed.
    pub next: Extension,
    /// Its share of the extension's events.
    pub weight: Percent,
}

impl ExtensionCanary {
    /// The name that the new version runs under, and that its events are counted under.
    pub fn arm(&self) -> String {
        format!("{}@{}", self.id, self.next.version)
    }
}

/// What is compared with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The arms that their requests are counted under.
    pub control: String,
    pub canary: String,
    /// The canary's share.
    pub weight: Percent,
}

impl Config {
    /// The canary, and what it is compared with. There is one at a time: where an upstream has
    /// been promoted to all the traffic, it is the extension's.
    pub fn compared(&self) -> Option<Compared> {
        if let Some(canary) = &self.extension_canary {
            let (control, weight) = (canary.id.to_string(), canary.weight);
            return Some(Compared { control, canary: canary.arm(), weight });
        }
        let Canary { upstream, weight } = self.canary.clone()?;
        Some(Compared { control: LEGACY.to_owned(), canary: upstream, weight })
    }

    /// The extensions that run, with the names that they run under: those that are installed, and
    /// a new version beside one of them.
    pub fn running(&self) -> impl Iterator<Item = (String, &Extension)> {
        let installed = self.extensions.iter().map(|(id, extension)| (id.to_string(), extension));
        installed.chain(self.extension_canary.iter().map(|canary| (canary.arm(), &canary.next)))
    }
}
