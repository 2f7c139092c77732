//! The file `state`: `wks2`, spool id (16), mark of matters (8), mark of samples (8), end of the reserved sample numbers
//! (8), whether it was closed cleanly (1), whether nothing was sent from some numbers on (1) and of matters (8) and samples
//! (8) which, CRC-32 over all of it (4). Replaced atomically. `wks1`, of agents before, ends before the last three.

use watchkeep_protocol::Unsent;

use super::record::crc32;
use super::{Disk, SpoolError, failed};

const FILE: &str = "state";
const MAGIC: &[u8; 4] = b"wks2";
const LENGTH: usize = LENGTH_1 + 1 + 8 + 8;
const MAGIC_1: &[u8; 4] = b"wks1";
const LENGTH_1: usize = 4 + 16 + 8 + 8 + 8 + 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub id: [u8; 16],
    /// Matters below are committed at the controller.
    pub matters: u64,
    /// Samples below are sealed, or given up.
    pub samples: u64,
    /// No sample number from here on was handed out.
    pub samples_reserved: u64,
    /// Nothing beyond what the segments hold was handed out.
    pub clean: bool,
    /// Nothing was sent from here on: the controller has not answered since. None once it has.
    pub unsent: Option<Unsent>,
}

impl State {
    pub fn new(id: [u8; 16]) -> Self {
        Self { id, matters: 0, samples: 0, samples_reserved: 0, clean: true, unsent: None }
    }
}

/// The state as it was last written; `None` where there is none or it is damaged.
pub fn read<D: Disk>(disk: &mut D, files: &[String]) -> Result<Option<State>, SpoolError> {
    if !files.iter().any(|file| file == FILE) {
        return Ok(None);
    }
    let bytes = disk.read(FILE).map_err(failed("read", FILE))?;
    Ok(decode(&bytes))
}

fn decode(bytes: &[u8]) -> Option<State> {
    let length = if bytes.starts_with(MAGIC_1) { LENGTH_1 } else { LENGTH };
    let (body, sum) = bytes.split_at_checked(length)?;
    if sum != crc32(body).to_be_bytes() || !(body.starts_with(MAGIC) || body.starts_with(MAGIC_1)) {
        return None;
    }
    let number = |at: usize| body[at..at + 8].try_into().map(u64::from_be_bytes).ok();
    Some(State {
        id: body[4..20].try_into().ok()?,
        matters: number(20)?,
        samples: number(28)?,
        samples_reserved: number(36)?,
        clean: body[44] == 1,
        unsent: match body.get(45) {
            Some(1) => Some(Unsent { matters: number(46)?, samples: number(54)? }),
            _ => None,
        },
    })
}

pub fn write<D: Disk>(disk: &mut D, state: &State) -> Result<(), SpoolError> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&state.id);
    for number in [state.matters, state.samples, state.samples_reserved] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.push(u8::from(state.clean));
    bytes.push(u8::from(state.unsent.is_some()));
    let Unsent { matters, samples } = state.unsent.unwrap_or_default();
    for number in [matters, samples] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    let sum = crc32(&bytes).to_be_bytes();
    bytes.extend_from_slice(&sum);
    disk.replace(FILE, &bytes).map_err(failed("write", FILE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::memory::MemoryDisk;

    #[test]
    fn the_state_comes_back_and_damage_is_seen() {
        let mut disk = MemoryDisk::new();
        let unsent = Some(Unsent { matters: 4, samples: 5 });
        let state = State { id: [7; 16], matters: 1, samples: 2, samples_reserved: 3, clean: true, unsent };
        write(&mut disk, &state).expect("written");
        let files = vec![FILE.to_owned()];
        assert_eq!(read(&mut disk, &files).expect("read"), Some(state));
        for place in 0..LENGTH + 4 {
            disk.flip(FILE, place);
            assert_eq!(read(&mut disk, &files).expect("read"), None, "byte {place}");
            disk.flip(FILE, place);
        }
    }

    #[test]
    fn the_state_of_an_agent_before_is_read() {
        let mut body = MAGIC_1.to_vec();
        body.extend([7; 16]);
        body.extend([1_u64, 2, 3].iter().flat_map(|number| number.to_be_bytes()));
        body.push(1);
        let bytes = [body.clone(), crc32(&body).to_be_bytes().to_vec()].concat();
        let before = State { id: [7; 16], matters: 1, samples: 2, samples_reserved: 3, clean: true, unsent: None };
        assert_eq!(decode(&bytes), Some(before));
    }
}
