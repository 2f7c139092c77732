//! Listening sockets over netlink: `SOCK_DIAG_BY_FAMILY` with `inet_diag_req_v2`, as in sock_diag(7).
//!
//! Two requests and a few answers of fixed layout: written by hand over rustix's safe sockets rather than with the two
//! netlink crates, which name no field for the control group of a socket.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with};

use super::Socket;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const IPPROTO_TCP: u8 = 6;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// Bit of `TCP_LISTEN`.
const STATES_LISTEN: u32 = 1 << 10;
/// The attribute that names a socket's control group, since Linux 5.9.
const INET_DIAG_CGROUP_ID: u16 = 21;

const HEADER_BYTES: usize = 16;
/// `struct inet_diag_msg`.
const MESSAGE_BYTES: usize = 72;
const BUFFER_BYTES: usize = 32 << 10;
/// Answers to one request; a kernel that sends more is not believed.
const ANSWERS_MAX: usize = 4_096;

/// All listening TCP sockets of this network namespace. Needs no rights. Never waits: a dump is ready when asked for.
pub fn sockets() -> io::Result<Vec<Socket>> {
    let kernel = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG))?;
    let mut all = Vec::new();
    for family in [AF_INET, AF_INET6] {
        send(&kernel, &request(family), SendFlags::empty())?;
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut done = false;
        for _ in 0..ANSWERS_MAX {
            let (bytes, _) = recv(&kernel, buffer.as_mut_slice(), RecvFlags::DONTWAIT)?;
            done = take_answer(&buffer[..bytes], &mut all)?;
            if done {
                break;
            }
        }
        if !done {
            return Err(io::Error::other("the kernel's list of sockets has no end"));
        }
    }
    Ok(all)
}

fn request(family: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(MESSAGE_BYTES);
    out.extend(72_u32.to_ne_bytes());
    out.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    out.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    out.extend([0; 8]); // sequence and port: one request at a time on a socket of its own
    out.extend([family, IPPROTO_TCP, 0, 0]);
    out.extend(STATES_LISTEN.to_ne_bytes());
    out.extend([0; 48]); // any socket
    out
}

/// Reads the messages of one answer; says whether the list is over.
fn take_answer(mut rest: &[u8], all: &mut Vec<Socket>) -> io::Result<bool> {
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
            SOCK_DIAG_BY_FAMILY => all.extend(socket_of(&rest[HEADER_BYTES..bytes])),
            _ => {}
        }
        rest = rest.get(bytes.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn socket_of(message: &[u8]) -> Option<Socket> {
    let (fixed, mut attributes) = message.split_at_checked(MESSAGE_BYTES)?;
    let port = u16::from_be_bytes([fixed[4], fixed[5]]);
    let address = &fixed[8..24];
    let ip: IpAddr = match fixed[0] {
        AF_INET => Ipv4Addr::new(address[0], address[1], address[2], address[3]).into(),
        AF_INET6 => Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?).into(),
        _ => return None,
    };
    let mut cgroup = None;
    while attributes.len() >= 4 {
        let bytes = usize::from(u16_at(attributes, 0));
        let value = attributes.get(4..bytes)?;
        if u16_at(attributes, 2) == INET_DIAG_CGROUP_ID {
            cgroup = value.try_into().ok().map(u64::from_ne_bytes);
        }
        attributes = attributes.get(bytes.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(Socket { local: SocketAddr::new(ip, port), inode: u64::from(u32_at(fixed, 68)), cgroup })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer of one socket, with these attributes (type, value).
    fn answer(family: u8, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = vec![0; MESSAGE_BYTES];
        body[0] = family;
        body[4..6].copy_from_slice(&80_u16.to_be_bytes());
        body[8..12].copy_from_slice(&[10, 0, 0, 7]);
        body[68..72].copy_from_slice(&4711_u32.to_ne_bytes());
        for (kind, value) in attributes {
            body.extend(((4 + value.len()) as u16).to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut out = ((HEADER_BYTES + body.len()) as u32).to_ne_bytes().to_vec();
        out.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        out.extend([0; 10]);
        out.extend(body);
        out
    }

    #[test]
    fn a_socket_and_its_control_group_are_read() {
        let mut all = Vec::new();
        let bytes = answer(AF_INET, &[(8, &[1]), (INET_DIAG_CGROUP_ID, &77_u64.to_ne_bytes())]);
        assert!(!take_answer(&bytes, &mut all).expect("is well-formed"));
        let expected = Socket { local: "10.0.0.7:80".parse().expect("an address"), inode: 4711, cgroup: Some(77) };
        assert_eq!(all, [expected]);
    }

    #[test]
    fn a_cut_answer_is_refused_at_any_place() {
        let whole = answer(AF_INET6, &[(INET_DIAG_CGROUP_ID, &77_u64.to_ne_bytes())]);
        for bytes in HEADER_BYTES..whole.len() {
            assert!(take_answer(&whole[..bytes], &mut Vec::new()).is_err(), "{bytes}");
        }
        let mut lying = whole.clone();
        lying[..4].copy_from_slice(&3_u32.to_ne_bytes());
        assert!(take_answer(&lying, &mut Vec::new()).is_err());
        let mut attribute_of_no_bytes = whole;
        let at = HEADER_BYTES + MESSAGE_BYTES;
        attribute_of_no_bytes[at..at + 2].copy_from_slice(&0_u16.to_ne_bytes());
        let mut all = Vec::new();
        assert!(take_answer(&attribute_of_no_bytes, &mut all).is_ok() && all.is_empty());
    }
}
