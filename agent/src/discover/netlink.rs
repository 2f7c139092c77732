//! One question to the kernel over netlink, answered by a list; the framing of netlink(7).
//!
//! Written by hand over rustix's safe sockets rather than with the netlink crates: the requests are two, the answers are
//! of fixed layout, and the crates name no field for the control group of a socket.

use std::io;

use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

const HEADER_BYTES: usize = 16;
const BUFFER_BYTES: usize = 32 << 10;
/// Answers to one request; a kernel that sends more is not believed.
const ANSWERS_MAX: usize = 4_096;

/// Asks for the list of `kind` and hands over the kind and the body of each message of the answer. Needs no rights. Never
/// waits: a dump is ready when asked for.
///
/// # Errors
/// The kernel refuses the protocol or the question, or its answer is cut or has no end.
pub fn dump(protocol: Option<Protocol>, kind: u16, body: &[u8], mut take: impl FnMut(u16, &[u8])) -> io::Result<()> {
    let kernel = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
    send(&kernel, &request(kind, body), SendFlags::empty())?;
    let mut buffer = vec![0; BUFFER_BYTES];
    for _ in 0..ANSWERS_MAX {
        let (bytes, _) = recv(&kernel, buffer.as_mut_slice(), RecvFlags::DONTWAIT)?;
        if take_answer(&buffer[..bytes], &mut take)? {
            return Ok(());
        }
    }
    Err(io::Error::other("the kernel's list has no end"))
}

fn request(kind: u16, body: &[u8]) -> Vec<u8> {
    let bytes = u32::try_from(HEADER_BYTES + body.len()).expect("a request is short");
    let mut out = Vec::with_capacity(HEADER_BYTES + body.len());
    out.extend(bytes.to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    out.extend([0; 8]); // sequence and port: one request on a socket of its own
    out.extend(body);
    out
}

/// Hands over the messages of one answer; says whether the list is over.
pub fn take_answer(mut rest: &[u8], take: &mut impl FnMut(u16, &[u8])) -> io::Result<bool> {
    while rest.len() >= HEADER_BYTES {
        let bytes = u32_at(rest, 0) as usize;
        if bytes < HEADER_BYTES || bytes > rest.len() {
            return Err(io::Error::other("a netlink message is cut"));
        }
        match u16_at(rest, 4) {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => {
                let code = rest.get(HEADER_BYTES..HEADER_BYTES + 4).map_or(0, |_| u32_at(rest, HEADER_BYTES) as i32);
                return Err(io::Error::from_raw_os_error(code.wrapping_neg()));
            }
            kind => take(kind, &rest[HEADER_BYTES..bytes]),
        }
        rest = rest.get(bytes.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// The attributes after a message's fixed part: type and value. One that is cut ends them.
pub fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let bytes = usize::from(u16_at(rest.get(..4)?, 0));
        let (kind, value) = (u16_at(rest, 2), rest.get(4..bytes)?);
        rest = rest.get(bytes.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// In the host's order; `bytes` reaches that far.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
pub mod testing {
    use super::HEADER_BYTES;

    /// An answer of one message of `kind`: the fixed part, then attributes (type, value).
    pub fn answer(kind: u16, fixed: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = fixed.to_vec();
        for (kind, value) in attributes {
            body.extend(((4 + value.len()) as u16).to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut out = ((HEADER_BYTES + body.len()) as u32).to_ne_bytes().to_vec();
        out.extend(kind.to_ne_bytes());
        out.extend([0; 10]);
        out.extend(body);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::testing::answer;
    use super::*;

    #[test]
    fn a_cut_answer_is_refused_at_any_place() {
        let whole = answer(20, &[1, 2, 3, 4], &[(21, &77_u64.to_ne_bytes())]);
        for bytes in HEADER_BYTES..whole.len() {
            assert!(take_answer(&whole[..bytes], &mut |_, _| ()).is_err(), "{bytes}");
        }
        let mut lying = whole;
        lying[..4].copy_from_slice(&3_u32.to_ne_bytes());
        assert!(take_answer(&lying, &mut |_, _| ()).is_err());
    }

    #[test]
    fn an_attribute_of_no_bytes_ends_the_list_of_them() {
        let whole = answer(20, &[], &[(7, &[1]), (8, &[2])]);
        let mut body = whole[HEADER_BYTES..].to_vec();
        assert_eq!(attributes(&body).collect::<Vec<_>>(), [(7, &[1][..]), (8, &[2][..])]);
        body[8..10].copy_from_slice(&0_u16.to_ne_bytes());
        assert_eq!(attributes(&body).count(), 1);
    }

    #[test]
    fn a_refusal_is_an_error_with_the_kernel_s_number() {
        let refusal = answer(NLMSG_ERROR, &(-13_i32).to_ne_bytes(), &[]);
        let fault = take_answer(&refusal, &mut |_, _| ()).expect_err("is refused");
        assert_eq!(fault.raw_os_error(), Some(13));
    }
}
