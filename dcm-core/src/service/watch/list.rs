use std::{collections::VecDeque, marker::PhantomData, pin::pin};

use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{Either, select},
    stream,
};

use super::{
    News, Parent, Watch, WatchEvent,
    position::{Present, Scope, Start},
    shared::Moment,
};
use crate::{
    error::Error,
    model::LabelSelector,
    service::Dcm,
    store::{Change, Changes, Document, Entry, Event, Key, Position, Scan, Stored},
};

/// How many records are read at once, until they have so many bytes together, and how many changes are told between two
/// such pages.
const PAGE: usize = 32;
const PAGE_BYTES: usize = 256 * 1024;
const BETWEEN: usize = 1024;

/// What a list shows of a record.
pub(in crate::service) trait Viewed: Send + Sized + 'static {
    /// The record.
    type Record: Stored + Send;

    /// Derives it.
    fn of(dcm: &Dcm, told: Told<Self::Record>) -> impl Future<Output = Result<Self, Error>> + Send;

    /// Whether it is selected. What has no labels is, whatever the selector.
    fn is_selected(_: &Self::Record, _: &LabelSelector) -> bool {
        true
    }
}

/// A record that a watch tells of.
pub(in crate::service) struct Told<T> {
    pub(in crate::service) entry: Entry<T>,
    /// How large its document is.
    pub(in crate::service) bytes: usize,
    /// What is derived for it must not have begun earlier.
    pub(in crate::service) since: Moment,
}

/// Most lists show the record as it is.
impl<T: Stored + Send + 'static> Viewed for Entry<T> {
    type Record = T;

    async fn of(_: &Dcm, told: Told<T>) -> Result<Self, Error> {
        Ok(told.entry)
    }
}

impl Dcm {
    /// Watches a list: what lies below a prefix.
    pub(in crate::service) async fn watch_list<V: Viewed>(
        &self,
        start: Start,
        prefix: Key,
        parent: Option<Parent>,
    ) -> Result<Watch<V>, Error> {
        self.watch_selected(start, prefix, parent, &LabelSelector::everything()).await
    }

    /// Watches those of a list that are selected. One that is changed and is not selected is told as gone, since it may have
    /// been selected before.
    pub(in crate::service) async fn watch_selected<V: Viewed>(
        &self,
        start: Start,
        prefix: Key,
        parent: Option<Parent>,
        selector: &LabelSelector,
    ) -> Result<Watch<V>, Error> {
        let scope = Scope::of(&prefix, selector);
        start.check(&scope)?;
        let stage = match start.present {
            Present::All => Stage::Listing(Listing::default()),
            Present::After(name) => {
                prefix.child(&name).map_err(|_| crate::store::Error::Expired)?;
                Stage::Listing(Listing { listed: Some(name), ..Listing::default() })
            }
            Present::Nothing => Stage::Following,
        };
        let changes = self.store().watch(Some(&prefix), Some(start.at.clone())).await?;
        let parent = match parent {
            Some(parent) => Some((parent.touches(self.store(), &start.at).await?, parent)),
            None => None,
        };
        let watch = ListWatch {
            dcm: self.clone(),
            prefix,
            selector: selector.clone(),
            scope,
            since: self.shared.moment(),
            at: start.at,
            changes,
            parent,
            stage,
            view: PhantomData,
        };
        Ok(stream::unfold(watch, ListWatch::next).boxed())
    }
}

struct ListWatch<V> {
    dcm: Dcm,
    prefix: Key,
    selector: LabelSelector,
    scope: Scope,
    /// When the watch began, or to read the page that it tells of.
    since: Moment,
    /// Everything up to here was told.
    at: Position,
    changes: Changes,
    parent: Option<(Changes, Parent)>,
    stage: Stage,
    view: PhantomData<fn() -> V>,
}

enum Stage {
    Listing(Listing),
    Following,
    Over,
}

/// How far the present records were told.
#[derive(Default)]
struct Listing {
    /// The last one that was told.
    listed: Option<String>,
    page: VecDeque<Document>,
    /// Whether there are no pages after this one.
    last: bool,
    /// How many changes were told since the page was read.
    between: usize,
}

/// What happened.
enum Step {
    Changed(Event),
    ParentTouched,
}

impl<V: Viewed> ListWatch<V> {
    async fn next(mut self) -> Option<(Result<WatchEvent<V>, Error>, Self)> {
        let item = self.advance().await.transpose()?;
        if !matches!(&item, Ok(event) if !matches!(event.news, News::Ended)) {
            self.stage = Stage::Over;
        }
        Some((item, self))
    }

    async fn advance(&mut self) -> Result<Option<WatchEvent<V>>, Error> {
        loop {
            let event = match &self.stage {
                Stage::Over => return Ok(None),
                Stage::Listing(_) => self.list().await?,
                Stage::Following => {
                    let step = self.step().await?;
                    self.tell(step).await?
                }
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// Tells of the next present record; between two pages, of what has changed meanwhile.
    async fn list(&mut self) -> Result<Option<WatchEvent<V>>, Error> {
        let Stage::Listing(listing) = &mut self.stage else { return Ok(None) };
        if let Some(document) = listing.page.pop_front() {
            listing.listed = Some(document.key.last().to_owned());
            return self.put(document).await;
        }
        if listing.between < BETWEEN {
            listing.between += 1;
            // Dropping the step loses nothing: it only waits.
            if let Some(step) = self.step().now_or_never() {
                return self.tell(step?).await;
            }
        }
        let Stage::Listing(listing) = &mut self.stage else { return Ok(None) };
        if listing.last {
            self.stage = Stage::Following;
            return Ok(Some(self.event(News::Synced)));
        }
        let after = listing.listed.as_deref().map(|name| self.prefix.child(name)).transpose()?;
        let scan = Scan::below(self.prefix.clone(), PAGE).bytes(PAGE_BYTES).after(after);
        // No event follows for what lies beside the records: it must not be older than they are.
        self.since = self.dcm.shared.moment();
        let page = self.dcm.store().scan(scan.clone()).await?;
        listing.last = !scan.is_full(&page);
        listing.page = page.into();
        listing.between = 0;
        Ok(None)
    }

    /// Waits until something happens.
    async fn step(&mut self) -> Result<Step, Error> {
        let next = async |changes: &mut Changes| match changes.next().await {
            Some(event) => Ok(event?),
            None => Err(Error::Store(crate::store::Error::Unavailable("the store's watch ended".into()))),
        };
        let Some((touches, _)) = &mut self.parent else { return next(&mut self.changes).await.map(Step::Changed) };
        // The parent first: it seldom has anything to say, and is not to fall behind.
        match select(pin!(next(touches)), pin!(next(&mut self.changes))).await {
            Either::Left((touched, _)) => touched.map(|_| Step::ParentTouched),
            Either::Right((event, _)) => event.map(Step::Changed),
        }
    }

    async fn tell(&mut self, step: Step) -> Result<Option<WatchEvent<V>>, Error> {
        match step {
            Step::Changed(Event { position, change }) => {
                self.at = position;
                let key = change.key().clone();
                let told = match change {
                    Change::Put(document) => self.put(document).await?,
                    Change::Deleted(_) => None,
                };
                Ok(told.or_else(|| Some(self.event(News::Deleted(key.last().to_owned())))))
            }
            Step::ParentTouched => {
                let Some((_, parent)) = &mut self.parent else { return Ok(None) };
                let gone = parent.is_gone(self.dcm.store()).await?;
                Ok(gone.then(|| self.event(News::Ended)))
            }
        }
    }

    /// Tells of a record as it is, if it is selected.
    async fn put(&mut self, document: Document) -> Result<Option<WatchEvent<V>>, Error> {
        let bytes = document.body.as_bytes().len();
        let entry = Entry::<V::Record>::read(document)?;
        if !V::is_selected(&entry.value, &self.selector) {
            return Ok(None);
        }
        // In a box: a watch waits for most of its life, and then has no room taken for this.
        let view = Box::pin(V::of(&self.dcm, Told { entry, bytes, since: self.since })).await?;
        Ok(Some(self.event(News::Put(view))))
    }

    fn event(&self, news: News<V>) -> WatchEvent<V> {
        let listed = match &self.stage {
            // Before the first record too: whoever goes on from there must be told of all of them.
            Stage::Listing(listing) => Some(listing.listed.as_deref().unwrap_or_default()),
            _ => None,
        };
        WatchEvent { position: self.scope.position(&self.at, listed), news }
    }
}
