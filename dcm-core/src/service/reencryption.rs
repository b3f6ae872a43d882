//! Rotation of the encryption key: which keys stored documents may need, and the pass that encrypts all of them
//! with the current one.
//!
//! A key is recorded as in use before it seals anything, and is taken off that list only when a pass has seen every
//! document without it. So whoever opens the store knows which keys he must have, whenever a crash came.
//!
//! Several processes may have different current keys while a new one is rolled out. The key that came last is
//! the one that a pass is for, and a process with another one leaves that pass alone, unless nobody has worked on it
//! for [`SILENCE`]. A process whose key was taken off the list although it still seals with it puts it back. It may be ended
//! before it notices, and leave documents behind that no pass has met. So keys that were given up are remembered: a process
//! that starts with one of them counts it as in use again, and the process that gave it up looks once more, after [`SETTLE`].

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{Base, BuiltInCa, Dcm};
use crate::{
    error::Error,
    keys,
    model::{Encryption, Installation, Pass, PassPhase, SecretKind},
    secret::{self, Sealer},
    store::{self, Document, Entry, Key, Precondition, Scan, StoreExt},
};

/// How long nobody must have worked on a pass before a process with another key drops it.
const SILENCE: SignedDuration = SignedDuration::from_mins(5);

/// How long after keys were given up all documents are looked at once more. Who still sealed with one of those has noticed by
/// then (a server looks every minute), or was ended.
const SETTLE: SignedDuration = SignedDuration::from_mins(2);

/// How often a document is tried that others write at the same time.
const ATTEMPTS: usize = 5;

/// What is known of encryption keys; ids only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptionView {
    /// The key that this process seals with.
    pub current: String,
    /// All keys that this process has, the current one first.
    pub configured: Vec<String>,
    /// All keys that stored documents may be sealed with.
    pub in_use: Vec<String>,
    /// The last pass, at work or finished.
    pub pass: Option<Pass>,
}

impl EncryptionView {
    /// The keys that this process has and that no stored document needs.
    #[must_use]
    pub fn unused(&self) -> Vec<&str> {
        self.configured.iter().filter(|id| !self.in_use.contains(*id)).map(String::as_str).collect()
    }
}

/// What a step of a pass came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is nothing to do now.
    Idle,
    /// Documents are being encrypted with this other key, which another process gave.
    Elsewhere(String),
    /// Documents may be sealed with these keys, which came back into use since this process began, and it lacks them.
    Missing(Vec<String>),
    /// There is more to do.
    Working(Pass),
    /// This step was the last one.
    Finished(Pass),
}

/// Records that the current key may be in use from here on, and those that were given up although this process still has
/// them; a key that was not in use begins a pass.
///
/// # Errors
/// [`Error::Secret`] where a key is missing that stored documents may need.
pub(super) async fn admit(ports: &Base<'_>, installation: Option<&Installation>) -> Result<(), Error> {
    let key = keys::encryption("this")?;
    let (sealer, now) = (ports.sealer, ports.clock.now());
    loop {
        let found = ports.store.load::<Encryption>(&key).await?;
        let old = found.as_ref().map(|entry| &entry.value);
        let mut record = old.cloned().unwrap_or_else(|| unknown(sealer, installation));
        refuse_missing(sealer, &record)?;
        let current = sealer.current_key();
        let is_new = record.put_in_use(current) && old.is_some();
        // This process may have been another one before, which sealed with one of these until it ended.
        for id in sealer.key_ids() {
            if record.given_up.iter().any(|given_up| given_up == id) {
                record.put_in_use(id);
            }
        }
        match &mut record.pass {
            // … and may have done so behind the pass.
            Some(pass) if !is_new && pass.phase != PassPhase::Finished => pass.clean = false,
            _ if is_new || record.in_use.len() > 1 => record.pass = Some(Pass::new(current, now)),
            _ => {}
        }
        if old == Some(&record) {
            return Ok(());
        }
        let written = match &found {
            Some(entry) => ports.store.replace(&key, &record, &entry.revision).await,
            None => ports.store.insert(&key, &record).await,
        };
        match written {
            Ok(_) => return Ok(()),
            Err(store::Error::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What to begin with where nothing was recorded: data of an earlier release may be sealed with any key.
fn unknown(sealer: &dyn Sealer, installation: Option<&Installation>) -> Encryption {
    let in_use = match installation {
        Some(installation) => {
            let known = sealer.key_ids().into_iter().map(str::to_owned);
            known.chain([installation.canary.key_id.clone()]).collect()
        }
        None => [sealer.current_key().to_owned()].into(),
    };
    Encryption { in_use, given_up: Vec::new(), pass: None }
}

/// Which keys that documents may need a process lacks.
fn missing(sealer: &dyn Sealer, record: &Encryption) -> Vec<String> {
    let configured = sealer.key_ids();
    record.in_use.iter().filter(|id| !configured.contains(&id.as_str())).cloned().collect()
}

fn refuse_missing(sealer: &dyn Sealer, record: &Encryption) -> Result<(), secret::Error> {
    let missing = missing(sealer, record);
    match missing.first() {
        None => Ok(()),
        Some(first) if missing.len() == record.in_use.len() => Err(secret::Error::UnknownKey { key_id: first.clone() }),
        Some(_) => Err(secret::Error::KeysMissing { key_ids: missing }),
    }
}

/// What is to be done at a step.
enum Next {
    Nothing,
    Missing(Vec<String>),
    LeaveTo(String),
    Record(Encryption),
    Look(Pass),
}

fn next(record: &Encryption, sealer: &dyn Sealer, now: Timestamp) -> Next {
    let current = sealer.current_key();
    let with_pass = || Encryption { pass: Some(Pass::new(current, now)), ..record.clone() };
    if !record.in_use.contains(current) {
        let mut record = record.clone();
        record.put_in_use(current);
        return Next::Record(record);
    }
    let missing = missing(sealer, record);
    if !missing.is_empty() {
        // It came back while this process was at work, which cannot read what is sealed with it.
        return Next::Missing(missing);
    }
    if record.in_use.len() == 1 {
        let done = |pass: &Pass| pass.failed > 0 || pass.settled || record.given_up.is_empty();
        return match &record.pass {
            Some(pass) if pass.target != current => Next::Nothing,
            Some(pass) if pass.phase != PassPhase::Finished => Next::Look(pass.clone()),
            Some(pass) if !done(pass) && now.duration_since(pass.touched_at).abs() >= SETTLE => {
                Next::Record(with_pass())
            }
            // What a merge brought may be sealed with one of those.
            None if !record.given_up.is_empty() => Next::Record(with_pass()),
            _ => Next::Nothing,
        };
    }
    match &record.pass {
        Some(pass) if pass.target == current => match pass.phase {
            // Tried again at the next start: until then somebody may have mended it.
            PassPhase::Finished if pass.failed > 0 => Next::Nothing,
            PassPhase::Finished => Next::Record(with_pass()),
            _ => Next::Look(pass.clone()),
        },
        Some(pass) if pass.phase == PassPhase::Finished => Next::LeaveTo(pass.target.clone()),
        // A clock may have jumped, so a time to come is as good as one long ago.
        Some(pass) if now.duration_since(pass.touched_at).abs() < SILENCE => Next::LeaveTo(pass.target.clone()),
        _ => Next::Record(with_pass()),
    }
}

/// Who seals documents of a store also encrypts them anew.
macro_rules! reencrypt {
    ($($who:ty),*) => {$(
        impl $who {
            /// Which encryption keys there are, which of them stored documents may need, and how far a pass is.
            ///
            /// # Errors
            /// [`Error::Store`].
            pub async fn encryption(&self) -> Result<EncryptionView, Error> {
                self.base().encryption().await
            }

            /// Does the next step of encrypting all documents with the current key: looks at so many documents at most.
            ///
            /// # Guarantees
            /// After a crash at any point the next step goes on with the same documents. A document that cannot be
            /// read is counted and listed, keeps the keys before in use, and stops nothing.
            ///
            /// # Errors
            /// [`Error::Store`]; the next step tries again.
            pub async fn reencrypt(&self, limit: usize) -> Result<Step, Error> {
                self.base().reencrypt(limit).await
            }
        }
    )*};
}

reencrypt!(Dcm, BuiltInCa);

impl Base<'_> {
    async fn encryption(&self) -> Result<EncryptionView, Error> {
        let found = self.store.load::<Encryption>(&keys::encryption("this")?).await?;
        let sealer = self.sealer;
        let configured: Vec<String> = sealer.key_ids().into_iter().map(str::to_owned).collect();
        let (in_use, pass) = match found {
            Some(Entry { value, .. }) => (value.in_use.into_iter().collect(), value.pass),
            // Somebody has deleted it, so any may be.
            None => (configured.clone(), None),
        };
        Ok(EncryptionView { current: sealer.current_key().to_owned(), configured, in_use, pass })
    }

    async fn reencrypt(&self, limit: usize) -> Result<Step, Error> {
        let key = keys::encryption("this")?;
        let Some(Entry { revision, value: mut record, .. }) = self.store.load::<Encryption>(&key).await? else {
            // Somebody has deleted it.
            super::installation::read_or_make(self).await?;
            return Ok(Step::Idle);
        };
        let step = match next(&record, self.sealer, self.clock.now()) {
            Next::Nothing => return Ok(Step::Idle),
            Next::Missing(ids) => return Ok(Step::Missing(ids)),
            Next::LeaveTo(target) => return Ok(Step::Elsewhere(target)),
            Next::Record(changed) => {
                record = changed;
                match &record.pass {
                    Some(pass) if pass.phase != PassPhase::Finished => Step::Working(pass.clone()),
                    _ => Step::Idle,
                }
            }
            Next::Look(mut pass) => {
                let unread = self.reencrypt_page(&mut pass, limit.max(1)).await?;
                if unread.iter().any(|id| record.given_up.contains(id)) {
                    // Given up too early. Whoever has them begins anew.
                    for id in &unread {
                        record.put_in_use(id);
                    }
                    record.pass = None;
                    return self.record(&key, &record, &revision, Step::Idle).await;
                }
                pass.touched_at = self.clock.now();
                let finished = pass.phase == PassPhase::Finished;
                if finished && pass.failed == 0 {
                    pass.settled = record.in_use.len() == 1 && pass.reencrypted == 0;
                    record.give_up_others(&pass.target);
                }
                record.pass = Some(pass.clone());
                if finished { Step::Finished(pass) } else { Step::Working(pass) }
            }
        };
        self.record(&key, &record, &revision, step).await
    }

    /// Records what a step came to.
    async fn record(
        &self,
        key: &Key,
        record: &Encryption,
        revision: &store::Revision,
        step: Step,
    ) -> Result<Step, Error> {
        match self.store.replace(key, record, revision).await {
            Ok(_) => Ok(step),
            // Another process has written; the next step sees what.
            Err(store::Error::Conflict { .. }) => Ok(match step {
                Step::Working(pass) | Step::Finished(pass) => Step::Working(pass),
                other => other,
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// Looks at the next page of documents; answers with which keys those are sealed that cannot be read.
    async fn reencrypt_page(&self, pass: &mut Pass, limit: usize) -> Result<BTreeSet<String>, Error> {
        let mut unread = BTreeSet::new();
        let root = pass.position.as_ref().and_then(|position| position.segments().next());
        let kinds = SecretKind::all();
        // A root that this release does not know: from the beginning.
        let at = kinds.iter().position(|kind| Some(kind.root) == root).unwrap_or(0);
        let Some(kind) = kinds.get(at) else { return Ok(unread) };
        let prefix = Key::new([kind.root])?;
        let after = pass.position.take().filter(|position| position.is_below(&prefix));
        let scan = Scan::below(prefix, limit).bytes(Scan::PAGE_BYTES).after(after);
        let page = self.store.scan(scan.clone()).await?;
        let full = scan.is_full(&page);
        pass.position = page.last().map(|last| last.key.clone());
        for document in page {
            pass.looked_at += 1;
            if pass.phase != PassPhase::Counting {
                self.reencrypt_document(kind, document, pass, &mut unread).await?;
            }
        }
        if !full {
            match kinds.get(at + 1) {
                Some(next) => pass.position = Some(Key::new([next.root])?),
                None => pass.advance(),
            }
        }
        Ok(unread)
    }

    async fn reencrypt_document(
        &self,
        kind: &SecretKind,
        mut document: Document,
        pass: &mut Pass,
        unread: &mut BTreeSet<String>,
    ) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let body = match kind.reseal(&document, self.sealer) {
                Ok(Some(body)) => body,
                Ok(None) => return Ok(()),
                Err(reason) => {
                    secret::note_key_ids_of(&document.body, unread);
                    pass.fail(&document.key, reason);
                    return Ok(());
                }
            };
            let Document { key, revision, .. } = document;
            match self.store.put(&key, body, Precondition::AtRevision(revision)).await {
                Ok(_) => {
                    pass.reencrypted += 1;
                    pass.clean = false;
                    return Ok(());
                }
                Err(store::Error::Conflict { .. }) => {}
                Err(error @ (store::Error::TooLarge { .. } | store::Error::Corrupt { .. })) => {
                    pass.fail(&key, error.to_string());
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
            // Somebody else has written it; with the current key, if that is this process.
            let Some(now) = self.store.get(&key).await? else { return Ok(()) };
            document = now;
        }
        pass.clean = false;
        Ok(())
    }
}
