//! States as tables: (state, action) → state, with who may and what must be filled in.
//!
//! Each practice has one [`Flow`]: a list of what is allowed and one function that says why the rest is not. Code asks
//! [`Flow::step`]; documentation and console are made from [`Flow::table`].

use serde::Serialize;

use crate::words::words;

/// A closed list of words.
pub trait Word: Copy + Eq + 'static {
    const ALL: &'static [Self];
    fn word(self) -> &'static str;
}

words! {
    /// Who takes an action.
    Who "kind of actor" {
        /// Somebody whose rights the caller has checked.
        Person = "person",
        /// A rule, by an alert of it.
        Alert = "alert",
        /// A runbook's run.
        Run = "run",
        /// The controller's own clockwork.
        Controller = "controller",
    }
}

/// One line of what is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Allowed<S: 'static, A> {
    pub from: &'static [S],
    pub action: A,
    /// None: the state stays as it is.
    pub to: Option<S>,
    pub who: &'static [Who],
    /// What must be filled in: `note`, `code`, `awaiting`, `plan_hash`.
    pub needs: &'static [&'static str],
}

/// The states of one kind of record, and how it goes from one to the next.
#[derive(Clone, Copy, Debug)]
pub struct Flow<S: 'static, A: 'static> {
    /// `incident`.
    pub noun: &'static str,
    pub allowed: &'static [Allowed<S, A>],
    /// What stands against an action that is not allowed, and what would help; follows "it is STATE".
    pub against: fn(S, A) -> &'static str,
}

/// An action that is not allowed in a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {} this {noun}: it is {}; {against}", action.replace('_', " "), state.replace('_', " "))]
pub struct NotAllowed {
    pub noun: &'static str,
    pub action: &'static str,
    pub state: &'static str,
    pub against: &'static str,
}

/// One pair of the table, for documentation and console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    pub state: &'static str,
    pub action: &'static str,
    /// The state after it; none where it is refused.
    pub to: Option<&'static str>,
    pub who: Vec<&'static str>,
    pub needs: Vec<&'static str>,
    /// Why it is refused.
    pub refused: Option<String>,
}

impl<S: Word, A: Word> Flow<S, A> {
    /// The state after `action`.
    ///
    /// Errors: the pair is not in the table; the error says what would help.
    pub fn step(&self, state: S, action: A) -> Result<S, NotAllowed> {
        self.line(state, action).map(|line| line.to.unwrap_or(state))
    }

    /// The line that allows `action` in `state`.
    pub fn line(&self, state: S, action: A) -> Result<&'static Allowed<S, A>, NotAllowed> {
        self.allowed.iter().find(|line| line.action == action && line.from.contains(&state)).ok_or_else(|| NotAllowed {
            noun: self.noun,
            action: action.word(),
            state: state.word(),
            against: (self.against)(state, action),
        })
    }

    /// Every pair of state and action.
    pub fn table(&self) -> Vec<Cell> {
        S::ALL.iter().flat_map(|&state| A::ALL.iter().map(move |&action| self.cell(state, action))).collect()
    }

    fn cell(&self, state: S, action: A) -> Cell {
        let line = self.line(state, action);
        Cell {
            state: state.word(),
            action: action.word(),
            to: line.as_ref().ok().map(|line| line.to.unwrap_or(state).word()),
            who: line.as_ref().map(|line| line.who.iter().map(|who| who.word()).collect()).unwrap_or_default(),
            needs: line.as_ref().map(|line| line.needs.to_vec()).unwrap_or_default(),
            refused: line.err().map(|error| error.to_string()),
        }
    }
}

/// Walks the whole table: each pair is allowed by one line at most or refused with a sentence, and no line is dead.
#[cfg(test)]
pub(crate) fn check<S: Word + std::fmt::Debug, A: Word + std::fmt::Debug>(flow: &Flow<S, A>) -> String {
    for &state in S::ALL {
        for &action in A::ALL {
            let lines = flow.allowed.iter().filter(|line| line.action == action && line.from.contains(&state)).count();
            assert!(lines <= 1, "{lines} lines allow {action:?} in {state:?}");
            if let Err(refused) = flow.step(state, action) {
                assert!(refused.against.len() > 10, "no sentence against {action:?} in {state:?}");
            }
        }
    }
    for &action in A::ALL {
        let line = flow.allowed.iter().find(|line| line.action == action);
        let line = line.unwrap_or_else(|| panic!("{action:?} is never allowed"));
        assert!(!line.who.is_empty(), "nobody may {action:?}");
    }
    let rows = flow.table().into_iter().map(|cell| match (&cell.to, &cell.refused) {
        (Some(to), _) => {
            let needs =
                if cell.needs.is_empty() { String::new() } else { format!(", needs {}", cell.needs.join(", ")) };
            format!("{} + {} -> {to}  ({}{needs})", cell.state, cell.action, cell.who.join(", "))
        }
        (None, refused) => format!("{} + {} !  {}", cell.state, cell.action, refused.as_deref().unwrap_or_default()),
    });
    rows.collect::<Vec<_>>().join("\n")
}
