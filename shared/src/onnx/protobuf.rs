//! As much of the protobuf wire format as ONNX files need, read in place.

/// One field of a message.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    pub number: u32,
    pub value: Value<'a>,
    /// The whole record, key included.
    pub record: &'a [u8],
}

/// A field's value by wire type.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Fixed 32 or 64 bits: in no field that is read here.
    Fixed,
}

/// The bytes are no protobuf message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

/// The fields of a message in file order; ends after the first malformed one.
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn field(&mut self) -> Result<Field<'a>, Malformed> {
        let start = self.rest;
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| Malformed)?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(Malformed),
        };
        let record = &start[..start.len() - self.rest.len()];
        Ok(Field {
            number,
            value,
            record,
        })
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = u64::from(self.take(1)?[0]);
            // The tenth byte has room for one bit only.
            if shift == 63 && byte > 1 {
                return Err(Malformed);
            }
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// The values of a repeated integer field: one varint, or many of them packed.
pub fn integers(value: Value<'_>) -> Integers<'_> {
    let (single, packed): (_, &[u8]) = match value {
        Value::Varint(value) => (Some(value), &[]),
        Value::Bytes(bytes) => (None, bytes),
        Value::Fixed => (None, &[]),
    };
    Integers {
        single,
        packed: Fields::of(packed),
    }
}

/// See [`integers`].
pub struct Integers<'a> {
    single: Option<u64>,
    packed: Fields<'a>,
}

impl Iterator for Integers<'_> {
    type Item = Result<i64, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(value) = self.single.take() {
            return Some(Ok(value as i64));
        }
        if self.packed.rest.is_empty() {
            return None;
        }
        let value = self.packed.varint();
        if value.is_err() {
            self.packed.rest = &[];
        }
        Some(value.map(|value| value as i64))
    }
}
