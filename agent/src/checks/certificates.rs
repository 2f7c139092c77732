//! Certificates in files: when they run out. A path may name a folder, and its last part a pattern (`*.pem`).

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Found, State, Verdict};
use crate::certificate::{Validity, all_in_pem};
use crate::glob;

/// Files that one path may name.
const FILES: usize = 500;
/// The largest file that is read, bytes.
const FILE_BYTES: u64 = 1 << 20;
/// What files of certificates are called, where a folder is named.
const ENDINGS: [&str; 4] = ["pem", "crt", "cer", "cert"];

/// Reads on a thread that may hang, as a file of the network may.
pub async fn look(paths: &[String], agent: &str, found: &mut Found) -> Verdict {
    let (paths, agent) = (paths.to_vec(), agent.to_owned());
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    match tokio::task::spawn_blocking(move || read_all(&paths, &agent, now_ms)).await {
        Ok((read, verdict)) => {
            found.samples.extend(read.samples);
            verdict
        }
        Err(error) => (State::Unknown, format!("read the files: {error}")),
    }
}

fn read_all(paths: &[String], agent: &str, now_ms: i64) -> (Found, Verdict) {
    let (mut found, mut faults, mut count) = (Found::default(), Vec::new(), 0);
    for path in paths {
        let named = files_of(path);
        if named.as_ref().is_ok_and(Vec::is_empty) {
            faults.push(format!("\"{path}\" names no file"));
        }
        match named {
            Ok(files) => {
                for (file, must_hold) in files {
                    count += 1;
                    faults.extend(read_one(&file, must_hold, agent, now_ms, &mut found).err());
                }
            }
            Err(error) => faults.push(format!("list \"{path}\": {error}")),
        }
    }
    let verdict = match faults.first() {
        None => (State::Ok, format!("{count} files with certificates are read, and all of them are good")),
        Some(first) if faults.len() == 1 => (State::Critical, first.clone()),
        Some(first) => (State::Critical, format!("{first}; and {} more", faults.len() - 1)),
    };
    (found, verdict)
}

/// The files that a path names, and whether each must hold a certificate; in order.
fn files_of(path: &str) -> std::io::Result<Vec<(PathBuf, bool)>> {
    if !Path::new(path).is_dir() {
        return Ok(glob::files(path, FILES)?.into_iter().map(|file| (file, true)).collect());
    }
    let all = glob::files(&format!("{path}/*"), 4 * FILES)?;
    let is_certificate =
        |file: &PathBuf| file.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known));
    Ok(all.into_iter().filter(is_certificate).take(FILES).map(|file| (file, false)).collect())
}

fn read_one(path: &Path, must_hold: bool, agent: &str, now_ms: i64, found: &mut Found) -> Result<(), String> {
    let shown = path.display();
    let instance = format!("{agent}:{shown}");
    let labels = [("instance", instance.as_str())];
    let certificates = certificates_in(path).map_err(|error| format!("read \"{shown}\": {error}"));
    let first = certificates.and_then(|all| {
        let ends = all.iter().map(|der| Validity::of(der).map(|validity| validity.not_after));
        let ends: Option<Vec<i64>> = ends.collect();
        let ends = ends.ok_or_else(|| format!("\"{shown}\" holds what is no certificate"))?;
        Ok(ends.into_iter().min())
    });
    // A folder may hold keys beside its certificates.
    if first == Ok(None) && !must_hold {
        return Ok(());
    }
    let first = first.and_then(|first| first.ok_or_else(|| format!("\"{shown}\" holds no certificate")));
    let good = match first {
        Ok(not_after) => {
            found.expiry(&labels, not_after);
            if not_after > now_ms { Ok(()) } else { Err(format!("a certificate in \"{shown}\" is out of date")) }
        }
        Err(fault) => Err(fault),
    };
    let help = "Whether the check found what it should.";
    found.gauge("probe_success", help, &labels, f64::from(u8::from(good.is_ok())));
    good
}

fn certificates_in(path: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let length = std::fs::metadata(path)?.len();
    if length > FILE_BYTES {
        return Err(std::io::Error::other(format!("it has {length} bytes, more than {FILE_BYTES}")));
    }
    let bytes = std::fs::read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<Vec<u8>> = all_in_pem(&text).collect();
    // A file may be DER itself.
    if all.is_empty() && Validity::of(&bytes).is_some() { Ok(vec![bytes]) } else { Ok(all) }
}
