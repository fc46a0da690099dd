//! Pictures inside the page.

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use image::{ExtendedColorType, Rgb, RgbImage, codecs::jpeg::JpegEncoder};

use crate::data::Grey;

/// JPEG quality at which texture shows no artefacts.
const QUALITY: u8 = 88;

/// The colour of the ground truth's contour.
const TRUTH: Rgb<u8> = Rgb([0, 200, 83]);

/// One contour pixel for so many pixels of width: a contour as wide on the page, whatever the image.
const CONTOUR_SHARE: usize = 256;

/// A picture as a `data:` address.
pub(super) fn data_uri(picture: &RgbImage) -> Result<String> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode(
            picture,
            picture.width(),
            picture.height(),
            ExtendedColorType::Rgb8,
        )
        .context("a picture of the report could not be encoded")?;
    Ok(format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes)))
}

/// The image in colour.
pub(super) fn plain(image: &Grey) -> RgbImage {
    let (width, height) = (image.size.width(), image.size.height());
    RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let grey = image.pixels[y as usize * width + x as usize];
        Rgb([grey; 3])
    })
}

/// The image with a contour drawn just outside the ground truth's defects, so that a sliver stays
/// visible. Both have one size.
pub(super) fn contoured(image: &Grey, truth: &Grey) -> RgbImage {
    let (width, height) = (image.size.width(), image.size.height());
    let reach = 1 + width / CONTOUR_SHARE;
    let inside = |x: usize, y: usize| truth.pixels[y * width + x] > 127;
    let mut picture = plain(image);
    let near = |at: usize, end: usize| at.saturating_sub(reach)..(at + reach + 1).min(end);
    for y in 0..height {
        for x in 0..width {
            if !inside(x, y) && near(y, height).any(|v| near(x, width).any(|u| inside(u, v))) {
                picture.put_pixel(x as u32, y as u32, TRUTH);
            }
        }
    }
    picture
}
