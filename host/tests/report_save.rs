//! Files are replaced as a whole or not at all.

use std::fs;

use residua_host::save::replace;
use tempfile::TempDir;

#[test]
fn a_file_is_replaced_and_its_folder_made() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("new/report.html");
    replace(&file, b"first").unwrap();
    replace(&file, b"second").unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"second");
    assert_eq!(fs::read_dir(root.path().join("new")).unwrap().count(), 1);
}

#[test]
fn a_place_that_cannot_be_written_is_named_and_left_clean() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("report.html");
    fs::create_dir(&file).unwrap();
    fs::write(file.join("inside"), b"kept").unwrap();
    let line = format!("{:#}", replace(&file, b"page").unwrap_err());
    assert!(line.contains(&*file.to_string_lossy()), "{line}");
    assert_eq!(fs::read(file.join("inside")).unwrap(), b"kept");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}
