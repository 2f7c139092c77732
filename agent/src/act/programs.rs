//! Programs by name, on a PATH that nobody can change.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Where names without a slash are looked for, and the PATH of what runs.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The whole path of a program; `None` where there is none of that name. A name with a slash must be absolute.
pub fn resolve(name: &str) -> Option<String> {
    if name.contains('/') {
        return name.starts_with('/').then(|| name.to_owned());
    }
    let executable = |path: &String| {
        std::fs::metadata(Path::new(path)).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    PATH.split(':').map(|folder| format!("{folder}/{name}")).find(executable)
}

/// A user of this host, read from `/etc/passwd` (no name services: `act` also runs where it was linked statically).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

/// The user of this name or number.
pub fn user(wanted: &str) -> Option<User> {
    user_in(&std::fs::read_to_string("/etc/passwd").unwrap_or_default(), wanted)
}

fn user_in(passwd: &str, wanted: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let found = User { name: name.to_owned(), uid: uid.parse().ok()?, gid: gid.parse().ok()? };
        (name == wanted || uid == wanted).then_some(found)
    })
}

/// The number of the group of this name or number, from `/etc/group`.
pub fn group(wanted: &str) -> Option<u32> {
    group_in(&std::fs::read_to_string("/etc/group").unwrap_or_default(), wanted)
}

fn group_in(groups: &str, wanted: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?);
        let number = gid.parse().ok()?;
        (name == wanted || gid == wanted).then_some(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_resolve_on_the_fixed_path_alone() {
        assert!(resolve("sh").is_some_and(|path| path.ends_with("/sh") && path.starts_with('/')));
        assert_eq!(resolve("no-such-program-anywhere"), None);
        assert_eq!(resolve("./sh"), None);
        assert_eq!(resolve("/opt/x").as_deref(), Some("/opt/x"));
    }

    #[test]
    fn users_are_found_by_name_and_number() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nbroken\nwatchkeep-run:x:998:997::/:/usr/sbin/nologin\n";
        let run = User { name: "watchkeep-run".into(), uid: 998, gid: 997 };
        assert_eq!(user_in(passwd, "watchkeep-run"), Some(run.clone()));
        assert_eq!(user_in(passwd, "998"), Some(run));
        assert_eq!(user_in(passwd, "nobody"), None);
    }

    #[test]
    fn groups_are_found_by_name_and_number() {
        let groups = "root:x:0:\nbroken\nwww-data:x:33:alice\n";
        assert_eq!(group_in(groups, "www-data"), Some(33));
        assert_eq!(group_in(groups, "33"), Some(33));
        assert_eq!(group_in(groups, "alice"), None);
    }
}
