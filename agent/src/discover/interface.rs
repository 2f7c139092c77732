//! Network interfaces: addresses from the kernel over netlink (`RTM_GETADDR` of rtnetlink(7)), the rest from sysfs.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use rustix::net::netdevice::index_to_name;
use rustix::net::{AddressFamily, SocketType, socket};
use watchkeep_protocol::inventory::Item;

use super::item;
use super::netlink::{attributes, dump, u32_at};
use crate::root::Root;

/// `NETLINK_ROUTE` is the family's number 0.
const ROUTE: Option<rustix::net::Protocol> = None;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
/// `struct ifaddrmsg`.
const MESSAGE_BYTES: usize = 8;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_F_TEMPORARY: u8 = 1;
const CLASS: &str = "sys/class/net";
const LOOPBACK: &str = "lo";

/// Interface → its addresses.
type Addresses = BTreeMap<String, BTreeSet<IpAddr>>;

/// Section `interface`; `None` while the kernel does not say the addresses, so that none is taken for gone.
pub fn items(root: &Root) -> Option<Vec<Item>> {
    match addresses() {
        Ok(addresses) => Some(described(root, &addresses)),
        Err(fault) => {
            tracing::debug!(%fault, "the kernel does not list addresses over netlink");
            None
        }
    }
}

/// Interfaces that have an address or hardware below them: the host's ends of its containers' links have neither, come
/// and go, and are nobody's.
fn described(root: &Root, addresses: &Addresses) -> Vec<Item> {
    let names = std::fs::read_dir(root.join(CLASS)).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let names: BTreeSet<String> = names.chain(addresses.keys().cloned()).filter(|name| name != LOOPBACK).collect();
    let told = names.into_iter().filter(|name| addresses.contains_key(name) || has_hardware(root, name));
    told.map(|name| described_one(root, &name, addresses.get(&name))).collect()
}

fn described_one(root: &Root, name: &str, addresses: Option<&BTreeSet<IpAddr>>) -> Item {
    let says = |file: &str| root.line(&format!("{CLASS}/{name}/{file}"));
    let known = |word: &String| word != "unknown";
    let addresses: Vec<String> = addresses.into_iter().flatten().map(ToString::to_string).collect();
    let mac = says("address").filter(|mac| mac.split(':').any(|byte| byte != "00"));
    let attributes = vec![
        ("name", Some(name.to_owned())),
        ("addresses", Some(addresses.join(" "))),
        ("mac_address", mac),
        ("mtu", says("mtu")),
        ("operstate", says("operstate")),
        ("duplex", says("duplex").filter(known)),
        // Mbit/s; -1 or an error where there is no link or no such thing as a speed.
        ("speed_mbits", says("speed").filter(|speed| speed.parse::<u32>().is_ok())),
        ("driver", driver(root, name)),
    ];
    item("network_interface", name, attributes)
}

/// The MAC addresses of the host's hardware, sorted.
pub fn hardware_addresses(root: &Root) -> BTreeSet<String> {
    let names = std::fs::read_dir(root.join(CLASS)).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| has_hardware(root, name))
        .filter_map(|name| root.line(&format!("{CLASS}/{name}/address")))
        .filter(|mac| mac.split(':').any(|byte| byte != "00"))
        .collect()
}

fn has_hardware(root: &Root, name: &str) -> bool {
    root.join(format!("{CLASS}/{name}/device")).exists()
}

/// The name of the kernel's driver, which is where its link points.
fn driver(root: &Root, name: &str) -> Option<String> {
    let link = std::fs::read_link(root.join(format!("{CLASS}/{name}/device/driver"))).ok()?;
    Path::new(&link).file_name()?.to_str().map(str::to_owned)
}

/// Every address of this network namespace that others may know: no link-local ones of IPv6, which name no host, and no
/// temporary ones.
fn addresses() -> io::Result<Addresses> {
    let asking = socket(AddressFamily::UNIX, SocketType::DGRAM, None)?;
    let mut all = Addresses::new();
    dump(ROUTE, RTM_GETADDR, &[0; MESSAGE_BYTES], |kind, message| {
        let found = address_of(message).filter(|_| kind == RTM_NEWADDR);
        if let Some((index, address)) = found
            && let Ok(name) = index_to_name(&asking, index)
        {
            all.entry(name).or_default().insert(address);
        }
    })?;
    Ok(all)
}

/// The interface's number and an address of it.
fn address_of(message: &[u8]) -> Option<(u32, IpAddr)> {
    let (fixed, rest) = message.split_at_checked(MESSAGE_BYTES)?;
    let value = |wanted| attributes(rest).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    // On a link between two points the address is the other end's and the local one ours.
    let value = value(IFA_LOCAL).or_else(|| value(IFA_ADDRESS))?;
    let address: IpAddr = match value.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).into(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?).into(),
        _ => return None,
    };
    let names_no_host = match address {
        IpAddr::V6(address) => address.is_unicast_link_local() || fixed[2] & IFA_F_TEMPORARY != 0,
        IpAddr::V4(_) => false,
    };
    (!names_no_host).then_some((u32_at(fixed, 4), address))
}

#[cfg(test)]
mod tests {
    use super::super::netlink::{take_answer, testing::answer};
    use super::*;
    use crate::root::testing::TempFiles;

    fn read(flags: u8, attributes: &[(u16, &[u8])]) -> Option<(u32, IpAddr)> {
        let fixed = [2, 24, flags, 0, 3, 0, 0, 0];
        let mut found = None;
        let take = &mut |_: u16, message: &[u8]| found = address_of(message);
        take_answer(&answer(RTM_NEWADDR, &fixed, attributes), take).expect("is well-formed");
        found
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn an_address_is_the_host_s_own_and_known_to_others() {
        let ours = Some((3, "10.0.0.7".parse().expect("an address")));
        assert_eq!(read(0, &[(IFA_ADDRESS, &[10, 0, 0, 7]), (IFA_LOCAL, &[10, 0, 0, 7])]), ours);
        assert_eq!(read(0, &[(IFA_ADDRESS, &[10, 0, 0, 9]), (IFA_LOCAL, &[10, 0, 0, 7])]), ours, "a tunnel");
        let global: Ipv6Addr = "2001:db8::7".parse().expect("an address");
        assert_eq!(read(0, &[(IFA_ADDRESS, &global.octets())]), Some((3, global.into())));
        assert_eq!(read(IFA_F_TEMPORARY, &[(IFA_ADDRESS, &global.octets())]), None);
        let link_local: Ipv6Addr = "fe80::7".parse().expect("an address");
        assert_eq!(read(0, &[(IFA_ADDRESS, &link_local.octets())]), None);
        assert_eq!(read(0, &[(IFA_ADDRESS, &[1, 2, 3])]), None);
    }

    #[test]
    fn interfaces_are_those_with_an_address_or_hardware() {
        let files = TempFiles::new();
        for (name, mac, speed) in [("eth0", "52:54:00:12:34:56", "1000"), ("veth9", "02:00:00:00:00:01", "10000")] {
            files.write(&format!("sys/class/net/{name}/address"), &format!("{mac}\n"));
            files.write(&format!("sys/class/net/{name}/speed"), &format!("{speed}\n"));
            files.write(&format!("sys/class/net/{name}/operstate"), "up\n");
        }
        files.write("sys/class/net/eth0/device/vendor", "0x1af4\n");
        let driver = files.root().join("sys/class/net/eth0/device/driver");
        std::os::unix::fs::symlink("../../../bus/virtio/drivers/virtio_net", driver).expect("is linked");
        files.write("sys/class/net/wg0/speed", "-1\n");
        files.write("sys/class/net/wg0/address", "00:00:00:00:00:00\n");
        let of = |words: &[&str]| words.iter().map(|word| word.parse().expect("an address")).collect::<BTreeSet<_>>();
        let addresses = Addresses::from([
            ("lo".to_owned(), of(&["127.0.0.1"])),
            ("eth0".to_owned(), of(&["2001:db8::7", "10.0.0.7"])),
            ("wg0".to_owned(), of(&["10.8.0.1"])),
        ]);
        let items = described(&files.root(), &addresses);
        assert_eq!(items.iter().map(|item| item.key.as_str()).collect::<Vec<_>>(), ["eth0", "wg0"]);
        let eth0 = &items[0].attributes;
        assert_eq!((eth0["addresses"].as_str(), eth0["speed_mbits"].as_str()), ("10.0.0.7 2001:db8::7", "1000"));
        assert_eq!((eth0["mac_address"].as_str(), eth0["driver"].as_str()), ("52:54:00:12:34:56", "virtio_net"));
        assert!(!items[1].attributes.contains_key("speed_mbits") && !items[1].attributes.contains_key("mac_address"));
        assert_eq!(hardware_addresses(&files.root()).into_iter().collect::<Vec<_>>(), ["52:54:00:12:34:56"]);
    }

    #[test]
    fn this_machine_has_its_loopback_address() {
        let found = addresses().expect("the kernel answers");
        assert!(found.get(LOOPBACK).is_some_and(|all| all.contains(&IpAddr::from([127, 0, 0, 1]))), "{found:?}");
    }
}
