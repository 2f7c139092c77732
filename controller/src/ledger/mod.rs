//! The ledger: one chain a writer, gapless in commit order, each entry's hash over the one before.
