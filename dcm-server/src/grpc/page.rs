//! Lists, page by page, and of what.

use dcm_core::{model::LabelSelector, name::ProjectName, service::Page};
use dcm_proto::v1 as pb;
use prost::Message;

use crate::http::Problem;

/// The entries of one message have at most so many bytes together, but for one that is larger by itself: a gRPC client takes messages of
/// 4 MiB where he says nothing else.
pub(super) const BUDGET: usize = 3 * 1024 * 1024;

/// What stands before an entry in its message: a tag and a length.
const PREFIX: usize = 16;

/// Which page was asked for.
pub(super) fn page(size: i32, token: &str) -> Result<Page, Problem> {
    let after = match token {
        "" => None,
        // All names keep the same rule.
        token => {
            let error = |error| Problem::parameter("page_token", format!("is a name, so it {error}"));
            Some(ProjectName::new(token).map_err(error)?.into())
        }
    };
    Ok(Page { after, limit: limit(size)? })
}

/// Refuses a page that goes on where one cluster alone is asked for.
pub(super) fn first_only(page: &Page) -> Result<(), Problem> {
    let detail = "goes on with the pages of all clusters: leave it out beside cluster_reference";
    if page.after.is_none() { Ok(()) } else { Err(Problem::parameter("page_token", detail)) }
}

/// The same, of labels: pages begin after keys, which are no names.
pub(super) fn key_page(size: i32, token: &str) -> Result<Page, Problem> {
    Ok(Page { after: Some(token.to_owned()).filter(|token| !token.is_empty()), limit: limit(size)? })
}

fn limit(size: i32) -> Result<usize, Problem> {
    let limit = usize::try_from(size).ok().filter(|limit| *limit <= Page::LARGEST_LIMIT);
    match limit {
        Some(0) => Ok(Page::DEFAULT_LIMIT),
        Some(limit) => Ok(limit),
        None => Err(Problem::parameter("page_size", format!("must be a number from 1 to {}", Page::LARGEST_LIMIT))),
    }
}

/// Of what, by labels.
pub(super) fn selector(text: &str) -> Result<LabelSelector, Problem> {
    text.parse().map_err(|error| Problem::parameter("label_selector", error))
}

/// One page of what is there as a whole, by the names that it is sorted by, and after which name the next page begins.
pub(super) fn cut<T>(mut all: Vec<T>, page: &Page, name: impl Fn(&T) -> &str) -> (Vec<T>, Option<String>) {
    if let Some(after) = &page.after {
        all.retain(|one| name(one) > after.as_str());
    }
    let more = all.len() > page.limit;
    all.truncate(page.limit);
    let next = all.last().filter(|_| more).map(|last| name(last).to_owned());
    (all, next)
}

/// What comes in pages.
pub(super) trait Entry: Message {
    /// The name, or label's key, that pages are ordered by.
    fn key(&self) -> &str;
}

macro_rules! entries {
    ($($($message:ident),+: |$entry:ident| $key:expr;)*) => {$($(
        impl Entry for pb::$message {
            fn key(&self) -> &str {
                let $entry = self;
                $key
            }
        }
    )+)*};
}

entries! {
    LogicalCloud, ClusterReference, Quota, KvPair, Project, ClusterProvider, Cluster, Controller:
        |record| record.metadata.as_ref().map_or("", pb::Metadata::name);
    UserPermission: |permission| permission.name();
    ClusterLabel: |label| label.label_name();
    ClusterStatus, ClusterManifests, ClusterDiff, RevokedAccess: |cluster| &cluster.cluster_reference;
}

/// As many of a page's entries as a message has room for, and after which name the next page begins.
pub(super) fn fitting<M: Entry>(entries: impl IntoIterator<Item = M>, next: Option<String>) -> (Vec<M>, String) {
    let (mut fitting, mut room) = (Vec::<M>::new(), BUDGET);
    for entry in entries {
        let size = size(&entry);
        if let Some(last) = fitting.last().filter(|_| size > room) {
            let next = last.key().to_owned();
            return (fitting, next);
        }
        room = room.saturating_sub(size);
        fitting.push(entry);
    }
    (fitting, next.unwrap_or_default())
}

/// All entries, in as many parts as they need: with at most so many entries, each with what a message has room for. There is one
/// part at least.
pub(super) fn parts<M: Message>(entries: impl IntoIterator<Item = M>, limit: usize) -> Vec<Vec<M>> {
    let (mut parts, mut part, mut room) = (Vec::new(), Vec::new(), BUDGET);
    for entry in entries {
        let size = size(&entry);
        if !part.is_empty() && (size > room || part.len() >= limit) {
            parts.push(std::mem::take(&mut part));
            room = BUDGET;
        }
        room = room.saturating_sub(size);
        part.push(entry);
    }
    parts.push(part);
    parts
}

fn size(entry: &impl Message) -> usize {
    entry.encoded_len() + PREFIX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, bytes: usize) -> pb::KvPair {
        let description = "x".repeat(bytes);
        let metadata = pb::Metadata { name: Some(name.to_owned()), description, ..Default::default() };
        pb::KvPair { metadata: Some(metadata), ..Default::default() }
    }

    #[test]
    fn a_page_ends_before_it_is_too_large_and_says_where_the_next_one_begins() {
        let third = BUDGET / 3;
        let entries = ["a", "b", "c", "d"].map(|name| pair(name, third));
        let (told, next) = fitting(entries.clone(), Some("d".to_owned()));
        assert_eq!((told.len(), next.as_str()), (2, "b"));
        let message = pb::ListKvPairsResponse { kv_pairs: told, next_page_token: next };
        assert!(message.encoded_len() <= BUDGET);
        let (told, next) = fitting(entries.into_iter().skip(2), None);
        assert_eq!((told.len(), next.as_str()), (2, ""));
        let (told, next) = fitting([pair("a", 1)], Some("a".to_owned()));
        assert_eq!((told.len(), next.as_str()), (1, "a"), "more follows, although there is room");
    }

    #[test]
    fn one_that_is_too_large_by_itself_is_told_alone() {
        let entries = [pair("a", 1), pair("b", 2 * BUDGET), pair("c", 1)];
        let (told, next) = fitting(entries.clone(), None);
        assert_eq!((told.len(), next.as_str()), (1, "a"));
        let (told, next) = fitting(entries.clone().into_iter().skip(1), None);
        assert_eq!((told.len(), next.as_str()), (1, "b"));
        let sizes: Vec<usize> = parts(entries, 10).iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 1, 1]);
    }

    #[test]
    fn parts_hold_all_in_order_and_there_is_always_one() {
        let entries: Vec<pb::KvPair> = (0..7).map(|number| pair(&number.to_string(), 1)).collect();
        for (limit, sizes) in [(3, vec![3, 3, 1]), (7, vec![7]), (1000, vec![7])] {
            let parts = parts(entries.clone(), limit);
            assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), sizes);
            assert_eq!(parts.concat(), entries);
        }
        assert_eq!(parts(Vec::<pb::KvPair>::new(), 3), [Vec::new()]);
    }
}
