//! What answers is the API server, and not as it should.

use std::time::Duration;

use dcm_test_utils::patience::until_so;
use http::{Method, Uri};

use crate::{
    bed,
    proxy::{Answer, Proxy},
    setting::Setting,
};

fn to_all(_: &Method, _: &Uri) -> bool {
    true
}

fn to_writes(method: &Method, _: &Uri) -> bool {
    method != Method::GET
}

fn to_lists(_: &Method, uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.contains("labelSelector"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_answers() {
    let Some((bed, _well)) = bed::well("wrong_answers").await else { return };
    let proxy = Proxy::start(bed).await;
    let mut setting = Setting::created(&proxy.kubeconfig(bed), &[]).await;
    for (fault, answer) in [
        ("409 to every write", Answer::Refusal { code: 409, to: to_writes }),
        ("410 to every list", Answer::Refusal { code: 410, to: to_lists }),
        ("500 to everything", Answer::Refusal { code: 500, to: to_all }),
        ("503 to every write", Answer::Refusal { code: 503, to: to_writes }),
        ("404 from something else", Answer::Refusal { code: 404, to: to_all }),
        ("No answer", Answer::Nothing),
        ("Half an answer", Answer::Half),
        ("A page for people", Answer::Page),
        ("An answer without end", Answer::Endless),
        ("Not HTTP", Answer::NotHttp),
        ("Not TLS", Answer::NotTls),
    ] {
        proxy.answers(answer);
        setting.apply_a_change().await;
        setting.shows(fault).await;
        setting.others_are_not_held_up().await;
        proxy.answers(Answer::Real);
        setting.heals().await;
        let role = setting.path("roles", &setting.role());
        assert!(bed.admin().await.get(&role).await.is_some(), "{fault}");
    }
    setting.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_in_drops() {
    let Some((bed, _well)) = bed::well("an_answer_in_drops").await else { return };
    let proxy = Proxy::start(bed).await;
    let mut setting = Setting::created(&proxy.kubeconfig(bed), &[]).await;
    proxy.answers(Answer::Drops);
    setting.apply_a_change().await;
    setting.shows("An answer in drops").await;
    setting.others_are_not_held_up().await;
    proxy.answers(Answer::Real);
    setting.heals().await;
    setting.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_says_when_is_asked_then() {
    const PAUSE: u64 = 4;
    let Some((bed, _well)) = bed::well("a_cluster_that_says_when_is_asked_then").await else { return };
    let proxy = Proxy::start(bed).await;
    let mut setting = Setting::created(&proxy.kubeconfig(bed), &[]).await;
    proxy.answers(Answer::ComeBackIn { seconds: PAUSE });
    setting.apply_a_change().await;
    setting.shows("429 with Retry-After").await;
    setting.others_are_not_held_up().await;
    until_so(Duration::from_secs(30), "asked again", async || proxy.asked().len() >= 2).await;
    let asked = proxy.asked();
    // What the clocks of two threads make of the same pause may differ by a few milliseconds.
    let pause = asked[1] - asked[0] + Duration::from_millis(20);
    assert!(pause >= Duration::from_secs(PAUSE), "asked again after {pause:?}");
    proxy.answers(Answer::Real);
    setting.heals().await;
    setting.stop().await;
}
