//! Lists, page by page, and of what.

use dcm_core::{model::LabelSelector, name::ProjectName, service::Page};

use crate::http::Problem;

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
pub(super) fn cut<T>(mut all: Vec<T>, page: &Page, name: impl Fn(&T) -> &str) -> (Vec<T>, String) {
    if let Some(after) = &page.after {
        all.retain(|one| name(one) > after.as_str());
    }
    let more = all.len() > page.limit;
    all.truncate(page.limit);
    let next = all.last().filter(|_| more).map(|last| name(last).to_owned()).unwrap_or_default();
    (all, next)
}
