use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use residua_edge::update::SigningKey;

use crate::{console, save};

/// Makes the key pair by which devices know who may give them models.
///
/// Keep FILE secret and safe; FILE.pub is for every device.
#[derive(clap::Args)]
pub struct Args {
    /// Where the secret key goes; the public one goes beside it, to FILE.pub.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Args {
    pub fn run(self) -> Result<()> {
        let public = self.file.with_added_extension("pub");
        for file in [&self.file, &public] {
            ensure!(
                !file.exists(),
                "{}: is there already; devices that trust it would be lost: give another name",
                file.display()
            );
        }
        let seed: [u8; 32] = rand::random();
        let secret = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.file)
            .and_then(|mut file| {
                file.write_all(hex(&seed).as_bytes())
                    .and_then(|()| file.sync_all())
            });
        secret.with_context(|| format!("{}: cannot be written", self.file.display()))?;
        let key = SigningKey::from_seed(&seed).trusted();
        save::replace(&public, hex(&key.to_bytes()).as_bytes())?;
        console::print(&format!(
            "secret key: {} (keep it safe)\npublic key: {} (for every device)",
            self.file.display(),
            public.display()
        ))
    }
}

/// Reads the secret key.
pub fn read(file: &Path) -> Result<SigningKey> {
    let text = fs::read_to_string(file).with_context(|| {
        format!(
            "{}: cannot be read; `residua device-key FILE` makes a key",
            file.display()
        )
    })?;
    let seed = bytes(text.trim()).with_context(|| {
        format!(
            "{}: a key is 64 hexadecimal digits; `residua device-key FILE` makes one",
            file.display()
        )
    })?;
    Ok(SigningKey::from_seed(&seed))
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits + "\n"
}

fn bytes(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(bytes)
}
