//! The identity of an ONNX file, whatever its metadata.

use anyhow::{Context, Result, bail};
use residua_shared::manifest::Digest;
use sha2::{Digest as _, Sha256};

/// Field number of `metadata_props` in ONNX's `ModelProto`.
const METADATA_PROPS: u64 = 14;

/// SHA-256 of an ONNX file with its top-level `metadata_props` records cut out.
///
/// Errors where `onnx` is not a sequence of protobuf fields.
pub fn digest(onnx: &[u8]) -> Result<Digest> {
    let mut hash = Sha256::new();
    let mut rest = onnx;
    while !rest.is_empty() {
        let (field, length) = field(rest).context("not an ONNX file; export it again")?;
        let (record, after) = rest.split_at(length);
        if field != METADATA_PROPS {
            hash.update(record);
        }
        rest = after;
    }
    Ok(Digest(hash.finalize().into()))
}

/// Number and length in bytes of the field at the front.
fn field(bytes: &[u8]) -> Result<(u64, usize)> {
    let (key, start) = varint(bytes)?;
    let value = &bytes[start..];
    let length = match key & 7 {
        0 => varint(value)?.1,
        1 => 8,
        2 => {
            let (length, start) = varint(value)?;
            start.saturating_add(usize::try_from(length)?)
        }
        5 => 4,
        wire => bail!("wire type {wire}"),
    };
    let length = start.saturating_add(length);
    if length > bytes.len() {
        bail!("truncated");
    }
    Ok((key >> 3, length))
}

/// A varint and its length in bytes.
fn varint(bytes: &[u8]) -> Result<(u64, usize)> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Ok((value, index + 1));
        }
    }
    bail!("varint");
}
