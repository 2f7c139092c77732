//! What is longer than the screen goes through a pager: `WATCHKEEP_PAGER`, else `PAGER`, else `less`; an empty one is none.
//!
//! Only where somebody looks: a pipe or a file gets the text as it is.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::{output, screen};

/// What `less` is told where `LESS` says nothing: end at once if all fits, let colours through, leave the text on the screen.
const LESS: &str = "FRX";

/// Shows `text`, page by page where it is longer than the screen.
pub fn show(text: &str) {
    let set = |name: &str| std::env::var(name).ok();
    let pager = chosen(set("WATCHKEEP_PAGER"), set("PAGER"), has_less);
    let is_long = screen::height().is_some_and(|rows| text.lines().count() >= rows);
    match pager.filter(|_| is_long) {
        Some(pager) if paged(&pager, text) => {}
        _ => output::say(text),
    }
}

/// The command line of the pager; none where there is to be none.
fn chosen(own: Option<String>, common: Option<String>, has_less: impl FnOnce() -> bool) -> Option<String> {
    match own.or(common) {
        Some(chosen) => Some(chosen).filter(|chosen| !chosen.trim().is_empty()),
        None => has_less().then(|| "less".to_owned()),
    }
}

fn has_less() -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join("less").is_file()))
}

/// Whether the pager took the text over.
fn paged(pager: &str, text: &str) -> bool {
    let mut command = Command::new("sh");
    command.args(["-c", pager]).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        command.env("LESS", LESS);
    }
    let Ok(mut child) = command.spawn() else { return false };
    if let Some(mut input) = child.stdin.take() {
        // Who leaves the pager early has seen enough.
        let _ = input.write_all(text.as_bytes());
    }
    // 127 of a shell: there is no such program, and nothing was shown.
    child.wait().is_ok_and(|status| status.code() != Some(127))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_pager_wins_and_an_empty_one_is_none() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(chosen(None, None, || true), some("less"));
        assert_eq!(chosen(None, None, || false), None);
        assert_eq!(chosen(None, some("more"), || true), some("more"));
        assert_eq!(chosen(some("bat -p"), some("more"), || true), some("bat -p"));
        assert_eq!(chosen(some(""), some("more"), || true), None);
    }

    #[test]
    fn a_pager_has_the_whole_text_and_one_that_is_not_there_takes_nothing_over() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("shown");
        let text = "a line\n".repeat(20_000);
        assert!(paged(&format!("cat > '{}'", file.display()), &text));
        assert_eq!(std::fs::read_to_string(&file).expect("it was written"), text);
        assert!(paged("head -1 > /dev/null", &text), "who leaves early has seen enough");
        assert!(!paged("exec no-such-pager 2> /dev/null", &text));
    }
}
