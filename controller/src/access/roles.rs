//! What somebody may do: four roles, each of which may also do what those below it may.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a token's holder or a person may do, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Read.
    Viewer,
    /// Be on call: work on incidents and problems, start and approve runs, silence alerts, stop all runbooks.
    Responder,
    /// Say what is true of the estate, and bring in alerts and samples from outside.
    Operator,
    /// People, tokens, agents, configuration.
    Admin,
}

/// The one list of roles and their words.
pub const ROLES: [(Role, &str); 4] =
    [(Role::Viewer, "viewer"), (Role::Responder, "responder"), (Role::Operator, "operator"), (Role::Admin, "admin")];

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = ROLES.iter().find(|(role, _)| role == self).map_or("", |(_, word)| word);
        f.write_str(word)
    }
}

/// "owner" is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{found}\" is no role; there are viewer, responder, operator and admin")]
pub struct RoleError {
    pub found: String,
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        let found = ROLES.iter().find(|(_, word)| *word == text);
        found.map(|(role, _)| *role).ok_or_else(|| RoleError { found: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_do_what_those_below_it_may() {
        assert!(ROLES.is_sorted_by_key(|(role, _)| *role));
        for (role, word) in ROLES {
            assert_eq!((word.parse(), role.to_string().as_str()), (Ok(role), word));
        }
        let refused = "owner".parse::<Role>().expect_err("no role");
        assert!(refused.to_string().contains("viewer, responder, operator and admin"), "{refused}");
    }
}
