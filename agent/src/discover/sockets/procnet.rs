//! TCP sockets from `/proc/net/tcp` and `tcp6`: addresses in hexadecimal, each word of 32 bits in host order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Socket, State};
use crate::root::Root;

/// Hands over every socket that is in the state.
pub fn each_socket(root: &Root, state: State, mut take: impl FnMut(Socket)) {
    for path in ["proc/net/tcp", "proc/net/tcp6"] {
        sockets_of(&root.text(path), state).for_each(&mut take);
    }
}

fn sockets_of(text: &str, wanted: State) -> impl Iterator<Item = Socket> {
    text.lines().skip(1).filter_map(move |line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (local, remote, state) = (words.next()?, words.next()?, words.next()?);
        (u8::from_str_radix(state, 16) == Ok(wanted as u8)).then_some(())?;
        let inode = words.nth(5)?.parse().ok()?;
        Some(Socket { local: address(local)?, remote: address(remote)?, inode, cgroup: None })
    })
}

/// `0100007F:1F90` → 127.0.0.1:8080.
fn address(word: &str) -> Option<SocketAddr> {
    let (ip, port) = word.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Vec<[u8; 4]> = (0..ip.len() / 8)
        .map(|place| Some(u32::from_str_radix(ip.get(place * 8..place * 8 + 8)?, 16).ok()?.to_ne_bytes()))
        .collect::<Option<_>>()?;
    let bytes = words.concat();
    let ip: IpAddr = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn rows_are_told_apart_by_state() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n\
            1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1\n\
            2: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 4713 1\n\
            3: torn\n";
        let found: Vec<Socket> = sockets_of(text, State::Listening).collect();
        assert_eq!(found.iter().map(|socket| socket.inode).collect::<Vec<_>>(), [4711, 4713]);
        assert_eq!(found[0].local.to_string(), "127.0.0.1:8080");
        assert_eq!(found[1].local.to_string(), "[::1]:80");
        let connected: Vec<Socket> = sockets_of(text, State::Established).collect();
        assert_eq!((connected.len(), connected[0].remote.to_string()), (1, "127.0.0.1:54321".to_owned()));
    }
}
