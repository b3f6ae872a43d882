//! What a synchronizer promises, held against simulated clusters and, where there are any, real ones.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // Helpers of tests; clippy.toml knows the tests themselves only.

mod account;
mod bed;
mod cloud;
mod failures;
mod hostile;
mod promises;
mod rights;

/// Makes each promise a test of its own on each kind of cluster. The synchronizer has the rights of
/// `deploy/cluster-role.yaml` there and no more.
macro_rules! suite {
    ($($module:ident { $($name:ident,)* })*) => {
        mod simulated {
            $($(
                #[tokio::test]
                async fn $name() {
                    let bed = crate::bed::Bed::simulated().await;
                    crate::account::with_cluster_role(bed, crate::promises::$module::$name).await;
                }
            )*)*
        }

        mod real {
            $($(
                #[tokio::test]
                async fn $name() {
                    if let Some(bed) = crate::bed::Bed::real(stringify!($name)).await {
                        crate::account::with_cluster_role(bed, crate::promises::$module::$name).await;
                    }
                }
            )*)*
        }
    };
}

suite! {
    apply {
        apply_makes_everything,
        a_repeat_writes_nothing,
        a_changed_cloud_is_followed,
        a_quota_that_limits_quotas_comes_last,
        an_object_with_marks_only_is_completed,
        a_terminating_namespace_is_waited_for,
        a_role_elsewhere_needs_its_namespace,
        a_quota_that_limits_quotas_is_made_although_another_is_refused,
    }
    drift {
        a_deleted_namespace_is_made_anew,
        deleted_and_edited_objects_are_repaired,
        a_foreign_key_in_a_quota_is_taken_out,
        foreign_labels_on_the_namespace_stay,
        labels_of_others_that_matter_are_remarked,
        a_binding_to_another_role_is_made_anew,
        objects_elsewhere_are_repaired_too,
    }
    ownership {
        a_foreign_namespace_is_refused_and_left_as_it_is,
        another_clouds_namespace_is_never_adopted,
        a_namespace_that_lost_its_label_says_which_one,
        a_namespace_is_adopted_if_identical,
        a_namespace_is_adopted_always_and_let_go_at_the_end,
        a_foreign_role_of_our_name_is_refused_and_left_as_it_is,
        a_binding_that_waits_for_its_role_keeps_nobody_in_who_was_cut_off,
        a_lower_generation_changes_nothing,
    }
    prune {
        what_is_no_longer_wanted_goes_and_nothing_else,
        an_unknown_object_is_not_deleted_by_its_name,
        what_is_held_keeps_nothing_else,
    }
    removal {
        nothing_of_ours_is_left_and_everything_of_others,
        a_second_removal_finds_nothing_to_do,
        a_kept_namespace_is_emptied_of_ours_and_let_go,
        a_namespace_of_others_counts_as_gone,
        what_blocks_is_said,
        what_is_held_keeps_nothing_else_on_the_cluster,
    }
    sign {
        a_certificate_works_for_its_user_and_leaves_no_request,
        a_signed_identity_has_no_rights_of_its_own,
        a_request_that_was_left_behind_is_swept,
    }
    token {
        a_token_works_for_its_user_and_dies_with_its_account,
        an_account_is_made_and_repaired_like_other_objects,
        a_user_may_change_from_token_to_certificate_and_back,
        a_token_is_asked_for_an_account_of_ours_only,
    }
    cut_off {
        a_user_is_cut_off_at_once_and_what_others_made_is_told,
        a_token_is_cut_off_with_its_account,
        whom_it_keeps_is_left_alone,
        a_binding_that_names_nobody_yet_goes_too,
        an_old_store_cuts_nobody_off,
        a_namespace_of_others_is_left_alone,
        an_apply_at_the_same_time_does_no_harm,
    }
    changes {
        a_report_says_what_was_made_changed_and_deleted,
        taking_a_namespace_over_and_letting_it_go_are_changes,
    }
    compare {
        a_comparison_foretells_an_apply_and_changes_nothing,
        differences_are_told_by_field,
        a_namespace_of_others_is_told_as_an_apply_would,
        a_lower_generation_is_told,
        a_refused_object_does_not_hide_the_others,
        a_quota_that_is_to_be_raised_refuses_nothing,
        a_terminating_namespace_counts_as_gone,
        what_needs_more_rights_is_told,
        no_token_is_asked_for,
    }
    scopes {
        a_permission_in_the_own_namespace,
        a_permission_in_another_namespace,
        a_permission_for_the_whole_cluster,
    }
    rights {
        a_ceiling_is_enough_and_no_more_is_granted,
        without_a_component_its_feature_is_forbidden_and_no_other,
        an_unknown_credential_is_unauthorized,
        a_wrong_ca_is_not_trusted,
        a_cluster_says_who_it_is,
    }
}
