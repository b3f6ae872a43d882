use std::hash::{DefaultHasher, Hasher as _};

use futures_util::{FutureExt as _, StreamExt as _, stream};
use serde::Serialize;

use super::{
    News, Parent, Watch, WatchEvent, WatchPosition,
    position::{Present, Scope, Start},
};
use crate::{
    error::Error,
    model::{LabelSelector, Uid},
    service::{CloudId, Dcm},
    store::{Changes, Key, Position},
};

/// How many changes are taken for one at most.
const TOGETHER: usize = 1024;

/// One answer that is derived from a logical cloud and what is stored beside it.
pub(in crate::service) trait Derived: Send + Sized + 'static {
    /// Derives it, with the uid of the logical cloud that it was derived from.
    fn of(dcm: &Dcm, id: &CloudId) -> impl Future<Output = Result<(Uid, Self), Error>> + Send;

    /// What makes two of them the same for whoever watches.
    fn shown(&self) -> impl Serialize;
}

impl Dcm {
    /// Watches an answer: derives it anew whenever the logical cloud changes, or something below one of these keys, and
    /// tells it where it is another one than before.
    pub(in crate::service) async fn watch_derived<V: Derived>(
        &self,
        id: &CloudId,
        from: Option<&WatchPosition>,
        what: &str,
        beside: impl FnOnce(&Uid) -> Result<Vec<Key>, Error>,
    ) -> Result<Watch<V>, Error> {
        let start = Start::of(self.store(), from).await?;
        let cloud = self.cloud(id).await?;
        let scope = Scope::of(&cloud.key.child(cloud.value.uid.as_str())?.child(what)?, &LabelSelector::everything());
        start.check(&scope)?;
        let mut changes = vec![Parent::cloud(&cloud)?.touches(self.store(), &start.at).await?];
        for prefix in beside(&cloud.value.uid)? {
            changes.push(self.store().watch(Some(&prefix), Some(start.at.clone())).await?);
        }
        let stage = if start.present == Present::Nothing { Stage::Following } else { Stage::First };
        let watch = DerivedWatch {
            dcm: self.clone(),
            id: id.clone(),
            uid: cloud.value.uid,
            scope,
            at: start.at,
            changes: stream::select_all(changes).boxed(),
            stage,
            told: None,
        };
        Ok(stream::unfold(watch, DerivedWatch::next::<V>).boxed())
    }
}

struct DerivedWatch {
    dcm: Dcm,
    id: CloudId,
    uid: Uid,
    scope: Scope,
    /// What was told last was derived after all up to here had happened.
    at: Position,
    changes: Changes,
    stage: Stage,
    /// What was told last, as a hash.
    told: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    First,
    Synced,
    Following,
    Over,
}

impl DerivedWatch {
    async fn next<V: Derived>(mut self) -> Option<(Result<WatchEvent<V>, Error>, Self)> {
        let item = self.advance().await.transpose()?;
        if !matches!(&item, Ok(event) if !matches!(event.news, News::Ended)) {
            self.stage = Stage::Over;
        }
        Some((item, self))
    }

    async fn advance<V: Derived>(&mut self) -> Result<Option<WatchEvent<V>>, Error> {
        loop {
            match self.stage {
                Stage::Over => return Ok(None),
                Stage::Synced => {
                    self.stage = Stage::Following;
                    return Ok(Some(self.event(News::Synced)));
                }
                Stage::First => {}
                Stage::Following => self.at = changed(&mut self.changes).await?,
            }
            // A position from before the answer is told begins with the answer.
            let news = self.derive().await?;
            if self.stage == Stage::First {
                self.stage = Stage::Synced;
            }
            if let Some(news) = news {
                return Ok(Some(self.event(news)));
            }
        }
    }

    async fn derive<V: Derived>(&mut self) -> Result<Option<News<V>>, Error> {
        let (uid, answer) = match V::of(&self.dcm, &self.id).await {
            Err(Error::NotFound { .. }) => return Ok(Some(News::Ended)),
            other => other?,
        };
        if uid != self.uid {
            return Ok(Some(News::Ended));
        }
        let told = Some(hash(&answer.shown()));
        if self.told == told {
            return Ok(None);
        }
        self.told = told;
        Ok(Some(News::Put(answer)))
    }

    fn event<V>(&self, news: News<V>) -> WatchEvent<V> {
        // Whoever goes on from before all that is there was told is told of it, and that it was.
        let listed = (self.stage == Stage::Synced).then_some("");
        WatchEvent { position: self.scope.position(&self.at, listed), news }
    }
}

/// Waits for a change, and takes all that is there with it, for one answer tells of all of them: the position of the last.
async fn changed(changes: &mut Changes) -> Result<Position, Error> {
    let mut next = changes.next().await;
    let mut taken = 0;
    loop {
        let Some(event) = next else {
            return Err(Error::Store(crate::store::Error::Unavailable("the store's watch ended".into())));
        };
        // Whichever stream it came from: what is derived after it happened holds all that happened before.
        let at = event?.position;
        taken += 1;
        if taken == TOGETHER {
            return Ok(at);
        }
        // Only what is looked at is taken: an error is told once, and its stream is gone then.
        match changes.next().now_or_never() {
            Some(more) => next = more,
            None => return Ok(at),
        }
    }
}

/// A hash of a value's JSON. What has none is like nothing else.
fn hash(value: &impl Serialize) -> u64 {
    struct Writer(DefaultHasher);

    impl std::io::Write for Writer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.write(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let mut writer = Writer(DefaultHasher::new());
    // Fails only where a value has no JSON form, and then always at the same place.
    let _ = serde_json::to_writer(&mut writer, value);
    writer.0.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{self, Change, Event};

    #[tokio::test]
    async fn an_error_behind_many_changes_is_not_swallowed() {
        let change = |number: usize| {
            let change = Change::Deleted("status/u/r".parse().unwrap());
            Ok(Event { position: Position::new(number.to_string()), change })
        };
        for count in [1, TOGETHER - 1, TOGETHER, TOGETHER + 1, 2 * TOGETHER] {
            let broken = stream::iter((1..=count).map(change).chain([Err(store::Error::Expired)]));
            // Another stream goes on, as the parent's does.
            let mut changes = stream::select_all([broken.boxed(), stream::pending().boxed()]).boxed();
            let mut told = Vec::new();
            while let Ok(at) = changed(&mut changes).now_or_never().expect("told at once") {
                told.push(at.as_str().parse::<usize>().unwrap());
            }
            assert_eq!(told.last().copied().unwrap_or_default(), (count / TOGETHER) * TOGETHER, "{count}");
        }
    }
}
