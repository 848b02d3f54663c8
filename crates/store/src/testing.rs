//! The conformance suite that every backend has to pass, and test doubles of the store.
//!
//! A backend's tests call [`conformance_tests!`] with the path of a function that creates an empty database and returns
//! a [`fixtures::StoreOpener`]. Each opened store is another connection to the same database, as another process has
//! it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_imports, missing_docs)]

pub mod accept;
pub mod admin;
pub mod broadcasts;
pub mod callback_order;
pub mod claims;
pub mod contacts;
pub mod coordination;
pub mod events;
pub mod fixtures;
pub mod inbound;
pub mod late_receipts;
pub mod owners;
pub mod prune;
pub mod receipts;
pub mod recipients;
pub mod report;
pub mod spending_limit;
pub mod store_parts;
pub mod usage;
pub mod user_throttle;
pub mod users;

/// Generates one test per function of the suite. `$fresh` is a function that returns a [`fixtures::StoreOpener`].
#[macro_export]
macro_rules! conformance_tests {
    ($fresh:path) => {
        $crate::conformance_tests!(@tests $fresh, accept:
            a_message_is_found_as_it_was_accepted
            message_numbers_increase
            a_repeated_request_gets_the_first_result
            a_key_of_another_request_is_rejected
            a_replay_only_message_is_never_stored
            an_expired_key_counts_as_absent
            a_delivery_to_a_suppressed_recipient_fails
            a_delivery_without_an_address_fails_and_the_others_wait
            a_message_with_only_suppressed_recipients_is_not_stored
            a_repeated_message_id_fails_and_affects_no_other_message
            concurrent_accepts_are_all_stored
            two_stores_on_one_database_see_the_same_messages
        );
        $crate::conformance_tests!(@tests $fresh, claims:
            due_deliveries_are_ordered_by_priority_and_due_time
            due_deliveries_alternate_between_channels
            a_channel_without_capacity_is_skipped
            a_claim_has_everything_that_sending_needs
            one_of_many_concurrent_claims_wins
            an_expired_lease_makes_the_delivery_due_again
            an_extended_lease_lasts_until_its_new_end_and_belongs_to_its_claim
            unrecorded_rounds_are_counted
            a_recorded_round_is_not_counted_as_unrecorded
            a_superseded_round_changes_no_state_but_keeps_its_attempts
            a_round_is_recorded_once
            repeating_a_record_changes_nothing
            an_expired_delivery_can_be_claimed
            a_retry_waits_with_its_reason
            an_invalid_recipient_becomes_inactive
            rounds_of_unknown_deliveries_are_ignored
        );
        $crate::conformance_tests!(@tests $fresh, receipts:
            a_receipt_makes_a_sent_delivery_delivered
            a_repeated_receipt_changes_nothing
            a_receipt_of_another_provider_is_kept
            a_receipt_without_provider_matches_any_provider
            an_early_receipt_is_applied_when_the_round_is_recorded
            an_unmatched_receipt_that_cannot_wait_is_dropped
            the_number_of_unmatched_receipts_is_limited
            an_early_receipt_without_provider_matches_any_provider
            a_receipt_of_a_phone_concerns_only_messages_to_it
            a_receipt_is_not_older_than_its_send
            an_early_receipt_of_a_phone_concerns_only_messages_to_it
            a_bounce_without_resends_left_fails
            a_bounce_with_a_resend_left_waits_for_another_provider
            an_address_that_a_receipt_calls_invalid_becomes_inactive
            the_first_opened_receipt_counts_also_after_delivery
            a_reused_reference_matches_the_newest_delivery
            an_opened_receipt_makes_the_delivery_delivered
        );
        $crate::conformance_tests!(@tests $fresh, late_receipts:
            a_receipt_for_an_earlier_copy_settles_a_delivery_that_waits
            a_receipt_settles_a_delivery_during_the_next_call
            a_failure_of_an_earlier_copy_does_not_end_the_later_one
            a_failure_corrects_delivered_and_a_newer_delivered_corrects_it
            an_opened_message_is_not_bounced
            a_superseded_round_that_was_accepted_settles_a_delivery_that_waits
            a_late_answer_settles_a_delivery_that_waits
            a_late_answer_corrects_a_delivery_that_was_given_up
            a_receipt_that_came_before_its_late_answer_is_applied
            a_late_answer_waits_for_the_record_of_its_round
            a_claim_tells_how_often_the_message_may_have_been_sent
            a_message_to_be_sent_at_most_once_is_not_requeued_after_silence
            rounds_lost_before_a_receipt_settled_the_delivery_are_named
            a_round_of_a_live_worker_is_not_closed
            a_late_record_of_a_closed_round_adds_its_attempts
        );
        $crate::conformance_tests!(@tests $fresh, contacts:
            a_claim_has_contacts_subject_and_sender
            a_claim_with_one_address_has_no_contacts
            a_claim_leaves_out_inactive_contacts
            a_message_without_active_contacts_is_not_stored
            only_the_invalid_contact_becomes_inactive
            a_recipient_that_was_never_called_stays_active
            an_invalid_address_in_a_receipt_leads_to_the_other_contacts
            an_invalid_address_in_a_receipt_fails_without_other_contacts
            an_early_receipt_concerns_the_address_that_was_used
        );
        $crate::conformance_tests!(@tests $fresh, admin:
            a_message_with_waiting_deliveries_can_be_cancelled
            a_claimed_delivery_cannot_be_cancelled
            an_unknown_message_cannot_be_cancelled
            single_waiting_deliveries_can_be_cancelled
            the_last_attempt_of_each_delivery_is_returned
            search_pages_go_back_in_time
            search_finds_by_address_state_and_time
            a_search_counts_a_message_once
            operators_select_failed_and_waiting_deliveries
            scheduled_deliveries_are_selected_apart_from_retries
            requeued_deliveries_have_all_their_tries
            requeuing_makes_waiting_deliveries_due
            a_cancelled_delivery_cannot_be_requeued
            the_status_of_a_recipient_is_kept
            the_store_secret_is_the_same_for_all_processes
            the_backlog_counts_waiting_deliveries
            the_newest_snapshot_is_returned
            ping_writes_to_a_healthy_store
        );
        $crate::conformance_tests!(@tests $fresh, recipients:
            an_opted_out_recipient_gets_no_messages
            an_opt_in_after_an_opt_out_makes_the_recipient_active
            an_opt_in_does_not_activate_an_invalid_address
            a_repeated_opt_out_or_opt_in_changes_nothing
            opt_changes_of_a_batch_are_applied_in_order
            a_redelivered_inbound_message_changes_nothing
            an_opt_in_older_than_the_opt_out_changes_nothing
            an_opt_out_cancels_waiting_deliveries
        );
        $crate::conformance_tests!(@tests $fresh, inbound:
            an_inbound_message_is_found_as_it_was_stored
            a_repeated_inbound_message_is_stored_once
            an_opt_out_and_its_inbound_message_are_stored_together
            a_routed_inbound_message_has_an_event
            inbound_messages_are_listed_newest_first
            an_inbound_message_waits_until_it_is_forwarded
            old_inbound_messages_are_deleted
            the_confirmation_of_an_opt_out_is_stored
        );
        $crate::conformance_tests!(@tests $fresh, report:
            an_empty_store_reports_nothing
            the_report_counts_everything
            applying_changes_ends_with_zero
            incremental_rollups_equal_rebuilt_ones
            late_attempts_are_counted_once
            the_top_recipients_are_the_ten_with_the_most_deliveries
        );
        $crate::conformance_tests!(@tests $fresh, user_throttle:
            a_user_throttle_allows_exactly_its_limit_in_any_hour
            users_have_separate_throttles
            a_changed_limit_applies_at_once
            a_replay_does_not_count_and_works_at_the_limit
            a_throttled_message_is_not_stored
            a_throttled_message_affects_no_other_of_its_batch
            a_message_counts_under_all_its_throttles_or_under_none
            concurrent_accepts_stay_within_the_limit
        );
        $crate::conformance_tests!(@tests $fresh, spending_limit:
            a_spending_limit_counts_the_parts_of_a_minute
            a_spending_limit_counts_the_parts_of_a_calendar_month
            a_batch_stays_within_the_spending_limit
            a_broadcast_counts_for_all_its_users_or_not_at_all
            processes_together_stay_within_the_spending_limit
        );
        $crate::conformance_tests!(@tests $fresh, owners:
            a_search_finds_the_messages_of_one_owner
            usage_counts_the_messages_of_one_owner
            each_owner_has_its_own_users
            a_broadcast_goes_to_users_of_its_owner
        );
        $crate::conformance_tests!(@tests $fresh, usage:
            usage_lists_the_messages_of_a_user_newest_first
            usage_totals_are_grouped_by_the_days_of_a_time_zone
            usage_is_limited_to_a_time_range
            usage_is_paged
            usage_totals_are_by_day_user_and_channel
            usage_totals_report_when_they_are_incomplete
        );
        $crate::conformance_tests!(@tests $fresh, users:
            a_user_registered_twice_exists_once
            registering_again_changes_only_given_fields
            a_user_inbox_has_only_sent_messages
        );
        $crate::conformance_tests!(@tests $fresh, broadcasts:
            a_broadcast_to_all_goes_to_users_registered_before_it
            a_user_named_twice_in_a_broadcast_counts_once
            a_broadcast_to_unknown_users_is_rejected_with_their_ids
            a_repeated_broadcast_request_gets_the_first_result
            a_broadcast_can_be_skipped
            a_broadcast_without_users_is_complete_at_once
            a_fan_out_step_is_done_once
            two_stores_share_the_fan_out_of_a_broadcast
            the_deliveries_of_a_broadcast_are_counted
            suppressed_users_of_a_broadcast_count_as_refused
            broadcasts_are_listed_newest_first
            an_old_broadcast_is_deleted_after_its_messages
        );
        $crate::conformance_tests!(@tests $fresh, prune:
            prune_deletes_old_messages_that_have_ended
            prune_keeps_the_totals
            prune_counts_deliveries_that_the_rollups_had_not_counted
            numbers_of_pruned_messages_are_not_reused
            expired_keys_are_deleted
            expired_rows_are_deleted_in_batches
        );
        $crate::conformance_tests!(@tests $fresh, events:
            a_watched_message_produces_events
            an_unwatched_message_produces_no_events
            a_failure_event_has_its_reason
            a_resend_produces_an_event_and_a_retry_does_not
            the_event_of_an_early_receipt_follows_the_sent_event
            a_repeated_or_superseded_record_produces_no_event
            waiting_endpoints_are_ordered_by_name
            a_claimed_event_is_not_due_until_its_lease_ends
            concurrent_claims_share_no_event
            the_result_of_a_superseded_event_claim_is_ignored
            events_are_listed_newest_first_by_state_and_time
            dead_letters_can_be_replayed
            old_events_are_deleted_unless_they_wait
        );
        $crate::conformance_tests!(@tests $fresh, callback_order:
            callbacks_of_a_delivery_are_claimed_in_order
            later_callbacks_wait_as_long_as_a_failed_one
            webhooks_of_a_delivery_do_not_wait_for_each_other
        );
        $crate::conformance_tests!(@tests $fresh, coordination:
            the_time_of_the_store_advances
            all_processes_together_stay_within_the_rate
            a_rate_limiter_never_goes_back_in_time
            each_rejected_call_gets_its_own_send_time
            reported_health_is_visible_to_all_processes
            a_report_without_news_changes_nothing
            one_of_several_equal_reports_is_new
            one_of_many_processes_gets_the_probe
            one_process_gets_a_probe_before_the_end_of_the_open_period
            misconfigured_ends_with_a_newer_configuration
            misconfigured_ends_with_a_successful_probe
            the_last_provider_control_is_kept
            resuming_closes_the_circuit_breaker
            resuming_ends_the_cooldown
            a_small_burst_limits_the_parts_of_a_second
            one_of_many_processes_gets_the_job_lock
            a_job_lock_expires
            a_renewed_job_lock_lasts_longer
            a_released_job_lock_can_stay_busy
            ended_sessions_are_counted_by_key_for_all_processes
        );
    };
    (@tests $fresh:path, $part:ident: $($test:ident)*) => {
        mod $part {
            $(
                #[tokio::test]
                async fn $test() {
                    $crate::testing::$part::$test(&*$fresh()).await;
                }
            )*
        }
    };
}
