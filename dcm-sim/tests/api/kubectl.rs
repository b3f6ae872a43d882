//! A real kubectl, where there is one.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use dcm_sim::Cluster;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::Lab;

/// What the environment says.
#[allow(clippy::disallowed_methods, reason = "a test asks its surroundings what it can use")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The kubectl on the path; without one, the test is skipped, or fails where real tools are required.
fn kubectl() -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("kubectl")).find(|file| file.is_file());
    if found.is_none() {
        let required = variable("DCM_TEST_REQUIRE_REAL").as_deref() == Some("1");
        assert!(!required, "DCM_TEST_REQUIRE_REAL=1, and there is no kubectl on PATH");
        println!("SKIPPED (no kubectl on PATH): install kubectl to judge the simulated API by it");
    }
    found
}

/// kubectl with a kubeconfig and a home of its own, so that no cache of others is read.
struct Kubectl {
    program: PathBuf,
    home: tempfile::TempDir,
}

impl Kubectl {
    fn new(program: PathBuf, cluster: &Cluster) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config"), cluster.admin_kubeconfig().to_string()).unwrap();
        Self { program, home }
    }

    async fn run(&self, arguments: &str, input: &str) -> Result<String, String> {
        let home: &Path = self.home.path();
        let mut child = Command::new(&self.program)
            .args(arguments.split_whitespace())
            .env("KUBECONFIG", home.join("config"))
            .env("HOME", home)
            .env_remove("HTTPS_PROXY")
            .env_remove("https_proxy")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    async fn ok(&self, arguments: &str, input: &str) -> String {
        let answer = self.run(arguments, input).await;
        answer.unwrap_or_else(|error| panic!("kubectl {arguments}: {error}"))
    }
}

#[tokio::test]
async fn kubectl_works_without_special_flags() {
    let Some(program) = kubectl() else { return };
    let lab = Lab::start().await;
    let kubectl = Kubectl::new(program, &lab.cluster);

    assert!(kubectl.ok("api-resources", "").await.contains("resourcequotas"));
    kubectl.ok("create namespace ns", "").await;
    let namespaces = kubectl.ok("get namespaces", "").await;
    assert!(namespaces.lines().next().unwrap().contains("AGE"), "{namespaces}");
    assert!(namespaces.contains("\nns "), "{namespaces}");
    assert!(kubectl.ok("get namespace ns -o yaml", "").await.contains("phase: Active"));

    kubectl.ok("-n ns create configmap made --from-literal=a=b", "").await;
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: given\ndata:\n  a: b\n";
    kubectl.ok("-n ns create -f -", map).await;
    let changed = map.replace("a: b", "a: c");
    let conflict = kubectl.run("-n ns apply --server-side -f -", &changed).await.unwrap_err();
    assert!(conflict.contains("conflict") && conflict.contains(".data.a"), "{conflict}");
    kubectl.ok("-n ns apply --server-side --force-conflicts -f -", &changed).await;
    assert_eq!(kubectl.ok("-n ns get configmap given -o jsonpath={.data.a}", "").await, "c");
    kubectl.ok("-n ns apply -f -", &map.replace("given", "client-side")).await;

    kubectl.ok("-n ns create quota q --hard=configmaps=3", "").await;
    let exceeded = kubectl.run("-n ns create configmap over", "").await.unwrap_err();
    assert!(exceeded.contains("exceeded quota: q"), "{exceeded}");
    assert!(kubectl.ok("describe namespace ns", "").await.contains("configmaps"));

    kubectl.ok("-n ns create serviceaccount robot", "").await;
    kubectl.ok("-n ns create role reader --verb=get,list --resource=pods", "").await;
    kubectl.ok("-n ns create rolebinding reader --role=reader --serviceaccount=ns:robot", "").await;
    let robot = "--as=system:serviceaccount:ns:robot";
    assert_eq!(kubectl.ok(&format!("-n ns auth can-i list pods {robot}"), "").await.trim(), "yes");
    assert!(kubectl.run(&format!("-n ns auth can-i delete pods {robot}"), "").await.is_err());
    assert!(kubectl.ok(&format!("-n ns auth can-i --list {robot}"), "").await.contains("pods"));

    kubectl.ok("-n ns delete configmap made", "").await;
    kubectl.ok("delete namespace ns --timeout=20s", "").await;
    let gone = kubectl.run("get namespace ns", "").await.unwrap_err();
    assert!(gone.contains("NotFound"), "{gone}");
}
