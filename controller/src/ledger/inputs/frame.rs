//! How one input stands in a file: length (4 bytes, little-endian), CRC-32C of length and body (4 bytes, little-endian),
//! body (JSON).

/// Bytes before the body.
pub(super) const HEAD: usize = 8;
/// A longer body is damage: the largest matter is 1 MiB on the wire.
pub(super) const BODY_MAX: usize = 16 << 20;

/// Appends the frame of `body` to `out`.
pub(super) fn encode(body: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(body.len()).expect("callers refuse bodies over BODY_MAX").to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&crc32c(&[&length, body]).to_le_bytes());
    out.extend_from_slice(body);
}

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'b> {
    /// A whole frame; its body.
    Whole(&'b [u8]),
    /// Nothing at all: the end.
    End,
    /// What is there is no frame, and why.
    Broken(String),
}

pub(super) fn decode(bytes: &[u8]) -> Frame<'_> {
    if bytes.is_empty() {
        return Frame::End;
    }
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else {
        return Frame::Broken(format!("{} bytes where a record's head of {HEAD} belongs", bytes.len()));
    };
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (length, checksum) = (word(0) as usize, word(4));
    if length > BODY_MAX {
        return Frame::Broken(format!("a record says that it is {length} bytes long; none is over {BODY_MAX}"));
    }
    match rest.get(..length) {
        None => Frame::Broken(format!("a record of {length} bytes ends after {}", rest.len())),
        Some(body) if crc32c(&[&head[..4], body]) != checksum => {
            Frame::Broken(format!("the checksum of a record of {length} bytes is wrong"))
        }
        Some(body) => Frame::Whole(body),
    }
}

/// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78) over the parts as one.
pub(crate) fn crc32c(parts: &[&[u8]]) -> u32 {
    let step = |crc: u32, byte: &u8| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8);
    !parts.iter().copied().flatten().fold(u32::MAX, step)
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u32, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        // The check value of CRC-32/ISCSI, and the zeros of RFC 3720, B.4.
        assert_eq!(crc32c(&[b"12345", b"6789"]), 0xe306_9283);
        assert_eq!(crc32c(&[&[0; 32]]), 0x8a91_36aa);
    }

    #[test]
    fn a_frame_cut_or_changed_anywhere_is_broken() {
        let mut bytes = Vec::new();
        encode(b"{\"order\":1}", &mut bytes);
        assert_eq!(decode(&bytes), Frame::Whole(b"{\"order\":1}"));
        assert_eq!(decode(&[]), Frame::End);
        for cut in 1..bytes.len() {
            assert!(matches!(decode(&bytes[..cut]), Frame::Broken(_)), "cut at {cut}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(matches!(decode(&changed), Frame::Broken(_)), "changed at {at}");
        }
    }
}
