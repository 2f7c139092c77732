//! The tests of the store and the ledger, each run on SQLite and on a real PostgreSQL.
//!
//! A case gets an empty, migrated database of its own. Adding one: a function in a file here, and its line in the list.

mod anomalies;
mod flow;
mod lease;
mod ledger;
mod postgresql;
mod records;
mod transactions;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::testing::Cluster;
use super::{Database, open};

type Case = (&'static str, fn(&Database));

/// Names a list of functions.
macro_rules! cases {
    ($($module:ident :: $name:ident),* $(,)?) => { &[$((concat!(stringify!($module), "::", stringify!($name)), $module::$name)),*] };
}

const CASES: &[Case] = cases![
    transactions::an_error_rolls_all_of_it_back,
    transactions::a_swallowed_error_still_rolls_back,
    transactions::a_failing_work_of_a_group_rolls_back_alone,
    transactions::a_savepoint_within_a_savepoint_rolls_back_alone,
    transactions::a_read_refuses_to_write,
    transactions::a_read_sees_one_snapshot,
    transactions::every_kind_of_value_comes_back,
    transactions::places_go_by_their_number,
    transactions::two_that_wait_for_each_other_both_get_through,
    transactions::a_pool_lends_its_connections_in_turn,
    lease::a_lost_lease_fences_the_one_who_held_it,
    lease::a_lease_is_refused_until_it_runs_out,
    lease::whoever_has_the_place_knows_that_its_holder_is_dead,
    lease::of_two_that_find_a_lease_run_out_one_gets_it,
    lease::a_take_over_waits_for_the_transaction_under_way,
    ledger::an_unharmed_chain_holds,
    ledger::the_way_of_hashing_stays,
    ledger::an_input_is_appended_once,
    ledger::one_flipped_byte_is_found_and_named,
    ledger::what_was_taken_away_is_missed,
    ledger::a_chain_written_anew_breaks_its_checkpoint,
    ledger::an_erased_body_leaves_a_chain_that_holds,
    ledger::what_commands_printed_is_erased_and_what_printed_nothing_stays,
    ledger::facts_are_read_by_filter_and_cursor,
    records::the_desk_is_restored_from_what_is_live,
    records::what_commands_printed_is_forgotten_and_the_records_stay,
    records::incidents_are_listed_newest_first,
    records::changes_are_found_by_what_they_touch,
    records::problems_are_found_by_their_incidents,
    records::events_are_listed_by_label,
    records::items_are_listed_by_class_and_attribute,
    records::an_item_is_told_as_it_was,
    records::relations_are_told_as_they_were,
    flow::an_effect_waits_until_it_is_done_or_given_up,
    flow::each_channel_of_a_notice_goes_its_own_way,
    flow::notices_are_listed_by_state_and_channel,
    flow::a_spool_mark_never_goes_back,
    flow::generations_are_kept_by_their_hash,
    anomalies::nothing_is_lost_or_doubled_wherever_it_fails,
    anomalies::a_group_fails_whole_or_not_at_all,
];

#[test]
fn the_store_keeps_its_promises_on_sqlite() {
    run_all(|name| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = format!("sqlite:{}", folder.path().join(format!("{}.db", name.replace("::", "-"))).display());
        (open(&address).expect("opened"), Some(folder))
    });
}

#[test]
fn the_store_keeps_its_promises_on_postgresql() {
    let cluster = Cluster::start().unwrap_or_else(|error| panic!("{error}"));
    run_all(|name| {
        let address = cluster.database(&name.replace("::", "-")).expect("made");
        (open(&address).expect("opened"), None::<()>)
    });
}

/// Runs every case, then fails with the names of those that did.
fn run_all<Keep>(fresh: impl Fn(&str) -> (Database, Option<Keep>)) {
    let failed: Vec<&str> = CASES
        .iter()
        .filter(|(name, case)| {
            let (database, _keep) = fresh(name);
            catch_unwind(AssertUnwindSafe(|| case(&database))).inspect_err(|_| eprintln!("^ in {name}")).is_err()
        })
        .map(|(name, _)| *name)
        .collect();
    assert!(failed.is_empty(), "{} of {} cases failed: {}", failed.len(), CASES.len(), failed.join(", "));
}
