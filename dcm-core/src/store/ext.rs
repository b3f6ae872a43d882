use std::future::Future;

use super::{Body, Document, Error, Key, Precondition, Revision, Scan, Store, Stored};

/// A typed document together with the state that it was read in.
#[derive(Clone, Debug)]
pub struct Entry<T> {
    /// Where it lies.
    pub key: Key,
    /// The state that was read; the precondition of the next write.
    pub revision: Revision,
    /// The document.
    pub value: T,
}

impl<T: Stored> Entry<T> {
    /// Reads a document as what it should be.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where it is something else.
    pub fn read(document: Document) -> Result<Self, Error> {
        let value = document.body.read(&document.key)?;
        Ok(Self { key: document.key, revision: document.revision, value })
    }
}

/// How often [`StoreExt::update`] reads again before it gives the conflict to its caller.
const ATTEMPTS: usize = 16;

/// How many documents one scan of [`StoreExt::list_all`] asks for.
const PAGE: usize = 500;

/// Typed access to any [`Store`].
pub trait StoreExt: Store {
    /// Reads one typed document.
    fn load<T: Stored>(&self, key: &Key) -> impl Future<Output = Result<Option<Entry<T>>, Error>> + Send {
        async move { self.get(key).await?.map(Entry::read).transpose() }
    }

    /// Reads one page of typed documents below a prefix, ordered by key.
    fn list_page<T: Stored + Send>(&self, scan: Scan) -> impl Future<Output = Result<Vec<Entry<T>>, Error>> + Send {
        async move {
            let documents = self.scan(scan).await?;
            documents.into_iter().map(Entry::read).collect()
        }
    }

    /// Reads all typed documents below a prefix, page by page. For collections with a known bound.
    fn list_all<T: Stored + Send>(&self, prefix: &Key) -> impl Future<Output = Result<Vec<Entry<T>>, Error>> + Send {
        async move {
            let mut all = Vec::new();
            let mut rest = Some(Scan::below(prefix.clone(), PAGE).bytes(Scan::PAGE_BYTES));
            while let Some(scan) = rest {
                let documents = self.scan(scan.clone()).await?;
                rest = scan.rest(&documents);
                for document in documents {
                    all.push(Entry::read(document)?);
                }
            }
            Ok(all)
        }
    }

    /// Creates a document.
    ///
    /// # Errors
    /// [`Error::Conflict`] where there is one already.
    fn insert<T: Stored + Sync>(&self, key: &Key, value: &T) -> impl Future<Output = Result<Revision, Error>> + Send {
        async move { self.put(key, Body::write(key, value)?, Precondition::Absent).await }
    }

    /// Replaces a document that is in the given state.
    ///
    /// # Errors
    /// [`Error::Conflict`] where it is in another one, or gone.
    fn replace<T: Stored + Sync>(
        &self,
        key: &Key,
        value: &T,
        revision: &Revision,
    ) -> impl Future<Output = Result<Revision, Error>> + Send {
        async move {
            let body = Body::write(key, value)?;
            self.put(key, body, Precondition::AtRevision(revision.clone())).await
        }
    }

    /// Reads, changes and writes a document, and starts over when somebody else was faster.
    ///
    /// `change` gets what is there (`None` where nothing is) and answers what should be there, or an
    /// error, which ends it. It may be called several times.
    ///
    /// # Errors
    /// What `change` answers, or the store's error; [`Error::Conflict`] after many lost races.
    fn update<T, E, F>(&self, key: &Key, mut change: F) -> impl Future<Output = Result<(T, Revision), E>> + Send
    where
        T: Stored + Send + Sync,
        E: From<Error> + Send,
        F: FnMut(Option<T>) -> Result<T, E> + Send,
    {
        async move {
            let mut attempt = 1;
            loop {
                let current = self.load::<T>(key).await?;
                let precondition = match &current {
                    Some(entry) => Precondition::AtRevision(entry.revision.clone()),
                    None => Precondition::Absent,
                };
                let value = change(current.map(|entry| entry.value))?;
                match self.put(key, Body::write(key, &value)?, precondition).await {
                    Ok(revision) => return Ok((value, revision)),
                    Err(Error::Conflict { .. }) if attempt < ATTEMPTS => attempt += 1,
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }

    /// Deletes a document in whatever state it is; fine where there is none.
    fn remove(&self, key: &Key) -> impl Future<Output = Result<(), Error>> + Send {
        async move {
            let mut attempt = 1;
            while let Some(document) = self.get(key).await? {
                match self.delete(key, &document.revision).await {
                    Err(Error::Conflict { .. }) if attempt < ATTEMPTS => attempt += 1,
                    other => return other,
                }
            }
            Ok(())
        }
    }
}

impl<S: Store + ?Sized> StoreExt for S {}
