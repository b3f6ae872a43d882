//! What an apply would send, and what it would change.

use axum::{extract::State, response::IntoResponse as _};
use dcm_core::service::Selection;
use http::{StatusCode, Uri};

use super::{
    Answer, App,
    api::{Api, Operation, of_cloud},
    dto::{DiffAnswer, DiffSchema, Manifests, ManifestsAnswer, ManifestsAnswerSchema},
    page::Listing,
    path::Cloud,
    problem::Problem,
    query::Query,
    reply::Reply,
};

pub(super) fn routes(api: Api) -> Api {
    let of_one = "Only for this cluster reference; else for a page of them.";
    let manifests_of = Operation::new("getManifests", "Shows what an apply would send to clusters.")
        .about("Touches no cluster. Secrets are left out. For one reference it is a list that `kubectl` reads.")
        .query_name("cluster-reference", of_one)
        .paged()
        .problem(StatusCode::CONFLICT)
        .answers::<ManifestsAnswerSchema>(StatusCode::OK, "The objects.");
    let diff_of = Operation::new("getDiff", "Shows what an apply would change on clusters.")
        .about("Asks the clusters, and changes nothing there.")
        .query_name("cluster-reference", of_one)
        .paged()
        .problem(StatusCode::CONFLICT)
        .answers::<DiffSchema>(StatusCode::OK, "The changes.");
    api.tag("Previews", "What an apply would do.")
        .path(of_cloud("/manifests"), |path| path.get(manifests, manifests_of))
        .path(of_cloud("/diff"), |path| path.get(diff, diff_of))
}

/// With a cluster reference the objects for that cluster, as one list that `kubectl` reads; else those of a
/// page of clusters.
pub(super) async fn manifests(State(app): State<App>, Cloud(id): Cloud, uri: Uri, listing: Listing) -> Answer {
    let listing = listing.at_most(Selection::LARGEST_PAGE);
    let selection = selection(&uri, &listing)?;
    let preview = app.dcm.manifests(&id, &selection).await?;
    match (&selection, preview.clusters.first()) {
        (Selection::One(_), Some((_, objects))) => Ok(Reply::ok(&Manifests(objects)).into_response()),
        _ => Ok(listing.answer(&ManifestsAnswer::new(&id, &preview), preview.next.as_deref())),
    }
}

pub(super) async fn diff(State(app): State<App>, Cloud(id): Cloud, uri: Uri, listing: Listing) -> Answer {
    let listing = listing.at_most(Selection::LARGEST_PAGE);
    let preview = app.dcm.diff(&id, &selection(&uri, &listing)?).await?;
    Ok(listing.answer(&DiffAnswer::new(&id, &preview), preview.next.as_deref()))
}

fn selection(uri: &Uri, listing: &Listing) -> Result<Selection, Problem> {
    match Query::parse(uri.query())?.one("cluster-reference")? {
        Some(text) => {
            let name = text.parse().map_err(|error| Problem::parameter("cluster-reference", error))?;
            Ok(Selection::One(name))
        }
        None => Ok(Selection::Page(listing.page.clone())),
    }
}
