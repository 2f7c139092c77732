//! Enums whose variants are words of the trade: one list gives the variant, its word, its serialised form and its parser.

/// A word that is none of those it could be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{found}\" is no {noun}; it is one of {}", known.join(", "))]
pub struct UnknownWord {
    pub found: String,
    /// `state of an incident`.
    pub noun: &'static str,
    pub known: Vec<&'static str>,
}

/// Declares an enum of words: `ALL` in order, `word`, `Display`, `FromStr`, and serde by the same word.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident $noun:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that people, YAML, JSON and the tables use.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::words::UnknownWord;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|known| known.word() == text).ok_or_else(|| crate::words::UnknownWord {
                    found: text.to_owned(),
                    noun: $noun,
                    known: Self::ALL.iter().map(|known| known.word()).collect(),
                })
            }
        }

        impl crate::flow::Word for $name {
            const ALL: &'static [Self] = Self::ALL;
            fn word(self) -> &'static str {
                Self::word(self)
            }
        }
    };
}
pub(crate) use words;

#[cfg(test)]
mod tests {
    use crate::incidents::State;

    #[test]
    fn a_word_is_the_same_in_json_and_in_speech() {
        for state in State::ALL {
            assert_eq!(serde_json::json!(state), serde_json::json!(state.word()));
            assert_eq!(state.word().parse(), Ok(*state));
        }
    }

    #[test]
    fn an_unknown_word_names_the_known() {
        let error = "solved".parse::<State>().expect_err("no such state");
        assert_eq!(
            error.to_string(),
            "\"solved\" is no state of an incident; it is one of new, acknowledged, in_progress, on_hold, resolved, closed, cancelled"
        );
    }
}
