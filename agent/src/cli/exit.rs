//! How a command ended: exit codes are promised, and stand in `--help`.

use std::fmt;

use crate::config::ConfigError;
use crate::enrol::EnrolError;
use crate::run::RunError;

/// What the shell is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    /// clap's own.
    Usage = 2,
    Configuration = 3,
    NotEnrolled = 4,
    Unreachable = 5,
}

impl Exit {
    pub const ALL: [Self; 6] =
        [Self::Done, Self::Failed, Self::Usage, Self::Configuration, Self::NotEnrolled, Self::Unreachable];
}

/// The table at the end of `--help`.
pub const TABLE: &str = "Exit codes:
  0  done
  1  failed; standard error says what, and why
  2  the command line is wrong
  3  the settings or the policy have faults, or cannot be read
  4  this host is not enrolled, or the enrolment was refused
  5  the running agent cannot be reached, or does not take the event";

/// Why a command failed. Prints its whole chain of causes.
#[derive(Debug)]
pub enum Failure {
    Configuration(ConfigError),
    Enrolment(anyhow::Error),
    Unreachable(anyhow::Error),
    /// The agent does not run, or ended with a fault.
    Run(anyhow::Error),
    Other(anyhow::Error),
}

impl Failure {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Configuration(_) => Exit::Configuration,
            Self::Enrolment(_) => Exit::NotEnrolled,
            Self::Unreachable(_) => Exit::Unreachable,
            Self::Run(cause) => match cause.downcast_ref::<RunError>() {
                Some(RunError::Identity(EnrolError::NotEnrolled { .. })) => Exit::NotEnrolled,
                _ => Exit::Failed,
            },
            Self::Other(_) => Exit::Failed,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Faults stand alone, a line each, so that an editor finds the places.
            Self::Configuration(ConfigError::Faults(faults)) => write!(f, "{faults}"),
            Self::Configuration(unreadable @ ConfigError::Unreadable { source, .. }) => {
                write!(f, "watchkeep-agent: {unreadable}: {source}")
            }
            Self::Enrolment(cause) | Self::Unreachable(cause) | Self::Run(cause) | Self::Other(cause) => {
                write!(f, "watchkeep-agent: {cause:#}")
            }
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(fault: ConfigError) -> Self {
        Self::Configuration(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_not_enrolled_has_its_own_code() {
        let state = tempfile::tempdir().expect("a temporary directory");
        let fault = crate::enrol::Identity::load(state.path()).expect_err("nobody enrolled");
        assert_eq!(Failure::Run(RunError::from(fault).into()).exit(), Exit::NotEnrolled);
        let system = RunError::System { doing: "make the runtime", source: std::io::Error::other("no") };
        let failure = Failure::Run(system.into());
        assert_eq!(failure.exit(), Exit::Failed);
        assert_eq!(failure.to_string(), "watchkeep-agent: make the runtime: no");
    }
}
