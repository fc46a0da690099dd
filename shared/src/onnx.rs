//! Reads the exported ONNX file in place: exactly the subset that the export writes (opset 13,
//! IR 8; `QLinearConv`, `DepthToSpace`, `Concat`, and `ConvInteger` + `Add` at the end), its weights
//! borrowed from the file's bytes. No bytes make it panic or read without bounds.
//!
//! Field numbers are those of `onnx.proto`.

mod node;
mod protobuf;
mod reader;
mod tensor;

use core::fmt;

use sha2::{Digest as _, Sha256};

use crate::{
    manifest::{Digest, METADATA_KEY},
    net::{Name, Net, NetError},
};
use protobuf::{Field, Fields, Malformed, Value};

/// `ModelProto.metadata_props`.
const METADATA_PROPS: u32 = 14;

/// Why a file was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OnnxError {
    /// A part of the file is no protobuf message: it is truncated, damaged, or no ONNX file.
    Malformed {
        /// The message's name in `onnx.proto`.
        message: &'static str,
    },
    /// Something is not as the export writes it.
    Field {
        /// The node, tensor or message; may be empty.
        place: Name,
        /// Its field.
        field: &'static str,
        /// What is expected of it.
        expected: &'static str,
    },
    /// The layers do not make a network.
    Net(NetError),
}

impl fmt::Display for OnnxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { message } => write!(
                f,
                "{message}: not readable as protobuf; the file is truncated, damaged or no ONNX \
                 file: copy or export it again"
            ),
            Self::Field {
                place,
                field,
                expected,
            } => write!(
                f,
                "{place}: {field}: {expected}; this is no file of `residua export`: export it again"
            ),
            Self::Net(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for OnnxError {}

/// Reads the network of an exported ONNX file.
///
/// The file does not say how many binary fraction bits its output has; the manifest does
/// (`rule.scale().fraction_bits()`).
pub fn read(file: &[u8], fraction_bits: u8) -> Result<Net<'_>, OnnxError> {
    reader::read(file, fraction_bits)
}

/// The value of `key` in the file's metadata, if it is there.
pub fn metadata<'a>(file: &'a [u8], key: &str) -> Result<Option<&'a [u8]>, OnnxError> {
    let mut found = None;
    for field in fields("ModelProto", file) {
        let Field {
            number: METADATA_PROPS,
            value: Value::Bytes(entry),
            ..
        } = field?
        else {
            continue;
        };
        let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
        for field in fields("StringStringEntryProto", entry) {
            match field? {
                Field {
                    number: 1,
                    value: Value::Bytes(bytes),
                    ..
                } => name = bytes,
                Field {
                    number: 2,
                    value: Value::Bytes(bytes),
                    ..
                } => value = bytes,
                _ => {}
            }
        }
        if name == key.as_bytes() {
            found = Some(value);
        }
    }
    Ok(found)
}

/// The manifest's JSON text inside the file, if it is there.
pub fn manifest(file: &[u8]) -> Result<Option<&[u8]>, OnnxError> {
    metadata(file, METADATA_KEY)
}

/// SHA-256 of the file with its top-level `metadata_props` records cut out, so that the manifest
/// inside can state it.
pub fn digest(file: &[u8]) -> Result<Digest, OnnxError> {
    let mut hash = Sha256::new();
    for field in fields("ModelProto", file) {
        let field = field?;
        if field.number != METADATA_PROPS {
            hash.update(field.record);
        }
    }
    Ok(Digest(hash.finalize().into()))
}

/// The fields of a message, whose name errors state.
fn fields<'a>(
    message: &'static str,
    bytes: &'a [u8],
) -> impl Iterator<Item = Result<Field<'a>, OnnxError>> {
    Fields::of(bytes).map(move |field| field.map_err(|Malformed| OnnxError::Malformed { message }))
}
