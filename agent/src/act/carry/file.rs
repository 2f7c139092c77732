//! A file or a directory, brought to a state.
//!
//! What changes is written beside the old one, synced and put in its place, so that a reader and a crash see the one or the other.
//! Nothing is done through a symbolic link: the policy judged the path that was written, not where a link leads.

use std::fs::{self, File as Open, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;
use watchkeep_protocol::command::File;
use watchkeep_protocol::{CommandResult, Outcome};

use super::{Granted, failed, programs, unchanged};

/// Of a new file or directory, where nothing is said.
const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;

pub async fn bring(action: &File, granted: &Granted, within: Duration) -> CommandResult {
    let action = action.clone();
    // On a thread, as a file system may hang.
    let work = tokio::task::spawn_blocking(move || brought(&action));
    match timeout(within, work).await {
        Err(_) => CommandResult {
            outcome: Outcome::TimedOut as i32,
            reason: format!("the file system had not answered after {} ms", within.as_millis()),
            ..granted.result()
        },
        Ok(Err(error)) => failed(granted, error.to_string()),
        Ok(Ok(Err(reason))) => failed(granted, reason),
        Ok(Ok(Ok(done))) if done.is_empty() => unchanged(granted, "it was so already"),
        Ok(Ok(Ok(done))) => CommandResult {
            outcome: Outcome::Done as i32,
            stdout: format!("{}\n", done.join("\n")).into_bytes(),
            changed: true,
            ..granted.result()
        },
    }
}

/// What was done, a sentence each.
fn brought(action: &File) -> Result<Vec<String>, String> {
    let path = Path::new(&action.path);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let real = fs::canonicalize(folder).map_err(said("find", folder))?;
    if real != folder {
        return Err(format!("\"{}\" is \"{}\"; name the path by that", folder.display(), real.display()));
    }
    let found = match fs::symlink_metadata(path) {
        Ok(found) => Some(found),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(said("look at", path)(error)),
    };
    if found.as_ref().is_some_and(fs::Metadata::is_symlink) && action.state != "absent" {
        return Err(format!("\"{}\" is a symbolic link; name what it leads to", path.display()));
    }
    match action.state.as_str() {
        "absent" => absent(path, found.as_ref()),
        "directory" => directory(path, found.as_ref(), action),
        _ => file(path, found.as_ref(), action),
    }
}

fn absent(path: &Path, found: Option<&fs::Metadata>) -> Result<Vec<String>, String> {
    match found {
        None => return Ok(Vec::new()),
        // One that holds something stays: what is in it was not named.
        Some(found) if found.is_dir() => fs::remove_dir(path).map_err(said("remove", path))?,
        Some(_) => fs::remove_file(path).map_err(said("remove", path))?,
    }
    Ok(vec!["removed".to_owned()])
}

fn directory(path: &Path, found: Option<&fs::Metadata>, action: &File) -> Result<Vec<String>, String> {
    let mut done = Vec::new();
    match found {
        Some(found) if !found.is_dir() => return Err(format!("\"{}\" is a file", path.display())),
        Some(_) => {}
        None => {
            fs::create_dir(path).map_err(said("make", path))?;
            let mode = Permissions::from_mode(action.mode.unwrap_or(DIRECTORY_MODE));
            fs::set_permissions(path, mode).map_err(said("set the mode of", path))?;
            done.push("made".to_owned());
        }
    }
    done.extend(owned(path, action)?);
    Ok(done)
}

fn file(path: &Path, found: Option<&fs::Metadata>, action: &File) -> Result<Vec<String>, String> {
    if found.is_some_and(fs::Metadata::is_dir) {
        return Err(format!("\"{}\" is a directory", path.display()));
    }
    let mut done = Vec::new();
    match (&action.content, found) {
        (None, None) => return Err(format!("\"{}\" is not there, and no content is given", path.display())),
        (Some(content), found) if found.is_none() || differs(path, content).map_err(said("read", path))? => {
            replace(path, content, found, action)?;
            done.push(format!("wrote {} bytes", content.len()));
        }
        _ => {}
    }
    done.extend(owned(path, action)?);
    Ok(done)
}

fn differs(path: &Path, content: &str) -> io::Result<bool> {
    Ok(fs::metadata(path)?.len() != content.len() as u64 || fs::read(path)? != content.as_bytes())
}

/// Puts the content in place with the mode and the owner that were there, or those that are wanted.
fn replace(path: &Path, content: &str, found: Option<&fs::Metadata>, action: &File) -> Result<(), String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.watchkeep"));
    // Left by one that was killed: only root writes here under such a name.
    let _none_is_left = fs::remove_file(&beside);
    let mut open = OpenOptions::new();
    let written = open.write(true).create_new(true).mode(0o600).open(&beside).and_then(|mut file| {
        file.write_all(content.as_bytes())?;
        let kept = found.map(|found| (found.uid(), found.gid(), found.mode() & 0o7777));
        if let Some((uid, gid, _)) = kept {
            let own = file.metadata()?;
            if (own.uid(), own.gid()) != (uid, gid) {
                chown(&beside, Some(uid), Some(gid))?;
            }
        }
        let mode = action.mode.or(kept.map(|(_, _, mode)| mode)).unwrap_or(FILE_MODE);
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        Open::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
    });
    written.map_err(|error| {
        let _none_is_left = fs::remove_file(&beside);
        said("write", path)(error)
    })
}

/// Brings mode and owners to what is wanted.
fn owned(path: &Path, action: &File) -> Result<Vec<String>, String> {
    let mut done = Vec::new();
    let found = fs::symlink_metadata(path).map_err(said("look at", path))?;
    let unknown = |what: &str, name: &str| format!("there is no {what} \"{name}\" on this host");
    let owner = match action.owner.as_str() {
        "" => None,
        name => Some(programs::user(name).ok_or_else(|| unknown("user", name))?.uid),
    };
    let group = match action.group.as_str() {
        "" => None,
        name => Some(programs::group(name).ok_or_else(|| unknown("group", name))?),
    };
    let owner = owner.filter(|uid| *uid != found.uid());
    let group = group.filter(|gid| *gid != found.gid());
    if owner.is_some() || group.is_some() {
        chown(path, owner, group).map_err(said("set the owner of", path))?;
        done.extend(owner.map(|_| format!("owner {}", action.owner)));
        done.extend(group.map(|_| format!("group {}", action.group)));
    }
    // A change of owner takes the set-user-id bits away.
    let mode = fs::symlink_metadata(path).map_err(said("look at", path))?.mode() & 0o7777;
    if let Some(wanted) = action.mode.filter(|wanted| *wanted != mode) {
        fs::set_permissions(path, Permissions::from_mode(wanted)).map_err(said("set the mode of", path))?;
        done.push(format!("mode {wanted:04o}"));
    }
    Ok(done)
}

fn said(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{doing} \"{path}\": {error}")
}
