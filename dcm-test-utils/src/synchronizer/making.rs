//! What is to be there comes to be there, however often it is asked for.

use std::{collections::BTreeSet, time::Duration};

use dcm_core::{
    model::Uid,
    name::QuotaName,
    sync::{Change, ChangeKind},
};

use super::{Bed, Tenant, tenant::sorted};

/// After so many milliseconds calls are dropped; zero lets them begin.
pub(super) const DROPPED_AFTER: [u64; 6] = [0, 1, 2, 5, 10, 20];

/// Its identity is what a registration under another name is found out by.
pub async fn a_cluster_says_who_it_is_and_goes_on_saying_it(bed: Bed) {
    let facts = bed.synchronizer.probe(&bed.access).await.expect("a cluster that answers");
    let sane = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    assert!(facts.identity.len() <= 128 && facts.identity.chars().all(sane), "{facts:?}: it becomes part of a key");
    assert!(!facts.identity.is_empty() && !facts.version.is_empty() && !facts.endpoint.server.is_empty(), "{facts:?}");
    Tenant::new().made(&bed).await;
    let again = bed.synchronizer.probe(&bed.access).await.expect("a cluster that answers");
    assert_eq!((again.identity, again.endpoint), (facts.identity, facts.endpoint));
}

/// And the report says so: each part, each object, each change.
pub async fn apply_makes_all_that_is_desired(bed: Bed) {
    let mut tenant = Tenant::new();
    let report = tenant.made(&bed).await;
    let desired = tenant.desired();
    let wanted: BTreeSet<_> = desired.objects.iter().map(|object| object.id.clone()).collect();
    assert_eq!(report.inventory.iter().map(|item| item.id.clone()).collect::<BTreeSet<_>>(), wanted);
    assert!(report.inventory.iter().all(|item| !item.adopted), "nothing was there before");
    let made = wanted.into_iter().map(|id| Change { id, change: ChangeKind::Create }).collect::<Vec<_>>();
    assert_eq!(sorted(report.changes), made);
    assert_eq!(tenant.differences(&bed).await, []);
}

/// The worker repeats whatever it is not sure of.
pub async fn a_repeat_changes_nothing(bed: Bed) {
    let mut tenant = Tenant::new();
    let first = tenant.made(&bed).await;
    let second = tenant.made(&bed).await;
    assert_eq!(second.changes, []);
    assert_eq!(second.inventory, first.inventory);
}

/// A crash between the work and the record: only what was planned is known.
pub async fn what_was_made_and_never_reported_is_known_again(bed: Bed) {
    let mut tenant = Tenant::new();
    tenant.plan();
    let planned = tenant.inventory.clone();
    let first = tenant.made(&bed).await;
    tenant.inventory.clone_from(&planned);
    let second = tenant.made(&bed).await;
    assert_eq!((second.changes, second.inventory), (Vec::new(), first.inventory));
    tenant.inventory = planned;
    tenant.removed(&bed).await;
    assert_eq!(tenant.differences(&bed).await.len(), tenant.desired().objects.len(), "all of it is gone");
}

/// A request to stop, or another order, drops a call at any await.
pub async fn an_apply_that_is_dropped_anywhere_is_finished_by_the_next(bed: Bed) {
    for after in DROPPED_AFTER {
        let mut tenant = Tenant::new();
        tenant.plan();
        let desired = tenant.desired();
        let call = bed.synchronizer.apply(&bed.access, &desired);
        drop(tokio::time::timeout(Duration::from_millis(after), call).await);
        tenant.made(&bed).await;
        assert_eq!(tenant.differences(&bed).await, [], "dropped after {after} ms");
        tenant.removed(&bed).await;
    }
}

/// An edit, a new permission and one that goes, another user: in one apply.
pub async fn an_edit_is_followed_and_what_is_no_longer_wanted_goes(bed: Bed) {
    let mut tenant = Tenant::new();
    tenant.made(&bed).await;
    tenant.applied.generation += 1;
    tenant.applied.credential_epoch += 1;
    let user = tenant.user();
    user.permissions.remove(1);
    user.permissions[0].verbs = vec!["watch".to_owned()];
    tenant.applied.quotas.clear();
    let limits = [("pods".to_owned(), "7".to_owned())].into();
    tenant.applied.quotas.insert(QuotaName::new("quota-2").expect("a name"), limits);
    let report = tenant.made(&bed).await;
    let gone: BTreeSet<String> = report
        .changes
        .iter()
        .filter(|change| change.change == ChangeKind::Delete)
        .map(|change| change.id.to_string().replace(tenant.namespace().as_str(), "ns"))
        .collect();
    assert_eq!(
        gone.iter().map(String::as_str).collect::<Vec<_>>(),
        ["ResourceQuota ns/quota-1", "Role ns/p-2", "RoleBinding ns/p-2"]
    );
    assert_eq!(report.inventory.len(), tenant.desired().objects.len());
    assert_eq!(tenant.differences(&bed).await, []);
}

/// What it foretells is what the apply reports; asked twice, it says the same.
pub async fn a_comparison_foretells_an_apply_and_changes_nothing(bed: Bed) {
    let mut tenant = Tenant::new();
    assert_eq!(tenant.differences(&bed).await.len(), tenant.desired().objects.len());
    tenant.made(&bed).await;
    tenant.applied.generation += 1;
    tenant.applied.snapshot = Some(Uid::from_random([1; 16]));
    tenant.user().permissions[0].verbs = vec!["watch".to_owned()];
    tenant.user().permissions.remove(1);
    let foretold = tenant.differences(&bed).await;
    assert_eq!(tenant.differences(&bed).await, foretold);
    assert_eq!(sorted(tenant.made(&bed).await.changes), foretold);
}
