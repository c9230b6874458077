//! What a backup holds, sealed (pure).
//!
//! The manifest names every part with the length and SHA-256 of its bytes, before and after
//! compression. `seal` is the SHA-256 of the manifest without it, as canonical JSON. The file must
//! be byte for byte what [`Manifest::render`] makes of its content, so that no byte of it can
//! change unseen. The seal finds damage; what finds a manifest that somebody wrote anew is its
//! hash in the ledger.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::{BackupId, PlanName, RunId};

/// The format that this ctx writes.
///
/// 2: there may be a part `inbox`.
pub const FORMAT: u32 = 2;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: u32,
    pub id: BackupId,
    /// RFC 3339, for display.
    pub at: String,
    pub plan: Option<PlanName>,
    pub run: Option<RunId>,
    pub ctx_version: String,
    pub orchestrator: Origin,
    pub parts: Vec<Part>,
}

/// The orchestrator as the backup found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    pub url: String,
    pub state_uuid: String,
    pub rev: u64,
    pub config_hash: String,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its name in the backup's folder.
    pub file: String,
    pub content: Content,
    /// Before compression.
    pub original: Sum,
    /// As it stands in the folder.
    pub compressed: Sum,
}

/// What a part is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Content {
    /// The configuration in force, as canonical JSON.
    Config,
    /// The orchestrator's own store.
    Database { tables: Tables },
    /// The cached answers.
    Cache { entries: u64 },
    /// Events that wait, dead letters, and the deliveries that are known.
    Inbox { pending: u64, dead: u64, tables: Tables },
    /// A database of the service, by its name in the plan.
    Service { name: String, tables: Tables },
}

/// What is in an SQLite database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tables {
    /// Rows by table.
    pub rows: BTreeMap<String, u64>,
    /// Rows whose foreign key points nowhere. A service may live with some; a restore adds none.
    pub dangling: u64,
}

/// The length and SHA-256 of some bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    pub bytes: u64,
    /// 64 hex digits.
    pub sha256: String,
}

/// Which parts are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Kind {
    /// The orchestrator's configuration
    Config,
    /// The cached answers
    Cache,
    /// Stored events that wait, and dead letters
    Inbox,
    /// The service's own databases
    Service,
    /// The orchestrator's own database; only with `--to`
    Database,
}

/// Why a manifest does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("it is not a manifest: {0}")]
    NotAManifest(String),
    #[error("it has format {0}, and this ctx knows formats up to {FORMAT}")]
    TooNew(u32),
    #[error("its seal does not fit: a byte of it was changed")]
    Broken,
    #[error("it is the manifest of `{found}`, in the folder of `{expected}`")]
    Misplaced { found: BackupId, expected: String },
    #[error("{0}")]
    Nonsense(String),
}

/// The manifest with its seal, as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    manifest: Manifest,
    seal: String,
}

/// As much of a manifest as every format has.
#[derive(Deserialize)]
struct Head {
    manifest: Format,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

impl Manifest {
    /// The bytes of the manifest's file.
    pub fn render(&self) -> Vec<u8> {
        let sealed = Sealed { manifest: self.clone(), seal: self.seal() };
        let mut bytes = serde_json::to_vec_pretty(&sealed).expect("a manifest is plain data");
        bytes.push(b'\n');
        bytes
    }

    /// SHA-256 of the manifest's file, as the ledger has it.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.render()))
    }

    /// How many bytes the backup takes.
    pub fn bytes(&self) -> u64 {
        let parts: u64 = self.parts.iter().map(|part| part.compressed.bytes).sum();
        parts + self.render().len() as u64
    }

    fn seal(&self) -> String {
        // A `Value` keeps object keys in byte order.
        let value = serde_json::to_value(self).expect("a manifest is plain data");
        hex::encode(Sha256::digest(value.to_string()))
    }

    /// Reads a manifest's file, in the folder of that name.
    ///
    /// # Errors
    /// When a byte is not as it was written, or what it says makes no sense.
    pub fn parse(bytes: &[u8], folder: &str) -> Result<Self, ManifestError> {
        let not = |error: serde_json::Error| ManifestError::NotAManifest(error.to_string());
        let head: Head = serde_json::from_slice(bytes).map_err(not)?;
        if head.manifest.format > FORMAT {
            return Err(ManifestError::TooNew(head.manifest.format));
        }
        let Sealed { manifest, seal } = serde_json::from_slice(bytes).map_err(not)?;
        if manifest.seal() != seal || manifest.render() != bytes {
            return Err(ManifestError::Broken);
        }
        if manifest.id.as_str() != folder {
            let expected = folder.to_owned();
            return Err(ManifestError::Misplaced { found: manifest.id, expected });
        }
        manifest.check()?;
        Ok(manifest)
    }

    /// The rules that types alone cannot keep.
    fn check(&self) -> Result<(), ManifestError> {
        let mut seen = BTreeSet::new();
        for part in &self.parts {
            let file = &part.file;
            if !file.strip_suffix(".gz").is_some_and(is_plain) {
                return Err(ManifestError::Nonsense(format!("`{file}` is not the name of a part")));
            }
            if !seen.insert(file) {
                return Err(ManifestError::Nonsense(format!("`{file}` is there twice")));
            }
        }
        for kind in [Kind::Config, Kind::Database, Kind::Cache] {
            if self.parts.iter().filter(|part| part.content.kind() == kind).count() != 1 {
                let name = kind.name();
                return Err(ManifestError::Nonsense(format!("there must be one part `{name}`")));
            }
        }
        if self.parts.iter().filter(|part| part.content.kind() == Kind::Inbox).count() > 1 {
            return Err(ManifestError::Nonsense("there may be one part `inbox`".to_owned()));
        }
        Ok(())
    }
}

/// A file name that stays in its folder.
fn is_plain(name: &str) -> bool {
    let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(ok)
}

impl Part {
    /// Its name for people: the kind, and which one.
    pub fn label(&self) -> String {
        match &self.content {
            Content::Service { name, .. } => format!("service {name}"),
            other => other.kind().name().to_owned(),
        }
    }

    /// The name of the file once it is not compressed any more.
    pub fn restored_name(&self) -> &str {
        self.file.strip_suffix(".gz").unwrap_or(&self.file)
    }
}

impl Content {
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Config => Kind::Config,
            Self::Database { .. } => Kind::Database,
            Self::Cache { .. } => Kind::Cache,
            Self::Inbox { .. } => Kind::Inbox,
            Self::Service { .. } => Kind::Service,
        }
    }
}

impl Kind {
    /// The name as in `--part` and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Cache => "cache",
            Self::Inbox => "inbox",
            Self::Service => "service",
            Self::Database => "database",
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::backup) fn part(file: &str, content: Content) -> Part {
        let sum = |bytes| Sum { bytes, sha256: "ab".repeat(32) };
        Part { file: file.to_owned(), content, original: sum(100), compressed: sum(40) }
    }

    pub(in crate::backup) fn tables(rows: &[(&str, u64)]) -> Tables {
        let rows = rows.iter().map(|(table, rows)| ((*table).to_owned(), *rows)).collect();
        Tables { rows, dangling: 0 }
    }

    pub(in crate::backup) fn manifest() -> Manifest {
        Manifest {
            format: FORMAT,
            id: "b-20300101-000000-abcd".parse().unwrap(),
            at: "2030-01-01T00:00:00.000Z".to_owned(),
            plan: Some("contexten".parse().unwrap()),
            run: None,
            ctx_version: "0.1.0".to_owned(),
            orchestrator: Origin {
                url: "http://127.0.0.1:7700".to_owned(),
                state_uuid: "5eed".repeat(8),
                rev: 41,
                config_hash: "cc".repeat(32),
            },
            parts: vec![
                part("config.json.gz", Content::Config),
                part("database.sqlite3.gz", Content::Database { tables: tables(&[("rev", 41)]) }),
                part("cache.json.gz", Content::Cache { entries: 3 }),
                part(
                    "service-1.sqlite3.gz",
                    Content::Service { name: "app.db".to_owned(), tables: tables(&[("users", 7)]) },
                ),
            ],
        }
    }

    fn parse(manifest: &Manifest) -> Result<Manifest, ManifestError> {
        Manifest::parse(&manifest.render(), "b-20300101-000000-abcd")
    }

    #[test]
    fn a_manifest_survives_its_file() {
        assert_eq!(parse(&manifest()), Ok(manifest()));
    }

    #[test]
    fn no_byte_of_it_can_change_unseen() {
        let bytes = manifest().render();
        for place in 0..bytes.len() {
            for flip in [0x01, 0x20, 0x80] {
                let mut changed = bytes.clone();
                changed[place] ^= flip;
                let parsed = Manifest::parse(&changed, "b-20300101-000000-abcd");
                assert!(parsed.is_err(), "byte {place}: {parsed:?}");
            }
            let cut = Manifest::parse(&bytes[..place], "b-20300101-000000-abcd");
            assert!(cut.is_err(), "cut at {place}");
        }
    }

    #[test]
    fn a_newer_one_is_named_as_such() {
        let newer = Manifest { format: 3, ..manifest() };
        assert_eq!(parse(&newer), Err(ManifestError::TooNew(3)));
        // Those from before the inbox are good.
        let older = Manifest { format: 1, ..manifest() };
        assert_eq!(parse(&older), Ok(older));
    }

    #[test]
    fn one_that_was_sealed_with_nonsense_is_refused() {
        for file in ["../config.json.gz", "/etc/passwd.gz", ".gz", "config.json", "a/b.gz"] {
            let mut manifest = manifest();
            file.clone_into(&mut manifest.parts[0].file);
            assert!(matches!(parse(&manifest), Err(ManifestError::Nonsense(_))), "{file}");
        }
        for missing in 0..3 {
            let mut manifest = manifest();
            manifest.parts.remove(missing);
            assert!(matches!(parse(&manifest), Err(ManifestError::Nonsense(_))));
        }
        let moved = Manifest::parse(&manifest().render(), "b-other");
        assert!(matches!(moved, Err(ManifestError::Misplaced { .. })));
    }
}
