//! Exit codes: the one table, shown by `watchkeep help-exit-codes`.

/// Done.
pub const OK: u8 = 0;
/// What was asked for was looked at and found wanting.
pub const FOUND_WANTING: u8 = 1;
/// The command line itself is wrong.
pub const USAGE: u8 = 2;
/// The controller cannot be reached, or its answer makes no sense.
pub const UNREACHABLE: u8 = 3;
/// The controller refused: not allowed, not in this state, a guard.
pub const REFUSED: u8 = 4;
/// What was named is not there.
pub const NOT_FOUND: u8 = 5;
/// A file or the data directory cannot be read or written, a port is taken.
pub const ENVIRONMENT: u8 = 6;
/// Another controller decides over the same database or data directory.
pub const HELD: u8 = 7;
/// A bug of ours.
pub const BUG: u8 = 70;

/// Code and meaning, for help and documentation.
pub const TABLE: [(u8, &str); 9] = [
    (OK, "done"),
    (FOUND_WANTING, "looked at and found wanting: faults in a file, a failed test, a ledger that does not verify"),
    (USAGE, "the command line is wrong"),
    (UNREACHABLE, "the controller cannot be reached"),
    (REFUSED, "the controller refused: not allowed, not in this state, a guard"),
    (NOT_FOUND, "what was named is not there"),
    (ENVIRONMENT, "a file, directory or port cannot be used"),
    (HELD, "another controller decides over the same database or data directory"),
    (BUG, "a bug of ours"),
];
