//! What watches derive from a record's state and what is stored beside it, derived once for all that tell of that state: a
//! thousand watches of one list are not a thousand reads for each change.

use std::{
    future::{Ready, ready},
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::future::Either;

use super::{
    flight::{Flight, Waiter},
    list::{Told, Viewed},
};
use crate::{
    error::Error,
    model::LabelSelector,
    service::{ClusterView, Dcm, LogicalCloudView, memo::Memo},
    store::{Entry, Key, Revision, Stored},
};

/// Of how many bytes a view was made that is kept for those who come to it later, a thousand of each kind at most. A larger one is
/// shared by those who wait for it at the same time.
const SMALL: usize = 8 * 1024;

/// When something began, among the beginnings of watches and of derivations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::service) struct Moment(u64);

/// The views that watches derived lately, or derive now.
#[derive(Debug, Default)]
pub(in crate::service) struct SharedViews {
    next: AtomicU64,
    pub(in crate::service) clouds: Views<LogicalCloudView>,
    pub(in crate::service) clusters: Views<ClusterView>,
}

pub(in crate::service) type Views<V> = Memo<Derivation<V>>;

/// What a list shows of a record, where that takes reads of its own.
pub(in crate::service) trait Derivable: Send + Sync + Sized + 'static {
    /// The record.
    type Record: Stored + Clone + Send + Sync + 'static;

    /// Where those of its kind are.
    fn views(shared: &SharedViews) -> &Views<Self>;

    /// Derives it, and answers also how many bytes it read for that.
    fn derive(
        dcm: Dcm,
        entry: Entry<Self::Record>,
    ) -> impl Future<Output = Result<(Self, usize), Error>> + Send + 'static;

    /// Whether it is selected.
    fn is_selected(record: &Self::Record, selector: &LabelSelector) -> bool;
}

impl<V: Derivable> Viewed for Arc<V> {
    type Record = V::Record;

    async fn of(dcm: &Dcm, told: Told<V::Record>) -> Result<Self, Error> {
        let Told { entry, bytes, since } = told;
        let derive = || {
            let derive = V::derive(dcm.clone(), entry.clone());
            async move { derive.await.map(|(view, read)| (view, bytes + read)) }
        };
        dcm.shared.view(V::views(&dcm.shared), (&entry.key, &entry.revision), since, derive).await
    }

    fn is_selected(record: &V::Record, selector: &LabelSelector) -> bool {
        V::is_selected(record, selector)
    }
}

impl SharedViews {
    /// Now: what is derived from here on began later.
    pub(in crate::service) fn moment(&self) -> Moment {
        Moment(self.next.fetch_add(1, Ordering::SeqCst))
    }

    /// The view of a state of a record: one whose derivation began since then, or what `derive` makes, which answers also from
    /// how many bytes. An older one may lack what the watch's client knows from elsewhere.
    async fn view<V, F>(
        &self,
        views: &Views<V>,
        state: (&Key, &Revision),
        since: Moment,
        derive: impl Fn() -> F,
    ) -> Result<Arc<V>, Error>
    where
        V: Send + Sync + 'static,
        F: Future<Output = Result<(V, usize), Error>> + Send + 'static,
    {
        let known = |known: &Derivation<V>| (known.begun > since).then(|| known.view()).flatten();
        let view = views.find_or_keep(state, known, || Derivation::begin(self.moment(), derive()));
        let error = match view.await {
            Some(Ok(view)) => return Ok(view),
            Some(Err(failed)) => failed.take(),
            None => None,
        };
        match error {
            Some(error) => Err(error),
            // Another watch was told, or it panicked. Each tries by itself: one after the other, all would wait for as long as all
            // take together to fail.
            None => Ok(Arc::new(derive().await?.0)),
        }
    }
}

/// A view that somebody waits for, or that is kept.
pub(in crate::service) struct Derivation<V> {
    begun: Moment,
    /// Gone with the last who waits for it.
    awaited: Weak<Flight<Outcome<V>>>,
    kept: Arc<OnceLock<Arc<V>>>,
}

type Outcome<V> = Result<Arc<V>, Failed>;

/// Why deriving failed: one of those who waited is told.
#[derive(Clone)]
struct Failed(Arc<Mutex<Option<Error>>>);

impl Failed {
    fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

type Awaited<V> = Either<Ready<Option<Outcome<V>>>, Waiter<Outcome<V>>>;

impl<V: Send + Sync + 'static> Derivation<V> {
    fn begin(
        begun: Moment,
        derive: impl Future<Output = Result<(V, usize), Error>> + Send + 'static,
    ) -> (Self, Awaited<V>) {
        let kept = Arc::new(OnceLock::new());
        let keeps = Arc::clone(&kept);
        let flight = Flight::new(async move {
            let (view, bytes) = derive.await.map_err(|error| Failed(Arc::new(Mutex::new(Some(error)))))?;
            let view = Arc::new(view);
            if bytes <= SMALL {
                let _ = keeps.set(Arc::clone(&view));
            }
            Ok(view)
        });
        (Self { begun, awaited: Arc::downgrade(&flight), kept }, Either::Right(flight.wait()))
    }

    fn view(&self) -> Option<Awaited<V>> {
        if let Some(view) = self.kept.get() {
            return Some(Either::Left(ready(Some(Ok(Arc::clone(view))))));
        }
        let flight = self.awaited.upgrade()?;
        // What failed may be held by one that nobody asks for more.
        let has_failed = flight.outcome().is_some_and(|outcome| !matches!(outcome, Some(Ok(_))));
        (!has_failed).then(|| Either::Right(flight.wait()))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        pin::{Pin, pin},
        sync::atomic::AtomicUsize,
    };

    use futures_util::{FutureExt as _, future::join_all};

    use super::*;

    type Derived = Result<(usize, usize), Error>;

    struct Fixture {
        shared: SharedViews,
        views: Views<usize>,
        key: Key,
        since: Moment,
    }

    impl Fixture {
        fn new() -> Self {
            let shared = SharedViews::default();
            let since = shared.moment();
            Self { shared, views: Memo::default(), key: "a/b".parse().unwrap(), since }
        }

        async fn view<F>(&self, since: Moment, derive: impl Fn() -> F) -> Result<usize, Error>
        where
            F: Future<Output = Derived> + Send + 'static,
        {
            let view = self.shared.view(&self.views, (&self.key, &Revision::new("1")), since, derive).await?;
            Ok(*view)
        }
    }

    fn is_waiting<T>(future: Pin<&mut impl Future<Output = T>>) -> bool {
        future.now_or_never().is_none()
    }

    /// Takes a few more polls.
    async fn slowly(derived: impl FnOnce() -> Derived) -> Derived {
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        derived()
    }

    #[tokio::test]
    async fn many_who_tell_of_one_state_derive_it_once() {
        let f = Fixture::new();
        let derived = AtomicUsize::new(0);
        let derive = || {
            let number = derived.fetch_add(1, Ordering::SeqCst);
            slowly(move || Ok((number, SMALL)))
        };
        let all = join_all((0..100).map(|_| f.view(f.since, derive))).await;
        assert!(all.into_iter().all(|view| view.unwrap() == 0));
        // Nobody waits for it any more, and it is small.
        assert_eq!(f.view(f.since, derive).await.unwrap(), 0);
        assert_eq!(derived.load(Ordering::SeqCst), 1);
        let next = f.shared.view(&f.views, (&f.key, &Revision::new("2")), f.since, || ready(Ok((7, 0)))).await;
        assert_eq!(*next.unwrap(), 7, "another state's view was told");
    }

    #[tokio::test]
    async fn a_watch_is_not_told_what_was_derived_before_it_began() {
        let f = Fixture::new();
        assert_eq!(f.view(f.since, || ready(Ok((1, 0)))).await.unwrap(), 1);
        let after = f.shared.moment();
        assert_eq!(f.view(after, || ready(Ok((2, 0)))).await.unwrap(), 2);
        assert_eq!(f.view(f.since, || ready(Ok((3, 0)))).await.unwrap(), 2, "as good for the older one");
    }

    #[tokio::test]
    async fn a_large_view_is_shared_by_those_who_wait_for_it_and_then_let_go() {
        let f = Fixture::new();
        let large = |value| move || slowly(move || Ok((value, SMALL + 1)));
        let both = join_all([1, 2].map(|value| f.view(f.since, large(value)))).await;
        assert!(both.into_iter().all(|view| view.unwrap() == 1));
        assert_eq!(f.view(f.since, large(3)).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn one_that_nobody_asks_for_more_holds_up_no_other() {
        let f = Fixture::new();
        let derive = |value| move || slowly(move || Ok((value, 0)));
        let mut stalled = pin!(f.view(f.since, derive(1)));
        assert!(is_waiting(stalled.as_mut()));
        assert_eq!(f.view(f.since, derive(2)).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_begun_anew() {
        let f = Fixture::new();
        let mut dropped = Box::pin(f.view(f.since, pending));
        assert!(is_waiting(dropped.as_mut()));
        drop(dropped);
        assert_eq!(f.view(f.since, || ready(Ok((2, 0)))).await.unwrap(), 2);
        let after = f.shared.moment();
        let mut starter = Box::pin(f.view(after, || slowly(|| Ok((3, 0)))));
        let mut other = pin!(f.view(after, pending));
        assert!(is_waiting(starter.as_mut()) && is_waiting(other.as_mut()));
        drop(starter);
        assert_eq!(other.await.unwrap(), 3, "what the first one had begun went with it");
    }

    #[tokio::test]
    async fn a_failure_is_told_to_one_and_not_kept_and_the_others_try_themselves() {
        let f = Fixture::new();
        let tries = AtomicUsize::new(0);
        let failing = || {
            tries.fetch_add(1, Ordering::SeqCst);
            slowly(|| Err(Error::not_found("thing", "x")))
        };
        let mut first = pin!(f.view(f.since, failing));
        let mut second = pin!(f.view(f.since, || ready(Ok((2, 0)))));
        let mut stalled = pin!(f.view(f.since, pending));
        assert!(is_waiting(first.as_mut()) && is_waiting(second.as_mut()) && is_waiting(stalled.as_mut()));
        first.await.unwrap_err();
        assert_eq!(tries.load(Ordering::SeqCst), 1, "it failed twice for one");
        assert_eq!(second.await.unwrap(), 2);
        // One that waited still holds it.
        let both = join_all([3, 4].map(|value| f.view(f.since, move || slowly(move || Ok((value, SMALL + 1)))))).await;
        assert!(both.into_iter().all(|view| view.unwrap() == 3));
    }

    #[tokio::test]
    async fn a_panic_is_its_own_watchs() {
        let f = Fixture::new();
        let mut first = pin!(f.view(f.since, || slowly(|| panic!("while deriving"))));
        let mut second = pin!(f.view(f.since, || ready(Ok((2, 0)))));
        assert!(is_waiting(first.as_mut()) && is_waiting(second.as_mut()));
        let panicked = std::panic::AssertUnwindSafe(first.as_mut()).catch_unwind().await;
        assert!(panicked.is_err());
        assert_eq!(second.await.unwrap(), 2);
    }
}
