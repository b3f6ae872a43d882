//! Lists, page by page: ordered by name, and bounded in what is read for one page.

use super::Dcm;
use crate::{
    error::Error,
    fault::Faults,
    store::{Entry, Key, Scan, Stored},
};

/// Which page of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Begin after this name.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
}

impl Page {
    /// How many entries a page has where nobody says.
    pub const DEFAULT_LIMIT: usize = 500;
    /// How many entries a page may have.
    pub const LARGEST_LIMIT: usize = 1000;
    /// A page ends when so many bytes of records were read for it, those that are not selected included; and
    /// when what is told of its entries beside their own records took as many again.
    pub const BYTES: usize = Scan::PAGE_BYTES;

    /// The next page.
    #[must_use]
    pub fn after(&self, name: impl Into<String>) -> Self {
        Self { after: Some(name.into()), limit: self.limit }
    }
}

impl Default for Page {
    fn default() -> Self {
        Self { after: None, limit: Self::DEFAULT_LIMIT }
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The entries, by name. There may be fewer than the page has room for, or none, and more on the next one.
    pub entries: Vec<T>,
    /// The name after which the next page begins; `None` where nothing follows.
    pub next: Option<String>,
}

impl Dcm {
    /// One page of the records below a prefix.
    pub(super) async fn page<T: Stored + Send>(&self, prefix: Key, page: &Page) -> Result<Listed<Entry<T>>, Error> {
        self.select(prefix, page, |_| true).await
    }

    /// One page of those records below a prefix that are selected.
    pub(super) async fn select<T: Stored + Send>(
        &self,
        prefix: Key,
        page: &Page,
        selects: impl Fn(&T) -> bool + Send,
    ) -> Result<Listed<Entry<T>>, Error> {
        let after = page.after.as_deref().map(|name| prefix.child(name)).transpose();
        let after = after.map_err(|_| {
            let mut faults = Faults::new();
            faults.add("/after", "must be the name of a record");
            Error::Invalid(faults)
        })?;
        let limit = page.limit.clamp(1, Page::LARGEST_LIMIT);
        let (mut entries, mut bytes) = (Vec::new(), 0);
        // One more than is wanted tells whether there are more.
        let mut rest = Some(Scan::below(prefix, limit + 1).bytes(Page::BYTES).after(after));
        while let Some(scan) = rest {
            let found = self.store().scan(scan.clone()).await?;
            rest = scan.rest(&found);
            let mut found = found.into_iter();
            while let Some(document) = found.next() {
                bytes += document.body.as_bytes().len();
                let entry = Entry::<T>::read(document)?;
                let is_selected = selects(&entry.value);
                let is_last = bytes >= Page::BYTES || (is_selected && entries.len() + 1 == limit);
                let name = is_last.then(|| entry.key.last().to_owned());
                if is_selected {
                    entries.push(entry);
                }
                if is_last {
                    let more = match rest {
                        _ if !found.as_slice().is_empty() => true,
                        Some(scan) => !self.store().scan(Scan { limit: 1, ..scan }).await?.is_empty(),
                        None => false,
                    };
                    return Ok(Listed { entries, next: name.filter(|_| more) });
                }
            }
            // Where few are selected, many are read at once.
            rest = rest.map(|scan| Scan { limit: Page::LARGEST_LIMIT, bytes: Page::BYTES - bytes, ..scan });
        }
        Ok(Listed { entries, next: None })
    }
}

impl<E> Listed<Entry<E>> {
    /// Goes on to what is told of each entry. `view` answers also how many bytes it read for that: where those become too many,
    /// the page ends there.
    pub(super) async fn views<T, F>(self, view: impl Fn(Entry<E>) -> F) -> Result<Listed<T>, Error>
    where
        F: Future<Output = Result<(T, usize), Error>>,
    {
        let mut listed = Listed { entries: Vec::with_capacity(self.entries.len()), next: self.next };
        let (mut entries, mut bytes) = (self.entries.into_iter(), 0);
        while let Some(entry) = entries.next() {
            let name = entry.key.clone();
            let (told, read) = view(entry).await?;
            listed.entries.push(told);
            bytes += read;
            if bytes >= Page::BYTES && !entries.as_slice().is_empty() {
                listed.next = Some(name.last().to_owned());
                break;
            }
        }
        Ok(listed)
    }
}
