//! The API server goes away, freezes, and comes back as another one; or nobody works behind it.

use crate::{bed, setting::Setting};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_and_started_again() {
    let Some((bed, mine)) = bed::mine("stopped_and_started_again").await else { return };
    let mut setting = Setting::created(&bed.admin_kubeconfig(), &[]).await;
    bed.cluster(&mine, "halt").await;
    setting.apply_a_change().await;
    setting.shows("API server stopped").await;
    setting.others_are_not_held_up().await;
    bed.cluster(&mine, "restart").await;
    setting.heals().await;
    let role = setting.path("roles", &setting.role());
    assert!(bed.admin().await.get(&role).await.is_some());
    setting.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_and_let_go_on() {
    let Some((bed, mine)) = bed::mine("frozen_and_let_go_on").await else { return };
    let mut known = Setting::created(&bed.admin_kubeconfig(), &[]).await;
    bed.cluster(&mine, "pause").await;
    let known = async {
        known.apply_a_change().await;
        // Connections that are there take requests; new ones are accepted and come no further.
        known.shows("API server frozen").await;
        known.others_are_not_held_up().await;
        known
    };
    let new = async {
        let mut new = Setting::new(&bed.admin_kubeconfig(), &[]).await;
        new.apply_a_change().await;
        new.shows("API server frozen, new connections").await;
        new.others_are_not_held_up().await;
        new
    };
    let settings = tokio::join!(known, new);
    bed.cluster(&mine, "resume").await;
    for setting in [settings.0, settings.1] {
        setting.heals().await;
        setting.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn started_again_without_data() {
    let Some((bed, mine)) = bed::mine("started_again_without_data").await else { return };
    let mut setting = Setting::created(&bed.admin_kubeconfig(), &[]).await;
    bed.cluster(&mine, "wipe").await;
    let admin = bed.admin().await;
    assert!(admin.get(&setting.path("namespaces", "")).await.is_none());
    setting.apply_a_change().await;
    setting.shows("API server started again without its data").await;
    setting.others_are_not_held_up().await;
    // Nothing is made on a cluster that nobody chose.
    assert!(admin.get(&setting.path("namespaces", "")).await.is_none());
    setting.give_up_the_real_one().await;
    setting.refer("real").await;
    setting.order("apply").await;
    setting.heals().await;
    assert!(admin.get(&setting.path("roles", &setting.role())).await.is_some());
    setting.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_while_the_cloud_is_terminated() {
    let Some((bed, mine)) = bed::mine("stopped_while_the_cloud_is_terminated").await else { return };
    let setting = Setting::created(&bed.admin_kubeconfig(), &[]).await;
    bed.cluster(&mine, "halt").await;
    setting.order("terminate").await;
    setting.shows("API server stopped").await;
    bed.cluster(&mine, "restart").await;
    setting.is_deleted().await;
    assert!(bed.admin().await.get(&setting.path("namespaces", "")).await.is_none());
    setting.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn started_again_without_data_while_the_cloud_is_terminated() {
    let Some((bed, mine)) = bed::mine("started_again_without_data_while_the_cloud_is_terminated").await else { return };
    let setting = Setting::created(&bed.admin_kubeconfig(), &[]).await;
    bed.cluster(&mine, "wipe").await;
    setting.order("terminate").await;
    setting.shows("API server started again without its data").await;
    setting.give_up_the_real_one().await;
    setting.is_deleted().await;
    setting.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_signs_and_nothing_goes() {
    let Some((bed, mine)) = bed::mine("nobody_signs_and_nothing_goes").await else { return };
    let going = Setting::created(&bed.admin_kubeconfig(), &[]).await;
    let mut coming = Setting::new(&bed.admin_kubeconfig(), &[]).await;
    bed.pause_controllers(&mine).await;
    going.order("terminate").await;
    coming.apply_a_change().await;
    coming.others_are_not_held_up().await;
    coming.shows("Controllers frozen: nobody signs").await;
    going.shows("Controllers frozen: no namespace goes").await;
    bed.cluster(&mine, "resume").await;
    coming.heals().await;
    going.is_deleted().await;
    for setting in [coming, going] {
        setting.stop().await;
    }
}
