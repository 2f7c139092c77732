//! Globs: `*` any characters, `?` one, everything else itself.

/// Whether the whole of `text` fits `pattern`. In time of their product, whatever they hold.
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last star stood, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// A glob an argument; a last `*` alone matches any further arguments, none included.
pub fn argv(patterns: &[String], words: &[String]) -> bool {
    match patterns.split_last() {
        Some((last, before)) if last == "*" => {
            words.len() >= before.len() && before.iter().zip(words).all(|(pattern, word)| glob(pattern, word))
        }
        _ => words.len() == patterns.len() && patterns.iter().zip(words).all(|(pattern, word)| glob(pattern, word)),
    }
}
