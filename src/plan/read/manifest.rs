//! An extension's manifest: a file of its own that `install` names.

use toml::Spanned;
use toml::de::DeTable;

use crate::control::config::{Category, Extension, Platform};
use crate::control::document::Assignment;
use crate::ids::ExtensionId;
use crate::plan::fault::Faults;
use crate::plan::shape::{Kind, Shape, may, need};
use crate::plan::source::Source;
use crate::plan::table::Table;

static MANIFEST: Shape = Shape {
    what: "an extension",
    keys: &[
        need("id", Kind::Name, "the extension's name in the configuration"),
        need("name", Kind::Text, "its name for people"),
        need("version", Kind::Text, "`MAJOR.MINOR.PATCH`"),
        need(
            "category",
            Kind::Choice(&["platform_integration", "event_processor"]),
            "what it is for",
        ),
        need("platform", Kind::Choice(&["linear", "github", "slack"]), "whose events it handles"),
        need("upstream", Kind::Text, "the upstream that answers for it"),
        need("path", Kind::Text, "the path there that takes the event"),
        may("depends_on", Kind::Names, "extensions that must be installed too"),
    ],
};

const CATEGORIES: [(&str, Category); 2] = [
    ("platform_integration", Category::PlatformIntegration),
    ("event_processor", Category::EventProcessor),
];

/// Reads a manifest as the assignment that installs it. Its faults join those of the plan.
pub(super) fn manifest(
    file: &Spanned<&str>,
    text: &str,
    of_plan: &Faults<'_>,
) -> Option<Assignment> {
    let name = match of_plan.file().rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{}", file.get_ref()),
        None => (*file.get_ref()).to_owned(),
    };
    let source = Source::new(&name, text);
    let mut faults = Faults::new(&source);
    let (document, errors) = DeTable::parse_recoverable(text);
    faults.syntax(&errors);
    let extension = extension(&Table::of(document.get_ref(), 0..0, &MANIFEST, &faults));
    let good = faults.is_empty();
    of_plan.adopt(&file.span(), faults.into_sorted());
    let (id, extension) = extension.filter(|_| good)?;
    let value = serde_json::to_value(extension).expect("an extension is plain data");
    Some(Assignment { path: format!("extensions.{id}"), value })
}

fn extension(table: &Table<'_>) -> Option<(ExtensionId, Extension)> {
    let id = table.name::<ExtensionId>("id");
    let name = table.string("name");
    let version = table.text("version");
    if let Some(version) = version.as_ref().filter(|version| !is_version(version.get_ref())) {
        let message = format!("`{}` is not a version", version.get_ref());
        table.faults.hinted(version.span(), message, "write it like `1.0.0`");
    }
    let category = table.choice("category", &CATEGORIES);
    let platforms = Platform::ALL.map(|platform| (platform.name(), platform));
    let platform = table.choice("platform", &platforms);
    let upstream = table.string("upstream");
    let path = table.text("path").filter(|p| super::call::path(p, table.faults).is_some());
    let depends_on = table.names("depends_on").into_iter().map(Spanned::into_inner).collect();
    let extension = Extension {
        name: name?,
        version: (*version?.get_ref()).to_owned(),
        category: category?,
        platform: platform?,
        upstream: upstream?,
        path: (*path?.get_ref()).to_owned(),
        depends_on,
    };
    Some((id?.into_inner(), extension))
}

fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    parts.len() == 3 && parts.iter().all(number)
}
