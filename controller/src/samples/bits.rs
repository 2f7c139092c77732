//! Bits into bytes and back, the highest first.

/// Appends bits to bytes; [`BitWriter::end`] fills the last byte with zeros.
pub struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    /// The last `held` bits that make no byte yet.
    waiting: u64,
    held: u32,
}

impl<'a> BitWriter<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, waiting: 0, held: 0 }
    }

    /// Appends the lowest `count` bits of `bits`, at most 64; those above must be zero.
    pub fn push(&mut self, bits: u64, count: u32) {
        let all = (u128::from(self.waiting) << count) | u128::from(bits);
        self.held += count;
        while self.held >= 8 {
            self.held -= 8;
            self.out.push((all >> self.held) as u8);
        }
        self.waiting = (all as u64) & ((1 << self.held) - 1);
    }

    pub fn end(mut self) {
        if self.held > 0 {
            let fill = 8 - self.held;
            self.push(0, fill);
        }
    }
}

/// Reads bits; beyond the end there are none.
pub struct BitReader<'a> {
    bytes: &'a [u8],
    next: usize,
    waiting: u64,
    held: u32,
}

impl<'a> BitReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, next: 0, waiting: 0, held: 0 }
    }

    /// The next `count` bits, at most 64; `None` where fewer are left.
    pub fn take(&mut self, count: u32) -> Option<u64> {
        let mut all = u128::from(self.waiting);
        while self.held < count {
            all = (all << 8) | u128::from(*self.bytes.get(self.next)?);
            self.next += 1;
            self.held += 8;
        }
        self.held -= count;
        self.waiting = (all as u64) & ((1 << self.held) - 1);
        Some(((all >> self.held) & ((1 << count) - 1)) as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_is_read_back(parts in proptest::collection::vec((any::<u64>(), 1u32..=64), 0..50)) {
            let parts: Vec<(u64, u32)> = parts.into_iter().map(|(bits, count)| (bits >> (64 - count), count)).collect();
            let mut out = Vec::new();
            let mut writer = BitWriter::new(&mut out);
            parts.iter().for_each(|(bits, count)| writer.push(*bits, *count));
            writer.end();
            let mut reader = BitReader::new(&out);
            for (bits, count) in parts {
                prop_assert_eq!(reader.take(count), Some(bits));
            }
            prop_assert_eq!(reader.take(8), None);
        }
    }
}
