//! When credentials are renewed: by a timer of their own, whether drift is looked for or not.
//!
//! Each credential has a document whose key begins with the time at which it is due. It is written before the
//! credential and removed after the next one, so a crash leaves one too many and never one too few; one that
//! fits no credential is dropped when its time comes.

use std::time::Duration;

use jiff::Timestamp;

use super::{Dcm, drive::own_fault};
use crate::{
    error::Error,
    keys,
    lifecycle::Phase,
    model::{ClusterStatus, Credential, Goal, LogicalCloud, Order, Renewal, Uid},
    name::ReferenceName,
    service::CloudWork,
    store::{self, Document, Key, Scan, StoreExt},
};

/// How many renewals are read at once.
const PAGE: usize = 500;

/// What a look for credentials that are due found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Renewals {
    /// How many renewals it ordered.
    pub ordered: u64,
    /// When the next one is due, where there is one.
    pub next: Option<Timestamp>,
}

impl Dcm {
    /// Has all credentials renewed that are due.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn renew_due(&self) -> Result<Renewals, Error> {
        self.renew_overdue(Duration::ZERO).await
    }

    /// Has all credentials renewed that have been due for so long: for processes that step in where the one that
    /// does it for all does not, because its clock is wrong, say. Where several do it at once, they give the same orders.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn renew_overdue(&self, by: Duration) -> Result<Renewals, Error> {
        let due = self.now().checked_sub(by).unwrap_or(Timestamp::MIN);
        let mut found = Renewals::default();
        let mut after: Option<Key> = None;
        loop {
            let scan = Scan::below(keys::renewals()?, PAGE).after(after.take());
            let page = self.store().scan(scan).await?;
            let full = page.len() == PAGE;
            after = page.last().map(|last| last.key.clone());
            for Document { key, body, .. } in page {
                // One that cannot be read keeps no other one from being renewed.
                let Ok(renewal) = body.read::<Renewal>(&key) else { continue };
                if renewal.at > due {
                    return Ok(Renewals { next: Some(renewal.at), ..found });
                }
                // Nor does one whose credential cannot be.
                match self.renew(&key, &renewal).await {
                    Ok(ordered) => found.ordered += u64::from(ordered),
                    Err(error) => drop(own_fault(error)?),
                }
            }
            if !full {
                return Ok(found);
            }
        }
    }

    /// Orders one renewal; false where there is nothing to order, or not now.
    async fn renew(&self, renewal_key: &Key, renewal: &Renewal) -> Result<bool, Error> {
        let Renewal { at, cloud, cloud_uid, reference } = renewal;
        let cloud = self.store().load::<LogicalCloud>(cloud).await?.filter(|cloud| cloud.value.uid == *cloud_uid);
        let gone = cloud.is_none();
        let credential = self.store().load::<Credential>(&keys::credential(cloud_uid, reference)?).await?;
        let (Some(cloud), Some(credential)) = (cloud, credential.filter(|found| found.value.renew_at == Some(*at)))
        else {
            if gone {
                // An attempt that came too late may have left it.
                self.store().remove(&keys::credential(cloud_uid, reference)?).await?;
            }
            self.store().remove(renewal_key).await?;
            return Ok(false);
        };
        // Of a cloud that was stopped nothing is touched; the next apply finds it.
        if cloud.value.lifecycle.phase != Phase::Applied {
            return Ok(false);
        }
        let key = keys::status(cloud_uid, reference)?;
        let Some(status) = self.store().load::<ClusterStatus>(&key).await? else {
            // An attempt that came too late has left it: each begins with the status.
            self.take_back(&credential).await?;
            self.store().remove(renewal_key).await?;
            return Ok(false);
        };
        let works_on_it = status.value.renew || !status.value.reached;
        if works_on_it && self.store().load::<Order>(&keys::order(cloud_uid)?).await?.is_some() {
            return Ok(false);
        }
        if !works_on_it && status.value.goal == Goal::Present {
            let marked = ClusterStatus { renew: true, ..status.value };
            match self.store().replace(&key, &marked, &status.revision).await {
                // It is being worked on: the next look sees what came of it.
                Err(store::Error::Conflict { .. }) => return Ok(false),
                written => written.map(drop)?,
            }
        }
        self.give_order_for_reference(&cloud).await?;
        Ok(true)
    }

    pub(super) async fn plan_renewal(
        &self,
        work: &CloudWork,
        reference: &ReferenceName,
        at: Timestamp,
    ) -> Result<(), Error> {
        let cloud_uid = work.cloud.uid.clone();
        let key = keys::renewal(&keys::renewal_time(at), &cloud_uid, reference)?;
        let renewal = Renewal { at, cloud: work.cloud_key.clone(), cloud_uid, reference: reference.clone() };
        self.store().update(&key, |_| -> Result<_, Error> { Ok(renewal.clone()) }).await?;
        Ok(())
    }

    pub(super) async fn forget_renewal(
        &self,
        cloud: &Uid,
        reference: &ReferenceName,
        at: Timestamp,
    ) -> Result<(), Error> {
        let key = keys::renewal(&keys::renewal_time(at), cloud, reference)?;
        Ok(self.store().remove(&key).await?)
    }
}
