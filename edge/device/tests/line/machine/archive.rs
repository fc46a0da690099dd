//! The archive that Linux unpacks as its first file system: cpio, in the format that it calls newc.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_000;

/// An archive that grows.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds everything in a folder.
    pub fn add_folder(&mut self, folder: &Path) {
        self.add_below(folder, "");
    }

    fn add_below(&mut self, folder: &Path, name: &str) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{name}{}", path.file_name().unwrap().to_str().unwrap());
            let kind = fs::symlink_metadata(&path).unwrap();
            assert!(!kind.is_symlink(), "{}", path.display());
            if kind.is_dir() {
                self.entry(&name, FOLDER, &[]);
                self.add_below(&path, &format!("{name}/"));
            } else {
                let rights = kind.permissions().mode() & 0o777;
                self.entry(&name, FILE | rights, &fs::read(&path).unwrap());
            }
        }
    }

    /// Adds a file, which takes the place of one of the same name. Its folder is there, or below
    /// one that is.
    pub fn add_file(&mut self, name: &str, rights: u32, content: &[u8]) {
        for (end, _) in name.match_indices('/') {
            self.entry(&name[..end], FOLDER, &[]);
        }
        self.entry(name, FILE | rights, content);
    }

    /// The whole archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let (size, name_size) = (content.len() as u32, name.len() as u32 + 1);
        let number = self.entries;
        // Number, mode, owner, group, links, time, size, four device numbers, name's size, sum.
        let fields = [number, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
