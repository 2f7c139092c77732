//! What Prometheus takes only where it is asked to, by the same names: `--enable-feature=promql-experimental-functions`.

use std::sync::OnceLock;

/// Parts of the language that are experimental in Prometheus 3; none of them is taken by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// `promql-experimental-functions`
    pub functions: bool,
    /// `promql-duration-expr`: arithmetic where a duration is expected.
    pub durations: bool,
}

pub(super) const FUNCTIONS: &str = "promql-experimental-functions";
pub(super) const DURATIONS: &str = "promql-duration-expr";

static ENABLED: OnceLock<Features> = OnceLock::new();

impl Features {
    /// These and those.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { functions: self.functions || other.functions, durations: self.durations || other.durations }
    }

    /// Reads names that commas separate.
    ///
    /// # Errors
    /// A name is none of those known.
    pub fn named(names: &str) -> Result<Self, String> {
        let mut found = Self::default();
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                FUNCTIONS => found.functions = true,
                DURATIONS => found.durations = true,
                _ => {
                    return Err(format!(
                        "there is no feature \"{name}\" to enable; there are {FUNCTIONS} and {DURATIONS}"
                    ));
                }
            }
        }
        Ok(found)
    }

    /// Takes these for the whole process, before any expression is read: rules, queries and tests read alike.
    ///
    /// # Errors
    /// Others were taken before.
    pub fn enable(self) -> Result<(), String> {
        let taken = *ENABLED.get_or_init(|| self);
        if taken == self { Ok(()) } else { Err("features were enabled before, and others".to_owned()) }
    }

    /// Those of the process.
    pub fn enabled() -> Self {
        ENABLED.get().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_have_prometheus_s_names() {
        assert_eq!(Features::named(""), Ok(Features::default()));
        assert_eq!(Features::named("promql-duration-expr"), Ok(Features { functions: false, durations: true }));
        let both = Features { functions: true, durations: true };
        assert_eq!(Features::named("promql-experimental-functions, promql-duration-expr"), Ok(both));
        let error = Features::named("promql-everything").expect_err("unknown");
        assert!(error.contains("\"promql-everything\"") && error.contains(FUNCTIONS), "{error}");
    }
}
