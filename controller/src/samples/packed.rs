//! Columns of values and of times, packed.
//!
//! Values: the first as it is, each next as the exclusive or with the one before it, whose zeros at both ends are not
//! written (as in Facebook's Gorilla, VLDB 2015, section 4.1.2): `0` the same; `10` other bits at the places of the last
//! difference; `11`, 6 bits leading zeros, 6 bits length less one, the bits. A column of one value all through is those 8
//! bytes and nothing else; an empty one is a column of gaps. Times: variable-length differences of differences.

use super::bits::{BitReader, BitWriter};
use super::{gap, is_gap};

/// Appends the packed form of `values`.
pub fn pack_values(values: impl Iterator<Item = f64> + Clone, out: &mut Vec<u8>) {
    let mut bits = values.clone().map(f64::to_bits);
    let Some(first) = bits.next() else { return };
    if bits.clone().all(|next| next == first) {
        if !is_gap(f64::from_bits(first)) {
            out.extend_from_slice(&first.to_be_bytes());
        }
        return;
    }
    let mut writer = BitWriter::new(out);
    writer.push(first, 64);
    let (mut before, mut window) = (first, None);
    for next in bits {
        push_difference(&mut writer, before ^ next, &mut window);
        before = next;
    }
    writer.end();
}

/// `window`: leading zeros and length of the last difference that said them.
fn push_difference(writer: &mut BitWriter<'_>, difference: u64, window: &mut Option<(u32, u32)>) {
    if difference == 0 {
        return writer.push(0, 1);
    }
    let (leading, trailing) = (difference.leading_zeros(), difference.trailing_zeros());
    let length = 64 - leading - trailing;
    // A window much wider than needed is left for a new one, which costs 12 bits to say.
    if let Some((known, width)) = *window
        && leading >= known
        && trailing >= 64 - known - width
        && width <= length + 12
    {
        writer.push(0b10, 2);
        return writer.push(difference >> (64 - known - width), width);
    }
    writer.push(0b11, 2);
    writer.push(u64::from(leading), 6);
    writer.push(u64::from(length - 1), 6);
    writer.push(difference >> trailing, length);
    *window = Some((leading, length));
}

/// Reads a packed column of `count` values back; ends early where the bytes do.
pub struct Values<'a> {
    reader: BitReader<'a>,
    shape: Shape,
    left: usize,
    before: Option<u64>,
    window: (u32, u32),
}

enum Shape {
    Gaps,
    Same,
    Differences,
}

impl<'a> Values<'a> {
    pub fn new(bytes: &'a [u8], count: usize) -> Self {
        let shape = match bytes.len() {
            0 => Shape::Gaps,
            8 => Shape::Same,
            _ => Shape::Differences,
        };
        Self { reader: BitReader::new(bytes), shape, left: count, before: None, window: (0, 0) }
    }

    fn difference(&mut self) -> Option<u64> {
        if self.reader.take(1)? == 0 {
            return Some(0);
        }
        if self.reader.take(1)? == 1 {
            let (leading, length) = (self.reader.take(6)? as u32, self.reader.take(6)? as u32 + 1);
            self.window = (leading, length);
        }
        let (leading, length) = self.window;
        let shift = 64_u32.checked_sub(leading + length)?;
        self.reader.take(length)?.checked_shl(shift)
    }
}

impl Iterator for Values<'_> {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        self.left = self.left.checked_sub(1)?;
        let bits = match (&self.shape, self.before) {
            (Shape::Gaps, _) => return Some(gap()),
            (_, None) => self.reader.take(64)?,
            (Shape::Same, Some(before)) => before,
            (Shape::Differences, Some(before)) => before ^ self.difference()?,
        };
        self.before = Some(bits);
        Some(f64::from_bits(bits))
    }
}

/// Appends the packed form of rising `times`.
pub fn pack_times(times: &[i64], out: &mut Vec<u8>) {
    let (mut before, mut step) = (0_i64, 0_i64);
    for time in times {
        let next = time.wrapping_sub(before);
        push_varint(next.wrapping_sub(step), out);
        (before, step) = (*time, next);
    }
}

/// Reads `count` packed times back; ends early where the bytes do.
pub fn unpack_times(bytes: &[u8], count: usize) -> Vec<i64> {
    let mut bytes = bytes.iter();
    let (mut before, mut step) = (0_i64, 0_i64);
    let next = || {
        step = step.wrapping_add(take_varint(&mut bytes)?);
        before = before.wrapping_add(step);
        Some(before)
    };
    std::iter::from_fn(next).take(count).collect()
}

/// Small numbers of either sign in few bytes: zigzag, 7 bits a byte, the lowest first.
fn push_varint(number: i64, out: &mut Vec<u8>) {
    let mut bits = ((number << 1) ^ (number >> 63)) as u64;
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

fn take_varint<'a>(bytes: &mut impl Iterator<Item = &'a u8>) -> Option<i64> {
    let mut bits = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.next()?;
        bits |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((bits >> 1) as i64 ^ -((bits & 1) as i64));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn through(values: &[f64]) -> (usize, Vec<u64>) {
        let mut out = Vec::new();
        pack_values(values.iter().copied(), &mut out);
        (out.len(), Values::new(&out, values.len()).map(f64::to_bits).collect())
    }

    proptest! {
        #[test]
        fn any_bits_come_back_as_they_were(bits in proptest::collection::vec(any::<u64>(), 0..40)) {
            let values: Vec<f64> = bits.iter().copied().map(f64::from_bits).collect();
            prop_assert_eq!(through(&values).1, bits);
        }

        #[test]
        fn numbers_as_hosts_have_them_come_back(numbers in proptest::collection::vec(-3i64..4000, 0..60), unit in 1i32..1000) {
            let values: Vec<f64> = numbers.iter().map(|number| *number as f64 / f64::from(unit)).collect();
            let bits: Vec<u64> = values.iter().map(|value| value.to_bits()).collect();
            prop_assert_eq!(through(&values).1, bits);
        }

        #[test]
        fn times_come_back(times in proptest::collection::vec(any::<i64>(), 0..40)) {
            let mut out = Vec::new();
            pack_times(&times, &mut out);
            prop_assert_eq!(unpack_times(&out, times.len()), times);
        }

        #[test]
        fn garbage_ends_and_breaks_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..60), count in 0usize..100) {
            prop_assert!(Values::new(&bytes, count).count() <= count);
            prop_assert!(unpack_times(&bytes, count).len() <= count);
        }
    }

    #[test]
    fn what_does_not_change_costs_nothing_more() {
        assert_eq!(through(&[7.25; 20]).0, 8);
        assert_eq!(through(&[gap(); 20]).0, 0);
        let mut out = Vec::new();
        pack_times(&(0..20).map(|n| 1_700_000_000_000 + n * 15_000).collect::<Vec<_>>(), &mut out);
        assert!(out.len() < 34, "{}", out.len());
    }
}
