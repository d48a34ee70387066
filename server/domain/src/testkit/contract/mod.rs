//! What every adapter of a port must do, as tests that run against any of them:
//!
//! ```text
//! async fn fresh() -> veilcloud_domain::testkit::Ports { .. }
//! veilcloud_domain::contract_tests!(all, fresh);
//! ```
//!
//! `fresh` gives the ports of a new and empty store. Each suite asks for all ports, because what one port is told shows
//! in another: a version in the quota, a deletion in the trail.

pub mod api_keys;
pub mod attempts;
pub mod blobs;
pub mod capabilities;
pub mod catalog;
pub mod directory;
pub mod environments;
pub mod grants;
pub mod keyrings;
pub mod logs;
pub mod meter;
pub mod nullifiers;
pub mod outbox;
pub mod quota;
pub mod remembered;
pub mod replies;
mod sample;
pub mod sessions;
pub mod shelf;
pub mod staging;
pub mod standing;
pub mod teams;
pub mod tokens;
pub mod uploads;

/// Makes a `#[tokio::test]` of each test of a suite, in a module of the suite's name. The first argument is the suite or
/// `all`, the second the name of an async function without arguments that gives fresh [`super::Ports`].
#[macro_export]
macro_rules! contract_tests {
    (all, $fresh:ident) => {
        $crate::contract_tests!(directory, $fresh);
        $crate::contract_tests!(sessions, $fresh);
        $crate::contract_tests!(api_keys, $fresh);
        $crate::contract_tests!(capabilities, $fresh);
        $crate::contract_tests!(attempts, $fresh);
        $crate::contract_tests!(meter, $fresh);
        $crate::contract_tests!(nullifiers, $fresh);
        $crate::contract_tests!(replies, $fresh);
        $crate::contract_tests!(catalog, $fresh);
        $crate::contract_tests!(environments, $fresh);
        $crate::contract_tests!(grants, $fresh);
        $crate::contract_tests!(keyrings, $fresh);
        $crate::contract_tests!(standing, $fresh);
        $crate::contract_tests!(teams, $fresh);
        $crate::contract_tests!(tokens, $fresh);
        $crate::contract_tests!(shelf, $fresh);
        $crate::contract_tests!(quota, $fresh);
        $crate::contract_tests!(blobs, $fresh);
        $crate::contract_tests!(staging, $fresh);
        $crate::contract_tests!(uploads, $fresh);
        $crate::contract_tests!(outbox, $fresh);
        $crate::contract_tests!(logs, $fresh);
        $crate::contract_tests!(remembered, $fresh);
    };
    (remembered, $fresh:ident) => { $crate::contract_tests! { @suite remembered, $fresh, [
        a_project_and_its_environments_are_seen_as_they_are_now,
        rights_are_those_of_now_after_every_change_that_they_follow_from,
        an_account_that_is_gone_stands_nowhere,
        a_session_stands_as_the_last_change_of_credentials_left_it,
        an_unknown_id_that_was_asked_for_is_found_once_it_is_there,
    ] } };
    (directory, $fresh:ident) => { $crate::contract_tests! { @suite directory, $fresh, [
        an_email_and_an_id_are_taken_once,
        an_account_is_found_by_email_and_by_id,
        a_rename_is_seen_and_logged,
        new_credentials_replace_the_old_and_end_other_sessions,
        a_recovery_replaces_bundle_and_code_and_ends_every_session,
        credentials_that_were_replaced_meanwhile_stay,
        an_ended_session_does_not_change_the_password,
        of_many_replacements_of_one_record_one_wins,
        a_deleted_account_takes_everything_along,
        of_many_registrations_of_one_email_one_wins,
    ] } };
    (sessions, $fresh:ident) => { $crate::contract_tests! { @suite sessions, $fresh, [
        a_session_is_opened_only_for_the_record_it_was_proven_against,
        one_session_more_than_the_limit_ends_the_oldest,
        an_ended_session_stands_no_more_at_once,
        ending_all_sessions_raises_the_epoch,
        ending_the_others_spares_one_and_keeps_the_epoch,
        a_session_is_not_another_accounts,
        a_refresh_token_is_traded_for_the_next,
        the_same_trade_again_gives_the_same_and_changes_nothing,
        a_token_that_is_not_new_is_not_traded_for,
        a_token_used_twice_revokes_its_session_only,
        an_unknown_expired_or_ended_token_trades_for_nothing,
        the_holder_of_an_old_token_is_still_known,
        of_many_trades_of_one_token_one_wins,
        of_many_times_the_same_trade_every_one_wins,
    ] } };
    (api_keys, $fresh:ident) => { $crate::contract_tests! { @suite api_keys, $fresh, [
        a_key_comes_back_as_it_was_created,
        an_id_is_taken_once_and_an_account_has_a_limit,
        keys_that_are_over_make_room_and_the_oldest_are_forgotten,
        keys_are_paged_by_id_at_every_size,
        a_rotation_replaces_the_secret_of_its_generation_only,
        a_revoked_key_is_seen_as_revoked_at_once,
        when_a_key_was_used_only_goes_forward,
        keys_go_with_their_account,
        an_id_is_never_given_out_again,
        a_recovery_revokes_every_key_and_a_new_password_none,
        of_many_rotations_of_one_generation_one_wins,
        a_half_comes_with_its_generation_and_goes_with_it,
        halves_are_destroyed_when_their_key_is_over,
    ] } };
    (capabilities, $fresh:ident) => { $crate::contract_tests! { @suite capabilities, $fresh, [
        a_capability_stands_beside_the_sessions_and_is_no_login,
        a_capability_is_revoked_by_its_account_only_and_at_once,
        what_ends_all_sessions_ends_capabilities_and_what_ends_one_does_not,
        an_account_has_a_limit_of_capabilities_apart_from_its_sessions,
        capabilities_are_paged_by_id_and_go_with_their_account,
        of_many_who_issue_at_the_limit_as_many_succeed,
    ] } };
    (tokens, $fresh:ident) => { $crate::contract_tests! { @suite tokens, $fresh, [
        an_api_key_is_listed_with_what_it_is_and_no_more,
        an_api_key_is_listed_with_no_more_than_its_account_has_in_the_same_list,
        both_records_of_an_overlap_can_be_listed_until_it_ends,
        a_key_has_a_part_for_each_record_that_is_good,
    ] } };
    (attempts, $fresh:ident) => { $crate::contract_tests! { @suite attempts, $fresh, [
        an_attempt_is_taken_once_and_as_it_was_kept,
        an_expired_attempt_is_gone,
        of_many_takers_one_gets_it,
    ] } };
    (meter, $fresh:ident) => { $crate::contract_tests! { @suite meter, $fresh, [
        tokens_run_out_and_come_back,
        a_refusal_takes_from_no_window,
        a_burst_around_an_edge_takes_no_more_than_one_window,
        keys_do_not_share_tokens,
        a_guarded_window_outlives_a_flood_of_others,
        no_windows_mean_no_limit,
    ] } };
    (nullifiers, $fresh:ident) => { $crate::contract_tests! { @suite nullifiers, $fresh, [
        a_nullifier_is_spent_once,
        a_nullifier_stays_spent_until_it_expires,
        of_many_spenders_one_succeeds,
    ] } };
    (replies, $fresh:ident) => { $crate::contract_tests! { @suite replies, $fresh, [
        a_claim_is_answered_once_and_repeated,
        other_content_under_the_same_id_is_noticed,
        a_released_claim_is_free_for_any_content,
        keys_differ_by_account_api_key_method_and_id,
        an_answer_is_forgotten_in_time,
        of_many_claims_one_is_fresh,
    ] } };
    (catalog, $fresh:ident) => { $crate::contract_tests! { @suite catalog, $fresh, [
        a_project_name_is_unique_per_owner,
        an_owner_has_a_limit_of_projects,
        a_rename_respects_other_names,
        projects_are_paged_by_name_at_every_size,
        one_project_is_found_by_name,
        a_deleted_project_takes_its_environments_along,
        whose_a_deleted_project_was_is_kept_until_they_are_gone,
        of_many_creations_of_one_name_one_wins,
    ] } };
    (environments, $fresh:ident) => { $crate::contract_tests! { @suite environments, $fresh, [
        an_environment_name_is_unique_in_its_project,
        an_environment_id_is_unique_everywhere,
        a_project_has_a_limit_of_environments,
        nothing_is_created_in_a_project_that_is_gone,
        environments_are_paged_by_name_at_every_size,
        an_environment_shows_its_head_and_its_origin,
        a_deleted_environment_takes_its_versions_along,
    ] } };
    (grants, $fresh:ident) => { $crate::contract_tests! { @suite grants, $fresh, [
        an_owner_may_do_everything_and_nobody_else_anything,
        rights_are_what_list_share_and_membership_give_together,
        what_is_taken_is_gone_at_once,
        a_share_goes_with_its_team_and_its_project,
        an_account_that_is_gone_has_no_rights,
        only_the_next_list_is_put_in_force,
        a_change_that_is_refused_changes_nothing,
        shares_are_paged_and_limited,
        projects_of_others_are_paged_by_id,
        keys_are_made_for_the_newest_list,
        of_many_changes_at_once_one_wins_each_number,
    ] } };
    (standing, $fresh:ident) => { $crate::contract_tests! { @suite standing, $fresh, [
        who_was_removed_changes_nothing_any_more,
        each_change_needs_its_own_permission,
        a_key_that_is_over_changes_nothing_any_more,
        what_a_list_gives_is_held_when_the_list_is_made,
    ] } };
    (keyrings, $fresh:ident) => { $crate::contract_tests! { @suite keyrings, $fresh, [
        keyrings_of_all_epochs_are_kept,
        only_the_next_epoch_follows,
        an_environment_that_is_gone_is_not_rotated,
        of_many_rotations_to_one_epoch_one_wins,
        a_rotation_is_for_the_newest_list_and_ends_what_is_due,
        a_part_is_added_once_for_each_key_of_its_principal,
        parts_go_with_their_environment,
    ] } };
    (teams, $fresh:ident) => { $crate::contract_tests! { @suite teams, $fresh, [
        a_team_name_is_unique_per_owner,
        an_owner_has_a_limit_of_teams,
        a_team_is_seen_only_from_inside,
        teams_are_paged_by_name_at_every_size,
        a_change_of_a_team_respects_other_names,
        the_role_counts_that_one_has_when_the_change_is_made,
        members_are_added_once_up_to_a_limit,
        members_are_paged_by_account_at_every_size,
        the_owner_stays,
        a_deleted_team_tells_each_member,
        a_deleted_account_leaves_its_teams_and_their_owners_are_told,
        an_account_is_not_deleted_while_others_are_in_its_team,
        of_many_who_want_the_last_places_as_many_get_one,
    ] } };
    (shelf, $fresh:ident) => { $crate::contract_tests! { @suite shelf, $fresh, [
        versions_follow_each_other,
        a_commit_against_another_head_changes_nothing,
        a_commit_under_another_epoch_changes_nothing,
        a_commit_to_an_environment_that_is_gone_is_refused,
        one_of_many_writers_wins_each_version,
        versions_are_paged_newest_first_at_every_size,
        deleted_content_keeps_its_history,
        a_deletion_of_another_head_changes_nothing,
        only_undeleted_versions_and_unfinished_uploads_keep_bytes,
    ] } };
    (quota, $fresh:ident) => { $crate::contract_tests! { @suite quota, $fresh, [
        a_commit_beyond_the_quota_changes_nothing,
        an_upload_beyond_the_quota_is_not_opened,
        an_upload_is_not_counted_twice_when_it_is_committed,
        deleted_bytes_make_room,
        owners_do_not_share_a_quota,
        writers_together_stay_within_the_quota,
    ] } };
    (blobs, $fresh:ident) => { $crate::contract_tests! { @suite blobs, $fresh, [
        bytes_come_back_as_they_were_stored,
        any_range_can_be_opened,
        a_large_blob_comes_in_bounded_pieces,
        a_removed_blob_is_gone,
        blobs_are_listed_in_order_page_by_page,
        young_blobs_are_not_listed,
        many_writers_of_one_blob_agree,
    ] } };
    (staging, $fresh:ident) => { $crate::contract_tests! { @suite staging, $fresh, [
        chunks_in_any_order_become_one_blob,
        a_whole_that_hashes_to_something_else_is_not_promoted,
        a_missing_chunk_is_noticed,
        a_chunk_written_again_replaces_the_first,
        discarded_bytes_are_gone,
        uploads_do_not_mix,
        staged_uploads_are_listed_in_order_at_every_size,
        a_blob_of_somebody_else_does_not_stand_in_for_an_uploads_own_bytes,
    ] } };
    (uploads, $fresh:ident) => { $crate::contract_tests! { @suite uploads, $fresh, [
        an_upload_comes_back_as_it_was_started,
        an_account_has_a_limit_of_uploads,
        chunks_are_noted_once_in_ascending_order,
        a_reset_upload_has_no_chunks,
        a_forgotten_upload_is_gone,
        expired_uploads_are_found,
        only_open_sessions_are_known,
        many_chunks_at_once_are_all_noted,
    ] } };
    (outbox, $fresh:ident) => { $crate::contract_tests! { @suite outbox, $fresh, [
        every_change_leaves_one_line_in_order,
        a_change_that_was_refused_leaves_none,
        lines_are_given_from_any_index_at_every_limit,
        a_line_of_no_change_is_recorded_after_those_before_it,
        many_lines_are_recorded_in_their_order_in_each_trail,
        of_many_recorders_each_is_told_its_own_places,
        more_lines_at_once_than_are_taken_are_refused_whole,
        trails_with_lines_are_listed_in_order_at_every_size,
        a_change_writes_its_lines_to_every_trail_or_to_none,
        trails_are_numbered_apart,
        lines_of_many_writers_are_dense,
        a_trail_outlives_what_it_tells_of,
    ] } };
    (logs, $fresh:ident) => { $crate::contract_tests! { @suite logs, $fresh, [
        what_is_staged_is_not_seen_before_it_is_committed,
        entries_hashes_and_heads_come_back_as_they_were_committed,
        batches_of_many_logs_do_not_mix,
        a_fenced_sequencer_commits_nothing,
        every_fence_gives_a_greater_epoch,
        a_batch_from_where_a_log_is_not_changes_no_log,
        a_batch_staged_later_takes_the_place_of_the_one_before,
        lines_leave_the_outbox_with_the_commit_and_numbering_goes_on,
        a_version_says_where_its_line_is_after_the_line_has_left,
        what_is_shown_never_goes_back,
        what_a_log_does_not_have_is_not_given,
        logs_are_listed_in_order_at_every_size,
    ] } };
    (@suite $suite:ident, $fresh:ident, [$($test:ident),* $(,)?]) => {
        mod $suite {
            $(
                #[tokio::test]
                async fn $test() {
                    $crate::testkit::contract::$suite::$test(super::$fresh().await).await;
                }
            )*
        }
    };
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::testkit::{Ports, ScriptedClock};

    async fn fresh() -> Ports {
        Ports::memory(Arc::new(ScriptedClock::default()))
    }

    crate::contract_tests!(all, fresh);

    #[test]
    fn every_test_of_a_suite_is_in_the_macro() {
        const LIST: &str = include_str!("mod.rs");
        let suites = [
            include_str!("api_keys.rs"),
            include_str!("attempts.rs"),
            include_str!("blobs.rs"),
            include_str!("capabilities.rs"),
            include_str!("catalog.rs"),
            include_str!("directory.rs"),
            include_str!("environments.rs"),
            include_str!("grants.rs"),
            include_str!("keyrings.rs"),
            include_str!("logs.rs"),
            include_str!("meter.rs"),
            include_str!("nullifiers.rs"),
            include_str!("outbox.rs"),
            include_str!("quota.rs"),
            include_str!("replies.rs"),
            include_str!("sessions.rs"),
            include_str!("shelf.rs"),
            include_str!("staging.rs"),
            include_str!("standing.rs"),
            include_str!("teams.rs"),
            include_str!("uploads.rs"),
        ];
        let tests =
            suites.iter().flat_map(|suite| suite.lines().filter_map(|l| l.strip_prefix("pub async fn ")));
        for test in tests.filter_map(|rest| rest.split_once('(')).map(|(name, _)| name) {
            assert!(LIST.contains(&format!("        {test},\n")), "{test} is in no list");
        }
    }
}
