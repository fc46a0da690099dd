//! What lies in folders, before and after.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The first file of a folder by name.
#[track_caller]
pub fn first_file(folder: &Path) -> PathBuf {
    let path = files(folder).into_keys().next();
    folder.join(path.unwrap_or_else(|| panic!("{} is empty", folder.display())))
}

/// All files under a folder by relative path, with their contents.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("its entries can be read").path();
            if path.is_dir() {
                collect(root, &path, found);
            } else {
                let relative = path.strip_prefix(root).expect("it lies under its root");
                found.insert(relative.into(), fs::read(&path).expect("it can be read"));
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(folder, folder, &mut found);
    found
}

/// Asserts that every file of `before` still lies in the folder, byte for byte.
#[track_caller]
pub fn assert_intact(folder: &Path, before: &BTreeMap<PathBuf, Vec<u8>>) {
    let after = files(folder);
    for (path, bytes) in before {
        assert!(
            after.get(path) == Some(bytes),
            "{} was lost or changed",
            folder.join(path).display()
        );
    }
}

pub fn copy_folder(from: &Path, to: &Path) -> PathBuf {
    for (path, bytes) in files(from) {
        let path = to.join(path);
        fs::create_dir_all(path.parent().expect("a file lies in a folder"))
            .expect("a folder can be made");
        fs::write(path, bytes).expect("a file can be written");
    }
    to.into()
}
