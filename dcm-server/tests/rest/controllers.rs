//! Controllers: where other processes are to be reached.

use serde_json::{Value, json};

use crate::on_every_store;

const CONTROLLERS: &str = "/v2/controllers";

on_every_store! {
    async fn a_controller_is_made_read_changed_and_deleted(dcm) {
        assert_eq!(dcm.get(CONTROLLERS).await.expect(200), json!([]));
        let ca = json!({ "metadata": { "name": "ca", "description": "d" }, "spec": { "host": "dcm-ca.dcm.svc", "port": 9078 } });
        let made = dcm.post(CONTROLLERS, &ca).await;
        assert_eq!(made.expect(201), ca);
        let path = format!("{CONTROLLERS}/ca");
        let got = dcm.get(&path).await;
        assert_eq!((got.expect(200), got.header("etag")), (ca.clone(), made.header("etag")));
        dcm.post(CONTROLLERS, &ca).await.expect_problem(409, &[]);
        let changed = dcm.put(&path, &json!({ "spec": { "host": "[2001:db8::1]", "port": "9079" } })).await.expect(200);
        assert_eq!(changed, json!({ "metadata": { "name": "ca" }, "spec": { "host": "2001:db8::1", "port": 9079 } }));
        dcm.put(&format!("{CONTROLLERS}/rsync"), &ca).await.expect_problem(400, &["/metadata/name"]);
        dcm.put(&format!("{CONTROLLERS}/rsync"), &json!({ "spec": { "host": "h", "port": 1 } })).await.expect_problem(404, &[]);
        let old = dcm.request(reqwest::Method::DELETE, &path).header("if-match", got.header("etag"));
        dcm.send(old).await.expect_problem(412, &[]);
        assert_eq!(dcm.delete(&path).await.expect(204), Value::Null);
        dcm.get(&path).await.expect_problem(404, &[]);
        dcm.delete(&path).await.expect_problem(404, &[]);
    }

    async fn controllers_of_emco_are_kept_as_they_are(dcm) {
        let emco = json!({ "metadata": { "name": "gac", "userData1": "x" }, "spec": { "host": "10.0.0.7", "port": 9033, "type": "action", "priority": 1 } });
        let made = dcm.post(&format!("{CONTROLLERS}?fieldValidation=Strict"), &emco).await;
        assert_eq!((made.expect(201), made.header("warning")), (emco.clone(), ""));
        for name in ["rsync", "ca"] {
            let body = json!({ "metadata": { "name": name }, "spec": { "host": name, "port": 1 } });
            dcm.post(CONTROLLERS, &body).await.expect(201);
        }
        let all = dcm.get(CONTROLLERS).await.expect(200);
        let names: Vec<&str> = all.as_array().unwrap().iter().filter_map(|c| c["metadata"]["name"].as_str()).collect();
        assert_eq!(names, ["ca", "gac", "rsync"]);
        let page = dcm.get(&format!("{CONTROLLERS}?limit=2&after=ca")).await;
        assert_eq!(page.expect(200).as_array().map(Vec::len), Some(2));
        let put = dcm.put(&format!("{CONTROLLERS}/gac?fieldValidation=Strict"), &emco).await.expect(200);
        assert_eq!(put, emco);
    }

    async fn what_is_wrong_with_a_controller_is_named(dcm) {
        dcm.post(CONTROLLERS, &json!({})).await.expect_problem(400, &["/metadata/name", "/spec/host", "/spec/port"]);
        let bad = json!({ "metadata": { "name": "a b" }, "spec": { "host": "https://h", "port": 65_536, "type": "", "priority": 1_000_001, "tls": true } });
        let pointers = ["/metadata/name", "/spec/host", "/spec/port", "/spec/type", "/spec/priority"];
        let problem = dcm.post(CONTROLLERS, &bad).await.expect_problem(400, &pointers);
        assert!(problem["errors"][1]["detail"].as_str().unwrap().contains("without a scheme"), "{problem}");
        let strict = dcm.post(&format!("{CONTROLLERS}?fieldValidation=Strict"), &bad).await;
        strict.expect_problem(400, &[&pointers[..], &["/spec/tls"]].concat());
        for port in [json!(0), json!(-1), json!(1.5), json!("x"), json!("-1"), json!(""), json!([]), json!(true), json!(1e300)] {
            let body = json!({ "metadata": { "name": "c" }, "spec": { "host": "h", "port": port } });
            dcm.post(CONTROLLERS, &body).await.expect_problem(400, &["/spec/port"]);
        }
        assert_eq!(dcm.get(CONTROLLERS).await.expect(200), json!([]));
        dcm.get(&format!("{CONTROLLERS}/a%20b")).await.expect_problem(400, &[]);
    }
}
