//! Clients show certificates.

use rcgen::{KeyPair, date_time_ymd};

use crate::support::{Ca, Client, Place, attempt, curl};

const DCM: &str = "spiffe://example.com/dcm";

#[tokio::test(flavor = "multi_thread")]
async fn only_who_has_a_certificate_of_the_client_ca_is_let_in() {
    let (place, ca, clients) = (Place::new(), Ca::new("ca"), Ca::new("clients"));
    let client_ca = place.put("clients.crt", &clients.pem);
    let server = place.serve(&ca.server(), &["--client-ca", &client_ca]).await;
    let mine = clients.issue(&["operator.example.com"]);
    let answer = Client::new(&ca, Some(&mine)).get(&server, "/v2/projects").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let stranger = Ca::new("others").issue(&["operator.example.com"]);
    // By a CA that only has the name of the one.
    let forged = Ca::new("clients").issue(&["operator.example.com"]);
    let expired =
        clients.issue_until(&["operator.example.com"], date_time_ymd(2021, 1, 1), KeyPair::generate().unwrap());
    for (shows, alert) in [
        (None, "CertificateRequired"),
        (Some(&stranger), "UnknownCA"),
        (Some(&forged), "DecryptError"),
        (Some(&expired), "CertificateExpired"),
    ] {
        let error = Client::new(&ca, shows).get(&server, "/healthz").await.unwrap_err();
        assert!(format!("{error:?}").contains(alert), "{error:?}");
    }
    // And curl, over both protocols and both versions.
    let trusted = place.put("ca.crt", &ca.pem);
    let (cert, key) = (place.put("mine.crt", &mine.cert), place.put("mine.key", &mine.key));
    for options in [["--http2", "--tls-max", "1.3"], ["--http1.1", "--tls-max", "1.2"]] {
        let known = ["--cacert", &trusted, "-w", "%{http_code}", &server.url("/v2/projects")];
        let (good, said) = curl(&[&options[..], &known, &["--cert", &cert, "--key", &key]].concat());
        assert!(good && said.ends_with("200"), "{said}");
        let (good, said) = curl(&[&options[..], &known].concat());
        assert!(!good && said.ends_with("000") || said.contains("alert"), "{said}");
    }
    server.0.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_identities_that_are_named_are_served_where_some_are() {
    let (place, ca, clients) = (Place::new(), Ca::new("ca"), Ca::new("clients"));
    let client_ca = place.put("clients.crt", &clients.pem);
    let allowed = ["--client-ca", &client_ca, "--allowed-identity", DCM, "--allowed-identity", "operator.example.com"];
    let server = place.serve(&ca.server(), &allowed).await;
    for (names, status) in [
        (&[DCM][..], "200"),
        (&["x.example.com", "Operator.example.com"], "200"),
        (&["spiffe://example.com/other"], "403"),
        // A common name stands for nobody who has another name: this one's is the one that is allowed.
        (&["other.example.com"], "403"),
    ] {
        let client = Client::new(&ca, Some(&clients.issue(names)));
        let answer = client.get(&server, "/v2/projects").await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{names:?}: {answer}");
        if status == "403" {
            assert!(answer.contains(names[0]) && answer.contains("--allowed-identity"), "{answer}");
        }
        // A prober learns nothing that is worth a secret.
        let answer = client.get(&server, "/healthz").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    server.0.stop().await;
}

#[tokio::test]
async fn client_certificates_are_authentication_enough_to_listen_beyond_loopback_and_tls_alone_is_not() {
    let (place, ca) = (Place::new(), Ca::new("ca"));
    let client_ca = place.put("ca.crt", &ca.pem);
    let [cert, key] = place.pair(&ca.server());
    let error = attempt(&["--http=0.0.0.0:0", &cert, &key]).await.unwrap_err();
    assert!(
        matches!(error, dcm_server::StartError::BeyondLoopback(..)) && error.to_string().contains("--client-ca"),
        "{error}"
    );
    attempt(&["--http=0.0.0.0:0", &cert, &key, "--client-ca", &client_ca]).await.unwrap().stop().await;
}
