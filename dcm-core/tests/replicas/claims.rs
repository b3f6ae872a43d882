//! Claims, step by step: an old holder's every write comes too late.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, Ordering},
};

use async_trait::async_trait;
use dcm_core::{
    error::Error,
    lifecycle::Event,
    model::{ClusterStatus, Member},
    service::{Attempt, Claimant, CloudWork, Conclusion, Dcm, Overall, Task, Work},
    store::{
        Body, Changes, Document, Entry, Error as StoreError, Key, Position, Precondition, Revision, Scan, Store,
        StoreExt as _,
    },
    sync::Reason,
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::{
    broken::{BrokenStore, Fault},
    builders::{Fixture, cloud_id},
    faulty::FaultyStore,
};
use futures_util::FutureExt as _;

use crate::{
    support::{Hook, own, reference},
    world::{LEASE, step},
};

/// More calls than any attempt makes.
const MOST_CALLS: i64 = 60;

/// Runs something once, just before a call that is counted.
struct Interrupted {
    inner: Arc<dyn Store>,
    left: AtomicI64,
    hook: Mutex<Option<Hook>>,
}

impl std::fmt::Debug for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interrupted")
    }
}

impl Interrupted {
    async fn call(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            let hook = self.hook.lock().unwrap().take();
            if let Some(run) = hook {
                run().await;
            }
        }
    }
}

#[async_trait]
impl Store for Interrupted {
    async fn get(&self, key: &Key) -> Result<Option<Document>, StoreError> {
        self.call().await;
        self.inner.get(key).await
    }
    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        self.call().await;
        self.inner.scan(scan).await
    }
    async fn put(&self, key: &Key, body: Body, precondition: Precondition) -> Result<Revision, StoreError> {
        self.call().await;
        self.inner.put(key, body, precondition).await
    }
    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), StoreError> {
        self.call().await;
        self.inner.delete(key, revision).await
    }
    async fn watch(&self, prefix: Option<&Key>, from: Option<Position>) -> Result<Changes, StoreError> {
        self.inner.watch(prefix, from).await
    }
    async fn position(&self) -> Result<Position, StoreError> {
        self.inner.position().await
    }
    async fn ready(&self) -> Result<(), StoreError> {
        self.inner.ready().await
    }
}

async fn opened(dcm: &Dcm) -> Arc<CloudWork> {
    let order = dcm.waiting_orders(None, 10).await.unwrap().remove(0);
    let Work::Cloud(work) = dcm.open_order(&order).await.unwrap() else { panic!("the order is for nothing") };
    work
}

pub(crate) async fn only_task(dcm: &Dcm) -> (Arc<CloudWork>, Task) {
    let work = opened(dcm).await;
    let task = dcm.tasks(&work).await.unwrap().remove(0);
    (work, task)
}

pub(crate) async fn member(dcm: &Dcm) -> (Entry<Member>, Claimant) {
    let member = dcm.join(LEASE).await.unwrap();
    let claimant = Claimant::member(member.value.id.clone());
    (member, claimant)
}

/// What there is of attempts' making.
async fn made(store: &dyn Store) -> Vec<Document> {
    let mut all = store.scan(Scan::everything(10_000)).await.unwrap();
    all.retain(|document| {
        ["status", "credential", "desired", "cluster-use"].contains(&document.key.segments().next().unwrap())
    });
    all
}

/// What is ordered before an attempt is looked at.
#[derive(Clone, Copy, Debug)]
enum Setting {
    FirstApply,
    Repeat,
    Terminate,
    Reference,
    CutOff,
}

/// An attempt that is thought dead at one call of the store: another member takes it over and ends it, and then it goes on. Whether it
/// came so far, and whether anything that the other one made is another now.
async fn taken_over(base: Arc<dyn Store>, setting: Setting, call: i64) -> (bool, bool) {
    let store = Arc::new(Interrupted { inner: Arc::clone(&base), left: (-1).into(), hook: Mutex::default() });
    let f = Fixture::new(Arc::clone(&store) as _).await.unwrap();
    f.register(&["c1", "c2"]).await.unwrap();
    let id = match setting {
        Setting::FirstApply => {
            let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
            f.apply(&id).await.unwrap();
            id
        }
        _ => f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap(),
    };
    match setting {
        Setting::FirstApply => {}
        Setting::Repeat => drop(f.dcm.renew_user(&id).await.unwrap()),
        Setting::Terminate => drop(f.dcm.terminate(&id, false).await.unwrap()),
        Setting::Reference => drop(f.dcm.delete_reference(&id, &reference("c1"), None, false).await.unwrap()),
        Setting::CutOff => {
            f.dcm.stop(&id).await.unwrap();
            f.carry_out().await.unwrap();
            f.clusters.set_down("default/c1", true);
            drop(f.dcm.revoke_user(&id).await.unwrap());
            f.clusters.set_down("default/c1", false);
        }
    }
    let (work, task) = only_task(&f.dcm).await;
    let (first, old) = member(&f.dcm).await;
    let (_, new) = member(&f.dcm).await;
    let after = Arc::new(Mutex::new(None));
    let (dcm, at, after_it, beside) = (f.dcm.clone(), first, Arc::clone(&after), Arc::clone(&base));
    *store.hook.lock().unwrap() = Some(Box::new(move || {
        Box::pin(async move {
            assert!(dcm.expel(&at).await.unwrap());
            let work = opened(&dcm).await;
            for task in dcm.tasks(&work).await.unwrap() {
                assert_eq!(dcm.attempt(&work, &task, &new).await.unwrap(), Attempt::Done);
            }
            let left = made(&*beside).await;
            *after_it.lock().unwrap() = Some(left);
        })
    }));
    store.left.store(call, Ordering::SeqCst);
    let outcome = f.dcm.attempt(&work, &task, &old).await;
    let Some(left) = after.lock().unwrap().take() else { return (false, false) };
    // What is left of a reference whose cluster is let go already goes by its uid.
    let gone = matches!((setting, &outcome), (Setting::Reference, Ok(Attempt::Done)));
    let given_up = matches!(outcome, Ok(Attempt::Superseded | Attempt::Already));
    assert!(gone || given_up, "{setting:?} {call}: {outcome:?}");
    (true, made(&*base).await != left)
}

#[tokio::test]
async fn whoever_is_taken_over_at_any_call_changes_nothing_any_more() {
    for setting in [Setting::FirstApply, Setting::Repeat, Setting::Terminate, Setting::Reference, Setting::CutOff] {
        for call in 0.. {
            assert!(call < MOST_CALLS);
            let (came, changed) = taken_over(Arc::new(MemoryStore::new()), setting, call).await;
            assert!(!changed, "{setting:?}: a write came through after call {call}");
            if !came {
                assert!(call > 5, "{setting:?}: {call} calls only");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_store_with_two_winners_would_be_noticed() {
    let mut noticed = 0;
    for call in 0..MOST_CALLS {
        let store = Arc::new(BrokenStore::new(Arc::new(MemoryStore::new()), Fault::TwoWinners, 1));
        let found = tokio::spawn(taken_over(store, Setting::FirstApply, call)).await;
        noticed += u32::from(found.is_err() || found.is_ok_and(|(_, changed)| changed));
    }
    assert!(noticed > 0);
}

#[tokio::test]
async fn a_cluster_is_attempted_by_one_at_a_time_and_the_order_waits_for_him() {
    let o = own().await;
    o.dcm.apply(&cloud_id("lc-1"), Event::Apply, false).await.unwrap();
    let (work, task) = only_task(&o.dcm).await;
    let ((_, one), (_, two)) = (member(&o.dcm).await, member(&o.dcm).await);
    let (dcm, at) = (o.dcm.clone(), task.clone());
    let (same, other) = (Arc::clone(&work), two.clone());
    *o.clusters.hook.lock().unwrap() = Some(Box::new(move || {
        Box::pin(async move {
            assert_eq!(dcm.attempt(&same, &at, &other).await.unwrap(), Attempt::Held);
            // An order that leaves nothing to do waits for him as well.
            dcm.stop(&cloud_id("lc-1")).await.unwrap();
            let stopped = opened(&dcm).await;
            assert!(dcm.tasks(&stopped).await.unwrap().is_empty());
            assert_eq!(dcm.conclude(&stopped, &other).await.unwrap(), Conclusion::Held);
        })
    }));
    assert_eq!(o.dcm.attempt(&work, &task, &one).await.unwrap(), Attempt::Done);
    let stopped = opened(&o.dcm).await;
    assert_eq!(o.dcm.conclude(&stopped, &two).await.unwrap(), Conclusion::Done);
    assert_eq!((one.claims(), two.claims(), two.takeovers()), (1, 0, 0));
}

/// Carries out all that waits, each cluster once and again; fails where that never ends.
async fn carry_out_as(dcm: &Dcm, claimant: &Claimant) {
    for _ in 0..10 {
        if dcm.waiting_orders(None, 1).await.unwrap().is_empty() {
            return;
        }
        let work = opened(dcm).await;
        for task in dcm.tasks(&work).await.unwrap() {
            dcm.attempt(&work, &task, claimant).await.unwrap();
        }
        dcm.conclude(&work, claimant).await.unwrap();
    }
    panic!("it is never carried out");
}

/// Nothing is left of the reference, on its cluster or in the store.
async fn assert_gone(f: &Fixture, store: &dyn Store, when: i64) {
    assert!(f.clusters.holds("default/c1").is_empty(), "{when}: made again");
    let mut left = made(store).await;
    left.retain(|document| document.key.last() == "c1");
    assert!(left.is_empty(), "{when}: {left:?}");
}

#[tokio::test]
async fn an_attempt_that_was_paused_makes_nothing_for_a_reference_that_is_deleted_since() {
    for call in 0..MOST_CALLS {
        let base = Arc::new(MemoryStore::new());
        let store = Arc::new(FaultyStore::new(Arc::clone(&base) as _));
        let f = Fixture::new(Arc::clone(&store) as _).await.unwrap();
        f.register(&["c1"]).await.unwrap();
        let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
        f.apply(&id).await.unwrap();
        let (work, task) = only_task(&f.dcm).await;
        let ((seat, old), (_, new)) = (member(&f.dcm).await, member(&f.dcm).await);
        store.fail_after(u32::try_from(call).unwrap());
        let done = f.dcm.attempt(&work, &task, &old).await.is_ok();
        store.mend();
        assert!(f.dcm.expel(&seat).await.unwrap());
        f.dcm.delete_reference(&id, &reference("c1"), None, false).await.unwrap();
        carry_out_as(&f.dcm, &new).await;
        assert_gone(&f, &*base, call).await;
        // It wakes, and begins what it had in hand anew.
        let (seat, _) = member(&f.dcm).await;
        let again = f.dcm.attempt(&work, &task, &old.rejoined(seat.value.id)).await.unwrap();
        assert_eq!(again, Attempt::Superseded, "{call}");
        assert_gone(&f, &*base, call).await;
        if done {
            return;
        }
    }
    panic!("no attempt came to its end");
}

#[tokio::test]
async fn a_reference_that_is_deleted_while_its_cluster_is_attempted_leaves_nothing() {
    for call in 0..MOST_CALLS {
        let base: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let store = Arc::new(Interrupted { inner: Arc::clone(&base), left: (-1).into(), hook: Mutex::default() });
        let f = Fixture::new(Arc::clone(&store) as _).await.unwrap();
        f.register(&["c1"]).await.unwrap();
        let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
        f.apply(&id).await.unwrap();
        let (work, task) = only_task(&f.dcm).await;
        let ((_, one), (_, two)) = (member(&f.dcm).await, member(&f.dcm).await);
        let (dcm, other) = (f.dcm.clone(), two.clone());
        *store.hook.lock().unwrap() = Some(Box::new(move || {
            Box::pin(async move {
                dcm.delete_reference(&id, &reference("c1"), None, false).await.unwrap();
                let work = opened(&dcm).await;
                for task in dcm.tasks(&work).await.unwrap() {
                    dcm.attempt(&work, &task, &other).await.unwrap();
                }
                dcm.conclude(&work, &other).await.unwrap();
            })
        }));
        store.left.store(call, Ordering::SeqCst);
        f.dcm.attempt(&work, &task, &one).await.unwrap();
        if store.hook.lock().unwrap().is_some() {
            assert!(call > 5, "{call} calls only");
            return;
        }
        carry_out_as(&f.dcm, &two).await;
        assert_gone(&f, &*base, call).await;
    }
    panic!("no attempt came to its end");
}

#[tokio::test]
async fn what_another_one_has_done_is_not_done_again_and_what_he_failed_at_waits() {
    let f = Fixture::new(Arc::new(MemoryStore::new())).await.unwrap();
    f.register(&["c1", "c2"]).await.unwrap();
    let id = f.create_cloud("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    f.apply(&id).await.unwrap();
    f.clusters.set_down("default/c2", true);
    let work = opened(&f.dcm).await;
    let tasks = f.dcm.tasks(&work).await.unwrap();
    let ((_, one), (_, two)) = (member(&f.dcm).await, member(&f.dcm).await);
    assert_eq!(f.dcm.attempt(&work, &tasks[0], &one).await.unwrap(), Attempt::Done);
    let failed = f.dcm.attempt(&work, &tasks[1], &one).await.unwrap();
    assert!(matches!(failed, Attempt::Retry { away: true, .. }));
    let calls = || ["default/c1", "default/c2"].map(|name| f.clusters.with(name, |cluster| cluster.calls));
    let before = calls();
    assert_eq!(f.dcm.attempt(&work, &tasks[0], &two).await.unwrap(), Attempt::Already);
    assert_eq!(f.dcm.attempt(&work, &tasks[1], &two).await.unwrap(), failed);
    assert_eq!(calls(), before);
    // Who knows of the failure may try earlier: the cluster may be back.
    let again = f.dcm.tasks(&work).await.unwrap().remove(0);
    f.clusters.set_down("default/c2", false);
    assert_eq!(f.dcm.attempt(&work, &again, &two).await.unwrap(), Attempt::Done);
    assert_eq!(f.dcm.conclude(&work, &two).await.unwrap(), Conclusion::Done);
    assert_eq!(f.dcm.status(&id).await.unwrap().overall, Overall::Created);
}

#[tokio::test]
async fn a_claim_is_taken_over_from_who_is_gone_with_a_higher_token_and_never_a_lower_one() {
    let store = Arc::new(FaultyStore::new(Arc::new(MemoryStore::new())));
    let f = Fixture::new(Arc::clone(&store) as _).await.unwrap();
    f.register(&["c1", "c2"]).await.unwrap();
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.apply(&id).await.unwrap();
    let (work, task) = only_task(&f.dcm).await;
    let ((seat, one), (_, two)) = (member(&f.dcm).await, member(&f.dcm).await);
    let status = async || {
        let key = format!("status/{}/c1", work.cloud().uid).parse().unwrap();
        store.load::<ClusterStatus>(&key).await.unwrap().unwrap().value
    };
    // Dies after its claim.
    store.fail_after(8);
    f.dcm.attempt(&work, &task, &one).await.unwrap_err();
    store.mend();
    let left = status().await;
    assert_eq!((left.holder.as_ref(), left.token), (Some(one.id()), 1));
    assert_eq!(f.dcm.attempt(&work, &task, &two).await.unwrap(), Attempt::Held);
    assert!(f.dcm.expel(&seat).await.unwrap());
    assert_eq!(f.dcm.attempt(&work, &task, &two).await.unwrap(), Attempt::Done);
    assert_eq!((two.claims(), two.takeovers()), (1, 1));
    let taken = status().await;
    assert_eq!((taken.holder, taken.token), (None, 2));
    // Whoever is alone asks for no member.
    f.dcm.resync(&id).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(status().await.token, 3);
    assert!(f.dcm.waiting_orders(None, 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_member_lives_as_long_as_it_renews_and_no_longer() {
    let f = Fixture::new(Arc::new(MemoryStore::new())).await.unwrap();
    let (seen, _) = member(&f.dcm).await;
    let renewed = f.dcm.renew_member(seen.clone()).await.unwrap().unwrap();
    assert!(!f.dcm.expel(&seen).await.unwrap(), "it has spoken since");
    // A renewal whose outcome was not known went through: the next one goes on from there.
    let again = f.dcm.renew_member(seen).await.unwrap().unwrap();
    assert!(again.value.beat > renewed.value.beat);
    assert_eq!(f.dcm.members().await.unwrap().len(), 1);
    assert!(f.dcm.expel(&again).await.unwrap());
    assert!(f.dcm.renew_member(again.clone()).await.unwrap().is_none());
    assert!(!f.dcm.expel(&again).await.unwrap());
    let (left, _) = member(&f.dcm).await;
    f.dcm.leave(&left.value.id).await.unwrap();
    f.dcm.leave(&left.value.id).await.unwrap();
    assert!(f.dcm.members().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_member_whose_document_cannot_be_read_hides_no_other_one_and_can_be_expelled() {
    let store = Arc::new(MemoryStore::new());
    let f = Fixture::new(Arc::clone(&store) as _).await.unwrap();
    let (readable, _) = member(&f.dcm).await;
    let body = store.get(&"installation/this".parse().unwrap()).await.unwrap().unwrap().body;
    store.put(&"member/from-elsewhere".parse().unwrap(), body, Precondition::Absent).await.unwrap();
    let found = f.dcm.members().await.unwrap();
    assert_eq!(found.len(), 2);
    let other = found.iter().find(|member| member.value.id != readable.value.id).unwrap();
    assert!(other.value.started_at > readable.value.started_at && other.value.lease() > LEASE);
    assert!(f.dcm.expel(other).await.unwrap());
    let left = f.dcm.members().await.unwrap();
    assert_eq!(left.iter().map(|member| &member.value).collect::<Vec<_>>(), [&readable.value]);
}

#[tokio::test]
async fn who_fails_to_write_is_told_so() {
    let store = Arc::new(FaultyStore::new(Arc::new(MemoryStore::new())));
    let f = Fixture::new(Arc::clone(&store) as _).await.unwrap();
    let (seat, _) = member(&f.dcm).await;
    store.fail_after(0);
    assert!(matches!(f.dcm.renew_member(seat.clone()).await, Err(Error::Store(_))));
    assert!(matches!(f.dcm.expel(&seat).await, Err(Error::Store(_))));
}

/// A first apply is at work, or a repeated one: and the user is cut off.
#[tokio::test]
async fn nobody_is_said_to_be_cut_off_where_an_attempt_for_him_has_not_ended() {
    for again in [false, true] {
        let o = own().await;
        let id = cloud_id("lc-1");
        let (_, one) = member(&o.dcm).await;
        o.dcm.apply(&id, Event::Apply, false).await.unwrap();
        if again {
            carry_out_as(&o.dcm, &one).await;
            o.dcm.resync(&id).await.unwrap();
        }
        let (work, task) = only_task(&o.dcm).await;
        let (dcm, at) = (o.dcm.clone(), id.clone());
        *o.clusters.hook.lock().unwrap() = Some(Box::new(move || {
            Box::pin(async move {
                let revocation = dcm.revoke_user(&at).await.unwrap();
                assert_eq!(revocation.clusters[0].1.as_ref().unwrap_err().reason, Reason::Conflict, "again: {again}");
            })
        }));
        o.dcm.attempt(&work, &task, &one).await.unwrap();
        carry_out_as(&o.dcm, &one).await;
        // One that is for him who was let in since is in nobody's way, nor is one that has ended.
        o.dcm.resync(&id).await.unwrap();
        let (work, task) = only_task(&o.dcm).await;
        // It waits once.
        *o.clusters.hook.lock().unwrap() = Some(Box::new(|| Box::pin(step())));
        let (dcm, claimant) = (o.dcm.clone(), one.clone());
        let mut attempt = Box::pin(async move { dcm.attempt(&work, &task, &claimant).await });
        assert!((&mut attempt).now_or_never().is_none());
        *o.clusters.cutting.lock().unwrap() = Some(Box::new(move || {
            Box::pin(async move {
                attempt.await.unwrap();
            })
        }));
        let revocation = o.dcm.revoke_user(&id).await.unwrap();
        assert!(revocation.clusters[0].1.is_ok(), "{:?}", revocation.clusters);
        let kinds = o.clusters.inner.holds("default/c1");
        assert!(!kinds.iter().any(|id| id.contains("RoleBinding")), "{kinds:?}");
        carry_out_as(&o.dcm, &one).await;
        assert_eq!(o.dcm.status(&id).await.unwrap().overall, Overall::Created);
    }
}
