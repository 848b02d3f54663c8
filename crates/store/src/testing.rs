//! The conformance suite that every backend has to pass, and test doubles of the store.
//!
//! A backend's tests call [`conformance_tests!`] with the path of a function that creates an empty database and returns
//! a [`fixtures::StoreOpener`]. Each opened store is another connection to the same database, as another process has
//! it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

pub mod accept;
pub mod admin;
pub mod broadcasts;
pub mod claims;
pub mod contacts;
pub mod coordination;
pub mod events;
pub mod fixtures;
pub mod prune;
pub mod receipts;
pub mod recipients;
pub mod report;
pub mod store_parts;
pub mod usage;
pub mod user_throttle;

/// Generates one test per function of the suite. `$fresh` is a function that returns a [`fixtures::StoreOpener`].
#[macro_export]
macro_rules! conformance_tests {
    ($fresh:path) => {
        $crate::conformance_tests!(@tests $fresh, accept:
            a_message_is_found_as_it_was_accepted
            numbers_grow_with_every_message
            a_repeated_request_is_answered_as_before
            a_key_with_another_request_is_refused
            what_can_only_be_replayed_is_never_stored
            an_outdated_key_is_forgotten
            a_suppressed_recipient_is_not_written_to
            a_delivery_without_an_address_fails_alone
            a_message_for_nobody_is_not_stored
            the_same_name_twice_fails_alone
            many_callers_at_once_lose_nothing
            two_stores_share_one_truth
        );
        $crate::conformance_tests!(@tests $fresh, claims:
            the_urgent_and_the_longest_waiting_come_first
            what_is_due_comes_from_the_channels_in_turn
            a_channel_without_room_is_not_brought
            a_claim_brings_all_that_is_needed_to_send
            of_many_claims_one_wins
            a_lease_that_ends_makes_the_delivery_due_again
            a_round_that_was_never_recorded_is_lost
            a_recorded_round_is_not_lost
            an_overtaken_round_changes_nothing_but_keeps_its_attempts
            a_round_is_recorded_once
            a_record_whose_answer_was_lost_is_repeated_without_harm
            an_old_delivery_is_still_claimed
            a_retry_waits_with_its_reason
            a_dead_address_becomes_inactive
            rounds_of_unknown_deliveries_are_ignored
        );
        $crate::conformance_tests!(@tests $fresh, receipts:
            a_receipt_delivers_what_was_sent
            a_receipt_twice_changes_nothing
            a_receipt_of_another_provider_is_kept
            a_receipt_without_provider_fits_any
            an_early_receipt_is_applied_by_the_record
            a_receipt_that_may_not_wait_is_dropped
            only_so_many_receipts_wait
            an_early_receipt_without_provider_fits_any
            a_bounce_fails_when_no_resend_is_left
            a_bounce_with_a_resend_left_waits_for_another_provider
            a_dead_address_in_a_receipt_becomes_inactive
            opened_counts_once_and_also_after_delivery
            the_newest_delivery_takes_a_reference_used_twice
        );
        $crate::conformance_tests!(@tests $fresh, contacts:
            contacts_and_subject_come_back_with_the_claim
            one_address_needs_no_contacts
            a_contact_that_is_inactive_is_left_out
            a_person_without_any_active_contact_is_not_written_to
            the_address_that_was_used_becomes_inactive_and_no_other
            who_could_not_be_addressed_stays_active
            a_dead_address_in_a_receipt_lets_the_others_have_it
            a_dead_address_in_a_receipt_is_the_end_when_no_other_is_left
            an_early_receipt_knows_the_address_that_was_used
        );
        $crate::conformance_tests!(@tests $fresh, admin:
            what_waits_can_be_called_off
            what_a_worker_holds_cannot_be_called_off
            what_is_unknown_cannot_be_called_off
            some_of_what_waits_can_be_called_off
            the_last_call_of_each_delivery_is_known
            search_pages_go_back_in_time
            search_finds_by_address_state_and_time
            a_search_counts_a_message_once
            operators_pick_failed_and_waiting
            failed_deliveries_wait_again_with_fresh_tries
            waiting_deliveries_become_due_at_once
            what_was_called_off_stays_so
            recipients_are_remembered
            the_seal_is_the_same_for_all
            the_backlog_counts_what_waits
            snapshots_show_the_newest
            ping_answers
        );
        $crate::conformance_tests!(@tests $fresh, recipients:
            who_says_stop_is_not_written_to
            who_says_start_again_is_written_to
            start_makes_no_dead_address_alive
            the_same_word_twice_changes_nothing
            many_wishes_at_once_are_kept_in_their_order
            a_text_that_is_brought_again_changes_nothing
            a_start_that_is_older_than_the_stop_changes_nothing
            what_waits_for_who_opts_out_is_called_off
        );
        $crate::conformance_tests!(@tests $fresh, report:
            an_empty_store_reports_nothing
            the_report_counts_everything
            fold_is_done_when_it_returns_zero
            folding_changes_comes_to_the_same_as_folding_from_nothing
            late_attempts_are_counted_once
            the_top_ten_are_the_ten_with_most
        );
        $crate::conformance_tests!(@tests $fresh, user_throttle:
            a_user_gets_the_limit_in_any_hour_and_not_one_more
            one_user_does_not_use_up_the_limit_of_another
            a_changed_limit_holds_at_once
            a_replay_does_not_count_and_is_answered_at_the_limit
            nothing_is_stored_of_what_is_throttled
            a_throttled_message_leaves_its_neighbours_alone
            a_message_counts_under_all_its_throttles_or_under_none
            of_many_who_write_at_once_exactly_the_limit_gets_through
        );
        $crate::conformance_tests!(@tests $fresh, usage:
            usage_is_a_persons_own_newest_first
            usage_lies_between_two_moments
            usage_comes_in_pages
            usage_totals_are_by_day_person_and_channel
            usage_totals_say_when_they_are_not_all
        );
        $crate::conformance_tests!(@tests $fresh, broadcasts:
            who_registers_twice_is_there_once
            what_is_given_again_is_changed
            a_broadcast_to_all_is_to_those_who_are_there_then
            a_broadcast_names_its_users_once
            a_broadcast_to_strangers_is_refused_and_they_are_named
            a_broadcast_is_repeated_with_its_key
            a_broadcast_can_be_passed_over
            a_broadcast_to_nobody_is_done
            a_step_is_made_once
            two_stores_spread_one_broadcast_together
            a_broadcast_is_counted
            who_may_not_be_written_to_is_counted_as_refused
            broadcasts_are_listed_newest_first
            an_inbox_holds_what_was_sent_and_nothing_else
            who_opens_says_that_it_arrived
            an_old_broadcast_goes_after_its_messages
        );
        $crate::conformance_tests!(@tests $fresh, prune:
            prune_deletes_what_is_old_and_has_ended
            prune_keeps_the_totals
            prune_counts_what_was_never_folded
            prune_never_gives_a_number_out_again
            prune_forgets_outdated_keys
            forget_comes_to_an_end_a_few_at_a_time
        );
        $crate::conformance_tests!(@tests $fresh, events:
            what_happens_to_a_watched_message_is_kept
            nobody_is_told_of_what_nobody_watches
            failures_are_told_with_their_reason
            what_waits_again_is_told_and_a_retry_is_not
            an_early_receipt_is_told_after_the_send
            a_record_that_is_repeated_or_overtaken_tells_nothing
            lanes_are_found_in_their_order
            a_claimed_event_is_nobody_elses_until_its_lease_ends
            of_many_who_claim_each_event_goes_to_one
            what_became_of_an_event_is_kept_unless_it_was_overtaken
            events_are_listed_newest_first_by_state_and_time
            the_dead_are_buried_and_sent_again
            prune_forgets_old_events_but_not_what_waits
        );
        $crate::conformance_tests!(@tests $fresh, coordination:
            the_stores_own_time_goes_on
            all_processes_together_keep_to_the_rate
            a_pace_never_goes_back_in_time
            who_is_refused_gets_a_time_of_his_own
            what_one_process_learns_the_others_can_read
            news_that_change_nothing_are_no_change
            of_all_who_find_out_the_same_one_brings_the_news
            of_many_who_ask_one_makes_the_probe
            wrong_settings_stay_known_until_they_were_mended
            the_last_word_on_a_provider_is_kept
            who_is_woken_is_known_to_be_well
            of_many_who_ask_one_has_the_turn
            a_turn_of_the_dead_ends_by_itself
            a_turn_that_is_renewed_goes_on
            a_turn_can_be_kept_when_the_work_is_done
        );
    };
    (@tests $fresh:path, $part:ident: $($promise:ident)*) => {
        mod $part {
            $(
                #[tokio::test]
                async fn $promise() {
                    $crate::testing::$part::$promise(&*$fresh()).await;
                }
            )*
        }
    };
}
