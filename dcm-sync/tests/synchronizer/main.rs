//! What a synchronizer promises, held against simulated clusters and, where there are any, real ones.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // Helpers of tests; clippy.toml knows the tests themselves only.

mod bed;
mod cloud;
mod failures;
mod hostile;
mod promises;

/// Makes each promise a test of its own on each kind of cluster.
macro_rules! suite {
    ($($module:ident { $($name:ident,)* })*) => {
        mod simulated {
            $($(
                #[tokio::test]
                async fn $name() {
                    crate::promises::$module::$name(&crate::bed::Bed::simulated().await).await;
                }
            )*)*
        }

        mod real {
            $($(
                #[tokio::test]
                async fn $name() {
                    if let Some(bed) = crate::bed::Bed::real(stringify!($name)).await {
                        crate::promises::$module::$name(&bed).await;
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
    }
    drift {
        a_deleted_namespace_is_made_anew,
        deleted_and_edited_objects_are_repaired,
        a_foreign_key_in_a_quota_is_taken_out,
        foreign_labels_on_the_namespace_stay,
        a_binding_to_another_role_is_made_anew,
        objects_elsewhere_are_repaired_too,
    }
    ownership {
        a_foreign_namespace_is_refused_and_left_as_it_is,
        another_clouds_namespace_is_never_adopted,
        a_namespace_is_adopted_if_identical,
        a_namespace_is_adopted_always_and_let_go_at_the_end,
        a_foreign_role_of_our_name_is_refused_and_left_as_it_is,
        a_lower_generation_changes_nothing,
    }
    prune {
        what_is_no_longer_wanted_goes_and_nothing_else,
        an_unknown_object_is_not_deleted_by_its_name,
    }
    removal {
        nothing_of_ours_is_left_and_everything_of_others,
        a_second_removal_finds_nothing_to_do,
        a_kept_namespace_is_emptied_of_ours_and_let_go,
        a_namespace_of_others_counts_as_gone,
        what_blocks_is_said,
    }
    sign {
        a_certificate_works_for_its_user_and_leaves_no_request,
        a_signed_identity_has_no_rights_of_its_own,
    }
    rights {
        the_least_role_is_enough_and_no_more_is_granted,
        an_unknown_credential_is_unauthorized,
        a_wrong_ca_is_not_trusted,
        a_cluster_says_who_it_is,
    }
}
