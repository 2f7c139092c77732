//! What is wrong with an expression, shown in it.
//!
//! The controller says each fault as `LINE:COLUMN: what`, several with `; ` between; characters are counted from 1.

/// `message` with each fault shown below the line of `expr` that it is in. What has no place is told as it came.
pub fn shown(expr: &str, message: &str) -> String {
    faults(message).iter().map(|fault| with_caret(expr, fault)).collect::<Vec<_>>().join("\n")
}

/// The faults of a message: what follows a `; ` is a further one where it begins with a place.
fn faults(message: &str) -> Vec<String> {
    let mut faults: Vec<String> = Vec::new();
    for part in message.split("; ") {
        match faults.last_mut() {
            Some(fault) if place(part).is_none() => fault.extend(["; ", part]),
            _ => faults.push(part.to_owned()),
        }
    }
    faults
}

/// The line and the column that a fault begins with.
fn place(fault: &str) -> Option<(usize, usize)> {
    let (line, rest) = fault.split_once(':')?;
    let (column, _) = rest.split_once(": ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

fn with_caret(expr: &str, fault: &str) -> String {
    let found = place(fault).and_then(|(line, column)| {
        let text = expr.lines().nth(line.checked_sub(1)?)?;
        Some((line, column.checked_sub(1)?.min(text.chars().count()), text))
    });
    let Some((line, before, text)) = found else { return fault.to_owned() };
    let gap = " ".repeat(line.to_string().len());
    // A tab is as wide as a tab there, too.
    let indent: String = text.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    format!("{fault}\n{gap} |\n{line} | {text}\n{gap} | {indent}^")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_shown_where_it_is() {
        let told = shown("sum(up)\n  + )", "2:5: unexpected ); 2:6: there is no end; did you mean \"(\"?");
        let expected = "2:5: unexpected )\n  |\n2 |   + )\n  |     ^\n2:6: there is no end; did you mean \"(\"?\n  |\n2 |   + )\n  |      ^";
        assert_eq!(told, expected);
    }

    #[test]
    fn what_has_no_place_in_the_expression_is_told_as_it_came() {
        for message in ["the step is 0", "9:1: beyond the end", "0:0: nowhere", "18446744073709551616:1: too far"] {
            assert_eq!(shown("up", message), message);
        }
        assert!(shown("up", "1:99: beyond the line").ends_with("\n1 | up\n  |   ^"));
        assert!(shown("\tup )", "1:5: no").ends_with("\n1 | \tup )\n  | \t   ^"));
    }
}
