//! Work that many wait for, and that each of them carries on.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::{FutureExt as _, future::BoxFuture};

/// A future whose outcome many wait for: whoever of them is polled polls it.
///
/// One that is not polled any more, since nobody asks its watch for more, holds up no other. `futures_util`'s `Shared` promises the
/// same, but forgets to wake those who begin to wait while another one polls (rust-lang/futures-rs#2706).
pub(super) struct Flight<T> {
    work: Mutex<Work<T>>,
    waiting: Arc<Waiting>,
}

enum Work<T> {
    /// At rest: the next who is polled goes on with it.
    Resting(BoxFuture<'static, Option<T>>),
    /// Somebody is at it now.
    Polled,
    /// `None` where it panicked.
    Done(Option<T>),
}

impl<T: Clone + Send + 'static> Flight<T> {
    pub(super) fn new(work: impl Future<Output = T> + Send + 'static) -> Arc<Self> {
        let work = AssertUnwindSafe(work).catch_unwind().map(Result::ok).boxed();
        Arc::new(Self { work: Mutex::new(Work::Resting(work)), waiting: Arc::default() })
    }

    /// Waits for the outcome; `None` where the work panicked.
    pub(super) fn wait(self: &Arc<Self>) -> Waiter<T> {
        Waiter { flight: Arc::clone(self), number: None }
    }

    /// The outcome, if it is there.
    pub(super) fn outcome(&self) -> Option<Option<T>> {
        match &*self.work() {
            Work::Done(outcome) => Some(outcome.clone()),
            Work::Resting(_) | Work::Polled => None,
        }
    }

    fn poll(&self, number: &mut Option<u64>, waker: &Waker) -> Poll<Option<T>> {
        // Before the work is looked at: from here on a wake reaches this one too.
        self.waiting.add(number, waker);
        let mut resting = {
            let mut work = self.work();
            match std::mem::replace(&mut *work, Work::Polled) {
                Work::Resting(resting) => resting,
                Work::Polled => return Poll::Pending,
                Work::Done(outcome) => {
                    *work = Work::Done(outcome.clone());
                    return Poll::Ready(outcome);
                }
            }
        };
        self.waiting.woken.store(false, Ordering::SeqCst);
        let polled = resting.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&self.waiting))));
        let is_woken = match polled {
            Poll::Ready(outcome) => {
                *self.work() = Work::Done(outcome.clone());
                self.waiting.wake_all();
                return Poll::Ready(outcome);
            }
            Poll::Pending => {
                *self.work() = Work::Resting(resting);
                // After it was put back: whoever came meanwhile found nothing to poll.
                self.waiting.woken.load(Ordering::SeqCst)
            }
        };
        if is_woken {
            self.waiting.wake_all();
        }
        Poll::Pending
    }

    fn work(&self) -> MutexGuard<'_, Work<T>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits.
pub(super) struct Waiter<T> {
    flight: Arc<Flight<T>>,
    number: Option<u64>,
}

impl<T: Clone + Send + 'static> Future for Waiter<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let Self { flight, number } = &mut *self;
        flight.poll(number, context.waker())
    }
}

impl<T> Drop for Waiter<T> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.flight.waiting.remove(number);
        }
    }
}

/// Those who are to be woken. What wakes the work holds this and not the work, which would hold itself otherwise.
///
/// No waker is woken or dropped under the lock: with some executors a task goes with its last waker, and a waiter with the task.
#[derive(Default)]
struct Waiting {
    known: Mutex<Known>,
    /// Whether the work was woken since somebody began to poll it.
    woken: AtomicBool,
}

#[derive(Default)]
struct Known {
    last: u64,
    wakers: HashMap<u64, Waker>,
}

impl Waiting {
    fn add(&self, number: &mut Option<u64>, waker: &Waker) {
        let mut known = self.lock();
        let number = *number.get_or_insert_with(|| {
            known.last += 1;
            known.last
        });
        let before = known.wakers.insert(number, waker.clone());
        drop(known);
        drop(before);
    }

    fn remove(&self, number: u64) {
        let waker = self.lock().wakers.remove(&number);
        drop(waker);
    }

    /// Wakes all: any of them may be one that is not polled any more.
    fn wake_all(&self) {
        let wakers = std::mem::take(&mut self.lock().wakers);
        wakers.into_values().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.wake_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, poll_fn},
        sync::atomic::AtomicUsize,
    };

    use super::*;

    /// How often somebody was woken.
    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Counter {
        fn poll<T: Clone + Send + 'static>(self: &Arc<Self>, waiter: &mut Waiter<T>) -> Poll<Option<T>> {
            Pin::new(waiter).poll(&mut Context::from_waker(&Waker::from(Arc::clone(self))))
        }

        fn woken(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    #[test]
    fn whoever_begins_to_wait_while_the_work_is_woken_under_another_is_woken() {
        type Late = Option<(Waiter<u8>, Arc<Counter>)>;
        let late: Arc<Mutex<Late>> = Arc::default();
        let in_work = Arc::clone(&late);
        let mut polls = 0;
        let flight = Flight::new(poll_fn(move |context| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready(7);
            }
            context.waker().wake_by_ref();
            // Begins to wait now: after the wake, before the work rests.
            if let Some((waiter, counter)) = &mut *in_work.lock().unwrap() {
                assert!(counter.poll(waiter).is_pending());
            }
            Poll::Pending
        }));
        let (mut stalled, stalled_counter) = (flight.wait(), Arc::new(Counter::default()));
        let counter = Arc::new(Counter::default());
        *late.lock().unwrap() = Some((flight.wait(), Arc::clone(&counter)));
        assert!(stalled_counter.poll(&mut stalled).is_pending());
        // The first one is never polled again.
        assert_eq!(counter.woken(), 1);
        let (mut waiter, counter) = late.lock().unwrap().take().unwrap();
        assert_eq!(counter.poll(&mut waiter), Poll::Ready(Some(7)));
    }

    #[test]
    fn who_is_dropped_is_not_woken_and_leaves_the_work_to_others() {
        let flight = Flight::new(pending::<u8>());
        let counter = Arc::new(Counter::default());
        let (mut one, mut other) = (flight.wait(), flight.wait());
        assert!(counter.poll(&mut one).is_pending() && counter.poll(&mut other).is_pending());
        drop(one);
        assert_eq!(flight.waiting.lock().wakers.len(), 1);
        flight.waiting.wake_by_ref();
        assert_eq!(counter.woken(), 1);
    }

    #[test]
    fn a_panic_ends_it_for_all() {
        let flight = Flight::new(poll_fn(|_| -> Poll<u8> { panic!("in the work") }));
        let counter = Arc::new(Counter::default());
        let (mut one, mut other) = (flight.wait(), flight.wait());
        assert_eq!(counter.poll(&mut one), Poll::Ready(None));
        assert_eq!(counter.poll(&mut other), Poll::Ready(None));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn on_many_threads_nobody_waits_in_vain() {
        for round in 0..300_u64 {
            let flight = Flight::new(async move {
                for _ in 0..3 {
                    // Woken from a thread of its own, as drivers wake.
                    let _ = tokio::task::spawn_blocking(|| ()).await;
                }
                round
            });
            let mut waiters = tokio::task::JoinSet::new();
            for number in 0..16 {
                let mut waiter = flight.wait();
                waiters.spawn(async move {
                    if number % 3 == 0 {
                        // Polled once, and never again.
                        let _ = (&mut waiter).now_or_never();
                        return (waiter, None);
                    }
                    let outcome = (&mut waiter).await;
                    (waiter, outcome)
                });
            }
            let mut stalled = Vec::new();
            let all = async {
                while let Some(ended) = waiters.join_next().await {
                    let (waiter, outcome) = ended.unwrap();
                    assert!(outcome.is_none_or(|outcome| outcome == round));
                    stalled.push(waiter);
                }
            };
            tokio::time::timeout(std::time::Duration::from_secs(30), all).await.expect("somebody waits in vain");
        }
    }
}
