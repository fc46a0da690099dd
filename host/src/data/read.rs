//! Files to grey pixels.

use crate::console;
use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result, bail, ensure};
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use rayon::prelude::*;
use residua_shared::frame::MAX_SIDE;

use super::{Grey, Sample, Window, files};

/// The value of a defect pixel in a mask; all others are 0.
pub const DEFECT: u8 = 255;

/// A mask's pixel above this is defect: JPEG masks are not quite black and white.
const MASK_THRESHOLD: u8 = 127;

/// Bytes that a decoded image may take: the largest one at four channels of 16 bits.
const MAX_BYTES: u64 = MAX_SIDE as u64 * MAX_SIDE as u64 * 8;

/// Decodes a sample's image, or its window of it. Errors as [`read_grey`].
pub fn load(sample: &Sample) -> Result<Grey> {
    crop(&sample.image, &read_grey(&sample.image)?, sample.window)
}

/// Decodes all samples in parallel, in their order; each file is read once, however many windows
/// of it there are. Errors as [`read_grey`].
pub fn load_all(samples: &[Sample]) -> Result<Vec<Grey>> {
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by_key(|&i| &samples[i].image);
    let mut decoded = order
        .chunk_by(|&a, &b| samples[a].image == samples[b].image)
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|of_file| {
            let path = &samples[of_file[0]].image;
            let whole = read_grey(path)?;
            of_file
                .iter()
                .map(|&i| Ok((i, crop(path, &whole, samples[i].window)?)))
                .collect()
        })
        .collect::<Result<Vec<Vec<(usize, Grey)>>>>()?
        .concat();
    decoded.sort_by_key(|&(i, _)| i);
    Ok(decoded.into_iter().map(|(_, grey)| grey).collect())
}

/// Decodes a sample's mask, or its window of it, to 0 and 255; `None` where it has none. Errors as
/// [`read_grey`].
pub fn load_mask(sample: &Sample) -> Result<Option<Grey>> {
    let load = |path: &Path| crop(path, &read_mask(path)?, sample.window);
    sample.mask.as_deref().map(load).transpose()
}

/// Decodes each kind's own mask as [`load_mask`] does; none where the sample has none.
pub fn load_masks_by_kind(sample: &Sample) -> Result<Vec<(String, Grey)>> {
    let load = |(kind, path): (&String, &PathBuf)| {
        let mask = crop(path, &read_mask(path)?, sample.window)?;
        Ok((kind.clone(), mask))
    };
    sample.masks_by_kind.iter().map(load).collect()
}

/// Decodes a mask file to 0 and [`DEFECT`].
pub fn read_mask(path: &Path) -> Result<Grey> {
    let mut mask = read_grey(path)?;
    for pixel in &mut mask.pixels {
        *pixel = if *pixel > MASK_THRESHOLD { DEFECT } else { 0 };
    }
    Ok(mask)
}

/// Decodes a PNG, JPEG, BMP, TIFF or PNM file, which its content says it is, to 8-bit grey.
///
/// Colour becomes luma (Rec. 709: 0.2126 R + 0.7152 G + 0.0722 B, on the values as stored), 16 bits
/// are divided by 257 and rounded; either is said once per process on the standard error stream.
///
/// Errors name the file: unreadable, no image, damaged or cut off, a side above [`MAX_SIDE`], more
/// memory than such an image takes, floating-point pixels.
pub fn read_grey(path: &Path) -> Result<Grey> {
    let bytes = read_bytes(path)?;
    let mut reader = ImageReader::new(Cursor::new(&bytes))
        .with_guessed_format()
        .with_context(|| format!("{}: cannot read", path.display()))?;
    let Some(format) = reader.format() else {
        bail!("{}", files::not_an_image(path));
    };
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE.into());
    limits.max_image_height = Some(MAX_SIDE.into());
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);

    let refused = |error: ImageError| files::damaged(path, &error.to_string());
    let decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    let size = files::checked_size(path, width, height)?;
    if format == ImageFormat::Jpeg && !has_jpeg_end(&bytes) {
        return Err(files::damaged(path, "no end marker"));
    }
    let decoded = DynamicImage::from_decoder(decoder).map_err(refused)?;
    let pixels = grey_pixels(path, decoded)?;
    Ok(Grey { size, pixels })
}

fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let unreadable = || format!("{}: cannot read", path.display());
    let metadata = fs::metadata(path).with_context(unreadable)?;
    ensure!(
        metadata.is_file(),
        "{}: not a file; give an image file",
        path.display()
    );
    ensure!(
        metadata.len() <= MAX_BYTES,
        "{}: {} bytes are more than any image of {MAX_SIDE}x{MAX_SIDE} takes; cut or scale it",
        path.display(),
        metadata.len()
    );
    fs::read(path).with_context(unreadable)
}

/// Whether the end marker follows the last scan. The decoder fills what was cut off with grey and
/// says nothing, which would be learnt as a good part.
fn has_jpeg_end(bytes: &[u8]) -> bool {
    let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
    match (last(0xda), last(0xd9)) {
        (Some(scan), Some(end)) => end > scan,
        _ => false,
    }
}

fn grey_pixels(path: &Path, decoded: DynamicImage) -> Result<Vec<u8>> {
    static COLOUR: AtomicBool = AtomicBool::new(false);
    static DEEP: AtomicBool = AtomicBool::new(false);

    let colour = decoded.color();
    if colour.has_color() {
        say_once(&COLOUR, path, "colour is converted to grey by its luma");
    }
    Ok(match colour {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => {
            decoded.into_luma8().into_raw()
        }
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
            say_once(&DEEP, path, "16 bits are scaled to 8");
            let deep = decoded.into_luma16().into_raw();
            deep.into_iter().map(to_8_bits).collect()
        }
        _ => bail!(
            "{}: pixels of the type {colour:?} can't be read; save it with 8 or 16 bits a channel",
            path.display()
        ),
    })
}

fn to_8_bits(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}

fn say_once(said: &AtomicBool, path: &Path, what: &str) {
    if !said.swap(true, Ordering::Relaxed) {
        console::note(format_args!("note: {}: {what} (said once)", path.display()));
    }
}

/// The window of `whole`, or all of it.
fn crop(path: &Path, whole: &Grey, window: Option<Window>) -> Result<Grey> {
    let Some(Window { left, top, size }) = window else {
        return Ok(whole.clone());
    };
    ensure!(
        left + size.width() <= whole.size.width() && top + size.height() <= whole.size.height(),
        "{}: the image is {} now, so that the {size} window at ({left}, {top}) is outside; \
         the file changed since the folder was listed: start again",
        path.display(),
        whole.size
    );
    let rows = whole.pixels.chunks_exact(whole.size.width());
    let pixels = rows
        .skip(top)
        .take(size.height())
        .flat_map(|row| &row[left..left + size.width()])
        .copied()
        .collect();
    Ok(Grey { size, pixels })
}
