//! Three workers, two main servers that cut users off, some clusters, and orders that come while they work; processes that are paused, killed
//! and started, writes that arrive late, clusters that are away. One seed decides everything.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use dcm_core::{
    lifecycle::Event,
    model::Credential,
    name::ReferenceName,
    service::{CloudId, Dcm, Overall, Ports, Settings},
    store::StoreExt as _,
};
use dcm_test_utils::{
    builders::{cloud_id, cloud_input, cluster_input, provider, quota_input, reference_input},
    clusters::FakeClusters,
    environment,
    ports::{CountingEntropy, FakeCredentials, ManualClock, RecordingWake, TransparentSealer},
};
use fastrand::Rng;

use crate::{
    revoker::{CutOffs, Revoker},
    worker::{Life, Worker, nobody},
    world::{LEASE, Reach, Sea, Slow, Time, now},
};

const WORKERS: usize = 3;
/// Workers come first.
const PROCESSES: usize = WORKERS + 2;
pub(crate) const CLUSTERS: [&str; 3] = ["c1", "c2", "c3"];

/// So many seeds are played, if `DCM_TEST_SEEDS` names no other number.
const SEEDS: u64 = 500;

/// How long processes are troubled, and how long they may take then, in polls.
const TROUBLE: usize = 4_000;
const PATIENCE: usize = 60_000;

/// A process: at work, paused until some time, or dead until some time.
struct Process {
    life: Option<Life>,
    idle_until: u64,
}

struct Simulation {
    rng: Rng,
    time: Arc<Time>,
    clock: Arc<ManualClock>,
    sea: Arc<Sea>,
    clusters: Arc<FakeClusters>,
    asking: Arc<Mutex<BTreeMap<(String, dcm_core::model::Uid), dcm_core::model::Uid>>>,
    cut_off: Arc<CutOffs>,
    entropy: Arc<CountingEntropy>,
    /// Gives orders, at once.
    api: Dcm,
    processes: Vec<Process>,
    tally: Tally,
}

/// What happened, over all seeds.
#[derive(Clone, Debug, Default)]
struct Tally {
    finished: Arc<AtomicU64>,
    takeovers: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
    revoked: Arc<AtomicU64>,
}

impl Simulation {
    fn new(seed: u64, tally: &Tally) -> Self {
        let sea = Arc::<Sea>::default();
        let (time, clock, clusters) = (Arc::default(), Arc::default(), Arc::default());
        let entropy = Arc::new(CountingEntropy::starting_at(seed << 20));
        let mut simulation = Self {
            rng: Rng::with_seed(seed),
            time,
            api: now(Dcm::open(ports_of(&sea, &clock, &clusters, &entropy), settings())).unwrap(),
            clock,
            sea,
            clusters,
            asking: Arc::default(),
            cut_off: Arc::default(),
            entropy,
            processes: Vec::new(),
            tally: tally.clone(),
        };
        now(simulation.prepare());
        for at in 0..PROCESSES {
            let life = Some(simulation.born(at));
            simulation.processes.push(Process { life, idle_until: 0 });
        }
        simulation
    }

    async fn prepare(&self) {
        self.api.ensure_default_provider().await.unwrap();
        for name in CLUSTERS {
            self.api.create_cluster(&provider("default"), cluster_input(name).into()).await.unwrap();
        }
        for number in 1..=2 {
            let id = cloud(number);
            let input = cloud_input(id.name.as_str(), &format!("ns-{number}"));
            self.api.create_logical_cloud(&id.project, input.into()).await.unwrap();
            for name in CLUSTERS {
                self.api.create_reference(&id, reference_input(name).into()).await.unwrap();
            }
            self.api.create_quota(&id, quota_input("quota-1", "5").into()).await.unwrap();
        }
    }

    /// A new process.
    fn born(&mut self, at: usize) -> Life {
        let (me, is_worker) = (nobody(), at < WORKERS);
        let (sea, clusters, cut_off) = (Arc::clone(&self.sea), Arc::clone(&self.clusters), Arc::clone(&self.cut_off));
        let asking = Arc::clone(&self.asking);
        let slow = Slow { clusters, sea: Arc::clone(&sea), me: Arc::clone(&me), asking, cut_off: Arc::clone(&cut_off) };
        let ports = Ports {
            store: Arc::new(Reach { sea, me: is_worker.then(|| Arc::clone(&me)) }),
            synchronizer: Arc::new(slow),
            ..ports_of(&self.sea, &self.clock, &self.clusters, &self.entropy)
        };
        let (time, tally, clusters) = (Arc::clone(&self.time), self.tally.clone(), Arc::clone(&self.clusters));
        let rng = Mutex::new(self.rng.fork());
        Box::pin(async move {
            let dcm = Dcm::open(ports, settings()).await.unwrap();
            let Tally { finished, takeovers, lost, revoked } = tally;
            if !is_worker {
                Revoker { dcm, time, clusters, cut_off, revoked, rng }.live().await;
                return;
            }
            Worker { dcm, time, me, finished, takeovers, lost, in_hand: Mutex::default() }.live().await;
        })
    }

    /// Gives an order, or changes what is there.
    fn order(&mut self) {
        let id = cloud(self.rng.u8(1..=2));
        let reference = ReferenceName::new(CLUSTERS[self.rng.usize(..CLUSTERS.len())]).unwrap();
        let what = self.rng.u8(..100);
        // Many are refused, as the lifecycle has it.
        now(async {
            match what {
                0..50 => drop(self.api.apply(&id, Event::Apply, false).await),
                50..70 => drop(self.api.terminate(&id, false).await),
                70..76 => drop(self.api.stop(&id).await),
                76..80 => drop(self.api.renew_user(&id).await),
                80..84 => drop(self.api.revoke_user(&id).await),
                84..88 => drop(self.api.resync(&id).await),
                88..94 => drop(self.api.delete_reference(&id, &reference, None, false).await),
                _ => drop(self.api.create_reference(&id, reference_input(reference.as_str()).into()).await),
            }
        });
    }

    /// Something goes wrong.
    fn trouble(&mut self) {
        let now = self.time.now();
        let lease = u64::try_from(LEASE.as_millis()).unwrap();
        let at = self.rng.usize(..PROCESSES);
        match self.rng.u16(..1000) {
            0..10 => self.processes[at].idle_until = now + self.rng.u64(..lease * 4),
            10..13 => {
                self.processes[at].life = None;
                self.processes[at].idle_until = now + self.rng.u64(..lease * 3);
            }
            13..18 => {
                let cluster = format!("default/{}", CLUSTERS[self.rng.usize(..CLUSTERS.len())]);
                let down = self.rng.bool();
                self.clusters.set_down(&cluster, down);
            }
            18..40 => self.order(),
            _ => {}
        }
    }

    fn poll(&mut self) {
        let passed = self.rng.u64(..6);
        self.time.pass(passed);
        self.clock.advance(Duration::from_millis(passed));
        if self.sea.letters() > 0 && self.rng.u8(..3) > 0 {
            self.sea.arrive(self.rng.usize(..));
        }
        // Workers have the more to do.
        let at = if self.rng.u8(..6) > 0 { self.rng.usize(..WORKERS) } else { self.rng.usize(WORKERS..PROCESSES) };
        if self.processes[at].idle_until > self.time.now() {
            return;
        }
        if self.processes[at].life.is_none() {
            self.processes[at].life = Some(self.born(at));
        }
        let life = self.processes[at].life.as_mut().unwrap();
        assert!(life.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "no process ends");
    }

    fn run(mut self, seed: u64) {
        now(self.api.apply(&cloud(1), Event::Apply, false)).unwrap();
        for _ in 0..TROUBLE {
            self.trouble();
            self.poll();
        }
        for cluster in CLUSTERS {
            self.clusters.set_down(&format!("default/{cluster}"), false);
        }
        for _ in 0..PATIENCE / 100 {
            for _ in 0..100 {
                self.poll();
            }
            if self.cut_off.are_over() && now(self.api.waiting_orders(None, 10)).unwrap().is_empty() {
                break;
            }
        }
        let waiting = now(self.api.waiting_orders(None, 10)).unwrap();
        assert!(waiting.is_empty(), "seed {seed}: {waiting:?} are never carried out");
        assert!(self.cut_off.are_over(), "seed {seed}: a revoke never ends");
        self.judge(seed);
    }

    /// Clusters are what was ordered last, and credentials are for who is there.
    fn judge(&self, seed: u64) {
        for number in 1..=2 {
            let id = cloud(number);
            let status = now(self.api.status(&id)).unwrap();
            let references = now(self.api.references(&id, &Default::default())).unwrap().entries;
            let wanted: Vec<_> = status.clusters.iter().filter(|(_, status)| status.is_some()).collect();
            let namespace = format!("ns-{number}");
            for cluster in CLUSTERS {
                let held = self.clusters.holds(&format!("default/{cluster}"));
                let held = held.iter().filter(|id| id.contains(&namespace)).count();
                let referred = references.iter().any(|entry| entry.value.metadata.name.as_str() == cluster);
                let applied = wanted.iter().any(|(name, _)| name.as_str() == cluster);
                match status.overall {
                    Overall::Created if referred && applied => assert_eq!(held, 4, "seed {seed}: {cluster}"),
                    Overall::Stopped => {}
                    Overall::Created | Overall::Deleted | Overall::NotCreated => {
                        assert_eq!(held, 0, "seed {seed}: {cluster} holds what {:?} does not want", status.overall);
                    }
                    other => panic!("seed {seed}: {other:?} for ever: {status:#?}"),
                }
            }
            if status.overall == Overall::Created && wanted.len() == references.len() && !wanted.is_empty() {
                let prefix = format!("credential/{}", status.cloud.uid).parse().unwrap();
                let mut found = now(self.sea.store.list_all::<Credential>(&prefix)).unwrap();
                // What came too late for a reference that is gone is nobody's to see.
                found.retain(|entry| references.iter().any(|r| r.value.metadata.name.as_str() == entry.key.last()));
                assert!(now(self.api.merged_kubeconfig(&id)).is_ok(), "seed {seed}");
                let names: std::collections::BTreeSet<_> = found.iter().map(|entry| &entry.value.name_there).collect();
                assert_eq!((found.len(), names.len()), (wanted.len(), 1), "seed {seed}: {found:#?}");
            }
        }
    }
}

pub(crate) fn cloud(number: u8) -> CloudId {
    cloud_id(&format!("lc-{number}"))
}

fn settings() -> Settings {
    Settings {
        first_retry: Duration::from_millis(20),
        longest_retry: Duration::from_millis(100),
        ..Settings::default()
    }
}

fn ports_of(
    sea: &Arc<Sea>,
    clock: &Arc<ManualClock>,
    clusters: &Arc<FakeClusters>,
    entropy: &Arc<CountingEntropy>,
) -> Ports {
    Ports {
        store: Arc::clone(sea) as _,
        sealer: Arc::new(TransparentSealer),
        credentials: Arc::new(FakeCredentials),
        synchronizer: Arc::clone(clusters) as _,
        clock: Arc::clone(clock) as _,
        entropy: Arc::clone(entropy) as _,
        wake: Arc::new(RecordingWake::default()),
    }
}

#[test]
fn clusters_are_worked_on_by_one_at_a_time_and_everything_is_finished() {
    let seeds =
        environment::variable("DCM_TEST_SEEDS").map_or(SEEDS, |seeds| seeds.parse().expect("a number of seeds"));
    let first = environment::variable("DCM_TEST_SEED").map_or(0, |seed| seed.parse().expect("a seed"));
    let tally = Tally::default();
    let side_by_side = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        for part in 0..side_by_side {
            let tally = &tally;
            scope.spawn(move || {
                for seed in (first..first + seeds).filter(|seed| seed % side_by_side == part) {
                    Simulation::new(seed, tally).run(seed);
                }
            });
        }
    });
    // A quiet sea shows nothing.
    let [finished, takeovers, lost, revoked] =
        [&tally.finished, &tally.takeovers, &tally.lost, &tally.revoked].map(|count| count.load(Ordering::SeqCst));
    println!(
        "{seeds} seeds: {finished} orders finished, {takeovers} claims taken over, {lost} leases lost, {revoked} users cut off"
    );
    assert!(finished > seeds && lost > seeds / 2 && takeovers > seeds / 20 && revoked > seeds / 4);
}
