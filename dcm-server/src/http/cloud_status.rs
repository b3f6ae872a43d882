use std::time::Duration;

use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{
    name::{ClusterName, ProviderName},
    service::{CloudObjects, CloudStatus},
    store::Revision,
};
use http::{StatusCode, Uri};
use serde::Serialize;

use super::{
    Answer, App,
    api::{Api, Operation, of_cloud},
    dto::{self, EmcoQuery, EmcoStatus, List, Output, Source, StatusAnswer, StatusSchema},
    path::Cloud,
    problem::Problem,
    query::Query,
    reply::{self, Reply},
    watch::{Shown, Watching},
};

pub(super) fn routes(api: Api) -> Api {
    let operation = Operation::new("getStatus", "Says how far a logical cloud is on each of its clusters.")
        .about("From what is stored: no cluster is asked. With a parameter of EMCO's the answer has EMCO's form.")
        .query_one_of("status", "EMCO: whose word about an object counts.", &["ready", "deployed"])
        .query_one_of("output", "EMCO: how much is told.", &["all", "summary", "detail"])
        .query("clusters", "EMCO: list the clusters instead.")
        .query("resources", "EMCO: list the objects instead.")
        .query("cluster", "EMCO: only this cluster, as `provider+cluster` with the plus as `%2B`; may be repeated.")
        .query("resource", "EMCO: only objects of this name; may be repeated.")
        .query("instance", "EMCO: the state that was applied last; no other one is kept.")
        .answers::<StatusSchema>(StatusCode::OK, "The status.")
        .watched();
    api.tag("Status", "How far a logical cloud is.").path(of_cloud("/status"), |path| path.get(read, operation))
}

/// With one of these the answer has EMCO's form.
const EMCOS: [&str; 7] = ["status", "output", "clusters", "resources", "cluster", "resource", "instance"];

/// An answer in EMCO's form has at most so many bytes.
const LARGEST: usize = 16 * 1024 * 1024;

/// Longer names than this has no object.
const LONGEST_NAME: usize = 253;

pub(super) async fn read(State(app): State<App>, Cloud(id): Cloud, uri: Uri, watching: Option<Watching>) -> Answer {
    let query = Query::parse(uri.query())?;
    let asked_by_emco = EMCOS.into_iter().find(|name| query.has(name));
    if let Some(watching) = watching {
        if let Some(name) = asked_by_emco {
            return Err(Problem::parameter(name, "cannot go with watch: a watch tells the status in DCM's form"));
        }
        let watch = app.dcm.watch_status(&id, watching.from()).await?;
        return watching.answer(watch);
    }
    if asked_by_emco.is_none() {
        return Ok(Reply::ok(&StatusAnswer::new(&app.dcm.status(&id).await?)).into_response());
    }
    let emco = emco(&query)?;
    let found = app.dcm.object_status(&id).await?;
    check_instance(&query, &found)?;
    // Of thousands of clusters with hundreds of objects each, this takes seconds.
    let written = tokio::task::spawn_blocking(move || reply::write_at_most(&EmcoStatus::new(&found, &emco), LARGEST));
    match written.await {
        Ok(Ok(Some(json))) => Ok(Reply::json(json).into_response()),
        Ok(Ok(None)) => {
            let detail = format!(
                "tells of too many objects, more than {LARGEST} bytes; name some with cluster or resource, or ask \
                                  for output=summary"
            );
            Err(Problem::parameter("output", detail))
        }
        Ok(Err(problem)) => Err(problem),
        Err(error) => Err(Problem::bug(format!("a status could not be written: {error}"))),
    }
}

/// What an EMCO client asked for; else what is wrong with it, all of it at once.
fn emco(query: &Query) -> Result<EmcoQuery, Problem> {
    let source = query.choice("status", &[("ready", Source::Ready), ("deployed", Source::Deployed)]);
    let outputs = [("all", Output::All), ("summary", Output::Summary), ("detail", Output::Detail)];
    let output = query.choice("output", &outputs);
    let instance = query.one("instance").and_then(|instance| match instance {
        Some("") => Err(Problem::parameter("instance", "must not be empty; leave it out for the latest")),
        _ => Ok(()),
    });
    let clusters: Result<Vec<_>, _> = query.all("cluster").map(read_cluster).collect();
    let resources: Result<Vec<_>, _> = query.all("resource").map(read_resource).collect();
    let list = match (query.has("clusters"), query.has("resources")) {
        (true, _) => Some(List::Clusters),
        (false, true) => Some(List::Resources),
        (false, false) => None,
    };
    match (source, output, instance, clusters, resources) {
        (Ok(source), Ok(output), Ok(()), Ok(clusters), Ok(resources)) => {
            let (source, output) = (source.unwrap_or_default(), output.unwrap_or_default());
            Ok(EmcoQuery { source, output, list, clusters, resources })
        }
        (source, output, instance, clusters, resources) => {
            let problems = [source.err(), output.err(), instance.err(), clusters.err(), resources.err()];
            Err(Problem::all(problems.into_iter().flatten()))
        }
    }
}

/// `provider+cluster`. A `+` that is not percent-encoded arrives as a blank, which no name has.
fn read_cluster(text: &str) -> Result<(String, String), Problem> {
    let names = text
        .split_once(['+', ' '])
        .filter(|(provider, cluster)| ProviderName::new(provider).is_ok() && ClusterName::new(cluster).is_ok());
    let names = names.map(|(provider, cluster)| (provider.to_owned(), cluster.to_owned()));
    names.ok_or_else(|| Problem::parameter("cluster", "must be <cluster provider>%2B<cluster>, two names"))
}

fn read_resource(text: &str) -> Result<String, Problem> {
    let good =
        !text.is_empty() && text.len() <= LONGEST_NAME && !text.contains(|c: char| c.is_whitespace() || c == '/');
    if !good {
        let detail = format!("must be the name of an object: 1 to {LONGEST_NAME} characters without blanks and '/'");
        return Err(Problem::parameter("resource", detail));
    }
    Ok(text.to_owned())
}

/// Only the state that clusters are to be, or were last, is kept.
fn check_instance(query: &Query, found: &CloudObjects) -> Result<(), Problem> {
    match (query.one("instance")?, dto::instance(&found.status.cloud)) {
        (None, _) => Ok(()),
        (Some(_), "") => Err(Problem::parameter("instance", "names nothing: the logical cloud was never applied")),
        (Some(asked), kept) if asked == kept => Ok(()),
        (Some(_), kept) => Err(Problem::parameter("instance", format!("must be {kept:?}: no other one is kept"))),
    }
}

impl Shown for CloudStatus {
    /// Derived from many documents.
    fn revision(&self) -> Option<&Revision> {
        None
    }

    fn shown(&self) -> impl Serialize {
        StatusAnswer::new(self)
    }

    /// While thousands of clusters are worked on it changes all the time, and is derived from all of them each time.
    fn pause(&self) -> Duration {
        let clusters = u32::try_from(self.clusters.len()).unwrap_or(u32::MAX);
        (Duration::from_micros(100) * clusters).clamp(Duration::from_millis(50), Duration::from_secs(5))
    }
}
