//! What is ours goes when it is told to, and nothing else.

use std::time::Duration;

use dcm_core::{
    model::DeletePolicy,
    sync::{ChangeKind, Reason},
};

use super::{Bed, Tenant, making::DROPPED_AFTER};

/// All of it, and a second removal finds nothing to do.
pub async fn removal_leaves_nothing_and_may_be_repeated(bed: Bed) {
    let mut tenant = Tenant::new();
    tenant.made(&bed).await;
    let inventory = tenant.inventory.clone();
    tenant.removed(&bed).await;
    let all = tenant.desired().objects.len();
    let made: Vec<_> = tenant.differences(&bed).await.iter().map(|change| change.change).collect();
    assert_eq!(made, vec![ChangeKind::Create; all]);
    // The report was lost: what is gone is asked for once more.
    tenant.inventory = inventory;
    tenant.removed(&bed).await;
    // And it can come back.
    tenant.made(&bed).await;
}

/// As with an apply.
pub async fn a_removal_that_is_dropped_anywhere_is_finished_by_the_next(bed: Bed) {
    for after in DROPPED_AFTER {
        let mut tenant = Tenant::new();
        tenant.made(&bed).await;
        let removal = tenant.removal();
        let call = bed.synchronizer.remove(&bed.access, &removal);
        drop(tokio::time::timeout(Duration::from_millis(after), call).await);
        tenant.removed(&bed).await;
        assert_eq!(tenant.differences(&bed).await.len(), tenant.desired().objects.len(), "dropped after {after} ms");
    }
}

/// Two logical clouds on one cluster never meet.
pub async fn what_belongs_to_another_logical_cloud_stays(bed: Bed) {
    let (mut ours, mut theirs) = (Tenant::new(), Tenant::new());
    ours.made(&bed).await;
    theirs.made(&bed).await;
    assert_eq!(ours.differences(&bed).await, []);
    ours.removed(&bed).await;
    assert_eq!(theirs.differences(&bed).await, []);
    assert_eq!(theirs.made(&bed).await.changes, []);
}

/// Neither an apply nor a removal touches it.
pub async fn a_namespace_of_another_logical_cloud_is_refused_and_left_as_it_is(bed: Bed) {
    let mut theirs = Tenant::new();
    theirs.made(&bed).await;
    let mut ours = Tenant::inside(theirs.namespace().as_str());
    let failure = ours.apply(&bed).await.failure.expect("a refusal");
    assert_eq!(failure.reason, Reason::NotOurs, "{failure}");
    assert_eq!(theirs.differences(&bed).await, []);
    ours.remove(&bed).await;
    assert_eq!(theirs.made(&bed).await.changes, []);
}

/// Under [`DeletePolicy::Keep`] the namespace stays with what others have in it, and nothing of ours.
pub async fn a_namespace_that_is_kept_belongs_to_nobody(bed: Bed) {
    let mut tenant = Tenant::new();
    tenant.applied.spec.delete_policy = DeletePolicy::Keep;
    tenant.made(&bed).await;
    tenant.removed(&bed).await;
    let mut next = Tenant::inside(tenant.namespace().as_str());
    let failure = next.apply(&bed).await.failure.expect("a namespace that is there, and nobody's");
    assert_eq!(failure.reason, Reason::NotOurs, "{failure}");
}

/// An old backup must not undo what was done since, unless it is told to.
pub async fn a_store_that_is_older_than_the_cluster_changes_nothing(bed: Bed) {
    let mut tenant = Tenant::new();
    tenant.made(&bed).await;
    let mut old = tenant.clone();
    old.applied.generation -= 1;
    old.user().permissions.clear();
    old.applied.credential_epoch += 1;
    for failure in [old.clone().apply(&bed).await.failure, old.clone().remove(&bed).await.failure] {
        assert_eq!(failure.map(|failure| failure.reason), Some(Reason::StoreOlderThanCluster));
    }
    assert_eq!(tenant.differences(&bed).await, []);
    old.force = true;
    old.removed(&bed).await;
}

/// At once, without an apply.
pub async fn who_is_cut_off_has_no_binding_and_who_is_kept_has_his(bed: Bed) {
    let mut tenant = Tenant::new();
    tenant.made(&bed).await;
    tenant.cut_off_others(&bed).await;
    assert_eq!(tenant.differences(&bed).await, []);
    tenant.applied.credential_epoch += 1;
    tenant.cut_off_others(&bed).await;
    let missing: Vec<_> = tenant.differences(&bed).await;
    let missing: Vec<_> = missing.iter().map(|change| (change.id.kind.as_str(), change.change)).collect();
    assert_eq!(missing, [("RoleBinding", ChangeKind::Create); 2]);
    tenant.made(&bed).await;
}
