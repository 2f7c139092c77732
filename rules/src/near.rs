//! The near word: "did you mean".

/// The candidate nearest to `word`, if one is near enough to be what was meant; letter case counts less than letters.
pub fn near<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let length = word.chars().count();
    if length > 64 {
        return None;
    }
    let most = 1 + length / 4;
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= most && *distance < candidate.chars().count())
        // Of equally near ones the one that begins alike for longer: 'rat' is 'rate' rather than 'rad'.
        .min_by_key(|(distance, candidate)| (*distance, std::cmp::Reverse(alike(word, candidate)), *candidate))
        .map(|(_, candidate)| candidate.to_owned())
}

/// Letters that both begin with.
fn alike(word: &str, candidate: &str) -> usize {
    word.chars().zip(candidate.chars()).take_while(|(one, other)| one == other).count()
}

/// Edits from one to the other: insertion, deletion, replacement, and the swap of neighbours.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.to_lowercase().chars().collect();
    let to: Vec<char> = to.to_lowercase().chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for row in 1..=from.len() {
        let mut current = vec![row; to.len() + 1];
        for column in 1..=to.len() {
            let replaced = last[column - 1] + usize::from(from[row - 1] != to[column - 1]);
            let mut best = replaced.min(last[column] + 1).min(current[column - 1] + 1);
            let swapped = row > 1 && column > 1 && from[row - 1] == to[column - 2] && from[row - 2] == to[column - 1];
            if swapped {
                best = best.min(before_last[column - 2] + 1);
            }
            current[column] = best;
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_found_and_a_far_one_is_not() {
        let known = ["humanize", "humanizePercentage", "expr", "for", "labels"];
        let table = [
            ("humanisePercentage", Some("humanizePercentage")),
            ("exrp", Some("expr")),
            ("label", Some("labels")),
            ("LABELS", Some("labels")),
            ("fro", Some("for")),
            ("interval", None),
            ("foo", Some("for")),
            ("", None),
        ];
        for (word, expected) in table {
            assert_eq!(near(word, known).as_deref(), expected, "{word}");
        }
    }
}
