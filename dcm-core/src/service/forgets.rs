//! Has the CA forget logical clouds that are gone.
//!
//! The CA may be another process, and away when a logical cloud goes. So what it is to forget is recorded before the logical cloud's
//! last order is dropped, and the record goes when the CA has answered. A crash leaves one too many, never one too few, and a CA may
//! be told twice.

use std::time::Duration;

use jiff::SignedDuration;

use super::Dcm;
use crate::{
    ca::{self, CaProvider},
    error::Error,
    keys,
    model::{PendingForget, Uid},
    store::{self, Document, Scan, StoreExt},
};

/// How many records are read at once.
const PAGE: usize = 500;

/// What came of having a CA forget logical clouds that are gone.
#[derive(Debug, Default)]
pub struct Forgets {
    /// How many it has forgotten.
    pub forgotten: u64,
    /// How many are left, as far as was looked: to the end of the page with the first that failed.
    pub pending: u64,
    /// Why any are left: the first failure.
    pub failure: Option<ca::Error>,
}

impl Dcm {
    /// Has a CA forget all logical clouds that are gone and that it was not told of yet. Worth doing now and then, by any number of
    /// processes; where it fails, the next time does the rest.
    ///
    /// A CA that is away or refuses all is asked once, however many wait.
    ///
    /// # Errors
    /// [`Error::Store`]. What the CA does is no error: it is in [`Forgets::failure`].
    pub async fn forget_gone_clouds(&self, ca: &dyn CaProvider) -> Result<Forgets, Error> {
        let mut done = Forgets::default();
        let mut rest = Some(Scan::below(keys::pending_forgets()?, PAGE));
        while let Some(scan) = rest.take() {
            let page = self.store().scan(scan.clone()).await?;
            rest = scan.rest(&page);
            for document in page {
                if done.failure.as_ref().is_some_and(concerns_all) {
                    done.pending += 1;
                    rest = None;
                    continue;
                }
                match ca.forget(&Uid::from_key(document.key.last())).await {
                    Ok(()) => {
                        self.drop_forget(&document).await?;
                        done.forgotten += 1;
                    }
                    Err(error) => {
                        done.pending += 1;
                        done.failure.get_or_insert(error);
                    }
                }
            }
        }
        Ok(done)
    }

    /// How many logical clouds are gone that the CA has not forgotten yet; of more than 500, as many.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn pending_forgets(&self) -> Result<u64, Error> {
        let page = self.store().scan(Scan::below(keys::pending_forgets()?, PAGE)).await?;
        Ok(page.len() as u64)
    }

    /// Drops what has waited for so long: where there is no CA, nobody would ever ask for it. Answers how many are left.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn drop_forgets_older_than(&self, age: Duration) -> Result<u64, Error> {
        let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
        let (mut pending, mut rest) = (0, Some(Scan::below(keys::pending_forgets()?, PAGE)));
        while let Some(scan) = rest.take() {
            let page = self.store().scan(scan.clone()).await?;
            rest = scan.rest(&page);
            for document in page {
                // One that cannot be read is for whoever has a CA.
                let found = document.body.read::<PendingForget>(&document.key);
                if found.is_ok_and(|found| self.now().duration_since(found.since) >= age) {
                    self.drop_forget(&document).await?;
                } else {
                    pending += 1;
                }
            }
        }
        Ok(pending)
    }

    /// Records that the CA is to forget a logical cloud that was deleted, and removes what a built-in one has in this store: it
    /// may not be the CA that is asked any more.
    pub(super) async fn plan_forget(&self, cloud: &Uid) -> Result<(), Error> {
        self.store().remove(&keys::certificate_authority(cloud)?).await?;
        self.remove_below(keys::intermediate_cas_all(cloud)?).await?;
        // After that, since this may be the second time, and what the CA has put in the place of the roots is gone now, too. And
        // written anew where it is there already: who is about to drop it has told the CA before this.
        let anew = PendingForget { cloud: cloud.clone(), since: self.now() };
        let plan = |found: Option<PendingForget>| -> Result<_, Error> { Ok(found.unwrap_or_else(|| anew.clone())) };
        self.store().update(&keys::pending_forget(cloud)?, plan).await?;
        Ok(())
    }

    async fn drop_forget(&self, document: &Document) -> Result<(), Error> {
        match self.store().delete(&document.key, &document.revision).await {
            // Another process was faster; or it is planned anew, and done once more.
            Ok(()) | Err(store::Error::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether the CA would say the same of all others now.
const fn concerns_all(error: &ca::Error) -> bool {
    matches!(
        error,
        ca::Error::Unavailable { .. }
            | ca::Error::Timeout { .. }
            | ca::Error::Denied(_)
            | ca::Error::Unsupported { .. }
    )
}
