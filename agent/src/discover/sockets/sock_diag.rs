//! TCP sockets over netlink: `SOCK_DIAG_BY_FAMILY` with `inet_diag_req_v2`, as in sock_diag(7).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::net::netlink::SOCK_DIAG;

use super::{Socket, State};
use crate::discover::netlink::{attributes, dump, u32_at};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const IPPROTO_TCP: u8 = 6;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// The attribute that names a socket's control group, since Linux 5.9.
const INET_DIAG_CGROUP_ID: u16 = 21;
/// `struct inet_diag_msg`.
const MESSAGE_BYTES: usize = 72;

/// Hands over every TCP socket of this network namespace that is in the state.
pub fn each_socket(state: State, mut take: impl FnMut(Socket)) -> io::Result<()> {
    for family in [AF_INET, AF_INET6] {
        dump(Some(SOCK_DIAG), SOCK_DIAG_BY_FAMILY, &request(family, state), |kind, message| {
            if kind == SOCK_DIAG_BY_FAMILY {
                socket_of(message).into_iter().for_each(&mut take);
            }
        })?;
    }
    Ok(())
}

fn request(family: u8, state: State) -> Vec<u8> {
    let mut out = vec![family, IPPROTO_TCP, 0, 0];
    out.extend((1_u32 << state as u8).to_ne_bytes());
    out.extend([0; 48]); // any socket
    out
}

fn socket_of(message: &[u8]) -> Option<Socket> {
    let (fixed, rest) = message.split_at_checked(MESSAGE_BYTES)?;
    // Ports and addresses are as on the wire; the address of IPv4 has 4 of its 16 bytes.
    let address = |port: usize, ip: usize| {
        let ip: IpAddr = match fixed[0] {
            AF_INET => Ipv4Addr::new(fixed[ip], fixed[ip + 1], fixed[ip + 2], fixed[ip + 3]).into(),
            AF_INET6 => Ipv6Addr::from(<[u8; 16]>::try_from(&fixed[ip..ip + 16]).ok()?).into(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, u16::from_be_bytes([fixed[port], fixed[port + 1]])))
    };
    let cgroup = attributes(rest).find(|(kind, _)| *kind == INET_DIAG_CGROUP_ID);
    let cgroup = cgroup.and_then(|(_, value)| Some(u64::from_ne_bytes(value.try_into().ok()?)));
    Some(Socket { local: address(4, 8)?, remote: address(6, 24)?, inode: u64::from(u32_at(fixed, 68)), cgroup })
}

#[cfg(test)]
mod tests {
    use super::super::super::netlink::{take_answer, testing::answer};
    use super::*;

    #[test]
    fn a_socket_its_peer_and_its_control_group_are_read() {
        let mut fixed = [0; MESSAGE_BYTES];
        fixed[0] = AF_INET;
        fixed[4..6].copy_from_slice(&43_210_u16.to_be_bytes());
        fixed[6..8].copy_from_slice(&5432_u16.to_be_bytes());
        fixed[8..12].copy_from_slice(&[10, 0, 0, 7]);
        fixed[24..28].copy_from_slice(&[10, 0, 0, 5]);
        fixed[68..72].copy_from_slice(&4711_u32.to_ne_bytes());
        let bytes = answer(SOCK_DIAG_BY_FAMILY, &fixed, &[(8, &[1]), (INET_DIAG_CGROUP_ID, &77_u64.to_ne_bytes())]);
        let mut all = Vec::new();
        let over = take_answer(&bytes, &mut |_, message| all.extend(socket_of(message))).expect("is well-formed");
        assert!(!over);
        let (local, remote) = ("10.0.0.7:43210".parse(), "10.0.0.5:5432".parse());
        let (local, remote) = (local.expect("an address"), remote.expect("an address"));
        assert_eq!(all, [Socket { local, remote, inode: 4711, cgroup: Some(77) }]);
    }

    #[test]
    fn a_message_that_is_too_short_is_no_socket() {
        assert_eq!(socket_of(&[AF_INET; MESSAGE_BYTES - 1]), None);
        assert_eq!(socket_of(&[99; MESSAGE_BYTES]), None, "neither IPv4 nor IPv6");
    }
}
