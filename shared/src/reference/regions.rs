//! Mask → regions: 8-connected components by flood fill.

use crate::{buffer::BufferError, frame::Size, verdict::Region};

/// Regions that an image of this size can have at most: no two fit into one 2x2 block.
pub fn max_regions(size: Size) -> usize {
    size.width().div_ceil(2) * size.height().div_ceil(2)
}

/// Labels the 8-connected components of `mask` (any value but 0 is suspect), in raster order of
/// their first pixel, and writes their regions; the number of them is returned.
///
/// `labels` gets 0 for a pixel outside every region and 1 + the region's index inside. `mask`,
/// `map`, `labels` and `stack` have `size.area()` elements, `regions` at least
/// [`max_regions`].
pub fn regions(
    size: Size,
    mask: &[u8],
    map: &[u32],
    labels: &mut [u32],
    stack: &mut [u32],
    regions: &mut [Region],
) -> Result<usize, BufferError> {
    BufferError::exact("mask", mask.len(), size.area())?;
    BufferError::exact("map", map.len(), size.area())?;
    BufferError::exact("labels", labels.len(), size.area())?;
    BufferError::exact("stack", stack.len(), size.area())?;
    BufferError::at_least("regions", regions.len(), max_regions(size))?;

    labels.fill(0);
    let mut count = 0;
    for first in 0..size.area() {
        if mask[first] != 0 && labels[first] == 0 {
            let label = count as u32 + 1;
            regions[count] = fill(size, mask, map, labels, stack, first, label);
            count += 1;
        }
    }
    Ok(count)
}

/// Floods the component of pixel `first` with `label` and measures it.
fn fill(
    size: Size,
    mask: &[u8],
    map: &[u32],
    labels: &mut [u32],
    stack: &mut [u32],
    first: usize,
    label: u32,
) -> Region {
    let (width, height) = (size.width(), size.height());
    let mut region = Region {
        left: u16::MAX,
        top: u16::MAX,
        right: 0,
        bottom: 0,
        area: 0,
        peak: 0,
    };
    // A pixel is labelled when it is pushed, so that none is pushed twice and the stack suffices.
    labels[first] = label;
    stack[0] = first as u32;
    let mut depth = 1;
    while depth > 0 {
        depth -= 1;
        let pixel = stack[depth] as usize;
        let (x, y) = (pixel % width, pixel / width);
        region.left = region.left.min(x as u16);
        region.top = region.top.min(y as u16);
        region.right = region.right.max(x as u16);
        region.bottom = region.bottom.max(y as u16);
        region.area += 1;
        region.peak = region.peak.max(map[pixel]);
        for row in y.saturating_sub(1)..=(y + 1).min(height - 1) {
            for column in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                let neighbour = row * width + column;
                if mask[neighbour] != 0 && labels[neighbour] == 0 {
                    labels[neighbour] = label;
                    stack[depth] = neighbour as u32;
                    depth += 1;
                }
            }
        }
    }
    region
}
