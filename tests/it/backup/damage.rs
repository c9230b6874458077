//! Every way to damage a backup, and that each is found.

use std::fs;
use std::path::{Path, PathBuf};

use ctx::backup::{BackupError, Found, list, load, verify};

use super::fixture::Service;

/// The faults of a backup by part.
fn faults(path: &Path) -> Vec<String> {
    let report = verify::verify(path).unwrap();
    report.faults().map(|(part, fault)| format!("{part}: {fault}")).collect()
}

/// The files of all parts, whole.
fn parts(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let manifest = load(path).unwrap();
    let file = |part: &ctx::backup::manifest::Part| path.join(&part.file);
    manifest.parts.iter().map(file).map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

#[tokio::test]
async fn a_flipped_byte_of_any_part_is_found() {
    let service = Service::new();
    service.back_up("b-1").await.unwrap();
    let path = service.backup("b-1");
    let parts = parts(&path);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..200 {
        for (file, whole) in &parts {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mut bytes = whole.clone();
            let place = usize::try_from(random >> 33).unwrap() % bytes.len();
            bytes[place] ^= 1 << (round % 8);
            fs::write(file, bytes).unwrap();
        }
        assert_eq!(faults(&path).len(), parts.len(), "round {round}");
    }
    for (file, whole) in &parts {
        fs::write(file, whole).unwrap();
    }
    assert_eq!(faults(&path), Vec::<String>::new());
}

#[tokio::test]
async fn a_part_that_is_cut_lengthened_or_gone_is_found() {
    let service = Service::new();
    service.back_up("b-1").await.unwrap();
    let path = service.backup("b-1");
    for (file, whole) in parts(&path) {
        let longer = [&whole[..], b"\0"].concat();
        for bytes in
            [&[], &whole[..1], &whole[..whole.len() / 2], &whole[..whole.len() - 1], &longer]
        {
            fs::write(&file, bytes).unwrap();
            assert_eq!(faults(&path).len(), 1, "{} at {}", file.display(), bytes.len());
        }
        fs::remove_file(&file).unwrap();
        let gone = faults(&path);
        assert!(gone[0].ends_with(": it is missing"), "{gone:?}");
        fs::create_dir(&file).unwrap();
        assert_eq!(faults(&path).len(), 1);
        fs::remove_dir(&file).unwrap();
        // The right bytes at the end of a link are not the file that was written.
        let elsewhere = service.path("elsewhere");
        fs::write(&elsewhere, &whole).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        assert_eq!(faults(&path).len(), 1);
        fs::remove_file(&file).unwrap();
        fs::write(&file, &whole).unwrap();
    }
    assert_eq!(faults(&path), Vec::<String>::new());
}

#[tokio::test]
async fn parts_that_changed_places_are_found() {
    let service = Service::new();
    service.back_up("b-1").await.unwrap();
    let path = service.backup("b-1");
    let (one, two) = (path.join("service-1.sqlite3.gz"), path.join("service-2.sqlite3.gz"));
    fs::rename(&one, path.join("kept")).unwrap();
    fs::rename(&two, &one).unwrap();
    fs::rename(path.join("kept"), &two).unwrap();
    assert_eq!(faults(&path).len(), 2);
}

#[tokio::test]
async fn a_flipped_byte_of_the_manifest_is_found() {
    let service = Service::new();
    service.back_up("b-1").await.unwrap();
    let path = service.backup("b-1");
    let manifest = path.join("manifest.json");
    let whole = fs::read(&manifest).unwrap();
    // Every byte is flipped where the manifest is tested by itself.
    for place in (0..whole.len()).step_by(37) {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        fs::write(&manifest, bytes).unwrap();
        let error = load(&path).unwrap_err();
        assert!(matches!(error, BackupError::Manifest { .. }), "byte {place}: {error:?}");
    }
    let found = list(&service.home()).unwrap();
    assert!(matches!(&found[..], [Found::Damaged { id, .. }] if id == "b-1"));
    fs::write(&manifest, whole).unwrap();
    load(&path).unwrap();
}

#[tokio::test]
async fn a_backup_under_another_name_does_not_count() {
    let service = Service::new();
    service.back_up("b-1").await.unwrap();
    fs::rename(service.backup("b-1"), service.backup("b-9")).unwrap();
    assert!(matches!(load(&service.backup("b-9")), Err(BackupError::Manifest { .. })));
}
