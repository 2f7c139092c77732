//! The reader's screen: how wide it is, and how text fits on it.
//!
//! Whoever is on call reads on a phone. Text goes on in a further line, indented; where nobody looks (a pipe, a file) a line
//! is as long as it is, so that programs find what stands in it.

use std::io::IsTerminal as _;

/// A screen without a border: nothing is broken into lines.
pub const UNBOUNDED: usize = usize::MAX;
/// Narrower than this nothing can be read; a terminal that says less is not believed.
const NARROWEST: usize = 40;

/// Columns of the terminal that standard output goes to, or of `COLUMNS`; [`UNBOUNDED`] where neither is there.
pub fn width() -> usize {
    let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    asked.or_else(of_terminal).filter(|columns| *columns >= NARROWEST).unwrap_or(UNBOUNDED)
}

/// Rows of the terminal that standard output goes to; none where that is no terminal, or does not know.
pub fn height() -> Option<usize> {
    terminal().map(|size| usize::from(size.ws_row)).filter(|rows| *rows > 0)
}

fn of_terminal() -> Option<usize> {
    terminal().map(|size| usize::from(size.ws_col))
}

fn terminal() -> Option<rustix::termios::Winsize> {
    let out = std::io::stdout();
    out.is_terminal().then(|| rustix::termios::tcgetwinsize(&out).ok()).flatten()
}

/// `text` behind `head`, in lines of `width` characters at most, each but the first indented as wide as `head` is; a word that
/// is longer than a line is broken. Ends with a line's end.
pub fn behind(head: &str, text: &str, width: usize) -> String {
    let indent = head.chars().count();
    let room = width.saturating_sub(indent).max(NARROWEST / 2);
    let lines = broken(text, room);
    let mut out = format!("{head}{}\n", lines.first().map_or("", String::as_str));
    for line in lines.iter().skip(1) {
        out.push_str(&format!("{:indent$}{line}\n", ""));
    }
    out
}

/// The lines of a text, each of `room` characters at most.
fn broken(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut taken = 0;
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        let line = lines.last_mut().expect("there is always one");
        if taken > 0 && word.len() < room.saturating_sub(taken) {
            line.push(' ');
            line.extend(&word);
            taken += 1 + word.len();
            continue;
        }
        if taken > 0 {
            lines.push(String::new());
        }
        while word.len() > room {
            let rest = word.split_off(room);
            lines.last_mut().expect("there is always one").extend(&word);
            lines.push(String::new());
            word = rest;
        }
        lines.last_mut().expect("there is always one").extend(&word);
        taken = word.len();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_on_below_where_it_began() {
        let told = behind("  12:00  ", "nginx.service failed on web-3 for the third time", 34);
        assert_eq!(told, "  12:00  nginx.service failed on\n         web-3 for the third time\n");
        assert!(told.lines().all(|line| line.chars().count() <= 34));
        assert_eq!(behind("a ", "one two", UNBOUNDED), "a one two\n");
        assert_eq!(behind("a ", "", 40), "a \n");
    }

    #[test]
    fn a_word_longer_than_a_line_is_broken_and_nothing_is_lost() {
        let long = "ä".repeat(45);
        let told = behind("", &format!("a {long} b"), 20);
        assert_eq!(told, format!("a\n{0}\n{0}\n{1} b\n", "ä".repeat(20), "ä".repeat(5)));
    }

    #[test]
    fn words_fill_a_line_to_its_last_place() {
        assert_eq!(behind("", "aaaaaaaaaa bbbbbbbbb c", 20), "aaaaaaaaaa bbbbbbbbb\nc\n");
        assert_eq!(behind("", "aaaaaaaaaa bbbbbbbbbb", 20), "aaaaaaaaaa\nbbbbbbbbbb\n");
    }
}
