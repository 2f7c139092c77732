//! One record on disk: length of the payload (4 bytes, big-endian), CRC-32 (4) over all that follows, stream (1), number
//! (8), payload. A record that is cut, or whose sum does not fit, ends its file.

use watchkeep_protocol::limits;

/// Bytes before the payload.
pub const HEAD: usize = 17;

/// Which stream a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Tag {
    Matters = 1,
    Samples = 2,
}

impl Tag {
    pub fn word(self) -> &'static str {
        match self {
            Self::Matters => "matters",
            Self::Samples => "samples",
        }
    }
}

pub fn encode(tag: Tag, number: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + payload.len());
    bytes.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.push(tag as u8);
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(payload);
    let sum = crc32(&bytes[8..]).to_be_bytes();
    bytes[4..8].copy_from_slice(&sum);
    bytes
}

/// The number and payload of the record that `bytes` begin with; `None` where it is cut, damaged or of another stream.
pub fn decode(tag: Tag, bytes: &[u8]) -> Option<(u64, &[u8])> {
    let length = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let sum = u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?);
    if length > limits::ENVELOPE_BYTES {
        return None;
    }
    let body = bytes.get(8..HEAD + length)?;
    if crc32(body) != sum || body[0] != tag as u8 {
        return None;
    }
    Some((u64::from_be_bytes(body[1..9].try_into().ok()?), &body[9..]))
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut place = 0;
    while place < 256 {
        let mut value = place as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[place] = value;
        place += 1;
    }
    table
};

/// CRC-32 as in IEEE 802.3 (reflected, polynomial 0x04c11db7).
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| TABLE[(sum as u8 ^ byte) as usize] ^ sum >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_one_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_record_comes_back_and_any_flipped_bit_or_cut_is_seen() {
        let bytes = encode(Tag::Matters, 7, b"payload");
        assert_eq!(decode(Tag::Matters, &bytes), Some((7, &b"payload"[..])));
        assert_eq!(decode(Tag::Samples, &bytes), None);
        for cut in 0..bytes.len() {
            assert_eq!(decode(Tag::Matters, &bytes[..cut]), None);
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[cut] ^= 1 << bit;
                assert_eq!(decode(Tag::Matters, &damaged), None, "byte {cut}, bit {bit}");
            }
        }
    }
}
