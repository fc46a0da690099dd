//! Files that are replaced as a whole or not at all.

use std::{
    fs::{self, File},
    io::Cursor,
    path::Path,
};

use anyhow::{Context, Result};
use image::{ExtendedColorType, ImageFormat};
use residua_shared::frame::Size;

/// Writes `content` to `file`, whose folder is made where it is missing. A reader, or whoever comes
/// after a full disk or a power cut, finds the old content or the new one.
pub fn replace(file: &Path, content: &[u8]) -> Result<()> {
    replace_by(file, |partial| Ok(fs::write(partial, content)?))
}

/// As [`replace`], with what `write` puts into the file it is given.
pub fn replace_by(file: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let partial = file.with_added_extension("partial");
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    let replaced = folder
        .map_or(Ok(()), |folder| Ok(fs::create_dir_all(folder)?))
        .and_then(|()| write(&partial))
        .and_then(|()| Ok(File::open(&partial)?.sync_all()?))
        .and_then(|()| Ok(fs::rename(&partial, file)?));
    if replaced.is_err() {
        // It takes room on a disk that may be full; where it never came to be there is nothing to
        // remove.
        let _ = fs::remove_file(&partial);
    }
    replaced.with_context(|| {
        format!(
            "{}: cannot be written; make room or check the rights, or choose another place",
            file.display()
        )
    })
}

/// As [`replace`], with an image as PNG; `pixels` are rows of `colour` samples.
pub fn png(file: &Path, pixels: &[u8], size: Size, colour: ExtendedColorType) -> Result<()> {
    let (width, height) = (size.width() as u32, size.height() as u32);
    let mut png = Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut png, pixels, width, height, colour, ImageFormat::Png)
        .with_context(|| file.display().to_string())?;
    replace(file, png.get_ref())
}
