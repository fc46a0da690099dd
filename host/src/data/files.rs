//! Listing folders, and looking at image headers, with errors that name the file.

use std::{
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use image::ImageReader;
use residua_shared::frame::Size;

/// Files of other names are passed over when a folder is listed.
pub const EXTENSIONS: [&str; 8] = ["png", "jpg", "jpeg", "bmp", "tif", "tiff", "pgm", "pnm"];

/// The entries of `dir` that are not hidden, by name.
fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let list = || -> std::io::Result<Vec<PathBuf>> {
        fs::read_dir(dir)?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_, _>>()
    };
    let mut paths = list().with_context(|| format!("{}: cannot list the folder", dir.display()))?;
    // Also the `._NAME` companions that macOS leaves on foreign disks, which are no images.
    paths.retain(|path| !name(path).starts_with('.'));
    paths.sort();
    Ok(paths)
}

/// The images directly in `dir`, by name.
pub fn images(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = entries(dir)?;
    paths.retain(|path| has_image_extension(path) && path.is_file());
    Ok(paths)
}

/// The folders directly in `dir`, by name.
pub fn folders(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = entries(dir)?;
    paths.retain(|path| path.is_dir());
    Ok(paths)
}

fn has_image_extension(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        EXTENSIONS
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}

/// The entry of `dir` called `wanted` in any case: archives made on Windows vary.
pub fn child(dir: &Path, wanted: &str) -> Result<Option<PathBuf>> {
    Ok(entries(dir)?
        .into_iter()
        .find(|path| name(path).eq_ignore_ascii_case(wanted)))
}

/// The last part of a path, as text.
pub fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The last part of a path without its extension, as text.
pub fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// `path` relative to `root` with `/` between its parts on every system.
pub fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .iter()
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join("/")
}

/// The size that the file's header states; the content decides the format, not the name.
pub fn size(path: &Path) -> Result<Size> {
    let file = File::open(path).with_context(|| format!("{}: cannot open", path.display()))?;
    let reader = ImageReader::new(BufReader::new(file))
        .with_guessed_format()
        .with_context(|| format!("{}: cannot read", path.display()))?;
    if reader.format().is_none() {
        bail!("{}", not_an_image(path));
    }
    let (width, height) = reader
        .into_dimensions()
        .map_err(|error| damaged(path, &error.to_string()))?;
    checked_size(path, width, height)
}

/// A size within the limits, or an error that names the file.
pub fn checked_size(path: &Path, width: u32, height: u32) -> Result<Size> {
    Size::new(width as usize, height as usize)
        .with_context(|| format!("{}: cut or scale the image", path.display()))
}

/// The size of an image and its mask, which must be the same.
pub fn size_with_mask(image: &Path, mask: &Path) -> Result<Size> {
    let (image_size, mask_size) = (size(image)?, size(mask)?);
    ensure!(
        image_size == mask_size,
        "{}: the mask is {mask_size} but its image {} is {image_size}; \
         a mask must have its image's size",
        mask.display(),
        image.display()
    );
    Ok(image_size)
}

/// The error of a file that a decoder refused. Some decoders explain themselves on several lines.
pub fn damaged(path: &Path, why: &str) -> anyhow::Error {
    anyhow!(
        "{}: damaged or cut-off image; remove or replace it ({})",
        path.display(),
        why.lines().next().unwrap_or_default()
    )
}

/// What to say of a file with no known signature.
pub fn not_an_image(path: &Path) -> String {
    let what = match fs::metadata(path) {
        Ok(metadata) if metadata.len() == 0 => "the file is empty",
        _ => "not a PNG, JPEG, BMP, TIFF or PGM image",
    };
    format!("{}: {what}; remove or replace it", path.display())
}
