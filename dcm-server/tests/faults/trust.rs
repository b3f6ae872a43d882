//! The API server's certificate is not one that can be trusted.

use crate::{
    bed,
    certificates::{self, Validity},
    proxy::{HOST, Proxy},
    setting::Setting,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_that_are_not_good() {
    let Some((bed, _well)) = bed::well("certificates_that_are_not_good").await else { return };
    let proxy = Proxy::start(bed).await;
    let mut setting = Setting::created(&proxy.kubeconfig(bed), &[]).await;
    for (fault, pair) in [
        ("API server's certificate expired", certificates::server(bed, HOST, Validity::Past)),
        ("API server's certificate not valid yet", certificates::server(bed, HOST, Validity::Future)),
        ("API server's certificate from another CA", certificates::stranger(HOST)),
        ("API server's certificate for another name", certificates::server(bed, "127.0.0.2", Validity::Now)),
    ] {
        proxy.shows(&pair);
        setting.apply_a_change().await;
        setting.shows(fault).await;
        setting.others_are_not_held_up().await;
        proxy.shows(&certificates::server(bed, HOST, Validity::Now));
        setting.heals().await;
    }
    setting.stop().await;
}
