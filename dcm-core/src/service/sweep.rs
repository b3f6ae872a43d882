use super::{Dcm, Page};
use crate::{
    error::Error,
    keys,
    model::{Credential, Uid},
    store::{Key, Scan, StoreExt},
};

impl Dcm {
    /// Removes everything that is keyed by a logical cloud that is gone.
    pub(super) async fn sweep(&self, cloud: &Uid) -> Result<(), Error> {
        let collections =
            [keys::desired(cloud)?, keys::kv_pairs(cloud)?, keys::statuses(cloud)?, keys::applied_all(cloud)?];
        for reference in self.store().list_all(&keys::references(cloud)?).await? {
            self.sweep_use(cloud, &reference.value).await?;
        }
        let mut rest = Some(Scan::below(keys::credentials(cloud)?, Page::LARGEST_LIMIT).bytes(Scan::PAGE_BYTES));
        while let Some(scan) = rest {
            let page = self.store().scan(scan.clone()).await?;
            rest = scan.rest(&page);
            for document in page {
                // What cannot be read has no renewal that could be found by it; that one goes when it is due.
                let at = document.body.read::<Credential>(&document.key).ok().and_then(|found| found.renew_at);
                if let Some(at) = at {
                    let renewal = keys::renewals()?.child(&keys::renewal_time(at))?.child(cloud.as_str())?;
                    self.store().remove(&renewal.child(document.key.last())?).await?;
                }
            }
        }
        self.remove_below(keys::credentials(cloud)?).await?;
        for prefix in collections {
            self.remove_below(prefix).await?;
        }
        self.remove_below(keys::applied_pages_all(cloud)?).await
    }

    /// Removes all documents below a prefix.
    pub(super) async fn remove_below(&self, prefix: Key) -> Result<(), Error> {
        let scan = Scan::below(prefix, Page::LARGEST_LIMIT).bytes(Scan::PAGE_BYTES);
        loop {
            let page = self.store().scan(scan.clone()).await?;
            for document in &page {
                self.store().remove(&document.key).await?;
            }
            if !scan.is_full(&page) {
                return Ok(());
            }
        }
    }

    async fn sweep_use(&self, cloud: &Uid, reference: &crate::model::ClusterReference) -> Result<(), Error> {
        match self.registration(&reference.cluster_provider, &reference.cluster_name).await {
            Ok(cluster) => Ok(self.store().remove(&keys::cluster_use(&cluster.value.uid, cloud)?).await?),
            Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
