//! What is told of files that cannot be used.

use std::{error::Error as _, os::unix::fs::PermissionsExt as _};

use rcgen::{KeyPair, date_time_ymd};

use crate::support::{Ca, Client, Place, attempt, path, run};

/// The error, with what lies below it.
async fn refusal(options: &[&str]) -> String {
    let error = attempt(options).await.unwrap_err();
    let (mut text, mut next) = (error.to_string(), error.source());
    while let Some(source) = next {
        text += &format!(": {source}");
        next = source.source();
    }
    text
}

#[tokio::test]
async fn options_that_belong_together_are_asked_for_together() {
    for (options, named) in [
        (&["--tls-cert=x"][..], &["--tls-cert", "--tls-key"][..]),
        (&["--tls-key=x"], &["--tls-key", "--tls-cert"]),
        (&["--client-ca=x"], &["--client-ca", "--tls-cert", "--tls-key"]),
        (&["--tls-cert=x", "--tls-key=x", "--allowed-identity=x"], &["--allowed-identity", "--client-ca"]),
        (&["--client-ca=x", "--tls-key=x"], &["--tls-cert"]),
    ] {
        let error = refusal(options).await;
        assert!(named.iter().all(|name| error.contains(name)), "{error}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_with_its_option_and_the_fix_and_never_quoted() {
    let (place, ca) = (Place::new(), Ca::new("ca"));
    let (one, two) = (ca.server(), ca.server());
    let cert = place.put("one.crt", &one.cert);
    let key = place.put("one.key", &one.key);
    let files = [
        ("two.key", two.key.clone()),
        ("none", "s3cret".to_owned()),
        ("cut", one.key[..one.key.len() / 2].to_owned()),
        ("cut.crt", one.cert.replace("-----END", "s3cret!\n-----END")),
        ("der.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned()),
        ("odd.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned()),
        ("large", "s3cret ".repeat(200_000)),
    ]
    .map(|(name, text)| place.put(name, &text));
    let [other_key, none, cut, cut_cert, bad_cert, odd_key, large] = files.each_ref().map(String::as_str);
    let secret = place.put("secret.key", "");
    let wanted = ["pkey", "-in", &key, "-aes256", "-passout", "pass:s3cret", "-out", &secret];
    assert!(run("openssl", &wanted, "").0);
    let missing = place.path("missing").display().to_string();
    let folder = place.0.path().display().to_string();
    for (options, file, fix) in [
        (["--tls-cert", &missing, "--tls-key", &key], &*missing, "name a file that is there"),
        (["--tls-cert", &folder, "--tls-key", &key], &folder, "regular file"),
        (["--tls-cert", none, "--tls-key", &key], none, "PEM"),
        (["--tls-cert", cut_cert, "--tls-key", &key], cut_cert, "copy the file again"),
        (["--tls-cert", bad_cert, "--tls-key", &key], bad_cert, "issued again"),
        (["--tls-cert", large, "--tls-key", &key], large, "bytes"),
        (["--tls-key", &missing, "--tls-cert", &cert], &missing, "name a file that is there"),
        (["--tls-key", none, "--tls-cert", &cert], none, "PKCS#8"),
        (["--tls-key", cut, "--tls-cert", &cert], cut, "copy the file again"),
        (["--tls-key", odd_key, "--tls-cert", &cert], odd_key, "P-256"),
        (["--tls-key", other_key, "--tls-cert", &cert], other_key, &format!("first certificate in {cert}")),
        (["--tls-key", &secret, "--tls-cert", &cert], &secret, "openssl pkey"),
    ] {
        let error = refusal(&options).await;
        let named = format!("{} {file} cannot be used", options[0]);
        assert!(error.contains(&named) && error.contains(fix), "{error}");
        let quoted = one.key.lines().chain(one.cert.lines()).filter(|line| !line.starts_with('-') && line.len() > 8);
        assert!(!error.contains("s3cret") && !quoted.clone().any(|line| error.contains(line)), "{error}");
    }
    for (ca, fix) in [(&*missing, "name a file that is there"), (none, "PEM"), (bad_cert, "number 1")] {
        let error = refusal(&["--tls-cert", &cert, "--tls-key", &key, "--client-ca", ca]).await;
        assert!(error.contains(&format!("--client-ca {ca} cannot be used")) && error.contains(fix), "{error}");
    }
}

#[tokio::test]
async fn what_is_shown_to_other_roles_is_named_by_the_options_that_gave_it() {
    let (place, ca) = (Place::new(), Ca::new("ca"));
    let pair = ca.server();
    let (cert, key) = (place.put("one.crt", &pair.cert), place.put("one.key", &pair.key));
    let (peer_ca, none) = (place.put("ca.crt", &ca.pem), place.put("none", ""));
    for [with_cert, with_key] in [[&none, &key], [&cert, &none]] {
        let error = refusal(&["--peer-ca", &peer_ca, "--peer-cert", with_cert, "--peer-key", with_key]).await;
        let option = if with_cert == &none { "--peer-cert" } else { "--peer-key" };
        assert!(error.contains(&format!("{option} {none} cannot be used")), "{error}");
    }
}

#[tokio::test]
async fn every_kind_and_form_of_key_is_served() {
    let (place, ca) = (Place::new(), Ca::new("ca"));
    let make = |name: &str, options: &[&str]| {
        let file = place.path(name);
        let (good, said) = run("openssl", &[options, &["-out", path(&file)]].concat(), "");
        assert!(good, "{said}");
        std::fs::read_to_string(file).unwrap()
    };
    let rsa = make("rsa", &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let ec = make("ec", &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]);
    let ed = make("ed", &["genpkey", "-algorithm", "ED25519"]);
    let old = |name: &str| make(&format!("old-{name}"), &["pkey", "-traditional", "-in", path(&place.path(name))]);
    for (key, form) in [(&rsa, rsa.clone()), (&rsa, old("rsa")), (&ec, ec.clone()), (&ec, old("ec")), (&ed, ed.clone())]
    {
        let mut pair = ca.issue_until(&["localhost"], date_time_ymd(2040, 1, 1), KeyPair::from_pem(key).unwrap());
        let header = form.lines().next().unwrap().to_owned();
        pair.key = form;
        let server = place.serve(&pair, &[]).await;
        let answer = Client::new(&ca, None).get(&server, "/healthz").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{header}: {answer}");
        server.0.stop().await;
    }
    assert!(
        place.path("old-rsa").exists() && std::fs::read_to_string(place.path("old-rsa")).unwrap().contains("BEGIN RSA")
    );
    assert!(std::fs::read_to_string(place.path("old-ec")).unwrap().contains("BEGIN EC"));
}

#[test]
fn a_key_that_everybody_may_read_and_a_certificate_that_has_run_out_are_warned_of() {
    let (place, ca) = (Place::new(), Ca::new("ca"));
    for (mode, end, warned) in [
        (0o644, date_time_ymd(2040, 1, 1), Some("chmod o-rwx")),
        (0o640, date_time_ymd(2040, 1, 1), None),
        (0o600, date_time_ymd(2021, 1, 1), Some("has run out")),
    ] {
        let files = place.pair(&ca.issue_until(&["localhost"], end, KeyPair::generate().unwrap()));
        std::fs::set_permissions(place.path("tls.key"), std::fs::Permissions::from_mode(mode)).unwrap();
        let said = crate::reload::log_of(&files, |_, _| {});
        match warned {
            Some(warning) => assert!(said.contains(warning), "{said}"),
            None => assert!(!said.contains("WARN") && !said.contains("ERROR"), "{said}"),
        }
    }
}

#[test]
fn what_is_shown_to_other_roles_does_not_run_out_unnoticed() {
    let (place, ca) = (Place::new(), Ca::new("ca"));
    let old = ca.issue_until(&["dcm"], date_time_ymd(2021, 1, 1), KeyPair::generate().unwrap());
    let (cert, key) = (place.put("old.crt", &old.cert), place.put("old.key", &old.key));
    let peer_ca = place.put("ca.crt", &ca.pem);
    let files = [format!("--peer-ca={peer_ca}"), format!("--peer-cert={cert}"), format!("--peer-key={key}")];
    let said = crate::reload::log_of(&files, |_, _| {});
    assert!(said.contains("other roles refuse it: renew --peer-cert and --peer-key"), "{said}");
}
