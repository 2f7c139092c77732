//! The host itself: who it is, to people and to the CMDB's identification.

use watchkeep_protocol::inventory::Item;

use super::{hardware, item};
use crate::root::Root;

/// Attribute and file under `/sys/class/dmi/id`. The serial numbers and the UUID are root's alone on most kernels.
const DMI: [(&str, &str); 9] = [
    ("dmi_vendor", "sys_vendor"),
    ("dmi_product", "product_name"),
    ("dmi_serial", "product_serial"),
    ("dmi_uuid", "product_uuid"),
    ("dmi_board_vendor", "board_vendor"),
    ("dmi_board", "board_name"),
    ("dmi_board_serial", "board_serial"),
    ("dmi_asset_tag", "chassis_asset_tag"),
    ("dmi_bios_version", "bios_version"),
];

/// What a hypervisor writes into the DMI's vendor or product, and systemd's word for it.
const HYPERVISORS: [(&str, &str); 10] = [
    ("KVM", "kvm"),
    ("QEMU", "qemu"),
    ("Amazon EC2", "amazon"),
    ("Google Compute Engine", "google"),
    ("VMware", "vmware"),
    ("VirtualBox", "oracle"),
    ("innotek GmbH", "oracle"),
    ("Xen", "xen"),
    ("Parallels", "parallels"),
    ("Virtual Machine", "microsoft"),
];

/// The one item of section `host`; it is the anchor of all others.
pub fn items(root: &Root) -> Vec<Item> {
    let hostname = root.line("proc/sys/kernel/hostname");
    let fqdn = hostname.as_deref().and_then(|name| fqdn(name, &root.text("etc/hosts")));
    let uname = rustix::system::uname();
    let mut attributes = vec![
        ("hostname", hostname.clone()),
        ("fqdn", fqdn),
        ("machine_id", root.line("etc/machine-id")),
        ("boot_id", Some(root.boot_id())),
        ("kernel", root.line("proc/sys/kernel/osrelease")),
        ("architecture", Some(uname.machine().to_string_lossy().into_owned())),
        ("virtualization", Some(virtualization(root))),
    ];
    attributes.extend(DMI.map(|(attribute, file)| (attribute, root.line(&format!("sys/class/dmi/id/{file}")))));
    attributes.extend(hardware::attributes(root));
    vec![item("host", hostname.unwrap_or_else(|| "localhost".to_owned()), attributes)]
}

/// The name with its domain: the host name where it has a dot, else the canonical name of its line in `/etc/hosts`.
/// No name service is asked: it may hang, and its answer is not the host's word.
fn fqdn(hostname: &str, hosts: &str) -> Option<String> {
    if hostname.contains('.') {
        return Some(hostname.to_owned());
    }
    hosts.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace().skip(1);
        let canonical = words.next()?;
        let ours = canonical.split('.').next() == Some(hostname) || words.any(|alias| alias == hostname);
        (ours && canonical.contains('.') && !canonical.starts_with("localhost")).then(|| canonical.to_owned())
    })
}

/// In systemd-detect-virt's words: the container's manager, else the hypervisor, `vm-other`, or `none`.
fn virtualization(root: &Root) -> String {
    if let Some(container) = root.line("run/systemd/container") {
        return container;
    }
    let dmi = ["product_name", "sys_vendor", "bios_vendor"]
        .map(|file| root.line(&format!("sys/class/dmi/id/{file}")).unwrap_or_default());
    let named = HYPERVISORS.iter().find(|(mark, _)| dmi.iter().any(|said| said.contains(mark)));
    if let Some((_, word)) = named {
        return (*word).to_owned();
    }
    let cpuinfo = root.text("proc/cpuinfo");
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let virtual_cpu = flags.split_ascii_whitespace().any(|flag| flag == "hypervisor");
    if virtual_cpu { "vm-other" } else { "none" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::testing::TempFiles;

    #[test]
    fn the_host_says_who_it_is() {
        let files = TempFiles::new();
        files.write("proc/sys/kernel/hostname", "web-1\n");
        files.write("proc/sys/kernel/osrelease", "6.1.0-26-amd64\n");
        files.write("proc/sys/kernel/random/boot_id", "5d0c\n");
        files.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        files.write("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 web-1.shop.example web-1 # ours\n");
        files.write("sys/class/dmi/id/sys_vendor", "QEMU\n");
        let host = items(&files.root()).remove(0);
        assert_eq!((host.class.as_str(), host.key.as_str()), ("host", "web-1"));
        let expected = [
            ("boot_id", "5d0c"),
            ("dmi_vendor", "QEMU"),
            ("fqdn", "web-1.shop.example"),
            ("hostname", "web-1"),
            ("kernel", "6.1.0-26-amd64"),
            ("machine_id", "0123456789abcdef0123456789abcdef"),
            ("virtualization", "qemu"),
        ];
        let mut found = host.attributes.clone();
        assert!(found.remove("architecture").is_some_and(|word| !word.is_empty()));
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect());
    }

    #[test]
    fn a_name_without_a_domain_stays_one() {
        let cases = [
            ("web-1", "127.0.1.1 web-1\n", None),
            ("web-1", "10.0.0.1 web-10.shop.example\n", None),
            ("web-1", "10.0.0.1 web-1.shop.example\n", Some("web-1.shop.example")),
            ("localhost", "127.0.0.1 localhost.localdomain localhost\n", None),
            ("db.shop.example", "", Some("db.shop.example")),
        ];
        for (hostname, hosts, expected) in cases {
            assert_eq!(fqdn(hostname, hosts).as_deref(), expected, "{hostname} {hosts}");
        }
    }

    #[test]
    fn virtualization_is_the_nearest_layer() {
        let files = TempFiles::new();
        assert_eq!(virtualization(&files.root()), "none");
        files.write("proc/cpuinfo", "flags\t\t: fpu hypervisor sse\n");
        assert_eq!(virtualization(&files.root()), "vm-other");
        files.write("sys/class/dmi/id/product_name", "VirtualBox\n");
        assert_eq!(virtualization(&files.root()), "oracle");
        files.write("run/systemd/container", "systemd-nspawn");
        assert_eq!(virtualization(&files.root()), "systemd-nspawn");
    }
}
