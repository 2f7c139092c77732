//! The fields of a protobuf message, read where they lie, without a copy.
//!
//! The format is <https://protobuf.dev/programming-guides/encoding/>. Groups, which version 3 does not have, are refused.

/// Goes through a message's fields, in the order in which they were written. Ends after a fault.
#[derive(Clone, Debug)]
pub struct Fields<'a>(&'a [u8]);

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    /// A text, a message, or numbers one after the other.
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Fields<'a> {
    pub fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn field(&mut self) -> Result<(u32, Field<'a>), String> {
        let key = varint(&mut self.0)?;
        let number = u32::try_from(key >> 3).map_err(|_| format!("{} is no number of a field", key >> 3))?;
        let field = match key & 7 {
            0 => Field::Varint(varint(&mut self.0)?),
            1 => Field::Fixed64(u64::from_le_bytes(*self.array()?)),
            2 => {
                let length = varint(&mut self.0)?;
                let split = usize::try_from(length).ok().and_then(|length| self.0.split_at_checked(length));
                let (bytes, rest) =
                    split.ok_or_else(|| format!("field {number} has {length} bytes, {} are there", self.0.len()))?;
                self.0 = rest;
                Field::Bytes(bytes)
            }
            5 => Field::Fixed32(u32::from_le_bytes(*self.array()?)),
            other => return Err(format!("field {number} is of wire type {other}, which is not known")),
        };
        Ok((number, field))
    }

    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], String> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or("a number is cut short")?;
        self.0 = rest;
        Ok(bytes)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Field<'a>), String>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Field<'a> {
    /// # Errors
    /// It is something else, as with those below.
    pub fn bytes(self) -> Result<&'a [u8], String> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            other => Err(other.instead_of("bytes")),
        }
    }

    /// # Errors
    /// Besides: it is no UTF-8.
    pub fn text(self) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes()?).map_err(|error| format!("a text is no UTF-8: {error}"))
    }

    pub fn number(self) -> Result<u64, String> {
        match self {
            Self::Varint(number) => Ok(number),
            other => Err(other.instead_of("a number")),
        }
    }

    pub fn double(self) -> Result<f64, String> {
        match self {
            Self::Fixed64(bits) => Ok(f64::from_bits(bits)),
            other => Err(other.instead_of("a double")),
        }
    }

    /// Appends the numbers of a repeated field, which come one a field or one after the other in one.
    pub fn numbers(self, to: &mut Vec<u64>) -> Result<(), String> {
        match self {
            Self::Varint(number) => to.push(number),
            other => {
                let mut bytes = other.bytes()?;
                while !bytes.is_empty() {
                    to.push(varint(&mut bytes)?);
                }
            }
        }
        Ok(())
    }

    fn instead_of(self, wanted: &str) -> String {
        let found = match self {
            Self::Varint(_) => "a number",
            Self::Fixed64(_) => "64 bits",
            Self::Bytes(_) => "bytes",
            Self::Fixed32(_) => "32 bits",
        };
        format!("a field has {found} instead of {wanted}")
    }
}

/// Seven bits a byte, the lowest first; a negative number has ten.
#[inline]
fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    if let [byte, rest @ ..] = *bytes
        && *byte < 0x80
    {
        *bytes = rest;
        return Ok(u64::from(*byte));
    }
    let mut number = 0;
    for (place, byte) in bytes.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * place);
        if *byte < 0x80 {
            *bytes = &bytes[place + 1..];
            return Ok(number);
        }
    }
    Err("a number is cut short or too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &[u8]) -> Result<Vec<(u32, Field<'_>)>, String> {
        Fields::of(message).collect()
    }

    #[test]
    fn each_wire_type_is_read() {
        let message = [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x19, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0x25, 1, 0, 0, 0];
        let fields = read(&message).expect("it reads");
        assert_eq!(
            fields,
            [
                (1, Field::Varint(150)),
                (2, Field::Bytes(b"hi")),
                (3, Field::Fixed64(1.5_f64.to_bits())),
                (4, Field::Fixed32(1))
            ]
        );
        assert_eq!((fields[1].1.text(), fields[2].1.double()), (Ok("hi"), Ok(1.5)));
        // -1 as an int64.
        let negative = [&[0x08][..], &[0xff; 9], &[0x01]].concat();
        assert_eq!(read(&negative).expect("it reads")[0].1.number().map(|number| number as i64), Ok(-1));
        let mut numbers = Vec::new();
        Field::Bytes(&[1, 0x96, 0x01]).numbers(&mut numbers).expect("packed");
        Field::Varint(7).numbers(&mut numbers).expect("one by itself");
        assert_eq!(numbers, [1, 150, 7]);
    }

    #[test]
    fn what_is_cut_or_of_another_type_is_a_sentence() {
        for (message, says) in [
            (&[0x12, 5, b'h'][..], "field 2 has 5 bytes, 1 are there"),
            (&[0x08], "cut short"),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], "too long"),
            (&[0x19, 1, 2], "cut short"),
            (&[0x0b], "field 1 is of wire type 3"),
        ] {
            let said = read(message).expect_err("it is no message");
            assert!(said.contains(says), "{said}");
        }
        assert_eq!(Field::Varint(1).text(), Err("a field has a number instead of bytes".to_owned()));
        assert!(Field::Bytes(&[0xff]).text().is_err_and(|said| said.contains("UTF-8")));
        assert_eq!(Fields::of(&[0x08]).count(), 1, "it ends after the fault");
    }
}
