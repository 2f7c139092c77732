//! NVMe controllers: which they are and in which state, as labels, from `/sys/class/nvme`.
//! [Source: kernel, drivers/nvme/host/sysfs.c]

use std::path::PathBuf;

use watchkeep_protocol::MetricKind::Gauge;

use super::CollectError;
use super::families::{Families, Family, Sparse};
use super::sysfs::{Attribute, Folder};
use crate::root::Root;

const INFO: Family<'_> = Family {
    name: "node_nvme_info",
    kind: Gauge,
    help: "Non-numeric data from /sys/class/nvme/<device>, value is always 1.",
};

pub struct Nvme {
    controllers: Folder<Controller>,
}

struct Controller {
    folder: PathBuf,
    /// firmware, model, serial: firmware may be changed while it runs, and comes with a reset.
    words: [Attribute; 3],
    state: Attribute,
}

impl Nvme {
    pub fn new(root: &Root) -> Self {
        Self { controllers: Folder::seldom(root.join("sys/class/nvme")) }
    }
}

impl Sparse for Nvme {
    fn name(&self) -> &'static str {
        "nvme"
    }

    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError> {
        let controllers = self.controllers.look(|folder, _| {
            let (words, state) = (Default::default(), Attribute::default());
            folder.is_dir().then(|| Controller { folder: folder.to_owned(), words, state })
        })?;
        for (device, Controller { folder, words: [firmware, model, serial], state }) in controllers {
            let lines = [(firmware, "firmware_rev"), (model, "model"), (serial, "serial"), (state, "state")]
                .map(|(attribute, file)| attribute.line(folder, file));
            let [firmware, model, serial, state] = lines.each_ref().map(|line| line.as_ref().map_or("", |l| l.text()));
            let labels = [
                ("device", device.as_str()),
                ("firmware_revision", firmware),
                ("model", model),
                ("serial", serial),
                ("state", state),
            ];
            families.set(INFO, &labels, 1.0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{SparseStage, TempFiles};

    #[test]
    fn a_controller_that_dies_says_so() {
        let files = TempFiles::new();
        files.write("sys/class/nvme/nvme0/model", "KIOXIA KXG60ZNV512G                     \n");
        files.write("sys/class/nvme/nvme0/state", "live\n");
        let mut stage = SparseStage::of(Nvme::new(&files.root()));
        let line = |state| {
            format!(
                "node_nvme_info{{device=\"nvme0\",firmware_revision=\"\",model=\"KIOXIA KXG60ZNV512G\",serial=\"\",state=\"{state}\"}} 1"
            )
        };
        assert_eq!(stage.read().lines(), [line("live")]);
        files.write("sys/class/nvme/nvme0/state", "dead\n");
        assert_eq!(stage.read().lines(), [line("dead")]);
    }
}
