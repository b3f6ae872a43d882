//! A client: it writes what nobody else writes, and knows what must be there.

use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    http::{Answer, Http},
    ledger::{Deed, Kind, Outcome, Record, State, essence},
};

/// Among how many projects the clients' logical clouds are spread.
const PROJECTS: u64 = 4;

/// The clusters that are registered; a client has a reference to each.
pub(crate) const CLUSTERS: [&str; 2] = ["c0", "c1"];

/// Where the client's own project and its logical cloud are among its records.
const PROJECT: usize = 0;
const CLOUD: usize = 1;

/// A number that depends on what it is for and on nothing else.
pub(crate) fn chance(of: impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(of)
}

/// How much was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Writes that were acknowledged.
    pub(crate) acknowledged: u64,
    /// Records that were compared with what was acknowledged.
    pub(crate) compared: u64,
    /// Writes without an answer, by what became of them.
    pub(crate) done: u64,
    pub(crate) not_done: u64,
    pub(crate) begun: u64,
    /// Deletes that were answered as if somebody else had been first, because the database was asked twice.
    pub(crate) repeated: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.compared += other.compared;
        self.done += other.done;
        self.not_done += other.not_done;
        self.begun += other.begun;
        self.repeated += other.repeated;
    }
}

pub(crate) struct Client {
    id: u64,
    seed: u64,
    /// How many deeds it has begun.
    deeds: u64,
    records: Vec<Record>,
    pub(crate) tally: Tally,
}

impl Client {
    pub(crate) fn new(id: u64, seed: u64) -> Self {
        let clouds = format!("/v2/projects/p{}/logical-clouds", id % PROJECTS);
        let cloud = format!("lc-{id}");
        let mut records = vec![
            Record::new(Kind::Project, "/v2/projects".to_owned(), &format!("own-{id}")),
            Record::new(Kind::Cloud, clouds.clone(), &cloud),
        ];
        let children = [
            (Kind::Pair, "kv-pairs", 5),
            (Kind::Quota, "cluster-quotas", 3),
            (Kind::Reference, "cluster-references", 2),
        ];
        for (kind, collection, count) in children {
            let collection = format!("{clouds}/{cloud}/{collection}");
            records.extend((0..count).map(|n| Record::new(kind, collection.clone(), &format!("n{n}"))));
        }
        Self { id, seed, deeds: 0, records, tally: Tally::default() }
    }

    /// Writes and reads until something is not answered, or until it is told to stop.
    pub(crate) async fn work(mut self, http: Http, stop: Arc<AtomicBool>) -> Self {
        while !stop.load(Ordering::SeqCst) && self.step(&http).await.is_some() {}
        self
    }

    fn draw(&self, what: &str, of: u64) -> u64 {
        chance((self.seed, self.id, self.deeds, what)) % of
    }

    /// Does one thing; `None` where it is not known whether it was done.
    async fn step(&mut self, http: &Http) -> Option<()> {
        self.deeds += 1;
        let has_cloud = self.records[CLOUD].state.is_some();
        let choices = if has_cloud { self.records.len() as u64 } else { CLOUD as u64 + 1 };
        let at = usize::try_from(self.draw("record", choices)).unwrap();
        let Some(state) = &self.records[at].state else {
            return if self.draw("deed", 10) == 0 { self.look(http, at).await } else { self.create(http, at).await };
        };
        if self.records[at].is_going() {
            return self.delete(http, at).await;
        }
        let tag = state.tag.clone();
        match self.draw("deed", 20) {
            0..5 => self.replace(http, at, None).await,
            5..10 => self.replace(http, at, Some(&tag)).await,
            10 => self.replace_an_old_state(http, at).await,
            11 => self.create_again(http, at).await,
            12..15 => self.look(http, at).await,
            // A logical cloud takes all below it along.
            15.. if at == CLOUD && self.draw("cloud", 4) != 0 => self.look(http, at).await,
            15.. => self.delete(http, at).await,
        }
    }

    /// What the client wants of a record now: different each time.
    fn wish(&self, at: usize) -> Value {
        let (id, n, record) = (self.id, self.deeds, &self.records[at]);
        let metadata = json!({ "name": record.name, "description": format!("{id}:{n}") });
        let spec = match record.kind {
            Kind::Project => return json!({ "metadata": metadata }),
            Kind::Cloud => json!({ "namespace": format!("ns-{id}"), "user": {
                "user-name": format!("u-{n}"), "type": "certificate",
                "user-permissions": [{ "permission-name": "p", "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] }],
            } }),
            Kind::Pair => {
                // Most are small; some are split by the store, each part made of the same numbers.
                let length = match self.draw("length", 32) {
                    0 => 300_000,
                    1..4 => 40_000,
                    _ => 200,
                };
                let piece = format!("{id}:{n};");
                json!({ "kv": [{ "text": piece.repeat(length / piece.len()) }, { "n": n }] })
            }
            Kind::Quota => json!({ "pods": n.to_string(), "limits.cpu": n.to_string() }),
            Kind::Reference => {
                let index = usize::from(record.name == "n1");
                json!({ "cluster-provider": "default", "cluster-name": CLUSTERS[index],
                    "loadbalancer-ip": format!("10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255) })
            }
        };
        json!({ "metadata": metadata, "spec": spec })
    }

    /// Sends a write that will be in flight if it is not answered.
    async fn write(&mut self, http: &Http, at: usize, deed: Deed, if_match: Option<&str>) -> Option<Answer> {
        let record = &mut self.records[at];
        record.in_flight = Some(deed.clone());
        let (method, path, body) = match &deed {
            Deed::Create(body) => (Method::POST, &record.collection, Some(body)),
            Deed::Replace(body) => (Method::PUT, &record.path, Some(body)),
            Deed::Delete => (Method::DELETE, &record.path, None),
        };
        let answer = http.send(method, path, body, if_match).await?;
        let [created, replaced, deleted] = record.kind.statuses();
        let expected = match &deed {
            Deed::Create(_) => created,
            Deed::Replace(_) => replaced,
            Deed::Delete => deleted,
        };
        // A delete that a database's driver had to send again finds nothing any more, and is done all the same.
        let may_repeat = http.remote_store && matches!(deed, Deed::Delete) && matches!(answer.status, 404 | 409);
        let repeated = may_repeat && http.send(Method::GET, &record.path, None, None).await?.status == 404;
        assert!(answer.status == expected || repeated, "{deed:?} of {}: {answer:?}", record.path);
        self.tally.repeated += u64::from(repeated);
        record.in_flight = None;
        self.tally.acknowledged += 1;
        Some(answer)
    }

    async fn create(&mut self, http: &Http, at: usize) -> Option<()> {
        let wish = self.wish(at);
        let answer = self.write(http, at, Deed::Create(wish.clone()), None).await?;
        let state = self.records[at].shown(&answer);
        self.records[at].enter(Some(&wish), state);
        Some(())
    }

    async fn replace(&mut self, http: &Http, at: usize, if_match: Option<&str>) -> Option<()> {
        let wish = self.wish(at);
        let answer = self.write(http, at, Deed::Replace(wish.clone()), if_match).await?;
        let state = self.records[at].shown(&answer);
        self.records[at].enter(Some(&wish), state);
        Some(())
    }

    async fn delete(&mut self, http: &Http, at: usize) -> Option<()> {
        self.write(http, at, Deed::Delete, None).await?;
        self.gone(at);
        Some(())
    }

    /// A record is gone, and what lies below it.
    fn gone(&mut self, at: usize) {
        self.records[at].state = None;
        if at == CLOUD {
            for child in &mut self.records[CLOUD + 1..] {
                child.state = None;
                child.in_flight = None;
            }
        }
    }

    /// A write that is refused changes nothing, whether it is answered or not.
    async fn replace_an_old_state(&self, http: &Http, at: usize) -> Option<()> {
        let record = &self.records[at];
        let Some(old) = record.old_tag() else { return Some(()) };
        let answer = http.send(Method::PUT, &record.path, Some(&self.wish(at)), Some(&old)).await?;
        assert_eq!(answer.status, 412, "{}: {answer:?}", record.path);
        Some(())
    }

    async fn create_again(&self, http: &Http, at: usize) -> Option<()> {
        let record = &self.records[at];
        let answer = http.send(Method::POST, &record.collection, Some(&self.wish(at)), None).await?;
        assert_eq!(answer.status, 409, "{}: {answer:?}", record.path);
        Some(())
    }

    async fn look(&self, http: &Http, at: usize) -> Option<()> {
        let record = &self.records[at];
        let answer = http.send(Method::GET, &record.path, None, None).await?;
        assert_eq!(found(record, &answer), record.state, "{}", record.path);
        Some(())
    }

    /// Compares everything with what was acknowledged, and finds out what became of what was not answered.
    pub(crate) async fn verify(mut self, http: Http) -> Self {
        for at in [PROJECT, CLOUD] {
            self.compare(&http, at).await;
            let record = &self.records[at];
            let listed = listed(&http, record).await.expect("the collection is there");
            let listed = listed.iter().find(|listed| listed["metadata"]["name"] == record.name.as_str());
            let listed = listed.map(|listed| essence(record.kind, listed));
            assert_eq!(listed.as_ref(), record.state.as_ref().map(|state| &state.body), "{} in its list", record.path);
        }
        if self.records[CLOUD].state.is_none() {
            for child in &self.records[CLOUD + 1..] {
                assert_eq!(http.get(&child.path).await.status, 404, "{} without its parent", child.path);
                assert_eq!(listed(&http, child).await, None, "{} without its parent", child.collection);
            }
            return self;
        }
        for at in CLOUD + 1..self.records.len() {
            self.compare(&http, at).await;
        }
        let mut collections: Vec<_> = self.records[CLOUD + 1..].iter().collect();
        collections.dedup_by_key(|record| record.collection.as_str());
        for first in collections {
            let all = self.records.iter().filter(|record| record.collection == first.collection);
            let expected: Vec<_> = all.filter_map(|record| record.state.as_ref()).map(|state| &state.body).collect();
            let listed = listed(&http, first).await.expect("the collection is there");
            assert_eq!(listed.iter().collect::<Vec<_>>(), expected, "{}", first.collection);
        }
        self
    }

    async fn compare(&mut self, http: &Http, at: usize) {
        let answer = http.get(&self.records[at].path).await;
        let found = found(&self.records[at], &answer);
        self.tally.compared += 1;
        let record = &mut self.records[at];
        let deleting = matches!(record.in_flight, Some(Deed::Delete));
        match record.settle(found) {
            None => return,
            Some(Outcome::Done) => self.tally.done += 1,
            Some(Outcome::NotDone) => self.tally.not_done += 1,
            Some(Outcome::Begun) => self.tally.begun += 1,
        }
        if record.state.is_none() {
            self.gone(at);
        } else if deleting && at == CLOUD {
            // The worker writes to it once more when it drops what was begun: after this delete that is over.
            let deleted = http.send(Method::DELETE, &self.records[at].path, None, None).await;
            assert_eq!(deleted.map(|answer| answer.status), Some(204), "{}", self.records[at].path);
            self.gone(at);
        }
    }
}

/// The state that an answer to a GET shows.
fn found(record: &Record, answer: &Answer) -> Option<State> {
    match answer.status {
        200 => Some(record.shown(answer)),
        404 => None,
        _ => panic!("{}: {answer:?}", record.path),
    }
}

/// What a record's collection holds, or `None` where there is no such collection.
async fn listed(http: &Http, record: &Record) -> Option<Vec<Value>> {
    let answer = http.get(&format!("{}?limit=1000", record.collection)).await;
    match (answer.status, answer.body) {
        (200, Value::Array(found)) => Some(found),
        (404, _) => None,
        (status, body) => panic!("{}: {status} {body}", record.collection),
    }
}
