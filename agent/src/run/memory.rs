//! Memory that was needed once and is no longer.
//!
//! The agent's start and its first look at the host need most of its program and twice of its heap: settings are read,
//! identities are checked, a thousand packages are listed. What it does from then on needs a third of that.

/// Gives back what is free in the heap, and lets go of the program's pages that were read for something done long ago.
///
/// glibc keeps what is free in its heap where it lies between pieces that are in use. The program's pages belong to the
/// file, not to us: the kernel keeps them in its cache, where it may drop them when it is short, and maps those that are
/// run again, sixteen at a fault (`fault_around_bytes`), without reading the disk.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let heap = trim();
        let program = unmap();
        tracing::debug!(heap, ?program, "memory is given back");
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "std and rustix have no malloc_trim; it takes a number, and glibc locks its own heap")]
fn trim() -> bool {
    unsafe extern "C" {
        /// malloc_trim(3): how many bytes to keep at the top; says whether anything was given back.
        safe fn malloc_trim(pad: usize) -> std::ffi::c_int;
    }
    malloc_trim(0) == 1
}

/// Lets go of the program's constants and code, which are mapped from its file and never written.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "whose pages may be let go of is known to the linker and to nobody else")]
fn unmap() -> rustix::io::Result<()> {
    use rustix::mm::{Advice, madvise};

    // The linkers of ELF give these two (end(3)): what lies between them is in segments without the right to write, so
    // that nothing there, a relocation least of all, is ours alone and would be lost.
    unsafe extern "C" {
        static __executable_start: u8;
        static etext: u8;
    }
    let page = rustix::param::page_size();
    let (start, end) = (&raw const __executable_start, &raw const etext);
    let length = (end.addr() - start.addr()) / page * page;
    // SAFETY: a private mapping of a file that was not written to reads the same when it is faulted in again.
    unsafe { madvise(start.cast_mut().cast(), length, Advice::LinuxDontNeed) }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    /// How much of this program's file is resident, KiB: `RssFile` of proc_pid_status(5).
    fn mapped_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("the kernel tells");
        let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    #[test]
    fn the_program_goes_on_with_fewer_of_its_pages() {
        let settings = || format!("{:?}", crate::config::AgentConfig::parse("agent.yaml", "name: web1\nnosuch: 1\n"));
        let said = settings();
        let before = mapped_kib();
        super::unmap().expect("the range is mapped");
        let after = mapped_kib();
        assert!(after < before, "{before} KiB, then {after}");
        assert_eq!(settings(), said, "what is run again is the same");
    }
}
