use std::collections::BTreeSet;

use super::{Dcm, Page};
use crate::{
    error::Error,
    keys,
    model::{Cluster, Credential, Uid},
    store::{self, Key, Scan, Store, StoreExt},
};

/// How many bytes are read at once where only names are looked for.
const LOOK_BYTES: usize = 64 * 1024;

/// Comes after each name.
const LAST: &str = "\u{10ffff}";

impl Dcm {
    /// Removes everything that is keyed by a logical cloud that is gone, but for its CA: see [`Dcm::plan_forget`].
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

    /// Removes what is kept beside clusters that are gone: a delete that the store cut short leaves it, and nobody else
    /// would find it. Worth doing once at each start.
    ///
    /// # Errors
    /// [`Error::Store`]; then some of it may be left.
    pub async fn sweep_clusters(&self) -> Result<(), Error> {
        // A uid is given once, and the cluster is there before what is kept beside it. So these are read first: whose
        // cluster is not found after that is gone for good.
        let beside = [keys::cluster_kv_pairs_all()?, keys::cluster_health_all()?];
        let mut gone = BTreeSet::new();
        for all in &beside {
            gone.append(&mut self.children(all).await?);
        }
        if gone.is_empty() {
            return Ok(());
        }
        let mut rest = Some(Scan::below(keys::clusters_all()?, Page::LARGEST_LIMIT).bytes(Scan::PAGE_BYTES));
        while let Some(scan) = rest {
            let page = self.store().scan(scan.clone()).await?;
            rest = scan.rest(&page);
            for document in page {
                gone.remove(document.body.read::<Cluster>(&document.key)?.uid.as_str());
            }
        }
        for uid in &gone {
            for all in &beside {
                let key = all.child(uid)?;
                self.remove_below(key.clone()).await?;
                self.store().remove(&key).await?;
            }
        }
        Ok(())
    }

    /// The names of what lies directly below a key, or has something below it. Reads little of what may be large.
    async fn children(&self, parent: &Key) -> Result<BTreeSet<String>, Error> {
        let depth = parent.segments().count();
        let mut names = BTreeSet::new();
        let mut after = None;
        loop {
            let scan = Scan::below(parent.clone(), Page::LARGEST_LIMIT).bytes(LOOK_BYTES).after(after);
            let found = self.store().scan(scan).await?;
            let mut found = found.iter().filter_map(|document| document.key.segments().nth(depth));
            let Some(last) = found.next_back() else { return Ok(names) };
            // Behind all that lies below it: no name begins with this character.
            after = Some(parent.child(last)?.child(LAST)?);
            names.extend(found.map(str::to_owned).chain([last.to_owned()]));
        }
    }

    /// Removes all documents below a prefix.
    pub(super) async fn remove_below(&self, prefix: Key) -> Result<(), Error> {
        Ok(remove_below(self.store(), prefix).await?)
    }

    async fn sweep_use(&self, cloud: &Uid, reference: &crate::model::ClusterReference) -> Result<(), Error> {
        match self.registration(&reference.cluster_provider, &reference.cluster_name).await {
            Ok(cluster) => Ok(self.store().remove(&keys::cluster_use(&cluster.value.uid, cloud)?).await?),
            Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Removes all documents below a prefix.
pub(super) async fn remove_below(store: &dyn Store, prefix: Key) -> Result<(), store::Error> {
    let scan = Scan::below(prefix, Page::LARGEST_LIMIT).bytes(Scan::PAGE_BYTES);
    loop {
        let page = store.scan(scan.clone()).await?;
        for document in &page {
            store.remove(&document.key).await?;
        }
        if !scan.is_full(&page) {
            return Ok(());
        }
    }
}
