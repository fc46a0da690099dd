//! Nodes and their attributes.

use heapless::Vec;

use super::{
    OnnxError, fields,
    protobuf::{Field, Malformed, Value, integers},
};
use crate::net::name;

/// A node of the graph.
pub struct Node<'a> {
    /// Its name, or that of its output where it has none.
    pub name: &'a str,
    pub operator: &'a str,
    pub inputs: Vec<&'a str, 9>,
    pub output: &'a str,
    bytes: &'a [u8],
}

impl<'a> Node<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, OnnxError> {
        let mut node = Self {
            name: "",
            operator: "",
            inputs: Vec::new(),
            output: "",
            bytes,
        };
        let (mut outputs, mut fits) = (0, true);
        for field in fields("NodeProto", bytes) {
            let Field {
                number,
                value: Value::Bytes(value),
                ..
            } = field?
            else {
                continue;
            };
            match number {
                1 => fits &= node.inputs.push(text(value)?).is_ok(),
                2 => {
                    outputs += 1;
                    node.output = text(value)?;
                }
                3 => node.name = text(value)?,
                4 => node.operator = text(value)?,
                7 => fits &= value.is_empty() || value == b"ai.onnx",
                _ => {}
            }
        }
        if node.name.is_empty() {
            node.name = node.output;
        }
        if !fits {
            return Err(node.error("input, domain", "at most nine inputs, ONNX's own domain"));
        }
        if outputs != 1 || node.output.is_empty() {
            return Err(node.error("output", "there must be exactly one"));
        }
        Ok(node)
    }

    pub fn error(&self, field: &'static str, expected: &'static str) -> OnnxError {
        OnnxError::Field {
            place: name(self.name),
            field,
            expected,
        }
    }

    /// The inputs, where there are exactly `N`.
    pub fn inputs<const N: usize>(&self) -> Result<[&'a str; N], OnnxError> {
        let inputs = <[&str; N]>::try_from(self.inputs.as_slice());
        inputs.map_err(|_| self.error("input", "another number of inputs is expected"))
    }

    /// Errors where the node has an attribute of another name, or one twice: runtimes might give
    /// it another meaning than this reader.
    pub fn knows(&self, names: &[&str]) -> Result<(), OnnxError> {
        let mut seen = 0_u32;
        for attribute in self.attributes() {
            let name = attribute?.name;
            let known = names.iter().position(|&known| known == name);
            let bit = known.map_or(0, |index| 1 << index);
            if bit == 0 || seen & bit != 0 {
                return Err(self.error("attribute", "there is one that the export never writes"));
            }
            seen |= bit;
        }
        Ok(())
    }

    /// The integers of an attribute (one of type INT is one integer), `default` where it is absent.
    pub fn integers<const N: usize>(
        &self,
        name: &'static str,
        default: [i64; N],
    ) -> Result<[i64; N], OnnxError> {
        for attribute in self.attributes() {
            let attribute = attribute?;
            if attribute.name != name {
                continue;
            }
            let mut list = Vec::<i64, N>::new();
            for field in fields("AttributeProto", attribute.bytes) {
                let Field {
                    number: 3 | 8,
                    value,
                    ..
                } = field?
                else {
                    continue;
                };
                for integer in integers(value) {
                    let integer = integer.map_err(|Malformed| OnnxError::Malformed {
                        message: "AttributeProto",
                    })?;
                    list.push(integer)
                        .map_err(|_| self.error(name, "too many integers"))?;
                }
            }
            return list
                .into_array()
                .map_err(|_| self.error(name, "too few integers"));
        }
        Ok(default)
    }

    /// The string of an attribute.
    pub fn string(&self, name: &str) -> Result<Option<&'a [u8]>, OnnxError> {
        for attribute in self.attributes() {
            let attribute = attribute?;
            if attribute.name != name {
                continue;
            }
            for field in fields("AttributeProto", attribute.bytes) {
                if let Field {
                    number: 4,
                    value: Value::Bytes(value),
                    ..
                } = field?
                {
                    return Ok(Some(value));
                }
            }
        }
        Ok(None)
    }

    fn attributes(&self) -> impl Iterator<Item = Result<Attribute<'a>, OnnxError>> {
        fields("NodeProto", self.bytes).filter_map(|field| match field {
            Ok(Field {
                number: 5,
                value: Value::Bytes(bytes),
                ..
            }) => Some(Attribute::parse(bytes)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
    }
}

struct Attribute<'a> {
    name: &'a str,
    bytes: &'a [u8],
}

impl<'a> Attribute<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, OnnxError> {
        let mut name = "";
        for field in fields("AttributeProto", bytes) {
            if let Field {
                number: 1,
                value: Value::Bytes(value),
                ..
            } = field?
            {
                name = text(value)?;
            }
        }
        Ok(Self { name, bytes })
    }
}

/// A name: valid UTF-8.
fn text(bytes: &[u8]) -> Result<&str, OnnxError> {
    core::str::from_utf8(bytes).map_err(|_| OnnxError::Malformed {
        message: "a name in GraphProto",
    })
}
