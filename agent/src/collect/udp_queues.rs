//! Bytes that wait in the queues of all UDP sockets, from `/proc/net/udp` and `/proc/net/udp6`.

use watchkeep_protocol::MetricKind::Gauge;
use watchkeep_protocol::layout::Template;

use super::proc_text::ProcText;
use super::table::Table;
use super::{CollectError, Collector, Given, metric, template};
use crate::root::Root;

/// Each with the label `ip` of what it says.
const FILES: [(&str, &str); 2] = [("proc/net/udp", "v4"), ("proc/net/udp6", "v6")];
const QUEUES: [&str; 2] = ["tx", "rx"];
/// `tx_queue:rx_queue` in a socket's line, both in hexadecimal.
const PLACE: usize = 4;

pub struct UdpQueues {
    files: [ProcText; FILES.len()],
}

impl UdpQueues {
    pub fn new(root: &Root) -> Self {
        Self { files: FILES.map(|(path, _)| ProcText::new(root.join(path))) }
    }
}

impl Collector for UdpQueues {
    fn template(&self) -> Template {
        let help = "Number of allocated memory in the kernel for UDP datagrams in bytes.";
        template("udp_queues", &["ip", "queue"], vec![metric("node_udp_queues", &[], Gauge, help)])
    }

    /// A kernel may be without IPv6.
    fn read(&mut self, _: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        let (mut read, mut fault) = (0, None);
        for (file, (_, ip)) in self.files.iter_mut().zip(FILES) {
            match file.read_if_there() {
                Ok(text) => {
                    read += 1;
                    for (queue, bytes) in QUEUES.into_iter().zip(waiting(&text)) {
                        table.row(&[ip, queue]).into_iter().for_each(|mut cells| cells.set(0, bytes as f64));
                    }
                }
                Err(why) => fault = fault.or(Some(why)),
            }
        }
        fault.filter(|_| read == 0).map_or(Ok(()), Err)
    }
}

/// Bytes of all sockets, in the order of [`QUEUES`].
fn waiting(text: &str) -> [u64; QUEUES.len()] {
    let mut sums = [0_u64; QUEUES.len()];
    for line in text.lines().skip(1) {
        let queues = line.split_ascii_whitespace().nth(PLACE).unwrap_or_default();
        for (sum, word) in sums.iter_mut().zip(queues.split(':')) {
            *sum = sum.saturating_add(u64::from_str_radix(word, 16).unwrap_or_default());
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, TempFiles};

    #[test]
    fn what_waits_in_all_sockets_is_summed() {
        let files = TempFiles::new();
        let line =
            |queues: &str| format!("  1: 0100007F:0035 00000000:0000 07 {queues} 00:00000000 00000000 0 0 9 2 0 0\n");
        let text = format!(
            "  sl  local_address rem_address   st tx_queue rx_queue\n{}{}",
            line("00000010:000000FF"),
            line("00000001:00000000")
        );
        files.write("proc/net/udp", &text);
        let reading = Stage::of(UdpQueues::new(&files.root())).read();
        let value = |queue: &str| reading.value("node_udp_queues", &[("ip", "v4"), ("queue", queue)]);
        assert_eq!((value("tx"), value("rx")), (Some(17.0), Some(255.0)));
        assert_eq!(reading.value("node_udp_queues", &[("ip", "v6"), ("queue", "tx")]), None, "this kernel has no IPv6");
    }
}
