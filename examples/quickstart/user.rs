use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

/// How long an API server may take to know of new roles and quotas; most take no time that anybody sees.
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes the kubeconfig where only its owner can read it: it holds a private key.
pub(crate) fn save(path: &Path, config: &Value) -> Result<()> {
    let mut file = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(serde_json::to_string_pretty(config)?.as_bytes())?;
    Ok(())
}

/// Acts as the user on every cluster: something that is allowed, something that the quota refuses, and
/// something that is not allowed. Then the same with `kubectl`, where there is one.
pub(crate) async fn show(path: &Path, config: &Value) -> Result<()> {
    let contexts = config["contexts"].as_array().context("the kubeconfig has no contexts")?;
    for context in contexts {
        let name = context["name"].as_str().context("a context has no name")?;
        let client = client(config, name).await?;
        let created = soon(async || create_config_map(&client, "hello").await, Result::is_ok).await;
        let again = create_config_map(&client, "hello-2").await;
        let third = create_config_map(&client, "hello-3").await;
        let secrets = request(&client, "GET", "/api/v1/namespaces/ns-1/secrets", None).await;
        created.with_context(|| format!("{name}: creating a config map is allowed"))?;
        let refused =
            [again, third].into_iter().find_map(Result::err).context("the quota of two config maps was not kept")?;
        let Err(denied) = secrets else { bail!("{name}: reading secrets is not allowed, and was") };
        ensure!(denied.code == 403 && refused.code == 403, "{denied:?} {refused:?}");
        println!("   {name}");
        println!("      create configmap    allowed");
        println!("      create too many     refused: {}", refused.message);
        println!("      list secrets        denied:  {}", denied.message);
    }
    match Command::new("kubectl").args(["version", "--client"]).output() {
        Ok(found) if found.status.success() => kubectl(path),
        _ => {
            println!("   (no kubectl on this machine, so the same was not shown with it)");
            Ok(())
        }
    }
}

/// Shows on every cluster whether a kubeconfig gives access.
pub(crate) async fn show_access(config: &Value, expected: bool) -> Result<()> {
    let contexts = config["contexts"].as_array().context("the kubeconfig has no contexts")?;
    for context in contexts {
        let name = context["name"].as_str().context("a context has no name")?;
        let client = client(config, name).await?;
        let list = async || request(&client, "GET", "/api/v1/namespaces/ns-1/configmaps", None).await;
        drop(soon(&list, |listed| listed.is_ok() == expected).await);
        // And it stays so.
        match list().await {
            Ok(_) if expected => println!("   {name:<20} allowed"),
            Err(denied) if !expected && denied.code == 403 => println!("   {name:<20} denied:  {}", denied.message),
            other => bail!("{name}: access should be {expected}: {other:?}"),
        }
    }
    Ok(())
}

fn kubectl(path: &Path) -> Result<()> {
    for (arguments, allowed) in
        [(["auth", "can-i", "create", "configmaps"], true), (["auth", "can-i", "list", "secrets"], false)]
    {
        let output = Command::new("kubectl").arg("--kubeconfig").arg(path).args(arguments).output()?;
        let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        println!("   kubectl {:<32} {answer}", arguments.join(" "));
        ensure!(
            output.status.success() == allowed,
            "kubectl said {answer:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// Asks until the answer is as wanted, for a while; the last answer.
async fn soon<T>(
    ask: impl AsyncFn() -> Result<T, Refusal>,
    wanted: impl Fn(&Result<T, Refusal>) -> bool,
) -> Result<T, Refusal> {
    let patience = Instant::now();
    loop {
        let answer = ask().await;
        if wanted(&answer) || patience.elapsed() >= PATIENCE {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A refusal of the API server.
#[derive(Debug)]
struct Refusal {
    code: u16,
    message: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.code, self.message)
    }
}

impl std::error::Error for Refusal {}

async fn client(config: &Value, context: &str) -> Result<kube::Client> {
    let config: Kubeconfig = serde_json::from_value(config.clone())?;
    let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    Ok(kube::Client::try_from(kube::Config::from_custom_kubeconfig(config, &options).await?)?)
}

async fn create_config_map(client: &kube::Client, name: &str) -> Result<Value, Refusal> {
    let body =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "from": "DCM" } });
    request(client, "POST", "/api/v1/namespaces/ns-1/configmaps", Some(body)).await
}

async fn request(client: &kube::Client, method: &str, path: &str, body: Option<Value>) -> Result<Value, Refusal> {
    let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    let request =
        http::Request::builder().method(method).uri(path).header("content-type", "application/json").body(body);
    let failed = |error: &dyn std::fmt::Display| Refusal { code: 0, message: error.to_string() };
    let request = request.map_err(|error| failed(&error))?;
    match client.request(request).await {
        Ok(answer) => Ok(answer),
        Err(kube::Error::Api(status)) => Err(Refusal { code: status.code, message: status.message }),
        Err(error) => Err(failed(&error)),
    }
}
