//! Clusters that do not answer, as all logical clouds together know them.
//!
//! An attempt at a cluster begins by asking who it is. Where that is known to be in vain, one attempt at a
//! time asks, and now and then only; the others get the answer that is known, at once, and record it. So a
//! cluster that is away costs one place at most, however many logical clouds refer to it, and when it answers
//! again, everybody who waits for it is told.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use dcm_core::{
    name::{ClusterName, ProviderName},
    secret::Secret,
    sync::{
        CertificateRequest, ClusterAccess, Comparison, CutOff, Desired, Facts, Failure, Grant, IssuedToken, Outlook,
        Reason, Removal, Report, Synchronizer, TokenRequest,
    },
};
use tokio::{sync::broadcast, time::Instant};

/// How long a first question may be open before nobody else asks the same.
const DOUBT: Duration = Duration::from_secs(2);

/// A cluster that is away is asked after an eighth of the time that it has been away, within these bounds.
/// So the attempts of a single logical cloud, whose pauses double, always ask.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(15);

/// For how long something is remembered that nobody asks for any more: longer than any pause between attempts.
const REMEMBERED: Duration = Duration::from_secs(600);

/// How many returns of clusters a listener may lag behind.
const RETURNS: usize = 1024;

/// A cluster, as it is registered.
pub(crate) type ClusterId = (ProviderName, ClusterName);

/// Which clusters do not answer. Nothing in it has to survive.
#[derive(Debug)]
pub(crate) struct Absences {
    known: Mutex<HashMap<ClusterId, Known>>,
    returns: broadcast::Sender<ClusterId>,
}

/// A cluster that is being asked, or is away.
#[derive(Debug)]
struct Known {
    /// With another one, what is known counts no more.
    kubeconfig: Secret,
    /// How many are asking.
    asking: usize,
    /// When the last answer came, else when the first question was put.
    quiet_since: Instant,
    absence: Option<Absence>,
}

#[derive(Debug)]
struct Absence {
    failure: Failure,
    /// Not to be asked before.
    until: Instant,
}

impl Default for Absences {
    fn default() -> Self {
        Self { known: Mutex::default(), returns: broadcast::channel(RETURNS).0 }
    }
}

impl Absences {
    /// Tells of clusters that answer again.
    pub(super) fn returns(&self) -> broadcast::Receiver<ClusterId> {
        self.returns.subscribe()
    }

    /// Whether a cluster does not answer, or has been asked for longer than this without an answer.
    pub(super) fn is_silent(&self, cluster: &ClusterId, for_long: Duration) -> bool {
        self.known().get(cluster).is_some_and(|known| known.absence.is_some() || known.quiet_since.elapsed() > for_long)
    }

    /// How many clusters do not answer.
    pub(super) fn away(&self) -> usize {
        self.known().values().filter(|known| known.absence.is_some()).count()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ClusterId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leave to ask a cluster, or what is known without asking it.
    fn leave_to_ask(&self, access: &ClusterAccess) -> Result<Question<'_>, Failure> {
        let now = Instant::now();
        let cluster = (access.provider.clone(), access.cluster.clone());
        let mut all = self.known();
        if !all.contains_key(&cluster) {
            all.retain(|_, known| known.absence.as_ref().is_none_or(|absence| absence.until + REMEMBERED > now));
        }
        let fresh = || Known { kubeconfig: access.kubeconfig.clone(), asking: 0, quiet_since: now, absence: None };
        let known = all.entry(cluster.clone()).or_insert_with(fresh);
        if known.kubeconfig != access.kubeconfig {
            // It may answer now. Who waits for it is told then, however it came back.
            let absence = known.absence.take().map(|absence| Absence { until: now, ..absence });
            *known = Known { absence, ..fresh() };
        }
        match &known.absence {
            Some(absence) if known.asking > 0 || now < absence.until => return Err(absence.failure.clone()),
            None if known.asking > 0 && now - known.quiet_since > DOUBT => {
                let failure = doubtful();
                // Whoever is told so is to be told when the answer comes.
                known.absence = Some(Absence { failure: failure.clone(), until: now });
                return Err(failure);
            }
            _ => known.asking += 1,
        }
        Ok(Question { absences: self, cluster, kubeconfig: access.kubeconfig.clone(), settled: false })
    }

    /// Takes in what came of a question; `None` where it was dropped.
    fn asked(&self, question: &Question<'_>, failure: Option<Option<&Failure>>) {
        let now = Instant::now();
        let mut all = self.known();
        let Some(known) = all.get_mut(&question.cluster).filter(|known| known.kubeconfig == question.kubeconfig) else {
            return;
        };
        known.asking = known.asking.saturating_sub(1);
        let mut returned = false;
        match failure {
            None => {}
            Some(Some(failure)) if failure.reason.outlook() == Outlook::Away => {
                let pause = (now - known.quiet_since) / 8;
                let until = now + pause.clamp(SHORTEST, LONGEST);
                known.absence = Some(Absence { failure: failure.clone(), until });
            }
            Some(_) => {
                returned = known.absence.take().is_some();
                known.quiet_since = now;
            }
        }
        if known.asking == 0 && known.absence.is_none() {
            all.remove(&question.cluster);
        }
        drop(all);
        if returned {
            // An error says that nobody listens.
            let _ = self.returns.send(question.cluster.clone());
        }
    }
}

fn doubtful() -> Failure {
    Failure::new(Reason::Timeout, "the API server has been asked and did not answer yet; its answer is waited for")
}

/// A question to a cluster that is open. One that is dropped is as if it had not been put.
struct Question<'a> {
    absences: &'a Absences,
    cluster: ClusterId,
    kubeconfig: Secret,
    settled: bool,
}

impl Question<'_> {
    fn settle(mut self, failure: Option<&Failure>) {
        self.settled = true;
        self.absences.asked(&self, Some(failure));
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.absences.asked(self, None);
        }
    }
}

/// Asks clusters that are away through one attempt at a time: a [`Synchronizer`] around a [`Synchronizer`].
#[derive(Debug)]
pub(crate) struct AskedOnce {
    inner: Arc<dyn Synchronizer>,
    absences: Arc<Absences>,
}

impl AskedOnce {
    /// Wraps what speaks to clusters.
    pub(crate) fn new(inner: Arc<dyn Synchronizer>, absences: Arc<Absences>) -> Self {
        Self { inner, absences }
    }
}

#[async_trait]
impl Synchronizer for AskedOnce {
    async fn probe(&self, access: &ClusterAccess) -> Result<Facts, Failure> {
        let question = self.absences.leave_to_ask(access)?;
        let seen = self.inner.probe(access).await;
        question.settle(seen.as_ref().err());
        seen
    }

    async fn capabilities(&self, access: &ClusterAccess) -> Result<BTreeMap<String, Vec<String>>, Failure> {
        self.inner.capabilities(access).await
    }

    async fn apply(&self, access: &ClusterAccess, desired: &Desired) -> Report {
        self.inner.apply(access, desired).await
    }

    async fn sign(&self, access: &ClusterAccess, request: &CertificateRequest) -> Result<String, Failure> {
        self.inner.sign(access, request).await
    }

    async fn token(&self, access: &ClusterAccess, request: &TokenRequest) -> Result<IssuedToken, Failure> {
        self.inner.token(access, request).await
    }

    async fn compare(&self, access: &ClusterAccess, desired: &Desired) -> Result<Comparison, Failure> {
        self.inner.compare(access, desired).await
    }

    async fn cut_off(&self, access: &ClusterAccess, cut: &CutOff) -> Result<Vec<Grant>, Failure> {
        self.inner.cut_off(access, cut).await
    }

    async fn remove(&self, access: &ClusterAccess, removal: &Removal) -> Report {
        self.inner.remove(access, removal).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(kubeconfig: &str) -> ClusterAccess {
        ClusterAccess {
            provider: ProviderName::new("p").unwrap(),
            cluster: ClusterName::new("c").unwrap(),
            kubeconfig: Secret::new(kubeconfig),
        }
    }

    fn id() -> ClusterId {
        (ProviderName::new("p").unwrap(), ClusterName::new("c").unwrap())
    }

    fn away() -> Failure {
        Failure::new(Reason::Unreachable, "nothing listens there")
    }

    #[tokio::test(start_paused = true)]
    async fn one_asks_for_all_and_a_return_is_told() {
        let absences = Absences::default();
        let mut returns = absences.returns();
        let ask = || absences.leave_to_ask(&access("k"));
        // As long as nothing is known, everybody asks.
        let (first, second) = (ask().ok().unwrap(), ask().ok().unwrap());
        first.settle(Some(&away()));
        assert!(absences.is_silent(&id(), DOUBT));
        assert_eq!(ask().err(), Some(away()), "another one asks still");
        second.settle(Some(&away()));
        assert_eq!(ask().err(), Some(away()), "asked a moment ago");
        tokio::time::advance(SHORTEST).await;
        let third = ask().ok().unwrap();
        assert_eq!(ask().err(), Some(away()));
        assert!(returns.try_recv().is_err());
        third.settle(None);
        assert_eq!(returns.try_recv().unwrap(), id());
        assert!(absences.known().is_empty());
        assert!(ask().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_that_stays_away_is_asked_less_and_less_often() {
        let absences = Absences::default();
        let mut asked = 0;
        for _ in 0..3600 {
            tokio::time::advance(Duration::from_secs(1)).await;
            if let Ok(question) = absences.leave_to_ask(&access("k")) {
                asked += 1;
                question.settle(Some(&away()));
            }
        }
        assert!((3600 / 16..3600 / 10).contains(&asked), "{asked}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_stays_open_is_not_put_again() {
        let absences = Absences::default();
        let mut returns = absences.returns();
        let ask = || absences.leave_to_ask(&access("k"));
        let open = ask().ok().unwrap();
        tokio::time::advance(DOUBT + SHORTEST).await;
        assert!(absences.is_silent(&id(), DOUBT));
        assert_eq!(ask().err().unwrap().reason, Reason::Timeout);
        open.settle(None);
        assert_eq!(returns.try_recv().unwrap(), id(), "it was slow, not away");
        drop(ask().ok().unwrap());
        assert!(absences.known().is_empty(), "a question that is dropped leaves nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn another_kubeconfig_is_tried_at_once() {
        let absences = Absences::default();
        absences.leave_to_ask(&access("old")).ok().unwrap().settle(Some(&away()));
        assert!(absences.leave_to_ask(&access("old")).is_err());
        let old = absences.leave_to_ask(&access("new")).ok().unwrap();
        old.settle(None);
        assert!(!absences.is_silent(&id(), DOUBT));
    }

    #[tokio::test(start_paused = true)]
    async fn a_return_with_another_kubeconfig_is_told_too() {
        let absences = Absences::default();
        let mut returns = absences.returns();
        absences.leave_to_ask(&access("old")).ok().unwrap().settle(Some(&away()));
        let asked = absences.leave_to_ask(&access("new")).ok().unwrap();
        assert_eq!(absences.leave_to_ask(&access("new")).err(), Some(away()), "another one asks");
        asked.settle(None);
        assert_eq!(returns.try_recv().unwrap(), id());
        assert!(absences.known().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_an_answer() {
        let absences = Absences::default();
        let refused = Failure::new(Reason::Forbidden, "no");
        absences.leave_to_ask(&access("k")).ok().unwrap().settle(Some(&refused));
        assert!(!absences.is_silent(&id(), DOUBT));
    }
}
