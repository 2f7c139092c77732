//! The table of mounts, `/proc/PID/mounts`: device, mount point, type and options, white space and `\` as octal escapes.

use std::borrow::Cow;

#[derive(Debug, PartialEq, Eq)]
pub struct Mount<'a> {
    pub device: Cow<'a, str>,
    pub mountpoint: Cow<'a, str>,
    pub fstype: &'a str,
    pub readonly: bool,
}

pub fn mounts_of(text: &str) -> impl Iterator<Item = Mount<'_>> {
    text.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (device, mountpoint, fstype, options) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let readonly = options.split(',').any(|option| option == "ro");
        Some(Mount { device: unescaped(device), mountpoint: unescaped(mountpoint), fstype, readonly })
    })
}

/// Mount points that node_exporter leaves out by default: the kernel's and the container engines' own.
pub fn is_own_business(mountpoint: &str) -> bool {
    let at_or_under =
        |root: &str| mountpoint.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let under = |root: &str| mountpoint.strip_prefix(root).is_some_and(|rest| !rest.is_empty());
    ["/dev", "/proc", "/sys"].into_iter().any(at_or_under)
        || ["/run/credentials/", "/var/lib/docker/", "/var/lib/containers/storage/"].into_iter().any(under)
}

fn unescaped(word: &str) -> Cow<'_, str> {
    if !word.contains('\\') {
        return Cow::Borrowed(word);
    }
    let (mut out, mut rest) = (Vec::with_capacity(word.len()), word.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let octal = after
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 8).ok()));
        out.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_and_options_are_words() {
        let text = "//nas/my\\040share /mnt/a\\011b\\134c cifs rw,errors=remount-ro 0 0\n/dev/sr0 /cd iso9660 ro 0 0\n";
        let mounts: Vec<Mount<'_>> = mounts_of(text).collect();
        assert_eq!((mounts[0].device.as_ref(), mounts[0].mountpoint.as_ref()), ("//nas/my share", "/mnt/a\tb\\c"));
        assert!(!mounts[0].readonly, "errors=remount-ro is not ro");
        assert!(mounts[1].readonly);
    }

    #[test]
    fn a_damaged_escape_is_taken_as_it_stands() {
        for (word, read) in [("a\\04", "a\\04"), ("a\\999", "a\\999"), ("\\", "\\"), ("\\0404", " 4")] {
            assert_eq!(unescaped(word), read, "{word}");
        }
    }

    #[test]
    fn the_kernel_s_and_the_engines_mounts_are_left_out() {
        for mountpoint in ["/dev", "/dev/shm", "/proc", "/sys/fs/cgroup", "/var/lib/docker/overlay2/x/merged"] {
            assert!(is_own_business(mountpoint), "{mountpoint}");
        }
        for mountpoint in ["/", "/devices", "/var/lib/docker", "/run", "/srv/proc"] {
            assert!(!is_own_business(mountpoint), "{mountpoint}");
        }
    }
}
