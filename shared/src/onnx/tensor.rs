//! Initializers: constant tensors, resolved by name.

use heapless::Vec;

use super::{
    OnnxError, fields,
    protobuf::{Field, Malformed, Value, integers},
};
use crate::net::{exponent_of, name};

/// `TensorProto.DataType` of what the export writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Type {
    F32 = 1,
    U8 = 2,
    I8 = 3,
    I32 = 6,
}

impl Type {
    fn bytes(self) -> usize {
        match self {
            Self::F32 | Self::I32 => 4,
            Self::U8 | Self::I8 => 1,
        }
    }
}

/// A constant tensor.
pub struct Tensor<'a> {
    name: &'a str,
    pub dims: Vec<usize, 4>,
    /// Little-endian elements.
    pub data: &'a [u8],
}

impl<'a> Tensor<'a> {
    /// The initializer of this name and type in a `GraphProto`.
    pub fn find(graph: &'a [u8], wanted: &'a str, kind: Type) -> Result<Self, OnnxError> {
        let mut found = None;
        for field in fields("GraphProto", graph) {
            if let Field {
                number: 5,
                value: Value::Bytes(tensor),
                ..
            } = field?
                && name_of(tensor)? == Some(wanted.as_bytes())
                && found.replace(tensor).is_some()
            {
                return Err(error(wanted, "initializer", "there must be only one"));
            }
        }
        let tensor = found.ok_or_else(|| error(wanted, "initializer", "there must be one"))?;
        Self::parse(tensor, wanted, kind)
    }

    fn parse(tensor: &'a [u8], name: &'a str, kind: Type) -> Result<Self, OnnxError> {
        let mut dims = Vec::new();
        let (mut data_type, mut data) = (None, None);
        for field in fields("TensorProto", tensor) {
            match field? {
                Field {
                    number: 1, value, ..
                } => {
                    for dim in integers(value) {
                        let dim = dim.map_err(|Malformed| OnnxError::Malformed {
                            message: "TensorProto",
                        })?;
                        let dim = usize::try_from(dim).ok();
                        dim.and_then(|dim| dims.push(dim).ok())
                            .ok_or_else(|| error(name, "dims", "at most four, none negative"))?;
                    }
                }
                Field {
                    number: 2,
                    value: Value::Varint(value),
                    ..
                } => data_type = Some(value),
                Field {
                    number: 9,
                    value: Value::Bytes(bytes),
                    ..
                } => data = Some(bytes),
                _ => {}
            }
        }
        if data_type != Some(kind as u64) {
            let expected = match kind {
                Type::F32 => "must be FLOAT",
                Type::U8 => "must be UINT8",
                Type::I8 => "must be INT8",
                Type::I32 => "must be INT32",
            };
            return Err(error(name, "data_type", expected));
        }
        let data = data.ok_or_else(|| error(name, "raw_data", "elements must be stored there"))?;
        let elements = dims.iter().try_fold(1_usize, |n, &dim| n.checked_mul(dim));
        if elements.and_then(|n| n.checked_mul(kind.bytes())) != Some(data.len()) {
            return Err(error(name, "raw_data", "its length must fit dims"));
        }
        Ok(Self { name, dims, data })
    }

    /// The tensor's elements, where it has exactly these dimensions.
    pub fn shaped(self, dims: &[usize], expected: &'static str) -> Result<&'a [u8], OnnxError> {
        if self.dims == dims {
            return Ok(self.data);
        }
        Err(error(self.name, "dims", expected))
    }

    /// Errors unless the tensor is one zero: a zero point.
    pub fn zero(self) -> Result<(), OnnxError> {
        if self.dims.iter().all(|&dim| dim == 1) && self.data.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        Err(error(self.name, "zero point", "must be the scalar 0"))
    }

    /// n of a scalar scale of 2^n.
    pub fn exponent(self) -> Result<i32, OnnxError> {
        let scale = <[u8; 4]>::try_from(self.data).ok().map(f32::from_le_bytes);
        scale
            .and_then(exponent_of)
            .ok_or_else(|| error(self.name, "scale", "must be one power of two"))
    }
}

fn name_of(tensor: &[u8]) -> Result<Option<&[u8]>, OnnxError> {
    let mut name = None;
    for field in fields("TensorProto", tensor) {
        if let Field {
            number: 8,
            value: Value::Bytes(bytes),
            ..
        } = field?
        {
            name = Some(bytes);
        }
    }
    Ok(name)
}

fn error(tensor: &str, field: &'static str, expected: &'static str) -> OnnxError {
    OnnxError::Field {
        place: name(tensor),
        field,
        expected,
    }
}
